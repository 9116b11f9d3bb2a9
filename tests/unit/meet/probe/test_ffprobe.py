"""FFmpeg's own programs find what PyAV finds."""

from io import BytesIO
from pathlib import Path
from shutil import which

import pytest
from PIL import Image

from meet.probe import client
from meet.probe.kinds import Unreadable
from tests.data.samples import film, sample

pytestmark = pytest.mark.skipif(not (which("ffprobe") and which("ffmpeg")), reason="FFmpeg is not installed")


@pytest.fixture
def without_av(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "find_spec", lambda name: None)


@pytest.mark.parametrize("extension", ["mp4", "webm", "flv", "aac"])
def test_both_find_the_same(extension: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "it"
    path.write_bytes(sample(extension))
    with_av = client.examine_file(path)
    monkeypatch.setattr(client, "find_spec", lambda name: None)
    found = client.examine_file(path)
    assert found.kind == with_av.kind
    for name in ("width", "height", "codec", "audio_codec", "frame_rate"):
        assert getattr(found.facts, name) == getattr(with_av.facts, name)
    assert found.facts.duration_s == pytest.approx(with_av.facts.duration_s, abs=0.05)
    assert (found.thumbnail is None) == (with_av.thumbnail is None)


@pytest.mark.usefixtures("without_av")
@pytest.mark.parametrize(("at_s", "grey"), [(0, 0), (1.0, 134), (99, 255)])
def test_a_picture_is_of_the_frame_that_is_seen_then(at_s: float, grey: int, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(film("mp4", "libx264", None, rotation=90))
    picture = Image.open(BytesIO(client.thumbnail_file(path, at_s=at_s, width=64, height=96, format="png")))
    assert picture.getpixel((2, 2)) == pytest.approx((grey, grey, grey), abs=16)


@pytest.mark.usefixtures("without_av")
@pytest.mark.parametrize("content", [sample("mp4")[:9000], sample("wav")[:16] + bytes(99), b"#EXTM3U\n"])
def test_what_is_broken_is_unreadable(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(content)
    with pytest.raises(Unreadable):
        client.examine_file(path)
