"""Our offers, and a real Chromium's answers to them (recorded by `tests/data/sdp/record.py`)."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.ortc import (
    OfferedSection,
    Origin,
    SdpError,
    consumer_parameters,
    read_publish_offer,
    read_subscribe_answer,
    subscribe_offer,
)
from sfu.ortc.sdp import Description, parse
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    VIDEO_ORIENTATION_URI,
    Encoding,
    RtpCodec,
    RtpParameters,
    TrackInfo,
    TransportParameters,
)

DATA = Path(__file__).parents[3] / "data" / "sdp"
OURS = TransportParameters("ourUfrag", "ourPassword" * 2, "sha-256 AB:CD", ())


def chromium(name: str) -> str:
    return (DATA / f"chromium-{name}.sdp").read_text()


def track(track_id: str, mid: str) -> TrackInfo:
    """A track of the recorded publisher, as alice's."""
    parameters = next(p for p in read_publish_offer(chromium("publish")).tracks if p.mid == mid)
    source = "microphone" if parameters.kind == "audio" else "camera"
    return TrackInfo(track_id, "alice", "peer", parameters.kind, source, parameters)


def offered(track_id: str, mid: str, ssrc: int) -> OfferedSection:
    parameters = consumer_parameters(track(track_id, mid), mid, ssrc, ssrc + 1)
    assert parameters
    return OfferedSection(parameters, track(track_id, mid))


AUDIO, VIDEO = offered("audio-1", "0", 1000), offered("video-1", "1", 2000)


def offer(*sections: OfferedSection) -> Description:
    return parse(subscribe_offer(sections, OURS, Origin(2)))


def test_a_track_is_offered_in_our_numbers() -> None:
    assert AUDIO.parameters.encodings == (Encoding(1000),)
    assert VIDEO.parameters.encodings == (Encoding(2000, 2001),)
    assert [(c.name, c.payload_type) for c in VIDEO.parameters.codecs] == [("vp8", 96), ("rtx", 97)]
    always = {MID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI}
    assert {e.uri for e in AUDIO.parameters.header_extensions} == always | {AUDIO_LEVEL_URI}
    assert {e.uri for e in VIDEO.parameters.header_extensions} == always | {VIDEO_ORIENTATION_URI}
    assert VIDEO.parameters.cname == "alice"


def test_the_codec_is_the_first_that_the_publisher_agreed_on() -> None:
    video = track("video-1", "1")
    h264 = [codec for codec in video.parameters.codecs if codec.name == "h264"]
    changed = replace(video, parameters=replace(video.parameters, codecs=(h264[2], *video.parameters.codecs)))
    parameters = consumer_parameters(changed, "1", 1, 2)
    assert parameters
    assert [codec.name for codec in parameters.codecs] == ["h264", "rtx"]
    assert parameters.codecs[0].parameter("profile-level-id") == "42e01f"


def test_a_track_that_cannot_be_carried_is_not_offered() -> None:
    h265 = RtpParameters("1", "video", (RtpCodec("video/H265", 96, 90000),))
    assert consumer_parameters(TrackInfo("t", "alice", "peer", "video", "camera", h265), "1", 1, 2) is None


def test_the_offer_groups_by_publisher() -> None:
    description = offer(AUDIO, VIDEO)
    assert description.bundle == ("0", "1")
    assert [s.direction for s in description.sections] == ["sendonly", "sendonly"]
    assert [s.value("msid") for s in description.sections] == ["alice audio-1", "alice video-1"]
    assert description.sections[1].values("ssrc-group") == ["FID 2000 2001"]
    assert description.sections[1].values("ssrc") == ["2000 cname:alice", "2001 cname:alice"]
    assert {s.value("setup") for s in description.sections} == {"actpass"}
    assert description.has("ice-lite")


def test_an_inactive_section_stays_in_the_bundle_and_a_refused_one_does_not() -> None:
    description = offer(OfferedSection(AUDIO.parameters), OfferedSection(VIDEO.parameters, stopped=True))
    assert description.bundle == ("0",)
    assert [s.direction for s in description.sections] == ["inactive", "inactive"]
    assert [s.port == 0 for s in description.sections] == [False, True]
    assert not any(s.has("ssrc") or s.has("msid") for s in description.sections)


def test_chromium_takes_the_whole_offer() -> None:
    answer = read_subscribe_answer(chromium("subscribe-answer"), (AUDIO, VIDEO))
    assert answer.accepted == {"0": AUDIO.parameters, "1": VIDEO.parameters}
    assert answer.stopped == frozenset()
    assert answer.remote
    assert answer.remote.setup == "active"


def test_chromium_follows_a_section_that_ends_and_is_used_again() -> None:
    ended = read_subscribe_answer(chromium("subscribe-answer-ended"), (AUDIO, OfferedSection(VIDEO.parameters)))
    assert list(ended.accepted) == ["0"]
    again = offered("video-2", "1", 3000)
    reused = read_subscribe_answer(chromium("subscribe-answer-reused"), (AUDIO, again))
    assert reused.accepted["1"].encodings == (Encoding(3000, 3001),)
    assert reused.remote == ended.remote


def answer_of(audio: str, bundle: str = "0 1") -> str:
    """Chromium's answer with its audio section replaced."""
    head, _, rest = chromium("subscribe-answer").partition("m=audio")
    _, _, video = rest.partition("m=video")
    return head.replace("BUNDLE 0 1", f"BUNDLE {bundle}") + audio + "m=video" + video


