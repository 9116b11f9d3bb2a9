"""Answers to those who only watch."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sfu.ortc import Origin, SdpError, read_publish_offer
from sfu.ortc.sdp import Description, parse
from sfu.ortc.view import MAX_VIEWED, read_view_offer, view_answer, viewer_parameters
from sfu.rtp.parameters import ABS_SEND_TIME_URI, MID_URI, Encoding, RtpParameters, TransportParameters

DATA = Path(__file__).parents[3] / "data" / "sdp"
OURS = TransportParameters(
    "ourUfrag", "ourPassword" * 2, "sha-256 AB:CD", ("candidate:1 1 udp 1 192.0.2.1 4 typ host",)
)


def recorded(name: str) -> str:
    return (DATA / f"{name}.sdp").read_text()


WATCH = recorded("chromium-watch")


def answer(text: str) -> Description:
    offer = read_view_offer(text)
    chosen = [
        replace(parameters, encodings=(Encoding(ssrc, ssrc + 1 if parameters.kind == "video" else None),), cname="us")
        for ssrc, parameters in zip(range(100, 200, 10), offer.parameters, strict=False)
    ]
    return parse(view_answer(offer, chosen, OURS, Origin(1), "stage"))


def published(name: str, kind: str) -> RtpParameters:
    return next(track for track in read_publish_offer(recorded(name)).tracks if track.kind == kind)


def test_every_section_is_taken_and_sent() -> None:
    described = answer(WATCH)
    assert [(s.kind, s.mid, s.direction) for s in described.sections] == [
        ("video", "0", "sendonly"),
        ("audio", "1", "sendonly"),
    ]
    assert described.bundle == ("0", "1")
    video, audio = described.sections
    assert {value.split()[1] for value in video.values("rtpmap")} == {
        *("VP8/90000", "VP9/90000", "H264/90000", "AV1/90000", "rtx/90000")
    }
    assert video.values("ssrc-group") == ["FID 100 101"]
    assert video.value("setup") == "passive"
    assert [section.value("msid") for section in (video, audio)] == ["stage stage-0", "stage stage-1"]
    assert audio.values("ssrc-group") == []


def test_the_numbers_are_the_clients() -> None:
    text = re.sub(r"\b96\b", "120", re.sub(r"\b120\b", "77", WATCH).replace("77", "60"))
    video = answer(text).sections[0]
    assert "120 VP8/90000" in video.values("rtpmap")


def test_a_passive_client_is_called() -> None:
    assert answer(WATCH.replace("setup:actpass", "setup:passive")).sections[0].value("setup") == "active"


def test_an_extension_that_needs_two_bytes_is_not_written_by_us() -> None:
    moved = WATCH.replace("a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:17 " + MID_URI)
    uris = {value.split()[1] for value in answer(moved).sections[0].values("extmap")}
    assert MID_URI not in uris
    assert ABS_SEND_TIME_URI in uris


def test_a_track_is_shown_in_its_publishers_format_under_the_viewers_number() -> None:
    section, audio = read_view_offer(WATCH).parameters
    sent = published("ffmpeg-whip", "video")
    shown = viewer_parameters(section, sent)
    assert shown is not None
    h264, rtx = shown.codecs
    assert h264.parameter("profile-level-id") == sent.codecs[0].parameter("profile-level-id")
    assert h264.payload_type in {codec.payload_type for codec in section.codecs if codec.name == "h264"}
    assert (rtx.name, rtx.parameter("apt")) == ("rtx", str(h264.payload_type))
    assert h264.feedback == ()  # FFmpeg hears no feedback
    assert viewer_parameters(audio, sent) is None


def test_a_track_in_a_codec_that_a_section_lacks_is_not_for_it() -> None:
    only_vp8 = read_view_offer(re.sub(r"(?<=m=video 9 UDP/TLS/RTP/SAVPF).*", " 96 97", WATCH)).parameters[0]
    assert viewer_parameters(only_vp8, published("ffmpeg-whip", "video")) is None
    vp8 = viewer_parameters(only_vp8, published("chromium-publish", "video"))
    assert vp8 is not None
    assert [codec.payload_type for codec in vp8.codecs] == [96, 97]
    nothing = replace(published("ffmpeg-whip", "video"), codecs=())
    assert viewer_parameters(only_vp8, nothing) is None


AUDIO = WATCH[WATCH.index("m=audio") :]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "starts with v=0"),
        ("v=0\r\n", "no media section"),
        (recorded("chromium-publish"), "sendonly: who watches receives"),
        (WATCH.replace("a=recvonly", "a=inactive", 1), "inactive"),
        (WATCH.replace("m=video 9", "m=video 0"), "neither audio nor video"),
        (WATCH + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:9\r\n", "neither audio nor video"),
        (WATCH.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"), "not in the bundle"),
        (WATCH.replace("a=rtcp-mux\r\n", "", 1).replace("a=rtcp-mux\n", "", 1), "rtcp-mux"),
        (re.sub(r"(?<=m=video 9 UDP/TLS/RTP/SAVPF).*", " 49", WATCH), "no codec"),
        (re.sub("a=ice-pwd.*", "a=ice-pwd:short", WATCH), "ice-pwd"),
        (WATCH + "".join(AUDIO.replace("a=mid:1", f"a=mid:x{n}") for n in range(70)), "at most 64"),
    ],
)
def test_an_offer_that_can_not_be_filled_is_refused_whole(text: str, why: str) -> None:
    with pytest.raises(SdpError, match=why):
        read_view_offer(text)


def test_a_wall_of_pictures_has_an_end() -> None:
    names = [f"x{n}" for n in range(MAX_VIEWED)]
    head = WATCH.replace("BUNDLE 0 1", "BUNDLE 0 1 " + " ".join(names))
    wall = head + "".join(AUDIO.replace("a=mid:1", f"a=mid:{name}") for name in names)
    with pytest.raises(SdpError, match=f"at most {MAX_VIEWED} audio"):
        read_view_offer(wall)
    read_view_offer(head + "".join(AUDIO.replace("a=mid:1", f"a=mid:{name}") for name in names[1:]))
