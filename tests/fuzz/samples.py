"""Inputs to begin with: well-formed packets of every kind, such as clients send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from aioice import stun as aioice_stun

from sfu.dtls import Dtls
from sfu.dtls_guard import Role
from sfu.rtp import rtcp, twcc
from sfu.rtp.packet import header, write_elements

VP8_KEY = bytes.fromhex("10 02 00 9d012a 8002 6801") + bytes(20)
VP8_LAYERED = bytes.fromhex("90 e0 8123 05 40 11 02 00") + bytes(20)
VP9_KEY = bytes.fromhex("82498342") + (0b001_0 << 44 | 1279 << 28 | 719 << 12).to_bytes(6, "big")
AV1_SEQUENCE = bytes.fromhex("0a0b 000000 24 cf 7f 0d bf ff 38 18")
SPS = bytes.fromhex("6742c01f8c8d40501e900f08846a")
PPS = bytes.fromhex("68ce3c80")
IDR = bytes.fromhex("65b8000400")


def checks() -> Iterator[bytes]:
    """STUN binding requests, as browsers and FFmpeg make them."""
    for role in ({"ICE-CONTROLLING": 1, "USE-CANDIDATE": None}, {"ICE-CONTROLLED": 2}, {"PRIORITY": 1853817087}):
        message = aioice_stun.Message(
            message_method=aioice_stun.Method.BINDING,
            message_class=aioice_stun.Class.REQUEST,
            transaction_id=b"transaction!",
            attributes={"USERNAME": "ours:theirs", **role},
        )
        message.add_message_integrity(b"password")
        yield bytes(message)
        message.add_fingerprint()
        yield bytes(message)


def vp8() -> list[bytes]:
    """VP8 payloads."""
    return [VP8_KEY, VP8_LAYERED, b"\x00" + bytes(20), bytes.fromhex("90 80 8123 00")]


def vp9() -> list[bytes]:
    """VP9 payloads."""
    structure = bytes.fromhex("0a 38 0280 0168 0500 02d0 02 50 01 90 01 02")
    flexible = bytes.fromhex("f8 8011 20 03 02")
    return [bytes.fromhex("a8 11 00 05") + VP9_KEY, structure, flexible, bytes.fromhex("88 8111") + VP9_KEY]


def av1() -> list[bytes]:
    """AV1 payloads."""
    return [b"\x18" + AV1_SEQUENCE, b"\x10" + AV1_SEQUENCE[2:], bytes.fromhex("28 0d") + AV1_SEQUENCE + b"\x32\0"]


def h264() -> list[bytes]:
    """H.264 payloads: single units, an aggregate, a fragment."""
    units = (SPS, PPS, IDR)
    aggregate = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    return [*units, aggregate, b"\x7c\x85" + IDR[1:]]


def dependencies() -> list[bytes]:
    """Dependency descriptors of Chromium 156 (L3T3, L1T3), each before one that needs its structure."""
    structures = (
        "8102d180081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a0941b820"
        "ac1282503157f974000ca864330e222222eca8655304224230eca87753013f00b3027f016704ff02cf",
        "8a0088814214eaa860414d1410208427027f0167",
    )
    followers = ("c60002", "450014", "8b0089")
    return [
        bytes((len(structure) // 2,)) + bytes.fromhex(structure + follower)
        for structure in structures
        for follower in followers
    ]


def stream() -> list[bytes]:
    """Framed datagrams on a stream (RFC 4571)."""
    framed = b"".join(len(check).to_bytes(2, "big") + check for check in (*checks(), b"", b"x"))
    return [bytes((size,)) + framed for size in (0, 7, 255)]


def fragments() -> list[bytes]:
    """ICE fragments of WHIP clients (RFC 8840)."""
    restart = (
        "a=ice-options:ice2", "a=group:BUNDLE 0 1", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0",
        "a=ice-ufrag:ysXw", "a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k",
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag ysXw network-id 1",
        "a=end-of-candidates", "",
    )  # fmt: skip
    return ["\r\n".join(restart).encode(), b"a=ice-ufrag:abcd\na=ice-pwd:abcdefghijklmnopqrstuv\n"]


def red() -> list[bytes]:
    """RED payloads: a primary block alone, and with one and two before it."""
    block = bytes((0x80 | 111, 0, 0x0F, 4))
    return [b"\x6f" + bytes(9), block + b"\x6f" + bytes(12), block * 2 + b"\x6f" + bytes(16)]


def rtp() -> Iterator[bytes]:
    """RTP packets."""
    elements = [(1, b"0"), (2, b"q"), (4, bytes(3)), (5, bytes(2))]
    for more in ([], [(13, bytes(30))], [(6, b"\x80")]):
        yield header(96, 1, 3000, 1000, *write_elements([*elements, *more])) + VP8_KEY
    yield header(111, 7, 960, 900) + bytes(40)
    yield bytes.fromhex("b1e0 1234 00000102 deadbeef 00000001 bede 0001 10300000") + bytes(8) + b"\4\4\4\4"


def rtcp_packets() -> list[bytes]:
    """One of each kind of RTCP packet."""
    block = rtcp.ReportBlock(2000, 12, 34, 70_000, 55, 0x12345678, 6554)
    fed = twcc.TransportFeedback(1, 2, 65530, 12, 7, tuple((i, 4000 + 90 * i * i) for i in (0, 1, 2, 5, 6, 11)))
    return [
        rtcp.sender_report(rtcp.SenderReport(1010, 0xE8 << 56 | 5, 3000, 10, 9000, (block,))),
        rtcp.receiver_report(rtcp.ReceiverReport(5, (block, block))),
        rtcp.source_description(1010, "alice"),
        rtcp.nack(5, 2000, [3, 4, 9, 40]),
        rtcp.picture_loss(5, 2010),
        rtcp.full_intra_request(5, 2020, 3),
        rtcp.remb(5, 700_000, [2000, 2010]),
        rtcp.goodbye([1010]),
        twcc.write(fed),
        bytes.fromhex("a1cb0002 00000009 00000004"),
    ]


def rtcp_() -> Iterator[bytes]:
    """RTCP: each alone, and all in a compound."""
    yield from rtcp_packets()
    yield b"".join(rtcp_packets())


def feedback() -> Iterator[bytes]:
    """Bodies of transport-wide feedback."""
    for ticks in (1, 90, 2000):
        came = tuple((i, 4000 + ticks * (i + i % 3)) for i in range(40) if i % 7)
        yield twcc.write(twcc.TransportFeedback(1, 2, 65530, 45, 7, came))[4:]


COOKIE = bytes(16)


def expecting(role: Role) -> Dtls:
    """One end of a handshake; a server's cookie is always the same."""
    end = Dtls(role, [("sha-256", "00")])
    end._guard.cookie = COOKIE
    end._ssl.set_app_data(COOKIE)
    return end


