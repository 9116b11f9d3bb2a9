"""RTMP's chunk stream (section 5): messages cut into chunks, and put together again."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

SET_CHUNK_SIZE, ABORT, ACKNOWLEDGEMENT, USER_CONTROL, WINDOW_SIZE, PEER_BANDWIDTH = 1, 2, 3, 4, 5, 6
AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20

DEFAULT_CHUNK = 128
"""Either side's until it says otherwise (section 5.4.1)."""
MOST_CHUNK = 0xFFFFFF
MOST_BYTES = 1 << 20
"""Of a message of a server to a publisher: some hundred are usual."""
_EXTENDED = 0xFFFFFF
"""Then the timestamp is in four more bytes."""
_LITTLE = Struct("<L")
_LONG = Struct("!L")


class ChunkError(ValueError):
    """These bytes are no chunk stream of a server to a publisher."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message."""

    kind: int
    stream: int
    """0 is the connection itself."""
    timestamp: int
    """Milliseconds, of 32 bits."""
    payload: bytes


def chunked(message: Message, channel: int, size: int) -> bytes:
    """A message on a chunk stream (3 to 63; 2 is for control), in chunks of at most `size` bytes.

    Each begins with the full header: what it could leave out is a few bytes of a thousand.
    """
    extended = _LONG.pack(message.timestamp) if message.timestamp >= _EXTENDED else b""
    header = b"".join(
        (
            bytes([channel]),
            min(message.timestamp, _EXTENDED).to_bytes(3, "big"),
            len(message.payload).to_bytes(3, "big"),
            bytes([message.kind]),
            _LITTLE.pack(message.stream),
            extended,
        )
    )
    again = bytes([0xC0 | channel]) + extended
    parts = [message.payload[at : at + size] for at in range(0, len(message.payload), size)] or [b""]
    return header + again.join(parts)


@dataclass(slots=True)
class _Channel:
    """What the headers of one chunk stream leave out, and what came of its message."""

    timestamp: int = 0
    delta: int = 0
    length: int = 0
    kind: int = 0
    stream: int = 0
    extended: bool = False
    part: bytes = b""


class Reader:
    """Puts a server's messages together."""

    def __init__(self) -> None:
        self._size = DEFAULT_CHUNK
        self._channels: dict[int, _Channel] = {}
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are whole now. Raises `ChunkError`."""
        self._rest += data
        while True:
            try:
                message, at = self._chunk(self._rest)
            except IndexError:
                return  # the rest of the chunk is under way
            self._rest = self._rest[at:]
            if message is None:
                continue
            if message.kind == SET_CHUNK_SIZE:
                self._size = min(max(1, _number(message)), MOST_CHUNK)
            elif message.kind == ABORT:
                self._channels.pop(_number(message), None)
            else:
                yield message

    def _chunk(self, data: bytes) -> tuple[Message | None, int]:
        """The chunk at the beginning, with the message that it ends, and where the next one begins.

        `IndexError` where it is not whole; then nothing has changed.
        """
        form, number, at = data[0] >> 6, data[0] & 63, 1
        if number == 0:
            number, at = data[1] + 64, 2
        elif number == 1:
            number, at = data[1] + (data[2] << 8) + 64, 3
        before = self._channels.get(number)
        if before is None:
            if form:
                raise ChunkError("a chunk stream that begins in the middle")
            before = _Channel()
        now = _Channel(
            before.timestamp, before.delta, before.length, before.kind, before.stream, before.extended, before.part
        )
        time = now.delta
        if form < 3:
            if now.part:
                raise ChunkError("a message within a message")
            time = int.from_bytes(_cut(data, at, 3), "big")
            at += 3
            now.extended = time == _EXTENDED
        if form < 2:
            now.length, now.kind = int.from_bytes(_cut(data, at, 3), "big"), data[at + 3]
            at += 4
        if form == 0:
            now.stream = _LITTLE.unpack(_cut(data, at, 4))[0]
            at += 4
        if now.extended:
            given = _LONG.unpack(_cut(data, at, 4))[0]
            time, at = (given if form < 3 else time), at + 4
        if now.length > MOST_BYTES:
            raise ChunkError(f"a message of {now.length} bytes")
        if form == 0:
            now.timestamp, now.delta = time, 0
        elif not now.part:
            now.timestamp, now.delta = (now.timestamp + time) & 0xFFFFFFFF, time
        some = _cut(data, at, min(self._size, now.length - len(now.part)))
        at += len(some)
        now.part += some
        self._channels[number] = now
        if len(now.part) < now.length:
            return None, at
        message = Message(now.kind, now.stream, now.timestamp, now.part)
        now.part = b""
        return message, at


def _cut(data: bytes, at: int, count: int) -> bytes:
    if at + count > len(data):
        raise IndexError("not all of it is here")
    return data[at : at + count]


def _number(message: Message) -> int:
    if len(message.payload) < 4:
        raise ChunkError("a control message without its number")
    number: int = _LONG.unpack_from(message.payload)[0]
    return number
