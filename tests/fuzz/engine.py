"""Says harmful things to the engine in C: `python -m tests.fuzz.engine PACKETS [SEED]`.

To be run with a build that has sanitizers (`tests.sanitized`), which end the process at the first access outside of
what belongs to it. What both planes can do is compared with the one in Python besides.

Three things are said, in turns: datagrams that were changed, cut or made up, to what decrypts; packets of a publisher
that were changed, through a whole room to subscribers of different kinds; and arguments that no caller of ours would
pass.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from dataclasses import astuple
from random import Random
from types import SimpleNamespace
from typing import Any

from sfu.plane.base import SrtpKeys
from sfu.plane.derivation import aead_keys
from sfu.plane.engine import native
from sfu.plane.engine.plane import EnginePlane
from sfu.plane.gcm import GcmReceiver, GcmSender
from sfu.router import Router
from sfu.rtp.packet import header, parse, write_elements
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    Encoding,
    HeaderExtension,
    RtpCodec,
    RtpParameters,
    TrackInfo,
)

KEYS = aead_keys(b"K" * 16, b"S" * 12)
SRTP = SrtpKeys("SRTP_AEAD_AES_128_GCM", b"A" * 16, b"a" * 12, b"B" * 16, b"b" * 12)
CODECS = ("VP8", "VP9", "H264", "opus")
URIS = (MID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI, AUDIO_LEVEL_URI, DEPENDENCY_DESCRIPTOR_URI)
STARTS = (
    bytes.fromhex("90e0800110203010020 09d012a80026801".replace(" ", "")),  # VP8: a key frame with all its numbers
    bytes.fromhex("90e08002102030110200"),
    bytes.fromhex("908005110200"),
    bytes.fromhex("aa81230010"),  # VP9: a picture id, layers, TL0PICIDX
    bytes.fromhex("8a05"),
    bytes.fromhex("65888400"),  # H.264: IDR
    b"",
)
ROOMS = 2000
"""Packets after which a room is a new one."""


def changed(rng: Random, data: bytes) -> bytes:
    """The same with a few bytes changed, left out, doubled or put in."""
    text = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(5):
            case 0 if at < len(text):
                text[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(text):
                text[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del text[at : at + rng.randrange(1, 9)]
            case 3:
                text[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                del text[rng.randrange(len(text) + 1) :]
    return bytes(text)


class Datagrams:
    """What arrives, encrypted or not."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._sender = GcmSender(KEYS)
        self._python = GcmReceiver(KEYS)
        self._engine = native.Receiver(*astuple(KEYS))
        self._index = 0

    def say(self) -> None:
        """One datagram, mostly one that is nearly right."""
        rng = self._rng
        self._index += rng.choice((-3, 0, 1, 1, 1, 2, 700, 70_000)) if self._index > 3 else 1
        ssrc = rng.randrange(600)
        head = header(rng.randrange(256), self._index & 0xFFFF, 0, ssrc, *write_elements([(1, rng.randbytes(3))]))
        if rng.random() < 0.3:
            head = header(96, self._index & 0xFFFF, 0, ssrc)
        body = rng.randbytes(rng.choice((0, 1, 15, 16, 100, 1200)))
        rtp = head + self._sender.seal_rtp(ssrc, self._index, head, body)
        rtcp = self._sender.seal_rtcp(b"\x80\xc9\x00\x01" + ssrc.to_bytes(4) + body) or b""
        datagram = changed(rng, rng.choice((rtp, rtp, rtcp, rng.randbytes(rng.randrange(60)))))
        assert self._engine.open_rtp(datagram) == self._python.open_rtp(datagram), datagram.hex()
        assert self._engine.open_rtcp(datagram) == self._python.open_rtcp(datagram), datagram.hex()


class Forwarding:
    """A publisher whose packets are nearly right, and subscribers of different kinds."""

    connected = True
    arrived = None

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._open()

    def _open(self) -> None:
        rng = self._rng
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._plane = EnginePlane(self._socket, lambda: None)
        self._router = Router(rng=rng, lanes=self._plane.lanes)
        self._said = 0
        name = rng.choice(CODECS)
        audio = name == "opus"
        codec = RtpCodec(f"{'audio' if audio else 'video'}/{name}", 96, 48000 if audio else 90000)
        rtx = () if audio else (RtpCodec("video/rtx", 97, 90000, parameters=(("apt", "96"),)),)
        extensions = tuple(HeaderExtension(n, uri) for n, uri in enumerate(URIS, 1))
        kind: Any = "audio" if audio else "video"
        source: Any = "microphone" if audio else "camera"
        sent = RtpParameters("0", kind, (codec, *rtx), extensions, (Encoding(7),), "cname")
        self._router.produce(TrackInfo("track", "alice", "alice", kind, source, sent), self, 0.0)
        for number in range(3):
            theirs = tuple(HeaderExtension(n, uri) for n, uri in enumerate(rng.sample(URIS, number * 2), 1))
            encoding = Encoding(100 + number, rtx_ssrc=None if audio else 200 + number)
            wanted = RtpParameters("x" * (number * 8), kind, (codec, *rtx), theirs, (encoding,))
            self._session = self._plane.session(SRTP, self._socket.getsockname())
            transport = SimpleNamespace(
                connected=True,
                arrived=None,
                engine_session=self._session.native,
                send_rtp=self._session.send_rtp,
                send_rtcp=self._session.send_rtcp,
            )
            self._router.consume("track", wanted, transport, 0.0, peer_id=str(number))

    def say(self) -> None:
        """One packet, or something that time or a subscriber brings."""
        rng = self._rng
        self._said += 1
        sequence, frame = self._said + rng.choice((0, 0, 0, 0, -1, 1, 3)), self._said // 3
        elements = [(n, rng.randbytes(rng.choice((1, 2, 3, 3, 4, 16)))) for n in range(1, 6) if rng.random() < 0.6]
        if rng.random() < 0.05:
            elements.append((5, rng.randbytes(rng.choice((17, 40, 200)))))
        payload = rng.choice(STARTS) + rng.randbytes(rng.choice((0, 1, 5, 200, 1100)))
        head = header(rng.choice((96, 224, 96, 97)), sequence & 0xFFFF, frame * 3000, 7, *write_elements(elements))
        packet = changed(rng, head + payload) if rng.random() < 0.7 else head + payload
        with suppress(ValueError):
            if parse(packet).ssrc != 7:
                packet = packet[:8] + (7).to_bytes(4) + packet[12:]
        now = 100.0 + self._said / 100
        self._router.receive_rtp("alice", packet, now)
        if rng.random() < 0.1:
            self._plane.flush()
            self._router.tick(now)
        if rng.random() < 0.02:
            self._router.mute("track", rng.random() < 0.5)
            self._router.connected(str(rng.randrange(3)), rng.random() < 0.8)
        if self._said >= ROOMS:
            self._plane.flush()
            self._socket.close()
            self._open()

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """Nothing is forwarded to the publisher."""

    def send_rtcp(self, packet: bytes) -> None:
        """It does not listen."""


