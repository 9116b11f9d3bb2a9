"""Offers of a real Chromium, and of clients that are not so kind."""

import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.ortc import Origin, SdpError, publish_answer, read_publish_offer
from sfu.ortc.sdp import Description, parse
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
    VIDEO_ORIENTATION_URI,
    Encoding,
    TransportParameters,
)

DATA = Path(__file__).parents[3] / "data" / "sdp"
OURS = TransportParameters(
    "ourUfrag", "ourPassword" * 2, "sha-256 AB:CD", ("candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host",)
)
FINGERPRINT = ":".join(["AB"] * 32)
HEAD = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-ufrag:abcd\r\n"
    f"a=ice-pwd:{'p' * 22}\r\na=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:actpass\r\n"
)
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"


def chromium(name: str) -> str:
    return (DATA / f"chromium-{name}.sdp").read_text()


def answer(text: str) -> Description:
    return parse(publish_answer(read_publish_offer(text), OURS, Origin(1)))


def names(description: Description, index: int) -> list[str]:
    return [value.split()[1] for value in description.sections[index].values("rtpmap")]


def test_chromiums_codecs_are_all_taken_with_their_rtx() -> None:
    audio, video = read_publish_offer(chromium("publish")).tracks
    assert [codec.name for codec in audio.codecs] == ["opus", "red"]
    media = [codec for codec in video.codecs if codec.name != "rtx"]
    assert [codec.name for codec in media] == ["vp8", *["h264"] * 6, "av1", "vp9", "vp9"]
    assert [c.parameter("apt") for c in video.codecs if c.name == "rtx"] == [str(c.payload_type) for c in media]
    assert {codec.parameter("profile-id") for codec in media if codec.name == "vp9"} == {"0", "2"}
    assert {codec.feedback for codec in media} == {("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")}


def test_the_stream_is_known_by_what_the_offer_announces() -> None:
    text = chromium("publish")
    _, video = read_publish_offer(text).tracks
    fid = re.search(r"a=ssrc-group:FID (\d+) (\d+)", text)
    assert fid
    assert video.encodings == (Encoding(int(fid[1]), int(fid[2])),)
    assert f"cname:{video.cname}" in text
    assert video.cname


def test_the_transport_is_the_offers() -> None:
    text = chromium("publish")
    remote = read_publish_offer(text).remote
    assert remote
    assert f"a=ice-ufrag:{remote.ice_ufrag}\n" in text
    assert f"a=ice-pwd:{remote.ice_pwd}\n" in text
    assert f"a=fingerprint:sha-256 {remote.fingerprints[0][1]}\n" in text
    assert remote.setup == "actpass"


def test_the_answer_keeps_order_bundle_and_numbers() -> None:
    offered, answered = parse(chromium("publish")), answer(chromium("publish"))
    assert [(s.kind, s.mid, s.direction) for s in answered.sections] == [
        ("audio", "0", "recvonly"),
        ("video", "1", "recvonly"),
    ]
    assert answered.bundle == ("0", "1")
    for before, after in zip(offered.sections, answered.sections, strict=True):
        assert set(after.values("rtpmap")) <= set(before.values("rtpmap"))
        assert set(after.values("extmap")) <= set(before.values("extmap"))
        assert set(after.values("fmtp")) <= set(before.values("fmtp"))
        assert after.has("rtcp-mux")


def test_the_answer_is_that_of_a_lite_agent_with_all_its_candidates() -> None:
    answered = answer(chromium("publish"))
    assert answered.has("ice-lite")
    for section in answered.sections:
        assert section.values("candidate") == ["1 1 udp 2130706431 192.0.2.1 40000 typ host"]
        assert section.has("end-of-candidates")
        assert section.port == 40000
        assert section.value("ice-ufrag") == "ourUfrag"
        assert section.value("setup") == "passive"