def dtls() -> Iterator[bytes]:
    """What each end says in a handshake, in datagrams and in shorter ones; see `targets._dtls` for the first byte."""
    client, server = expecting("client"), expecting("server")
    said = {client: b"", server: b""}
    for _ in range(3):
        for source, target in ((client, server), (server, client)):
            for datagram in source.outgoing():
                said[source] += datagram
                target.receive(datagram)
    for role, flights in ((0, said[client]), (1, said[server])):
        yield bytes((0xFE | role,)) + flights
        yield bytes((0x20 | role,)) + flights
    yield b"\xfe" + bytes.fromhex("15 fefd 0000 000000000000 0002 0228")


def joined(said: Iterable[tuple[int, bytes]]) -> bytes:
    """Packets of a call in one input: for each `head` (see `Call.hear`), two bytes of length, the packet."""
    return b"".join(bytes((head,)) + len(packet).to_bytes(2, "big") + packet for head, packet in said)


def calls() -> Iterator[bytes]:
    """Short calls: a key frame and what follows it in every codec, with losses, repetitions and feedback."""
    payloads = ((96, 1001, "0", vp8()), (98, 1010, "1", vp9()), (100, 1020, "2", av1()), (102, 1030, "3", h264()))
    for payload_type, ssrc, mid, packets in payloads:
        elements = write_elements([(1, mid.encode()), (2, b"f"), (4, bytes(3)), (5, bytes(2))])
        said: list[tuple[int, bytes]] = []
        for number, payload in enumerate(packets * 2):
            if number == 2:  # lost, and repeated over RTX
                elements_rtx = write_elements([(1, mid.encode()), (3, b"f")])
                original = (100 + number).to_bytes(2, "big")
                repeated = header(payload_type + 1, 7, 3000, ssrc + 1, *elements_rtx) + original + payload
                said.append((8, repeated))
                continue
            said.append((16, header(payload_type | 0x80, 100 + number, 3000 * number, ssrc, *elements) + payload))
        for user in (4, 6):
            said += [(user | 1, packet) for packet in rtcp_packets()]
        yield joined(said)
    sounds = [
        (16, header(111, n, 960 * n, 900, *write_elements([(1, b"9"), (6, b"\x90")])) + bytes(40)) for n in range(4)
    ]
    yield joined([*sounds, (16, header(63, 9, 9600, 900) + red()[1])])
    yield joined((head, packet) for head in (1, 5) for packet in rtcp_packets())


def said() -> Iterator[bytes]:
    """Signaling frames."""
    room = {"room_id": "meeting-123"}
    for frame in (
        {"type": "join", **room, "user_info": {"username": "Alice", "avatar_url": "https://example.com/a.jpg"}},
        {"type": "resume", **room, "session_id": "s"},
        {"type": "leave", "room_id": 123},
        {
            "type": "offer",
            **room,
            "sdp": {"type": "offer", "sdp": "v=0"},
            "pc": "publish",
            "sources": {"0": "screen"},
        },
        {"type": "answer", **room, "sdp": "v=0", "target_user_id": "bob"},
        {"type": "ice-candidate", **room, "candidate": {"candidate": "c", "sdpMid": "0", "sdpMLineIndex": 0}},
        {"type": "media-state", **room, "audio_enabled": True, "data": {"video_enabled": False}},
        {"type": "chat", **room, "message": "Hello"},
        {"type": "subscribe", **room, "track_id": "t", "visible": True, "width": 320, "height": 180},
        {"type": "unsubscribe", **room, "track_id": "t"},
        {"type": "set-layer", **room, "track_id": "t", "spatial": 1, "temporal": None},
        {"type": "ping"},
        {"type": "pong", "timestamp": "2025-10-05T14:15:00Z"},
    ):
        yield json.dumps(frame).encode()
