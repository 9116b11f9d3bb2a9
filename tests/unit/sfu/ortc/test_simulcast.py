import pytest

from sfu.ortc.sdp import Section, parse
from sfu.ortc.simulcast import MAX_ENCODINGS, read_simulcast, simulcast_lines
from sfu.rtp.parameters import Encoding, RtpCodec

VP8 = RtpCodec("video/VP8", 96, 90000)
RTX = RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),))
H264 = RtpCodec("video/H264", 102, 90000)
FIREFOX = """a=rid:hi send
a=rid:mid send
a=rid:lo send
a=simulcast:send hi;mid;lo
a=ssrc:100 cname:{x}
a=ssrc:101 cname:{x}
a=ssrc-group:FID 100 101"""


def section(*lines: str) -> Section:
    head = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102", "a=mid:0"]
    return parse("\n".join([*head, *lines])).sections[0]


def read(*lines: str) -> tuple[Encoding, ...]:
    return read_simulcast(section(*lines), (VP8, RTX, H264))


def rids(simulcast: str, *announced: str) -> list[str | None]:
    lines = [f"a=rid:{rid} send" for rid in announced or ("q", "h", "f", "q2", "f2")]
    return [encoding.rid for encoding in read(*lines, f"a=simulcast:{simulcast}")]


@pytest.mark.parametrize(
    ("simulcast", "taken"),
    [
        ("send q;h;f", ["q", "h", "f"]),
        ("send f;h;q", ["f", "h", "q"]),
        ("send q;~h;f", ["q", "h", "f"]),
        ("send ~q;~f", ["q", "f"]),
        ("send q,q2;f,f2 recv x", ["q", "f"]),
        ("send nobody,~q2;f", ["q2", "f"]),
        ("recv x send f;q", ["f", "q"]),
        ("send q;q;q,h", ["q", "h"]),
        ("send q;unknown;;", ["q"]),
        ("send q;h;f;q2;f2", ["q", "h", "f"]),
        ("send f", ["f"]),
        ("send", []),
        ("recv f", []),
        ("", []),
    ],
)
def test_all_streams_that_can_be_used_are_taken_in_the_order_of_the_offer(simulcast: str, taken: list[str]) -> None:
    assert rids(simulcast) == taken
    assert len(taken) <= MAX_ENCODINGS


def test_firefox_announces_ssrcs_beside_its_rids() -> None:
    assert [encoding.rid for encoding in read(*FIREFOX.splitlines())] == ["hi", "mid", "lo"]


@pytest.mark.parametrize("line", ["a=rid:", "a=rid", "a=rid: send", "a=rid:f", "a=rid:f recv", "a=rid:f\u00e9 send"])
def test_a_rid_that_is_not_announced_is_not_taken(line: str) -> None:
    assert [e.rid for e in read("a=rid:q send", line, "a=simulcast:send q;f")] == ["q"]


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("max-width=1280;max-fps=30", "max-width=1280;max-fps=30"),
        ("pt=96", "pt=96"),
        ("pt=96,97,98;max-br=64000", "pt=96;max-br=64000"),
        ("pt=98", None),
        ("depend=q", None),
        ("colour=red", None),
        ("max-width=wide", None),
        (";;", ""),
    ],
)
def test_restrictions_are_agreed_to_where_they_are_known(said: str, answered: str | None) -> None:
    found = read("a=rid:q send", f"a=rid:f send {said}", "a=simulcast:send q;f")
    expected = (
        [Encoding(rid="q")] if answered is None else [Encoding(rid="q"), Encoding(rid="f", restrictions=answered)]
    )
    assert list(found) == expected


def test_the_answer_receives_what_was_taken_and_pauses_nothing() -> None:
    encodings = (Encoding(rid="q"), Encoding(rid="f", restrictions="max-fps=30"))
    assert simulcast_lines(encodings) == ["a=rid:q recv", "a=rid:f recv max-fps=30", "a=simulcast:recv q;f"]
    assert simulcast_lines((Encoding(ssrc=5),)) == []
