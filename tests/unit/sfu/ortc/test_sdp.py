"""Whatever text comes in, `parse` returns a description or raises `SdpError`."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.ortc.sdp import MAX_CHARACTERS, MAX_SECTIONS, Origin, SdpError, parse, write

DATA = Path(__file__).parents[3] / "data" / "sdp"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


def test_a_real_offer_has_its_sections_in_order() -> None:
    description = parse((DATA / "chromium-sendrecv-data.sdp").read_text())
    assert [(s.kind, s.mid, s.direction) for s in description.sections] == [
        ("audio", "0", "sendrecv"),
        ("video", "1", "sendrecv"),
        ("application", "2", "sendrecv"),
    ]
    assert description.bundle == ("0", "1", "2")
    assert description.sections[1].value("rtpmap") == "96 VP8/90000"
    assert len(description.sections[1].values("ssrc")) == 4


def test_lines_may_end_in_lf_alone() -> None:
    text = (DATA / "chromium-publish.sdp").read_text()
    assert parse(text.replace("\r\n", "\n")) == parse(text)


def test_a_direction_of_the_session_holds_for_sections_without_one() -> None:
    description = parse(f"v=0\r\na=recvonly\r\n{AUDIO}{AUDIO}a=sendonly\r\n")
    assert [section.direction for section in description.sections] == ["recvonly", "sendonly"]


def test_port_zero_rejects_unless_the_section_waits_for_its_bundle() -> None:
    rejected, waiting = "m=audio 0 P 0\r\n", "m=audio 0 P 0\r\na=bundle-only\r\n"
    assert [s.rejected for s in parse(f"v=0\r\n{rejected}{waiting}").sections] == [True, False]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "starts with v=0"),
        ("m=audio 9 X 0", "starts with v=0"),
        ("v=1\r\n", "starts with v=0"),
        ("v=0\r\nhello", "line 2"),
        ("v=0\r\na=mid:\x00", "line 2"),
        ("v=0\r\nm=audio\r\n", "m= needs"),
        ("v=0\r\nm=audio x UDP 0\r\n", "port must be a number"),
        ("v=0\r\nm=audio 65536 UDP 0\r\n", "port must be a number"),
        ("v=0\r\nm=audio ９ UDP 0\r\n", "port must be a number"),
        ("v=0\r\nm=au(dio 9 UDP 0\r\n", "kind is malformed"),
        (f"v=0\r\n{AUDIO}a=mid:a b\r\n", "mid is malformed"),
        (f"v=0\r\n{AUDIO}a=mid:{'m' * 17}\r\n", "at most 16"),
        (f"v=0\r\n{AUDIO}a=mid:0\r\n{AUDIO}a=mid:0\r\n", "same mid"),
        ("v=0\r\n" + AUDIO * (MAX_SECTIONS + 1), f"at most {MAX_SECTIONS}"),
        ("v=0\r\n" + "a" * MAX_CHARACTERS, "longer than"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    with pytest.raises(SdpError, match=reason):
        parse(text)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"v=0\r\n{text}", f"v=0\r\n{AUDIO}a={text}"):
        with suppress(SdpError):
            parse(candidate)


def test_the_largest_text_is_read_quickly() -> None:
    start = time.process_time()
    parse("v=0\n" + "a=x\n" * ((MAX_CHARACTERS - 4) // 4))
    assert time.process_time() - start < 2


def test_what_is_written_can_be_read() -> None:
    text = write(Origin(7, 3), ["0"], [[AUDIO.strip(), "a=mid:0"]], mixed_extensions=True)
    assert text.startswith("v=0\r\no=- 7 3 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n")
    assert text.endswith("\r\n")
    assert parse(text).bundle == ("0",)
    assert parse(text).has("extmap-allow-mixed")


def test_a_version_grows_and_the_session_stays() -> None:
    assert Origin(7).next == Origin(7, 2)