def test_the_header_extensions_that_are_forwarded_are_kept() -> None:
    audio, video = read_publish_offer(chromium("publish")).tracks
    always = {MID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI}
    assert {e.uri for e in audio.header_extensions} == always | {AUDIO_LEVEL_URI}
    assert {e.uri for e in video.header_extensions} == always | {VIDEO_ORIENTATION_URI}
    (simulcast,) = read_publish_offer(chromium("simulcast")).tracks
    assert DEPENDENCY_DESCRIPTOR_URI in {e.uri for e in simulcast.header_extensions}


@pytest.mark.parametrize("name", ["publish", "publish-screen", "simulcast", "sendrecv-data"])
def test_nothing_is_answered_that_would_need_feedback_we_do_not_send(name: str) -> None:
    text = publish_answer(read_publish_offer(chromium(name)), OURS, Origin(1))
    assert not re.search(r"rtpmap:\d+ (red/90000|ulpfec|flexfec)", text)


def test_a_simulcast_offer_is_answered_with_all_its_streams_in_its_order() -> None:
    text = chromium("simulcast")
    assert "a=simulcast:send q;f" in text
    (track,) = read_publish_offer(text).tracks
    (section,) = answer(text).sections
    assert track.encodings == (Encoding(rid="q"), Encoding(rid="f"))
    assert section.values("rid") == ["q recv", "f recv"]
    assert section.values("simulcast") == ["recv q;f"]
    assert {RID_URI, REPAIRED_RID_URI} <= {e.uri for e in track.header_extensions}
    assert not {RID_URI, REPAIRED_RID_URI} & {
        e.uri for each in read_publish_offer(chromium("publish")).tracks for e in each.header_extensions
    }


def test_data_channels_are_answered_in_their_place() -> None:
    answered = answer(chromium("sendrecv-data"))
    assert [s.port for s in answered.sections] == [40000, 40000, 40000]
    data = answered.sections[2]
    assert (data.protocol, data.formats) == ("UDP/DTLS/SCTP", ("webrtc-datachannel",))
    assert (data.value("sctp-port"), data.value("max-message-size")) == ("5000", "262144")
    assert answered.bundle == ("0", "1", "2")


def test_a_bundle_named_after_a_refused_section_uses_its_transport() -> None:
    """Chromium's data channel may come first; the accepted ones may then be bundle-only."""
    head = "v=0\r\na=group:BUNDLE d 0\r\n"
    data = (
        f"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\na=ice-ufrag:abcd\r\na=ice-pwd:{'p' * 22}\r\n"
        f"a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:actpass\r\n"
    )
    audio = AUDIO.replace("m=audio 9", "m=audio 0") + "a=bundle-only\r\n"
    offer = read_publish_offer(head + data + audio)
    assert offer.remote
    assert offer.remote.ice_ufrag == "abcd"
    assert answer(head + data + audio).bundle == ("0",)


def test_tracks_keep_their_sections_through_a_screen_share() -> None:
    """Added, paused, stopped, added again in the recycled section, ICE restarted."""
    steps = ["publish", "publish-screen", "publish-screen-paused", "publish-screen-stopped", "publish-screen-again"]
    offers = [read_publish_offer(chromium(name)) for name in (*steps, "publish-ice-restart")]
    assert [[track.mid for track in offer.tracks] for offer in offers] == [
        ["0", "1"],
        ["0", "1", "2", "3"],
        ["0", "1", "3"],
        ["0", "1"],
        ["0", "1", "4"],
        ["0", "1", "4"],
    ]
    assert all(offer.tracks[:2] == offers[0].tracks for offer in offers)
    transports = [offer.remote for offer in offers if offer.remote]
    assert len({remote.fingerprints for remote in transports}) == 1
    assert len({remote.ice_ufrag for remote in transports[:-1]}) == 1
    assert transports[-1].ice_ufrag != transports[0].ice_ufrag
    stopped = answer(chromium("publish-screen-stopped"))
    assert [section.port for section in stopped.sections] == [40000, 40000, 0, 0]
    paused = answer(chromium("publish-screen-paused"))
    assert [section.direction for section in paused.sections] == ["recvonly", "recvonly", "inactive", "recvonly"]