def audio_answer(*lines: str, formats: str = "111", port: int = 9) -> str:
    remote = "a=ice-ufrag:abcd\na=ice-pwd:" + "p" * 22 + "\na=fingerprint:sha-256 " + ":".join(["AB"] * 32)
    head = f"m=audio {port} UDP/TLS/RTP/SAVPF {formats}\na=mid:0\na=rtcp-mux\n{remote}\na=setup:active\n"
    return head + "".join(f"{line}\n" for line in lines)


def test_a_refused_section_is_stopped() -> None:
    answer = read_subscribe_answer(answer_of(audio_answer(port=0), bundle="1"), (AUDIO, VIDEO))
    assert list(answer.accepted) == ["1"]
    assert answer.stopped == {"0"}
    assert answer.remote


def test_an_answer_that_does_not_want_to_receive_is_respected() -> None:
    inactive = audio_answer("a=rtpmap:111 opus/48000/2", "a=inactive")
    answer = read_subscribe_answer(answer_of(inactive), (AUDIO, VIDEO))
    assert list(answer.accepted) == ["1"]
    assert answer.stopped == frozenset()


def test_the_answers_payload_types_and_extensions_are_what_is_sent() -> None:
    """RFC 3264 section 6.1: the answerer may name the same format by another number."""
    lines = [
        "a=rtpmap:109 opus/48000/2",
        "a=extmap:3 " + MID_URI,
        f"a=extmap:7 {VIDEO_ORIENTATION_URI}",
        "a=recvonly",
    ]
    answer = read_subscribe_answer(answer_of(audio_answer(*lines, formats="109")), (AUDIO, VIDEO))
    sent = answer.accepted["0"]
    assert [codec.payload_type for codec in sent.codecs] == [109]
    assert AUDIO.track
    assert sent.codecs[0].parameters == AUDIO.track.parameters.codecs[0].parameters
    assert [e.uri for e in sent.header_extensions] == [MID_URI]


def test_an_extension_under_another_id_than_offered_is_not_sent() -> None:
    lines = ["a=rtpmap:111 opus/48000/2", f"a=extmap:100 {MID_URI}", f"a=extmap:2 {ABS_SEND_TIME_URI}", "a=recvonly"]
    answer = read_subscribe_answer(answer_of(audio_answer(*lines)), (AUDIO, VIDEO))
    assert [e.uri for e in answer.accepted["0"].header_extensions] == [ABS_SEND_TIME_URI]


def test_feedback_and_rtx_that_the_client_lacks_are_not_used() -> None:
    text = chromium("subscribe-answer").replace("a=rtcp-fb:96 nack\n", "").replace("apt=96", "apt=100")
    sent = read_subscribe_answer(text, (AUDIO, VIDEO)).accepted["1"]
    assert [codec.name for codec in sent.codecs] == ["vp8"]
    assert "nack" not in sent.codecs[0].feedback
    assert "nack pli" in sent.codecs[0].feedback


def test_the_publishers_own_spelling_of_a_profile_is_kept() -> None:
    """42c01f and 42e01f are both constrained baseline; a consumer must recognise the publisher's packets."""
    video = track("video-1", "1")
    fmtp = (("packetization-mode", "1"), ("profile-level-id", "42c01f"))
    h264 = RtpCodec("video/H264", 96, 90000, None, fmtp)
    spelt = replace(video, parameters=replace(video.parameters, codecs=(h264,)))
    parameters = consumer_parameters(spelt, "1", 2000, 2001)
    assert parameters
    number = parameters.codecs[0].payload_type
    head, _, rest = chromium("subscribe-answer").partition("m=video 9 UDP/TLS/RTP/SAVPF 96 97")
    fmtp_line = f"a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\n"
    text = f"{head}m=video 9 UDP/TLS/RTP/SAVPF {number}{rest}a=rtpmap:{number} H264/90000\n{fmtp_line}"
    sent = read_subscribe_answer(text, (AUDIO, OfferedSection(parameters, spelt))).accepted["1"]
    assert sent.codecs == (replace(h264, payload_type=number),)


def test_no_common_format_is_no_track() -> None:
    other = audio_answer("a=rtpmap:0 PCMU/8000", "a=recvonly", formats="0")
    assert list(read_subscribe_answer(answer_of(other), (AUDIO, VIDEO)).accepted) == ["1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "starts with v=0"),
        ("v=0\n", "had 2 media sections, the answer has 0"),
        (chromium("subscribe-answer").replace("a=mid:1", "a=mid:7"), "does not answer the section of mid 1"),
        (chromium("subscribe-answer").replace("m=video", "m=audio"), "does not answer the section of mid 1"),
        (chromium("subscribe-answer").replace("BUNDLE 0 1", "BUNDLE 0"), "must keep the bundle"),
        (chromium("subscribe-answer").replace("a=rtcp-mux\n", ""), "rtcp-mux is required"),
        (chromium("subscribe-answer").replace("setup:active", "setup:actpass"), "must not say setup:actpass"),
        (chromium("subscribe-answer").replace("a=fingerprint", "a=x"), "fingerprint"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(SdpError, match=reason):
        read_subscribe_answer(text, (AUDIO, VIDEO))


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_answer_is_read_or_refused(data: st.DataObject) -> None:
    lines = chromium("subscribe-answer").split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[index])))
        lines[index] = lines[index][:cut] + data.draw(st.sampled_from(["", "\n", "0", " ", "/", "9" * 12]))
    try:
        answer = read_subscribe_answer("\n".join(lines), (AUDIO, VIDEO))
    except SdpError:
        return
    assert answer.accepted.keys() <= {"0", "1"}
