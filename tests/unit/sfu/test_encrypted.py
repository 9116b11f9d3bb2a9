"""Rooms with end-to-end encryption: what the SFU can't read is forwarded, and begins where its descriptors say."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.router import Router
from sfu.rtp.packet import header, parse, write_elements
from sfu.rtp.parameters import (
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)

OPUS = RtpCodec("audio/opus", 111, 48000, 2)
RED = RtpCodec("audio/red", 63, 48000, 2)
DESCRIPTOR = HeaderExtension(13, DEPENDENCY_DESCRIPTOR_URI)
LEVEL = HeaderExtension(6, AUDIO_LEVEL_URI)
L1T3 = "8a{:04x}814214eaa860414d1410208427027f0167"
"""A key frame's descriptor, of Chromium 156; the frame number is to be filled in."""
DELTA = "cb{:04x}"
"""The next frame of the lowest layer."""
SECRET = Random(7).randbytes(300)


class Wire:
    connected = True
    arrived: float | None = None

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        self.sent.append(header + payload)

    def send_rtcp(self, packet: bytes) -> None:
        """Not looked at here."""

    @property
    def payloads(self) -> list[bytes]:
        return [parse(packet).payload for packet in self.sent]


class Call:
    """Alice sends one track to Bob."""

    def __init__(self, *codecs: RtpCodec, extensions: tuple[HeaderExtension, ...] = ()) -> None:
        self.bob = Wire()
        kind = "audio" if codecs[0] is OPUS else "video"
        self.router = Router(rng=Random(1))
        sent = RtpParameters("0", kind, codecs, extensions, (Encoding(1),))
        self.producer = self.router.produce(TrackInfo("t", "alice", "a", kind, "camera", sent), Wire(), 0.0)
        got = RtpParameters("0", kind, codecs, extensions, (Encoding(2),))
        self.router.consume("t", got, self.bob, 0.0, peer_id="b")
        self._type = codecs[-1].payload_type
        self._number = 0

    def say(self, payload: bytes, elements: tuple[tuple[int, bytes], ...] = ()) -> None:
        self._number += 1
        head = header(self._type, self._number, 3000 * self._number, 1, *write_elements(elements))
        self.router.receive_rtp("a", head + payload, self._number / 30)


def video(name: str) -> RtpCodec:
    return RtpCodec(f"video/{name}", 96, 90000, feedback=("nack", "nack pli"))


def described(text: str, frame: int) -> tuple[tuple[int, bytes], ...]:
    return ((13, bytes.fromhex(text.format(frame))),)


@pytest.mark.parametrize("name", ["VP8", "VP9", "AV1", "H264"])
def test_a_dependency_descriptor_is_enough(name: str) -> None:
    call = Call(video(name), extensions=(DESCRIPTOR,))
    clear = {"VP8": b"\x90\x80\x81\x02", "VP9": b"\x88\x81\x02"}.get(name, b"")  # the payload descriptors
    call.say(clear + SECRET[1:], described(DELTA, 0x87))
    assert call.bob.sent == []
    call.say(clear + SECRET, described(L1T3, 0x88))
    call.say(clear + SECRET[2:], described(DELTA, 0x89))
    assert call.bob.payloads == [clear + SECRET, clear + SECRET[2:]]


@pytest.mark.parametrize(
    "key",
    [b"\x90\x80\x81\x02\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01", b"\x10\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01"],
)
def test_of_vp8_the_bytes_that_a_page_leaves_clear_are_enough(key: bytes) -> None:
    call = Call(video("VP8"))
    delta = key[:-10] + b"\x11\x02\x00"
    call.say(delta + SECRET)
    call.say(key + SECRET)
    call.say(delta + SECRET)
    assert call.bob.payloads == [key + SECRET, delta + SECRET]
    assert (call.producer.picture.width, call.producer.picture.height) == (640, 360)


def test_of_vp9_the_structure_in_its_descriptor_is_enough() -> None:
    call = Call(video("VP9"))
    key, delta = b"\x8a\x01\x10\x05\x00\x02\xd0", b"\xc8\x02"
    call.say(key + SECRET)
    call.say(delta + SECRET)
    assert call.bob.payloads == [key + SECRET, delta + SECRET]
    assert call.producer.picture.width == 1280


@given(st.binary(min_size=1, max_size=40))
def test_sound_is_forwarded_whatever_it_is(payload: bytes) -> None:
    """RED's own header is behind the encryption, too: who encrypts sees the encoder's output, of which it is part."""
    for codecs in ((OPUS,), (OPUS, RED)):
        call = Call(*codecs, extensions=(LEVEL,))
        for _ in range(3):
            call.say(payload, ((6, b"\x90"),))
        assert call.bob.payloads == [payload] * 3
        assert call.producer.codec is OPUS
        assert [parse(packet).elements for packet in call.bob.sent] == [{6: b"\x90"}] * 3


@given(st.sampled_from(["AV1", "H264"]), st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6))
def test_no_payload_is_left_out_because_it_is_unreadable(name: str, payloads: list[bytes]) -> None:
    call = Call(video(name), extensions=(DESCRIPTOR,))
    call.say(SECRET, described(L1T3, 0x100))
    for number, payload in enumerate(payloads, 0x101):
        call.say(payload, described(DELTA, number))
    assert call.bob.payloads == [SECRET, *payloads]
