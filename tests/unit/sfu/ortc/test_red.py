"""RED in SDP: taken with what it wraps, offered to subscribers where the publisher sends it."""

from pathlib import Path

import pytest

from sfu.ortc import Origin
from sfu.ortc.capabilities import our_codec, sent_codecs
from sfu.ortc.publish import publish_answer, read_publish_offer
from sfu.ortc.sdp import parse
from sfu.ortc.subscribe import OfferedSection, consumer_parameters, read_subscribe_answer, subscribe_offer
from sfu.ortc.view import read_view_offer, viewer_parameters
from sfu.rtp.parameters import RtpParameters, TrackInfo, TransportParameters
from sfu.rtp.red import red_passage

DATA = Path(__file__).parents[3] / "data" / "sdp"
OURS = TransportParameters("ourUfrag", "ourPassword" * 2, "sha-256 AB:CD", ())


def chromium(name: str) -> str:
    return (DATA / f"chromium-{name}.sdp").read_text()


PREFERRED = chromium("publish").replace("SAVPF 111 63", "SAVPF 63 111")
"""As after `setCodecPreferences` with RED first."""


def published(offer: str) -> RtpParameters:
    return read_publish_offer(offer).tracks[0]


def offered(offer: str) -> OfferedSection:
    track = TrackInfo("audio-1", "alice", "peer", "audio", "microphone", published(offer))
    parameters = consumer_parameters(track, "0", 1000, 1001)
    assert parameters
    return OfferedSection(parameters, track)


def test_red_is_answered_in_the_offers_order() -> None:
    for offer, expected in ((chromium("publish"), ["111", "63"]), (PREFERRED, ["63", "111"])):
        answer = parse(publish_answer(read_publish_offer(offer), OURS, Origin(1))).sections[0]
        assert answer.formats == tuple(expected)
        assert "63 111/111" in answer.values("fmtp")


@pytest.mark.parametrize("fmtp", ["", "a=fmtp:63 111/110\n", "a=fmtp:63 0/0\n", "a=fmtp:63 /\n"])
def test_red_that_wraps_something_else_is_left_out(fmtp: str) -> None:
    text = chromium("publish").replace("\r\n", "\n").replace("a=fmtp:63 111/111\n", fmtp)
    assert [codec.name for codec in published(text).codecs] == ["opus"]


def test_red_is_offered_to_subscribers_where_it_is_what_is_sent() -> None:
    assert [codec.name for codec in offered(chromium("publish")).parameters.codecs] == ["opus"]
    assert [codec.name for codec in offered(PREFERRED).parameters.codecs] == ["red", "opus"]
    lines = subscribe_offer((offered(PREFERRED),), OURS, Origin(1))
    assert "a=rtpmap:63 red/48000/2" in lines
    assert "a=fmtp:63 111/111" in lines


def answered(*formats: str) -> RtpParameters | None:
    """What is sent to a subscriber that answers with these."""
    lines = {"63": "a=rtpmap:63 red/48000/2\na=fmtp:63 111/111\n", "111": "a=rtpmap:111 opus/48000/2\n"}
    head, _, rest = chromium("subscribe-answer").replace("\r\n", "\n").partition("m=audio 9 UDP/TLS/RTP/SAVPF 111\n")
    audio, _, _ = rest.partition("m=video")
    audio = "\n".join(line for line in audio.split("\n") if ":111 " not in line)
    section = f"m=audio 9 UDP/TLS/RTP/SAVPF {' '.join(formats)}\n" + audio + "".join(lines[f] for f in formats)
    text = head.replace("BUNDLE 0 1", "BUNDLE 0") + section
    return read_subscribe_answer(text, (offered(PREFERRED),)).accepted.get("0")


def test_a_subscriber_takes_red_or_opus_alone() -> None:
    source, both, opus = published(PREFERRED), answered("63", "111"), answered("111")
    assert both
    assert [codec.name for codec in both.codecs] == ["red", "opus"]
    assert red_passage(source, both) is None
    assert opus
    assert [codec.name for codec in opus.codecs] == ["opus"]
    assert red_passage(source, opus) is not None
    assert answered("63") is None


def test_who_watches_needs_no_red() -> None:
    section = next(s for s in read_view_offer(chromium("watch")).parameters if s.kind == "audio")
    with_red = viewer_parameters(section, published(PREFERRED))
    assert with_red
    assert [codec.name for codec in with_red.codecs] == ["red", "opus"]
    plain = RtpParameters("0", "audio", tuple(codec for codec in section.codecs if codec.name == "opus"))
    without = viewer_parameters(plain, published(PREFERRED))
    assert without
    assert [codec.name for codec in without.codecs] == ["opus"]
    only_red = RtpParameters("0", "audio", tuple(codec for codec in section.codecs if codec.name == "red"))
    assert viewer_parameters(only_red, published(PREFERRED)) is None


def test_what_is_sent_is_the_first_codec_and_what_is_inside_it() -> None:
    red, opus = published(PREFERRED).codecs
    assert sent_codecs((opus, red)) == (opus,)
    assert sent_codecs((red, opus)) == (red, opus)
    assert sent_codecs((red,)) == ()
    assert sent_codecs(()) == ()
    assert our_codec(red) != our_codec(opus)


PARITY = (
    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-ufrag:abcd\r\n"
    f"a=ice-pwd:{'p' * 22}\r\na=fingerprint:sha-256 {':'.join(['AB'] * 32)}\r\na=setup:actpass\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99\r\na=mid:0\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
    "a=rtpmap:97 red/90000\r\na=rtpmap:98 ulpfec/90000\r\na=rtpmap:99 flexfec-03/90000\r\na=rtcp-fb:96 nack pli\r\n"
)


def test_parity_is_taken_from_who_cannot_be_asked_again() -> None:
    assert [codec.name for codec in published(PARITY).codecs] == ["vp8", "red", "ulpfec"]
    assert [codec.name for codec in sent_codecs(published(PARITY).codecs)] == ["vp8"]


@pytest.mark.parametrize(
    "offer",
    [
        PARITY + "a=rtcp-fb:96 nack\r\n",
        PARITY.replace("VP8", "H264"),
        PARITY.replace("a=rtpmap:97 red/90000\r\n", ""),
        PARITY.replace("a=rtpmap:98 ulpfec/90000\r\n", ""),
    ],
)
def test_parity_is_left_out_otherwise(offer: str) -> None:
    assert len(published(offer).codecs) == 1
