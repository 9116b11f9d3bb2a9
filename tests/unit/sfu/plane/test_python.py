import socket
import struct
from collections.abc import Iterator

import pytest

from sfu.plane.base import Profile, SrtpKeys
from sfu.plane.python import PythonPlane, PythonSession

PROFILES: list[Profile] = ["SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"]
HEADER = struct.pack("!BBHLL", 0x80, 96, 1, 2, 3)
REPORT = struct.pack("!BBHL", 0x80, 201, 1, 3)


def keys(profile: Profile, *, mirrored: bool = False) -> SrtpKeys:
    salt = 12 if "GCM" in profile else 14
    ours, theirs = (b"A" * 16, b"a" * salt), (b"B" * 16, b"b" * salt)
    inbound, outbound = (theirs, ours) if mirrored else (ours, theirs)
    return SrtpKeys(profile, *inbound, *outbound)


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5)
    return sock


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    with udp() as ours, udp() as theirs, udp() as elsewhere:
        yield ours, theirs, elsewhere


Sockets = tuple[socket.socket, socket.socket, socket.socket]


def pair(profile: Profile, sockets: Sockets) -> tuple[PythonPlane, PythonSession, PythonSession]:
    ours, theirs, _ = sockets
    plane = PythonPlane(ours, lambda: None)
    peer = PythonPlane(theirs, lambda: None).session(keys(profile, mirrored=True), ours.getsockname())
    return plane, plane.session(keys(profile), theirs.getsockname()), peer


@pytest.mark.parametrize("profile", PROFILES)
def test_what_one_end_sends_the_other_reads(profile: Profile, sockets: Sockets) -> None:
    plane, session, peer = pair(profile, sockets)
    session.send_rtp(3, 1, HEADER, b"video")
    session.send_rtcp(REPORT)
    plane.flush()
    rtp, rtcp = sockets[1].recv(2048), sockets[1].recv(2048)
    assert peer.read_rtp(rtp) == HEADER + b"video"
    assert peer.read_rtcp(rtcp) == REPORT
    assert peer.read_rtp(rtp) is None
    assert peer.read_rtcp(b"\x80\xc9") is None
    assert (session.counters.packets_sent, session.counters.bytes_sent) == (2, len(rtp) + len(rtcp))
    assert (peer.counters.packets_received, peer.counters.bytes_received) == (2, len(rtp) + len(rtcp))
    assert peer.counters.refused == 2
    assert (plane.departed, plane.dropped, plane.waiting) == (2, 0, 0)


def test_a_new_address_holds_for_what_is_sent_after_it(sockets: Sockets) -> None:
    plane, session, peer = pair("SRTP_AEAD_AES_128_GCM", sockets)
    session.send_rtp(3, 1, HEADER, b"before")
    session.address = sockets[2].getsockname()
    session.send_rtp(3, 2, struct.pack("!BBHLL", 0x80, 96, 2, 2, 3), b"behind")
    plane.flush()
    before, behind = peer.read_rtp(sockets[1].recv(2048)), peer.read_rtp(sockets[2].recv(2048))
    assert before is not None
    assert behind is not None
    assert (before[12:], behind[12:]) == (b"before", b"behind")


def test_what_cannot_be_encrypted_is_counted_and_not_sent(sockets: Sockets) -> None:
    plane, session, _ = pair("SRTP_AES128_CM_SHA1_80", sockets)
    session.send_rtp(3, 1, HEADER, bytes(1400))
    plane.flush()
    assert (session.counters.unsent, session.counters.packets_sent, plane.departed) == (1, 0, 0)


def test_a_plain_datagram_leaves_at_once(sockets: Sockets) -> None:
    PythonPlane(sockets[0], lambda: None).send(b"stun", sockets[1].getsockname())
    assert sockets[1].recv(2048) == b"stun"


def test_no_key_gets_into_a_log() -> None:
    assert "AAAA" not in repr(keys("SRTP_AEAD_AES_128_GCM"))
