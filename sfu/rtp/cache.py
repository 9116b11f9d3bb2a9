"""The last packets of one received stream, for those who ask again, and to know a duplicate when it comes."""

from sfu.rtp.packet import RtpPacket


class PacketCache:
    """A ring of packets by index: a store and a look-up cost one list access, and the memory is bounded."""

    def __init__(self, capacity: int) -> None:
        """`capacity` packets, a power of two."""
        if capacity < 1 or capacity & capacity - 1:
            raise ValueError("the capacity is a power of two")
        self._slots: list[RtpPacket | None] = [None] * capacity
        self._mask = capacity - 1

    @property
    def capacity(self) -> int:
        """How many indices the ring spans."""
        return self._mask + 1

    def add(self, packet: RtpPacket) -> bool:
        """Keep a packet under its index; False where it is a duplicate, or older than what holds its slot."""
        slot = packet.index & self._mask
        held = self._slots[slot]
        if held is not None and held.index >= packet.index:
            return False
        self._slots[slot] = packet
        return True

    def get(self, index: int) -> RtpPacket | None:
        """The packet of an index, or None where it never came or is gone."""
        held = self._slots[index & self._mask]
        return held if held is not None and held.index == index else None