class Arguments:
    """What no caller of ours passes: it is refused, or does nothing worse than to send nonsense."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._outbox = native.Outbox(self._socket, lambda: None)

    def say(self) -> None:
        """One call."""
        rng = self._rng
        session = native.Session(self._outbox, *astuple(KEYS))
        lane = native.Lane(rng.choice((-1, -1, 0, 2**40, -(2**63))))
        stream = object()
        with suppress(ValueError, TypeError, OverflowError, RuntimeError):
            session.direct(
                rng.choice((None, self._socket.getsockname(), ("::1", 9), ("nobody", 1), (), ("1.2.3.4", -1)))
            )
            session.send_rtp(self._number(), self._number(), self._bytes(), self._bytes())
            session.send_rtcp(self._bytes())
        with suppress(ValueError, TypeError, OverflowError, RuntimeError):
            session.direct(self._socket.getsockname())
            mid = rng.randbytes(rng.choice((0, 0, 2, 4, 17, 18, 200)))
            layout = (7, rng.randrange(16), mid, 0, rng.randrange(260), self._passed(), None)
            limit = (rng.randrange(-1, 9), self._number())
            types = {96: 96, 224: 255, rng.choice((5, 5, 5, 300, -1)): rng.choice((0, 0, 0, 256))}
            rewrite = (self._number(), self._number(), self._number(), self._number(), limit)
            wrong: Any = rng.choice((*[layout] * 9, (), None, layout[:-1]))
            lane.settle(
                stream, session, wrong, types, self._number(), rewrite, rng.random() < 0.5, rng.random() < 0.9
            )
            fan = native.Fan((lane,), (lambda *_: None,))
            for _ in range(3):
                fan(stream, self._packet())
        self._outbox.flush()

    def _number(self) -> int:
        if self._rng.random() < 0.8:  # or nothing would get beyond the first check
            return self._rng.randrange(1, 100)
        return self._rng.choice((0, 1, -1, 7, 2**16, 2**31, 2**32, 2**48 - 1, 2**48, 2**62, 2**64))

    def _bytes(self) -> Any:
        size = self._rng.choice((0, 1, 7, 8, 12, 100, 1400, 65_000, 70_000))
        return self._rng.choice((bytes(size), bytes(size), bytearray(size), None, "text"))

    def _passed(self) -> Any:
        tail = self._rng.choice(
            (None, b"", b"", bytes(4), bytes(4), b"\x5f" * 4, b"\xff" * 60, bytes(80), bytes(3), "text")
        )
        return SimpleNamespace(
            packet=None, prepare=lambda packet: None, tail=tail, time=self._rng.choice((0, 2**24, -1))
        )

    def _packet(self) -> Any:
        rng = self._rng
        numbered = SimpleNamespace(
            picture_at=self._number(),
            picture_bits=rng.choice((0, 7, 15, 15, 16)),
            picture=self._number(),
            tl0_at=rng.choice((0, 3, 7, 8, -1, 2**62)),
            tl0=self._number(),
            tl0_picture=rng.choice((None, 1)),
        )
        numbered.picture_at = rng.choice((1, 2, 2, 6, 7, numbered.picture_at))
        layer = SimpleNamespace(
            starts=rng.random() < 0.5, ends=True, spatial=rng.randrange(9), above=lambda limit: rng.random() < 0.1
        )
        dependency = SimpleNamespace(attached=rng.random() < 0.3, says_active=False, frame=self._number())
        return SimpleNamespace(
            index=self._number(),
            marker_type=rng.choice((96, 96, 96, 224, 255, 256, -1)),
            timestamp=self._number(),
            arrival=rng.choice((0.0, 1e300, float("nan"))),
            payload=rng.choice((b"", b"1", bytes(3), bytes(5), bytes(9), bytes(1400), bytes(70_000), None)),
            layered=rng.random() < 0.8,
            layer=rng.choice((None, layer)),
            descriptor=rng.choice((None, numbered)),
            dependency=rng.choice((None, dependency)),
        )


def main(packets: int, seed: int) -> None:
    """Say so many things. An assertion, or a sanitizer, ends it early."""
    rng = Random(seed)
    speakers = [Datagrams(rng), Forwarding(rng), Arguments(rng)]
    for number in range(packets):
        if number % 50_000 == 49_999:
            speakers[0] = Datagrams(rng)  # its 512 streams are taken by now
        speakers[number % 3].say()
    print(f"{packets} packets")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
