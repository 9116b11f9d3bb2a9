"""Peers for measuring: real ICE, DTLS and SRTP on a socket each, no decoding, no event loop.

A peer here is a full ICE agent in the controlling role with one candidate pair, and mostly the DTLS client. It is
written for a generator that must cost less than what it measures: blocking set-up, then one `select` loop over every
socket.
"""

from __future__ import annotations

import re
import secrets
import selectors
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aioice import stun
from aiortc import RTCCertificate
from OpenSSL import SSL
from pylibsrtp import Policy, Session

KEY_LENGTHS = {b"SRTP_AEAD_AES_128_GCM": (16, 12), b"SRTP_AES128_CM_SHA1_80": (16, 14)}
PROFILES = {
    b"SRTP_AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    b"SRTP_AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
CONSENT_S = 5.0
"""RFC 7675 section 5.1."""
VIDEO_PAYLOAD = 1025
"""Bytes; with 180 packets a second, 1.5 Mbit/s."""
AUDIO_PAYLOAD = 80
STAMP = struct.Struct("!d")


class Certificate:
    """One self-signed certificate that every peer of a generator shares; making one is slow."""

    def __init__(self) -> None:
        certificate = RTCCertificate.generateCertificate()
        (fingerprint,) = [f for f in certificate.getFingerprints() if f.algorithm == "sha-256"]
        self.fingerprint = f"sha-256 {fingerprint.value}"
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        self.context.use_certificate(certificate._cert)
        self.context.use_privatekey(certificate._key)
        self.context.set_tlsext_use_srtp(b":".join(PROFILES))


@dataclass
class Remote:
    """The SFU's end, read from its SDP."""

    ufrag: str
    pwd: str
    address: tuple[str, int]

    @classmethod
    def of(cls, sdp: str) -> Remote:
        def attribute(name: str) -> str:
            found = re.search(rf"^a={name}:(.+?)\r?$", sdp, re.M)
            assert found, f"no {name} in\n{sdp}"
            return found[1]

        candidates = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", sdp, re.M | re.I)
        host, port = next((c for c in candidates if c[0].startswith("127.")), candidates[0])
        return cls(attribute("ice-ufrag"), attribute("ice-pwd"), (host, int(port)))


@dataclass
class Peer:
    """One media connection of the generator."""

    certificate: Certificate
    ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    pwd: str = field(default_factory=lambda: secrets.token_hex(12))
    passive: bool = False
    """Whether it is DTLS's server, as FFmpeg is."""

    def __post_init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.received = 0
        self.bytes = 0
        self.latencies: list[float] = []
        self.repeating: frozenset[int] = frozenset()
        """The payload types of RTX."""
        self.next_consent = 0.0

    def close(self) -> None:
        self.socket.close()

    def connect(self, remote: Remote, *, deadline_s: float = 10.0) -> None:
        """ICE, then DTLS, then keys; blocking."""
        self.remote = remote
        self.socket.connect(remote.address)
        self.socket.settimeout(0.2)
        end = time.monotonic() + deadline_s
        while True:
            assert time.monotonic() < end, "no answer to the binding request"
            self.check(nominate=True)
            try:
                if self.socket.recv(2048)[0] < 4:
                    break
            except TimeoutError:
                continue
        self._handshake(end)
        self.socket.setblocking(False)

    def check(self, *, nominate: bool = False) -> None:
        """A binding request: connectivity first, consent later."""
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self.remote.ufrag}:{self.ufrag}"
        request.attributes["PRIORITY"] = 1853817087
        request.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self.remote.pwd.encode())
        request.add_fingerprint()
        self.socket.send(bytes(request))

    def _handshake(self, end: float) -> None:
        ssl = SSL.Connection(self.certificate.context, None)
        (ssl.set_accept_state if self.passive else ssl.set_connect_state)()
        while True:
            try:
                ssl.do_handshake()
                done = True
            except SSL.WantReadError:
                done = False
            try:
                while True:
                    self.socket.send(ssl.bio_read(1400))
            except SSL.WantReadError:
                pass
            if done:
                break
            assert time.monotonic() < end, "no DTLS handshake"
            try:
                data = self.socket.recv(2048)
            except TimeoutError:
                ssl.DTLSv1_handle_timeout()
                continue
            if 20 <= data[0] < 64:
                ssl.bio_write(data)
        profile = ssl.get_selected_srtp_profile()
        key, salt = KEY_LENGTHS[profile]
        material = ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        ours, theirs = (server, client) if self.passive else (client, server)
        self._tx = Session(_policy(profile, ours, Policy.SSRC_ANY_OUTBOUND))
        self._rx = Session(_policy(profile, theirs, Policy.SSRC_ANY_INBOUND))
        self._ssl = ssl

    def send(self, packet: bytes) -> None:
        """Protect and send one RTP packet."""
        self.socket.send(self._tx.protect(packet))

    def drain(self, now: float) -> None:
        """Read and decrypt what is there; count what is new, and measure the age of what carries a stamp."""
        receive, unprotect, stamped = self.socket.recv, self._rx.unprotect, self.latencies
        while True:
            try:
                data = receive(2048)
            except BlockingIOError:
                return
            if not 128 <= data[0] < 192 or 192 <= data[1] <= 223:
                continue
            packet = unprotect(data)
            if packet[1] & 0x7F in self.repeating:  # a probe: what it carries was received before
                continue
            self.received += 1
            self.bytes += len(data)
            if len(packet) > 600 and not self.received % 7:
                # the stamp is at the end: how long headers are is the subscriber's business, not the generator's
                padding = packet[-1] if packet[0] & 0x20 else 0
                stop = len(packet) - padding
                stamped.append(now - STAMP.unpack(packet[stop - STAMP.size : stop])[0])