@pytest.mark.parametrize(
    ("offered", "answered"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")]
)
def test_we_are_passive_unless_the_client_is(offered: str, answered: str) -> None:
    description = answer(HEAD.replace("actpass", offered) + AUDIO)
    assert description.sections[0].value("setup") == answered


def test_who_says_nothing_of_setup_connects() -> None:
    remote = read_publish_offer(HEAD.replace("a=setup:actpass\r\n", "") + AUDIO).remote
    assert remote
    assert remote.setup == "active"


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_a_section_that_does_not_send_is_inactive(direction: str) -> None:
    text = HEAD + AUDIO + VIDEO + f"a={direction}\r\n"
    assert [track.mid for track in read_publish_offer(text).tracks] == ["0"]
    assert [section.direction for section in answer(text).sections] == ["recvonly", "inactive"]


def test_sections_outside_the_bundle_are_refused() -> None:
    text = HEAD.replace("BUNDLE 0 1", "BUNDLE 0") + AUDIO + VIDEO
    assert [section.port for section in answer(text).sections] == [40000, 0]


def test_one_section_needs_no_bundle() -> None:
    assert answer(HEAD.replace("a=group:BUNDLE 0 1\r\n", "") + AUDIO).bundle == ("0",)


@pytest.mark.parametrize(
    "section",
    [
        "m=audio 9 RTP/AVP 0\r\na=mid:1\r\n",
        "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:1\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0 8\r\na=mid:1\r\na=rtcp-mux\r\n",
        VIDEO.replace("VP8", "H265"),
        VIDEO.replace("m=video 9", "m=video 0"),
    ],
)
def test_what_cannot_be_used_is_refused_in_its_place(section: str) -> None:
    answered = answer(HEAD + section + AUDIO)
    assert [s.port for s in answered.sections] == [0, 40000]
    assert answered.sections[0].formats
    assert answered.bundle == ("0",)


def test_an_offer_of_which_nothing_is_left_gets_an_answer_without_a_transport() -> None:
    text = HEAD + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"
    offer = read_publish_offer(text)
    assert offer.remote is None
    assert answer(text).bundle == ()
    assert [section.port for section in answer(text).sections] == [0]


def test_feedback_may_be_given_for_all_payload_types() -> None:
    _, video = read_publish_offer(HEAD + AUDIO + VIDEO + "a=rtcp-fb:* nack\r\na=rtcp-fb:* transport-cc\r\n").tracks
    assert video.codecs[0].feedback == ("transport-cc", "nack")


def test_an_extension_that_the_client_only_receives_is_left_out() -> None:
    extensions = (
        f"a=extmap:1/recvonly {MID_URI}\r\na=extmap:2/sendonly {ABS_SEND_TIME_URI}\r\na=extmap:300 {MID_URI}\r\n"
    )
    (audio,) = read_publish_offer(HEAD + AUDIO + extensions).tracks
    assert [extension.id for extension in audio.header_extensions] == [2]


def test_rtx_without_its_codec_is_left_out() -> None:
    video = VIDEO.replace("SAVPF 96", "SAVPF 96 97 98") + (
        "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=100\r\na=rtpmap:98 rtx/90000\r\na=fmtp:98 apt=96\r\n"
    )
    (track,) = read_publish_offer(HEAD + video).tracks
    assert [codec.payload_type for codec in track.codecs] == [96, 98]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD, "no media section"),
        (HEAD + AUDIO * 1 + "".join(AUDIO.replace("mid:0", f"mid:m{i}") for i in range(64)), "at most 64"),
        (HEAD + AUDIO.replace("a=mid:0\r\n", ""), "has no mid"),
        (HEAD + AUDIO.replace("a=rtcp-mux\r\n", ""), "rtcp-mux is required"),
        (HEAD.replace("abcd", "abc") + AUDIO, "ice-ufrag"),
        (HEAD.replace("ice-pwd", "x") + AUDIO, "ice-pwd"),
        (HEAD.replace("fingerprint", "x") + AUDIO, "fingerprint"),
        (HEAD.replace("sha-256", "sha-1") + AUDIO, "sha-256 or better"),
        (HEAD.replace("AB:AB", "AB:A") + AUDIO, "fingerprint is malformed"),
        (HEAD.replace("AB:AB", "ZZ:ZZ") + AUDIO, "fingerprint is malformed"),
        (HEAD.replace("actpass", "holdconn") + AUDIO, "setup must be"),
        (HEAD + AUDIO.replace("111", "999"), "payload type must be"),
        (HEAD + AUDIO.replace("111", "-1"), "payload type must be"),
        (HEAD + AUDIO.replace("111", "72"), "taken for RTCP"),
        (HEAD + AUDIO.replace("SAVPF 111", "SAVPF 111 111"), "listed twice"),
        (HEAD + AUDIO + "a=rtpmap:111 opus/48000/2\r\n", "mapped twice"),
        (HEAD + AUDIO.replace("opus/48000/2", "opus"), "rtpmap of payload type 111"),
        (HEAD + AUDIO.replace("48000", "fast"), "clock rate"),
        (HEAD + AUDIO + "a=ssrc:4294967296 cname:x\r\n", "ssrc must be"),
        (HEAD + AUDIO + "a=ssrc-group:FID one two\r\n", "ssrc-group must be"),
        (HEAD + AUDIO + "".join(f"a=ssrc:{i} cname:x\r\n" for i in range(33)), "more than 32"),
        (HEAD + AUDIO + "a=ssrc:5 cname:x\r\n" + VIDEO + "a=ssrc:5 cname:x\r\n", "SSRC is used twice"),
        (HEAD + AUDIO + f"a=extmap:x {MID_URI}\r\n", "extmap must be"),
        (HEAD + AUDIO + f"a=extmap:1 {MID_URI}\r\na=extmap:1 {AUDIO_LEVEL_URI}\r\n", "extension 1 is mapped twice"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(SdpError, match=reason):
        read_publish_offer(text)


@pytest.mark.parametrize(
    "line",
    [
        "a=ssrc:{} cname:x",
        "a=ssrc-group:FID {} 1",
        "a=rtcp-fb:{} nack",
        "a=fmtp:111 {}=1",
        "a=extmap:1 {}",
        "a=rid:{} send",
        "a=simulcast:send {}",
        "a=fingerprint:x {}",
        "a=x:{}",
    ],
)
def test_the_longest_offers_cost_little(line: str) -> None:
    text = HEAD + AUDIO + "".join(f"{line.format(number)}\r\n" for number in range(250_000 // (len(line) + 6)))
    start = time.process_time()
    with suppress(SdpError):
        read_publish_offer(text)
    assert time.process_time() - start < 1


def test_no_more_tracks_than_a_person_has() -> None:
    mids = " ".join(f"m{i}" for i in range(5))
    sections = "".join(AUDIO.replace("mid:0", f"mid:m{i}") for i in range(5))
    with pytest.raises(SdpError, match="at most 4 audio tracks"):
        read_publish_offer(HEAD.replace("BUNDLE 0 1", f"BUNDLE {mids}") + sections)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_offer_is_answered_or_refused(data: st.DataObject) -> None:
    """Lines of real offers lost, doubled, moved, or with pieces of their values replaced."""
    name = data.draw(st.sampled_from(["publish-screen-stopped", "simulcast", "sendrecv-data"]))
    lines = chromium(name).split("\n")
    for _ in range(data.draw(st.integers(1, 6))):
        index = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "move", "words", "cut"])):
            case "drop":
                lines[index] = ""
            case "double":
                lines.insert(index, lines[index])
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines[index])
            case "words":
                words = lines[index].split(" ")
                words[-1] = data.draw(st.sampled_from(["", "0", "-1", "99999999999", "/", ":", "=", "*", "\u0663"]))
                lines[index] = " ".join(words)
            case "cut":
                lines[index] = lines[index][: data.draw(st.integers(0, len(lines[index])))]
    text = "\n".join(lines)
    try:
        offer = read_publish_offer(text)
    except SdpError:
        return
    answered = parse(publish_answer(offer, OURS, Origin(1)))
    assert len(answered.sections) == len(offer.sections)
    assert [s.kind for s in answered.sections] == [s.section.kind for s in offer.sections]
