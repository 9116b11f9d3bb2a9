import pytest

from sfu.rtp.cache import PacketCache
from sfu.rtp.packet import RtpPacket


def packet(index: int) -> RtpPacket:
    made = RtpPacket(96, index & 0xFFFF, 0, 1, b"x")
    made.index = index
    return made


def test_what_was_added_is_found_under_its_index():
    cache = PacketCache(4)
    held = packet(65537)
    assert cache.add(held)
    assert cache.get(65537) is held
    assert cache.get(1) is None


def test_a_duplicate_is_refused():
    cache = PacketCache(4)
    cache.add(packet(7))
    assert not cache.add(packet(7))


def test_the_oldest_make_room_and_do_not_come_back():
    cache = PacketCache(4)
    for index in range(6):
        assert cache.add(packet(index))
    assert [cache.get(index) is not None for index in range(6)] == [False, False, True, True, True, True]
    assert not cache.add(packet(1))


def test_a_late_packet_fills_its_hole():
    cache = PacketCache(4)
    cache.add(packet(3))
    cache.add(packet(5))
    assert cache.add(packet(4))
    assert cache.get(4) is not None


@pytest.mark.parametrize("capacity", [0, 3, 100])
def test_the_capacity_is_a_power_of_two(capacity: int):
    with pytest.raises(ValueError, match="power of two"):
        PacketCache(capacity)
