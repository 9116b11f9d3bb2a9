"""Reading a payload's bits, and refusing one that ends too early."""

from typing import NamedTuple

from sfu.rtp.packet import PacketError


class KeyFrame(NamedTuple):
    """The first packet of a key frame. The size is 0 x 0 where this packet doesn't tell it."""

    width: int = 0
    height: int = 0


def need(payload: bytes, size: int) -> None:
    if len(payload) < size:
        raise PacketError("the payload ends too early")


class Bits:
    """Bits from the highest of the first byte on; `PacketError` beyond the last."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        head = data[:128]  # more than any header read here needs
        self._value = int.from_bytes(head, "big")
        self._left = 8 * len(head)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise PacketError("the payload ends inside its header")
        return self._value >> self._left & (1 << count) - 1

    def exp_golomb(self) -> int:
        """ue(v) of ITU-T H.264 section 9.1; of a signed one, the code number."""
        return self.uvlc()

    def uvlc(self) -> int:
        """uvlc() of AV1 section 4.10.3, the same code."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise PacketError("a number of more than 32 bits")
        return (1 << zeros) - 1 + self.take(zeros)
