from dataclasses import replace

import pytest

from sfu.rtp.matching import IncompatibleCodecs, payload_types, rtx_repairs, rtx_types, same_codec
from sfu.rtp.parameters import RtpCodec, RtpParameters

VP8 = RtpCodec("video/VP8", 96, 90000)
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
OPUS = RtpCodec("audio/opus", 111, 48000, 2, (("useinbandfec", "1"),))
RED = RtpCodec("audio/red", 63, 48000, 2, (("", "111/111"),))


def h264(payload_type: int, profile: str | None, mode: str | None = "1") -> RtpCodec:
    fmtp = {"profile-level-id": profile, "packetization-mode": mode}
    pairs = tuple((key, value) for key, value in fmtp.items() if value is not None)
    return RtpCodec("video/H264", payload_type, 90000, parameters=pairs)


def parameters(*codecs: RtpCodec) -> RtpParameters:
    return RtpParameters("0", "video", codecs)


def test_numbers_are_mapped_by_name():
    target = parameters(RtpCodec("video/vp8", 120, 90000), RtpCodec("video/rtx", 121, 90000))
    assert payload_types(parameters(VP8, RTX), target) == {96: 120}


def test_h264_needs_the_same_profile_and_mode_and_any_level():
    assert same_codec(h264(1, "42e01f"), h264(2, "42E028"))
    assert not same_codec(h264(1, "42e01f"), h264(2, "42001f"))
    assert not same_codec(h264(1, "42e01f"), h264(2, "42e01f", "0"))
    assert same_codec(h264(1, None, None), h264(2, "42000a", "0"))


def test_vp9_and_av1_need_the_same_profile():
    def of(name: str, key: str, value: str | None) -> RtpCodec:
        return RtpCodec(f"video/{name}", 98, 90000, parameters=((key, value),) if value else ())

    assert same_codec(of("VP9", "profile-id", "0"), of("VP9", "profile-id", None))
    assert not same_codec(of("VP9", "profile-id", "2"), of("VP9", "profile-id", None))
    assert same_codec(of("AV1", "profile", "0"), of("AV1", "profile", None))
    assert not same_codec(of("AV1", "profile", "1"), of("AV1", "profile", "0"))


def test_audio_needs_the_same_clock_and_channels():
    assert same_codec(OPUS, RtpCodec("audio/OPUS", 109, 48000, 2))
    assert not same_codec(OPUS, RtpCodec("audio/opus", 109, 48000))
    assert same_codec(RtpCodec("audio/PCMU", 0, 8000, 1), RtpCodec("audio/PCMU", 0, 8000))


def test_red_passes_where_the_numbers_inside_it_hold():
    assert payload_types(parameters(OPUS, RED), parameters(OPUS, RED)) == {111: 111, 63: 63}
    other = RtpCodec("audio/opus", 109, 48000, 2)
    assert payload_types(parameters(OPUS, RED), parameters(other, RED)) == {111: 109}
    assert payload_types(parameters(OPUS, RED), parameters(OPUS, replace(RED, payload_type=62))) == {111: 111, 63: 62}


def test_red_alone_is_nothing_in_common():
    with pytest.raises(IncompatibleCodecs):
        payload_types(parameters(OPUS, RED), parameters(RED))


def test_fec_never_passes():
    fec = RtpCodec("video/ulpfec", 116, 90000)
    assert payload_types(parameters(VP8, fec), parameters(VP8, fec)) == {96: 96}


def test_nothing_in_common_is_refused():
    with pytest.raises(IncompatibleCodecs):
        payload_types(parameters(VP8), parameters(OPUS))


def test_rtx_is_found_by_what_it_repairs():
    broken = RtpCodec("video/rtx", 99, 90000, parameters=(("apt", "x"),))
    assert rtx_types(parameters(VP8, RTX, broken)) == {96: 97}
    assert rtx_repairs(parameters(VP8, RTX, broken)) == {97: 96}
