import struct

import pylibsrtp
import pytest

from sfu.plane.cm import CmReceiver, CmSender

KEY, SALT = bytes(range(16)), bytes(range(14))


def rtp(index: int, size: int = 100) -> tuple[bytes, bytes]:
    return struct.pack("!BBHLL", 0x80, 96, index & 0xFFFF, 0, 9), bytes(size)


def peer(ssrc_type: int) -> pylibsrtp.Session:
    return pylibsrtp.Session(
        pylibsrtp.Policy(
            key=KEY + SALT, ssrc_type=ssrc_type, srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80
        )
    )


def test_packets_go_both_ways_around_a_rollover() -> None:
    sender, receiver = CmSender(KEY, SALT), CmReceiver(KEY, SALT)
    inbound, outbound = peer(pylibsrtp.Policy.SSRC_ANY_INBOUND), peer(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    for index in range(65_500, 65_600):
        header, payload = rtp(index)
        body = sender.seal_rtp(9, index, header, payload)
        assert body is not None
        assert inbound.unprotect(header + body) == header + payload
        assert receiver.open_rtp(outbound.protect(header + payload)) == header + payload


def test_rtcp_goes_both_ways() -> None:
    packet = struct.pack("!BBHL", 0x80, 201, 1, 9)
    sealed = CmSender(KEY, SALT).seal_rtcp(packet)
    assert sealed is not None
    assert peer(pylibsrtp.Policy.SSRC_ANY_INBOUND).unprotect_rtcp(sealed) == packet
    assert CmReceiver(KEY, SALT).open_rtcp(sealed) == packet


def test_a_lost_packet_may_be_sent_again() -> None:
    sender = CmSender(KEY, SALT)
    first = [sender.seal_rtp(9, index, *rtp(index)) for index in range(50)]
    assert sender.seal_rtp(9, 20, *rtp(20)) == first[20]


def test_a_packet_is_read_once() -> None:
    header, payload = rtp(5)
    body = CmSender(KEY, SALT).seal_rtp(9, 5, header, payload)
    assert body is not None
    receiver = CmReceiver(KEY, SALT)
    assert receiver.open_rtp(header + body) is not None
    assert receiver.open_rtp(header + body) is None


@pytest.mark.parametrize(("size", "fits"), [(1344, True), (1345, False), (60_000, False)])
def test_what_libsrtp_cannot_hold_is_refused(size: int, fits: bool) -> None:
    assert (CmSender(KEY, SALT).seal_rtp(9, 1, *rtp(1, size)) is not None) == fits


@pytest.mark.parametrize("noise", [b"", b"\x80", bytes(12), b"\x80" * 40, b"\x9f" * 200, b"\x80" * 1501])
def test_noise_is_refused(noise: bytes) -> None:
    assert CmReceiver(KEY, SALT).open_rtp(noise) is None
    assert CmReceiver(KEY, SALT).open_rtcp(noise) is None
