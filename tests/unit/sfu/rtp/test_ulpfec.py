"""On Chromium's own packets: five of VP8 and the five of parity after them, each in RED, as they arrived."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.cache import PacketCache
from sfu.rtp.packet import TWO_BYTE_PROFILE, PacketError, RtpPacket, parse
from sfu.rtp.red import red_primary
from sfu.rtp.ulpfec import MAX_WAITING, PATIENCE_S, Parity, Repair

CAPTURED = Path(__file__).parents[3] / "data" / "rtp" / "chromium-ulpfec.hex"
VP8, ULPFEC = 96, 120
SEND_TIME, NUMBERS = 2, 3


def captured() -> list[RtpPacket]:
    """Out of their RED."""
    packets = [parse(bytes.fromhex(line)) for line in CAPTURED.read_text().split()]
    for packet in packets:
        packet.index = packet.sequence_number
        payload_type, packet.payload = red_primary(packet.payload)
        packet.marker_type = packet.marker_type & 0x80 | payload_type
    return packets


def whole(packet: RtpPacket) -> tuple[object, ...]:
    elements = tuple(packet.elements)
    return packet.sequence_number, packet.timestamp, packet.ssrc, packet.marker_type, packet.payload, elements


def repaired(arrived: Iterable[RtpPacket]) -> list[RtpPacket]:
    cache = PacketCache(64)
    repair = Repair(cache, captured()[0].ssrc, frozenset((SEND_TIME, NUMBERS)))
    made = []
    for packet in arrived:
        if packet.payload_type == ULPFEC:
            repair.add(packet.payload, packet.index, 0.0)
        else:
            cache.add(packet)
        while (found := repair.take(0)) is not None:
            found.index = found.sequence_number
            assert cache.add(found)
            made.append(found)
    assert repair.recovered == len(made)
    return made


@pytest.mark.parametrize("lost", range(5))
def test_a_packet_is_made_again_as_it_was(lost: int):
    packets = captured()
    (made,) = repaired(packets[:lost] + packets[lost + 1 :])
    assert whole(made) == whole(packets[lost])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_what_is_lost_is_made_one_from_the_other(count: int):
    """The five parities are over five pairs that go round in a ring: one packet brings all back."""
    packets = captured()
    for lost in combinations(range(5), count):
        made = repaired(packet for at, packet in enumerate(packets) if at not in lost)
        assert {whole(each) for each in made} == {whole(packets[at]) for at in lost}


def test_parity_may_come_before_what_it_protects():
    packets = captured()
    made = repaired([*packets[5:], packets[2]])
    assert {whole(each) for each in made} == {whole(packets[at]) for at in (0, 1, 3, 4)}


def test_nothing_is_made_of_what_came():
    assert repaired(captured()) == []


def test_where_too_much_is_lost_nothing_is_made():
    packets = captured()
    assert repaired(packets[5:]) == []
    assert repaired([packets[4], packets[5]]) == []


def parity(base: int, mask: int, rest: bytes, **fields: int) -> bytes:
    head = bytes((fields.get("first", 0), fields.get("second", 0))) + base.to_bytes(2, "big")
    length = fields.get("length", len(rest)).to_bytes(2, "big")
    return head + bytes(4) + length + len(rest).to_bytes(2, "big") + mask.to_bytes(2, "big") + rest


def test_which_packets_are_protected():
    assert Parity(parity(65535, 0b1010 << 12, b""), 65536 * 3, 0.0).indices == (65536 * 3 - 1, 65536 * 3 + 1)
    long = bytes((0x40,)) + bytes(11) + bytes(5) + b"\x01"
    assert Parity(long, 10, 0.0).indices == (47,)


@pytest.mark.parametrize("payload", [b"", bytes(13), parity(1, 1, b"abc")[:-1], b"\x40" + bytes(15)])
def test_a_cut_parity_is_refused(payload: bytes):
    with pytest.raises(PacketError):
        Parity(payload, 1, 0.0)


def test_a_packet_that_cannot_be_is_not_made():
    cache = PacketCache(64)
    repair = Repair(cache, 1, frozenset())
    repair.add(parity(5, 1 << 15, b"abc", length=4), 5, 0.0)
    repair.add(parity(6, 1 << 15, b"abc", first=0x10), 6, 0.0)  # an extension that is not there
    assert repair.take(0) is None
    assert repair.recovered == 0


def test_parity_over_what_is_too_old_is_given_up_and_the_rest_is_bounded():
    cache = PacketCache(64)
    repair = Repair(cache, 1, frozenset())
    repair.add(parity(5, 3 << 14, b"abc"), 5, 0.0)
    assert repair.take(22) is None
    cache.add(RtpPacket(96, 5, 0, 1, b"abc"))
    assert repair.take(0) is None
    for base in range(100, 100 + MAX_WAITING + 1):
        repair.add(parity(base, 3 << 14, b"abc"), base, 0.0)
    cache.add(late := RtpPacket(96, 100, 0, 1, b"abc"))
    assert late.index == 100
    assert repair.take(0) is None, "the oldest made room"


def test_what_parity_does_not_suffice_for_is_told_once():
    cache = PacketCache(64)
    repair = Repair(cache, 1, frozenset())
    repair.add(parity(5, 3 << 14, b"abc"), 5, 1.0)
    assert not repair.gave_up(1.0 + PATIENCE_S)
    assert repair.gave_up(1.001 + PATIENCE_S)
    assert not repair.gave_up(2.0)
    cache.add(RtpPacket(96, 5, 0, 1, b"abc"))
    assert repair.take(0) is None


def test_extensions_that_are_written_after_the_parity_are_taken_for_zeros():
    """RFC 8285, both forms; other elements are protected as they are."""
    for profile, block in (
        (0xBEDE, bytes.fromhex("22aabbcc 00 31ddee 1077 0000")),
        (TWO_BYTE_PROFILE, bytes.fromhex("0203aabbcc 00 0302ddee 010177 00000000")),
    ):
        lost = RtpPacket(96, 7, 0, 1, b"lost")
        held = RtpPacket(96, 8, 0, 1, b"held", profile, block)
        zeroed = block.translate(bytes(0 if byte in b"\xaa\xbb\xcc\xdd\xee" else byte for byte in range(256)))
        extended = profile.to_bytes(2, "big") + (len(block) // 4).to_bytes(2, "big") + zeroed + b"held"
        other = b"lost".ljust(len(extended), b"\0")
        rest = bytes(a ^ b for a, b in zip(extended, other, strict=True))
        cache = PacketCache(64)
        repair = Repair(cache, 1, frozenset((SEND_TIME, NUMBERS)))
        repair.add(parity(7, 3 << 14, rest, first=0x10, length=len(extended) ^ 4), 8, 0.0)
        cache.add(held)
        made = repair.take(0)
        assert made is not None
        assert made.payload == lost.payload


@given(st.lists(st.binary(max_size=60), max_size=4), st.integers(0, 3))
def test_whatever_comes_as_parity_makes_packets_or_errors_of_ours(payloads: list[bytes], arrived: int):
    cache = PacketCache(16)
    repair = Repair(cache, 1, frozenset((SEND_TIME,)))
    for index in range(arrived):
        cache.add(RtpPacket(96, index, 0, 1, b"abc", 0xBEDE, b"\x22abc"))
    for payload in payloads:
        try:
            repair.add(payload, 3, 0.0)
        except PacketError:
            continue
        made = repair.take(0)
        if made is not None:
            made.index = made.sequence_number
            cache.add(made)
