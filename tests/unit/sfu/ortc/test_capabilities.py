"""One payload type means one format, whoever published it."""

import pytest

from sfu.ortc.capabilities import OUR_EXTENSIONS, our_codec, our_rtx
from sfu.rtp.parameters import MID_URI, RtpCodec


def video(name: str, **fmtp: str) -> RtpCodec:
    return RtpCodec(f"video/{name}", 120, 90000, None, tuple((k.replace("_", "-"), v) for k, v in fmtp.items()))


def h264(profile: str, mode: str = "1") -> RtpCodec:
    return video("H264", profile_level_id=profile, packetization_mode=mode)


CARRIED = [
    RtpCodec("audio/opus", 100, 48000, 2),
    RtpCodec("audio/red", 101, 48000, 2),
    video("VP8"),
    *(video("VP9", profile_id=p) for p in "0123"),
    *(video("AV1", profile=p) for p in "012"),
    *(h264(p, m) for p in ("42e01f", "42001f", "4d001f", "640c1f", "64001f", "f4001f") for m in "01"),
]


def test_every_format_has_numbers_of_its_own() -> None:
    ours = [codec for codec in map(our_codec, CARRIED) if codec]
    numbers = [codec.payload_type for codec in ours]
    numbers += [our_rtx(codec).payload_type for codec in ours if codec.mime_type.startswith("video")]
    assert len(ours) == len(CARRIED)
    assert len(set(numbers)) == len(numbers)
    assert all(35 <= number < 64 or 96 <= number < 128 for number in numbers)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (video("VP9"), video("vp9", profile_id="0")),
        (video("AV1"), video("AV1", profile="0", level_idx="13", tier="1")),
        (h264("42e01f"), h264("42e034")),
        (h264("42c01f"), h264("4de01f")),
        (video("H264"), h264("42001f", "0")),
    ],
)
def test_what_a_decoder_treats_alike_is_one_format(one: RtpCodec, other: RtpCodec) -> None:
    assert our_codec(one) is not None
    assert our_codec(one) == our_codec(other)


@pytest.mark.parametrize(
    "codec",
    [
        video("H265"),
        video("rtx", apt="96"),
        video("red"),
        video("ulpfec"),
        video("VP9", profile_id="7"),
        h264("nonsense"),
        h264("42e0"),
        h264("42e01f", "2"),
        RtpCodec("video/VP8", 96, 48000),
        RtpCodec("audio/opus", 100, 48000, 1),
        RtpCodec("audio/PCMU", 0, 8000, 1),
    ],
)
def test_what_is_not_carried_has_no_number(codec: RtpCodec) -> None:
    assert our_codec(codec) is None


def test_rtx_names_the_codec_that_it_repairs() -> None:
    vp8 = our_codec(video("VP8"))
    assert vp8
    rtx = our_rtx(vp8)
    assert (rtx.name, rtx.parameter("apt")) == ("rtx", str(vp8.payload_type))


def test_extension_ids_fit_into_one_byte_headers() -> None:
    ids = [extension.id for extension in OUR_EXTENSIONS.values()]
    assert len(set(ids)) == len(ids)
    assert max(ids) < 15
    assert OUR_EXTENSIONS[MID_URI].uri == MID_URI