def _policy(profile: bytes, key: bytes, kind: int) -> Policy:
    policy = Policy(key=key, ssrc_type=kind, srtp_profile=PROFILES[profile])
    policy.window_size = 1024
    policy.allow_repeat_tx = True
    return policy


class Stream:
    """RTP of one made track: VP8 of 30 frames a second in 6 packets each, or Opus of 50 packets a second."""

    def __init__(self, kind: str, ssrc: int, payload_type: int, mid_id: int, mid: str) -> None:
        self.kind, self.ssrc, self.payload_type = kind, ssrc, payload_type
        self.interval_s = 1 / 30 if kind == "video" else 1 / 50
        self.packets_per_frame = 6 if kind == "video" else 1
        extension = bytes((mid_id << 4 | len(mid) - 1,)) + mid.encode()
        extension += bytes(-len(extension) % 4)
        self._extension = struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
        self._sequence = secrets.randbelow(1 << 15)
        self._timestamp = secrets.randbelow(1 << 31)
        self._filler = secrets.token_bytes(VIDEO_PAYLOAD)
        self._frame = 0

    def frame(self, now: float) -> list[bytes]:
        """The packets of the next frame, each with `now` as its last eight bytes."""
        packets = []
        for index in range(self.packets_per_frame):
            last = index == self.packets_per_frame - 1
            marker = 0x80 if last and self.kind == "video" else 0
            header = struct.pack(
                "!BBHLL", 0x90, marker | self.payload_type, self._sequence & 0xFFFF, self._timestamp, self.ssrc
            )
            packets.append(header + self._extension + self._payload(index) + STAMP.pack(now))
            self._sequence += 1
        self._frame += 1
        self._timestamp = self._timestamp + (3000 if self.kind == "video" else 960) & 0xFFFFFFFF
        return packets

    def _payload(self, index: int) -> bytes:
        if self.kind == "audio":
            return self._filler[: AUDIO_PAYLOAD - STAMP.size]
        # RFC 7741: S=1 on a frame's first packet; its payload header's P bit is 0 on a key frame, one each second
        key = self._frame % 30 == 0
        start = b"\x10" + (b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" if key else b"\x11\x02\x00")
        head = start if index == 0 else b"\x00"
        return head + self._filler[: VIDEO_PAYLOAD - len(head) - STAMP.size]


def run(
    senders: Sequence[tuple[Peer, list[Stream]]],
    receivers: Sequence[Peer],
    seconds: float,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Send and receive for `seconds`, or until `stop` says so; answers how many packets were published."""
    selector = selectors.DefaultSelector()
    peers = [*(peer for peer, _ in senders), *receivers]
    for peer in peers:
        selector.register(peer.socket, selectors.EVENT_READ, peer)
    streams = [(peer, stream) for peer, streams in senders for stream in streams]
    start = time.monotonic()
    due = [start + stream.interval_s * index / len(streams) for index, (_, stream) in enumerate(streams)]
    published = 0
    while (now := time.monotonic()) < start + seconds and not stop():
        for index, (sender, stream) in enumerate(streams):
            while due[index] <= now:
                for packet in stream.frame(now):
                    sender.send(packet)
                    published += 1
                due[index] += stream.interval_s
        for key, _ in selector.select(max(0.0, min(due) - time.monotonic())):
            key.data.drain(time.monotonic())
        for peer in peers:
            if peer.next_consent <= now:
                peer.check()
                peer.next_consent = now + CONSENT_S
    selector.close()
    return published
