"""The messages that wait to be sent on one association: bounded, and in order."""

from collections import Counter, deque
from dataclasses import dataclass

MAX_BUFFERED = 2 << 20
"""Bytes that wait for one receiver; what comes on top is not taken."""
MESSAGE_BYTES = 64
"""What a message counts beside its payload, so that short ones have a bound, too."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a channel promises (RFC 8832 section 5.1): everything, or so many repetitions, or so long a time."""

    ordered: bool = True
    max_retransmits: int | None = None
    lifetime_s: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing is given up."""
        return self.max_retransmits is None and self.lifetime_s is None


@dataclass(slots=True, eq=False)
class Outgoing:
    """One message that waits, or is being sent."""

    stream: int
    protocol: int
    payload: bytes
    reliability: Reliability
    expires_at: float
    sequence: int = 0
    position: int = 0
    """Bytes that have left."""
    abandoned: bool = False

    @property
    def cost(self) -> int:
        """What it counts as long as it waits."""
        return len(self.payload) - self.position + MESSAGE_BYTES


class Queue:
    """What waits, the oldest first."""

    def __init__(self) -> None:
        self.buffered = 0
        """Bytes that wait and are not on their way."""
        self._messages: deque[Outgoing] = deque()
        self._of: Counter[int] = Counter()
        """How many messages of a stream wait: a peer can have it asked often while thousands do."""

    @property
    def first(self) -> Outgoing | None:
        """Whose turn it is."""
        return self._messages[0] if self._messages else None

    def put(self, stream: int, protocol: int, payload: bytes, reliability: Reliability, now: float) -> bool:
        """Queue one message; False where there is no room."""
        expires_at = now + reliability.lifetime_s if reliability.lifetime_s is not None else float("inf")
        message = Outgoing(stream, protocol, payload, reliability, expires_at)
        if self.buffered + message.cost > MAX_BUFFERED:
            return False
        self._messages.append(message)
        self._of[stream] += 1
        self.buffered += message.cost
        return True

    def take(self, size: int) -> bytes:
        """The next piece of the first message, which leaves the queue with its last."""
        message = self._messages[0]
        piece = message.payload[message.position : message.position + size]
        message.position += len(piece)
        self.buffered -= len(piece)
        if message.position == len(message.payload):
            self.drop()
        return piece

    def drop(self) -> None:
        """Forget the first message, or the rest of it."""
        message = self._messages.popleft()
        self.buffered -= message.cost
        self._of[message.stream] -= 1
        if not self._of[message.stream]:
            del self._of[message.stream]

    def clear(self, stream: int) -> None:
        """Forget what waits of a stream, except for a message that has begun to leave."""
        first = self.first
        begun = int(first is not None and first.stream == stream and first.position > 0)
        if self._of[stream] == begun:
            return
        kept = deque(message for message in self._messages if message.stream != stream or message.position)
        self._messages = kept
        self._of = Counter(message.stream for message in kept)
        self.buffered = sum(message.cost for message in kept)

    def has(self, stream: int) -> bool:
        """Whether something of a stream waits."""
        return stream in self._of
