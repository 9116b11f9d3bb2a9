"""Files that grow by fragments."""

import av
import pytest

from sfu.egress.matroska import CLUSTER_MS, Matroska
from sfu.rtp.bits import KeyFrame

from .rooms import decoded, opened, packet_times
from .senders import encoded_audio, encoded_video

EBML, CLUSTER = b"\x1a\x45\xdf\xa3", b"\x1f\x43\xb6\x75"
"""RFC 8794 section 11.2.1, RFC 9559 section 5.1.3."""


def written(count: int = 100) -> list[bytes]:
    """The fragments of so many packets of audio."""
    file = Matroska("opus")
    fragments = [file.write(one.data, n * 0.02, key_frame=True) for n, one in enumerate(encoded_audio(count))]
    return [one for one in [*fragments, file.close()] if one]


def test_a_header_then_clusters() -> None:
    fragments = written(200)
    assert fragments[0].startswith(EBML)
    assert CLUSTER not in fragments[0]
    assert all(one.startswith(CLUSTER) for one in fragments[1:])
    assert len(fragments) == 1 + 5


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_any_beginning_of_them_is_a_file(count: int) -> None:
    data = b"".join(written(200)[:count])
    assert len(decoded(data)) == pytest.approx(41 * (count - 1), abs=5)


def test_no_fragment_is_longer_than_a_cluster() -> None:
    fragments = written(200)
    for one in fragments[1:]:
        times = packet_times(fragments[0] + one)
        assert times[-1] - times[0] <= CLUSTER_MS / 1000


def test_much_in_little_time_is_one_fragment() -> None:
    file = Matroska("vp8", KeyFrame(160, 120))
    frame = encoded_video("vp8", 2)[1].data
    assert file.write(frame, 0.0, key_frame=True).startswith(EBML)
    assert not any(file.write(frame + bytes(200_000), n / 60, key_frame=False) for n in range(1, 48))
    assert len(file.close()) > 47 * 200_000


def test_a_silence_of_hours() -> None:
    file = Matroska("opus")
    data = b"".join(
        file.write(encoded_audio(1)[0].data, at, key_frame=True) for at in (0.5, 1.0, 20_000.0, 20_000.02)
    )
    assert packet_times(data + file.close()) == [0.5, 1.0, 20_000.0, 20_000.02]


def test_times_rise_though_they_are_the_same() -> None:
    file = Matroska("opus")
    data = b"".join(file.write(encoded_audio(1)[0].data, at, key_frame=True) for at in (0.5, 0.5001, 0.3))
    assert packet_times(data + file.close()) == [0.5, 0.501, 0.502]


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_the_header_has_the_size(codec: str) -> None:
    file = Matroska(codec, KeyFrame(160, 120))
    frames = encoded_video(codec, 2)
    data = b"".join(file.write(one.data, n / 15, key_frame=one.key_frame) for n, one in enumerate(frames))
    with opened(data + file.close()) as found:
        (stream,) = found.streams.video
        assert (stream.width, stream.height) == (160, 120)


def test_no_size_is_an_error() -> None:
    with pytest.raises(av.FFmpegError):
        Matroska("vp8", KeyFrame(0, 0)).write(b"\x10", 0.0, key_frame=True)
