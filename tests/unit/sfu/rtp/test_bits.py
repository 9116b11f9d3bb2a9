import pytest

from sfu.rtp.bits import Bits, need
from sfu.rtp.packet import PacketError


def test_bits_come_from_the_highest_on():
    bits = Bits(b"\xa5\x0f")
    assert [bits.take(count) for count in (1, 3, 4, 8)] == [1, 2, 5, 15]
    with pytest.raises(PacketError):
        bits.take(1)


@pytest.mark.parametrize(
    ("data", "value"), [(b"\x80", 0), (b"\x40", 1), (b"\x60", 2), (b"\x28", 4), (b"\x08\x80", 16)]
)
def test_exponential_golomb_codes(data: bytes, value: int):
    assert Bits(data).exp_golomb() == value


def test_a_code_that_never_ends_is_refused():
    with pytest.raises(PacketError):
        Bits(bytes(100)).exp_golomb()


def test_a_payload_is_long_enough_or_refused():
    need(b"ab", 2)
    with pytest.raises(PacketError):
        need(b"ab", 3)
