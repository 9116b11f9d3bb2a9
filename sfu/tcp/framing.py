"""Datagrams on a stream: a length of two bytes before each (RFC 4571, which RFC 6544 section 3 takes for ICE)."""

MAX_FRAME = 2048
"""What is longer comes from no WebRTC stack, whose packets fit into a path's MTU; it ends the connection."""
HEADER_SIZE = 2


class FramingError(Exception):
    """The other end does not speak this protocol; there is no way to find the next frame."""


def frame(size: int) -> bytes:
    """What stands before a datagram of `size` bytes."""
    return size.to_bytes(HEADER_SIZE)


class Deframer:
    """Cuts one stream into its datagrams. Keeps less than one frame."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The datagrams that are whole now, without the empty ones, which RFC 4571 section 2 has receivers ignore.

        Raises:
            FramingError: a frame is longer than `MAX_FRAME`.
        """
        stream = self._rest + data
        datagrams: list[bytes] = []
        position = 0
        while position + HEADER_SIZE <= len(stream):
            start = position + HEADER_SIZE
            size = int.from_bytes(stream[position:start])
            if size > MAX_FRAME:
                raise FramingError(f"a frame of {size} bytes")
            if start + size > len(stream):
                break
            if size:
                datagrams.append(stream[start : start + size])
            position = start + size
        self._rest = stream[position:]
        return datagrams
