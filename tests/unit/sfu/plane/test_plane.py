import socket
import struct
from collections.abc import Iterator

import pytest

from sfu import udp
from sfu.plane.base import BATCH, Plane, PlaneSession, Profile, SrtpKeys, TcpAddress
from sfu.plane.choice import PlaneName, make_plane
from sfu.plane.python import PythonPlane

"""What holds of every plane: it is the same for the one in Python and the one in C."""

PROFILES: list[Profile] = ["SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"]
HEADER = struct.pack("!BBHLL", 0x80, 96, 1, 2, 3)
SOL_UDP, UDP_GRO = 17, 104
"""linux/udp.h: what was sent in one piece over loopback comes in one piece."""
REPORT = struct.pack("!BBHL", 0x80, 201, 1, 3)


def keys(profile: Profile, *, mirrored: bool = False) -> SrtpKeys:
    salt = 12 if "GCM" in profile else 14
    ours, theirs = (b"A" * 16, b"a" * salt), (b"B" * 16, b"b" * salt)
    inbound, outbound = (theirs, ours) if mirrored else (ours, theirs)
    return SrtpKeys(profile, *inbound, *outbound)


def udp_socket(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(5)
    return sock


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    with udp_socket() as ours, udp_socket() as theirs, udp_socket() as elsewhere:
        yield ours, theirs, elsewhere


Sockets = tuple[socket.socket, socket.socket, socket.socket]


@pytest.fixture(params=["python", "engine"])
def name(request: pytest.FixtureRequest) -> PlaneName:
    chosen: PlaneName = request.param
    return chosen


def pair(name: PlaneName, profile: Profile, sockets: Sockets) -> tuple[Plane, PlaneSession, PlaneSession]:
    """A plane and its session with a peer, whose own plane is the one in Python."""
    ours, theirs, _ = sockets
    plane = make_plane(name, ours, lambda: None, None)
    peer = PythonPlane(theirs, lambda: None).session(keys(profile, mirrored=True), ours.getsockname())
    return plane, plane.session(keys(profile), theirs.getsockname()), peer


@pytest.mark.parametrize("profile", PROFILES)
def test_what_one_end_sends_the_other_reads(name: PlaneName, profile: Profile, sockets: Sockets) -> None:
    plane, session, peer = pair(name, profile, sockets)
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
    assert (plane.departed, plane.waiting) == (2, 0)


def test_a_new_address_holds_for_what_is_sent_after_it(name: PlaneName, sockets: Sockets) -> None:
    plane, session, peer = pair(name, "SRTP_AEAD_AES_128_GCM", sockets)
    session.send_rtp(3, 1, HEADER, b"before")
    session.address = sockets[2].getsockname()
    session.send_rtp(3, 2, struct.pack("!BBHLL", 0x80, 96, 2, 2, 3), b"behind")
    plane.flush()
    before, behind = peer.read_rtp(sockets[1].recv(2048)), peer.read_rtp(sockets[2].recv(2048))
    assert before is not None
    assert behind is not None
    assert (before[12:], behind[12:]) == (b"before", b"behind")


def test_what_cannot_be_encrypted_is_counted_and_not_sent(name: PlaneName, sockets: Sockets) -> None:
    plane, session, _ = pair(name, "SRTP_AES128_CM_SHA1_80", sockets)
    session.send_rtp(3, 1, HEADER, bytes(1400))
    plane.flush()
    assert (session.counters.unsent, session.counters.packets_sent, plane.departed) == (1, 0, 0)


def test_a_plain_datagram_leaves_at_once(name: PlaneName, sockets: Sockets) -> None:
    make_plane(name, sockets[0], lambda: None, None).send(b"stun", sockets[1].getsockname())
    assert sockets[1].recv(2048) == b"stun"


def test_no_key_gets_into_a_log() -> None:
    assert "AAAA" not in repr(keys("SRTP_AEAD_AES_128_GCM"))


def test_equal_packets_leave_in_one_piece_and_a_shorter_one_ends_it(name: PlaneName, sockets: Sockets) -> None:
    plane, session, peer = pair(name, "SRTP_AEAD_AES_128_GCM", sockets)
    sockets[1].setsockopt(SOL_UDP, UDP_GRO, 1)
    payloads = [b"a" * 500, b"b" * 500, b"c" * 400, b"d" * 500, b"e" * 600]
    for index, payload in enumerate(payloads, 1):
        session.send_rtp(3, index, struct.pack("!BBHLL", 0x80, 96, index, 2, 3), payload)
    plane.flush()
    pieces = [sockets[1].recv(65535) for _ in range(3)]
    assert [len(piece) for piece in pieces] == [528 + 528 + 428, 528, 628]
    cut = [pieces[0][:528], pieces[0][528:1056], pieces[0][1056:], pieces[1], pieces[2]]
    assert [(peer.read_rtp(packet) or b"")[12:] for packet in cut] == payloads


def test_more_than_the_kernel_takes_at_once_leaves_all_the_same(name: PlaneName, sockets: Sockets) -> None:
    plane, session, peer = pair(name, "SRTP_AEAD_AES_128_GCM", sockets)
    sockets[1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    for index in range(1, 201):
        session.send_rtp(3, index, struct.pack("!BBHLL", 0x80, 96, index, 2, 3), bytes(index % 7))
    plane.flush()
    got = [peer.read_rtp(sockets[1].recv(2048)) or b"" for _ in range(200)]
    assert [packet[2] << 8 | packet[3] for packet in got] == list(range(1, 201))


def test_an_address_that_is_none_of_the_socket_s_costs_only_its_own_packets(
    name: PlaneName, sockets: Sockets
) -> None:
    plane, session, peer = pair(name, "SRTP_AEAD_AES_128_GCM", sockets)
    here = session.address
    session.address = ("::1", 9)  # of another family: the kernel refuses it
    session.send_rtp(3, 1, HEADER, b"lost")
    session.send_rtp(3, 2, HEADER, b"lost")
    session.address = here
    session.send_rtp(3, 3, struct.pack("!BBHLL", 0x80, 96, 3, 2, 3), b"sent")
    plane.flush()
    assert (peer.read_rtp(sockets[1].recv(2048)) or b"")[12:] == b"sent"
    assert (plane.departed, plane.dropped, plane.waiting) == (1, 2, 0)  # type: ignore[attr-defined]


def test_it_wakes_when_there_is_something_to_flush(name: PlaneName, sockets: Sockets) -> None:
    wakes: list[bool] = []
    plane = make_plane(name, sockets[0], lambda: wakes.append(True), None)
    session = plane.session(keys("SRTP_AEAD_AES_128_GCM"), sockets[1].getsockname())
    session.send_rtp(3, 1, HEADER, b"1")
    session.send_rtcp(REPORT)
    assert len(wakes) == 1
    plane.flush()
    session.send_rtcp(REPORT)
    assert len(wakes) == 2


def test_datagrams_come_with_their_senders_and_their_age(name: PlaneName, sockets: Sockets) -> None:
    ours, theirs, elsewhere = sockets
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, udp.SO_TIMESTAMPNS, 1)
    plane = make_plane(name, ours, lambda: None, None)
    assert plane.receive() == []
    for n in range(BATCH):
        (theirs, elsewhere)[n % 2].sendto(bytes([n]), ours.getsockname())
    theirs.sendto(bytes(5000), ours.getsockname())
    first, rest = plane.receive(), plane.receive()
    assert [datagram for datagram, _, _ in first] == [bytes([n]) for n in range(BATCH)]
    assert {address for _, address, _ in first} == {theirs.getsockname(), elsewhere.getsockname()}
    assert all(0 <= age < 1 for _, _, age in first)
    assert [len(datagram) for datagram, _, _ in rest] == [2048]  # cut off: nobody's packet is so long


def test_an_address_of_ipv6_is_as_the_socket_has_it(name: PlaneName) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ours, udp_socket("127.0.0.1") as theirs:
        ours.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        ours.bind(("::", 0))
        ours.setblocking(False)
        plane = make_plane(name, ours, lambda: None, None)
        theirs.sendto(b"hello", ("127.0.0.1", ours.getsockname()[1]))
        [(_, address, _)] = plane.receive()
        assert address == ("::ffff:127.0.0.1", theirs.getsockname()[1], 0, 0)
        plane.session(keys("SRTP_AEAD_AES_128_GCM"), address).send_rtp(3, 1, HEADER, b"back")
        plane.flush()
        assert len(theirs.recv(100)) == 12 + 4 + 16


def test_a_peer_by_tcp_is_sent_the_same(name: PlaneName, sockets: Sockets) -> None:
    class Connections:
        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def queue(self, address: TcpAddress, header: bytes, body: bytes) -> bool:
            self.sent.append(header + body)
            return True

        def send(self, datagram: bytes, address: TcpAddress) -> bool:
            return True

        def flush(self) -> None:
            return

    connections = Connections()
    plane = make_plane(name, sockets[0], lambda: None, connections)
    session = plane.session(keys("SRTP_AEAD_AES_128_GCM"), TcpAddress("127.0.0.1", 5, 1))
    peer = PythonPlane(sockets[1], lambda: None).session(
        keys("SRTP_AEAD_AES_128_GCM", mirrored=True), ("127.0.0.1", 1)
    )
    session.send_rtp(3, 1, HEADER, b"video")
    session.send_rtcp(REPORT)
    session.address = sockets[1].getsockname()
    session.send_rtp(3, 2, struct.pack("!BBHLL", 0x80, 96, 2, 2, 3), b"by UDP")
    plane.flush()
    assert [peer.read_rtp(connections.sent[0]), peer.read_rtcp(connections.sent[1])] == [HEADER + b"video", REPORT]
    assert (peer.read_rtp(sockets[1].recv(2048)) or b"")[12:] == b"by UDP"
    assert session.counters.packets_sent == 3
