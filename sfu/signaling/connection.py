"""One client's connection: which frames it may send when, its heartbeat, and how fast it may talk.

Theory of operation: a connection is given what its client sent (`receive`) and the time (`tick`), and returns steps
for its shell to take. It never waits: joining does (a seat is taken in the store), so `Enter` is a step, and the
shell says how it ended by `entered` or `refused`. Frames that come meanwhile are not read before that.

    state      frame                                    step            then
    ---------  ---------------------------------------  --------------  ---------
    CONNECTED  join, resume                             Enter           JOINING
    CONNECTED  leave, or a message of a room            INVALID_MESSAGE CONNECTED
    JOINED     offer, answer, ice-candidate, chat,      Relay           JOINED
               media-state, subscribe, unsubscribe,
               set-layer, of the room joined
    JOINED     the same of another room                 INVALID_ROOM    JOINED
    JOINED     leave                                    Exit            CONNECTED
    JOINED     join, of the room joined: anew           Enter           JOINING
    JOINED     join of another room, resume             INVALID_MESSAGE JOINED
    JOINING    anything but ping and pong               INVALID_MESSAGE JOINING
    any        ping                                     Tell pong       -
    any        pong                                     nothing         -
    any        what isn't a frame                       INVALID_MESSAGE -
    any        more than `Pace` allows                  Hangup 4429     CLOSED
    any        nothing for `ping_timeout_s`             Hangup 4408     CLOSED
    any        the shell closed, or lost, the socket    -               CLOSED

An expired token ends nothing: a meeting isn't cut off at the hour. A revoked one does; the node looks for those.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from meet.domain.meeting import MeetingRef
from sfu.signaling import frames
from sfu.signaling.frames import Frame
from sfu.signaling.messages import (
    ClientMessage,
    InvalidMessage,
    Join,
    Leave,
    Ping,
    Pong,
    Refused,
    Resume,
    RoomId,
    RoomMessage,
    parse,
)

CLOSE_UNAUTHORIZED = 4401
CLOSE_SILENT = 4408
CLOSE_REPLACED = 4409
CLOSE_REMOVED = 4410
CLOSE_TOO_FAST = 4429
CLOSE_ERROR = 1011
CLOSE_RESTART = 1012
CLOSE_TRY_AGAIN = 1013
"""4000-4999 are ours (RFC 6455 section 7.4.2); the others are in IANA's WebSocket Close Code Number Registry."""


class State(Enum):
    """Where a connection is in its life."""

    CONNECTED = auto()
    JOINING = auto()
    JOINED = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Pace:
    """A token bucket: `burst` frames at once, `per_s` of them a second in the long run.

    The burst lets a client that joins a full room send everybody an offer and a few candidates.
    """

    burst: float = 600
    per_s: float = 60


@dataclass(frozen=True, slots=True)
class Tell:
    """Send this frame to the client."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Enter:
    """Try to enter the room, then call `entered` or `refused`."""

    message: Join | Resume


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand this to the room."""

    message: RoomMessage


@dataclass(frozen=True, slots=True)
class Exit:
    """Leave the room; the connection stays."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the socket with this code, after what was told."""

    code: int


Step = Tell | Enter | Relay | Exit | Hangup


class Connection:
    """The state of one WebSocket whose client is known. `now` is Unix time, everywhere."""

    def __init__(
        self,
        user_id: str,
        now: float,
        *,
        ping_interval_s: float = 30.0,
        ping_timeout_s: float = 90.0,
        pace: Pace | None = None,
    ) -> None:
        self.user_id = user_id
        self.state = State.CONNECTED
        self.room_id: RoomId | None = None
        """The spelling of the room joined."""
        self._names: frozenset[MeetingRef] = frozenset()
        self._ping_interval_s = ping_interval_s
        self._ping_timeout_s = ping_timeout_s
        self._heard_at = now
        self._pinged_at = now
        self._pace = pace or Pace()
        self._allowance = self._pace.burst
        self._counted_at = now

    def receive(self, text: str | None, now: float) -> list[Step]:
        """The client sent a frame; None stands for a binary one."""
        if self.state is State.CLOSED:
            return []
        self._heard_at = now
        if not self._in_pace(now):
            told = frames.error("RATE_LIMIT_EXCEEDED", "Too many messages. Please slow down.", now)
            return [Tell(told), self._hang_up(CLOSE_TOO_FAST)]
        message: ClientMessage | None = None
        try:
            if text is None:
                raise InvalidMessage("Messages are text, not binary")
            message = parse(text)
            return self._take(message, now)
        except Refused as refusal:
            kind = message.type if message else getattr(refusal, "request_type", None)
            return [Tell(frames.error(refusal.code, refusal.message, now, kind))]

    def entered(self, room_id: RoomId, names: frozenset[MeetingRef]) -> None:
        """The room took the client in. `names` are all that the room goes by, `room_id` is the client's choice."""
        self.state = State.JOINED
        self.room_id = room_id
        self._names = names

    def refused(self, message: Join | Resume, code: str, why: str, now: float) -> Tell:
        """The room didn't take the client in. Who was in it already, and wanted to join anew, is in it as before."""
        self.state = State.CONNECTED if self.room_id is None else State.JOINED
        return Tell(frames.error(code, why, now, message.type))

    def closed(self) -> None:
        """The socket is closed or lost: nothing more will be done for it."""
        self.state = State.CLOSED

    def tick(self, now: float) -> list[Step]:
        """Time passes: call this about every second."""
        if self.state is State.CLOSED:
            return []
        if now - self._heard_at >= self._ping_timeout_s:
            return [self._hang_up(CLOSE_SILENT)]
        if now - self._pinged_at >= self._ping_interval_s:
            self._pinged_at = now
            return [Tell(frames.ping(now))]
        return []

    def _take(self, message: ClientMessage, now: float) -> list[Step]:
        match message:
            case Ping():
                return [Tell(frames.pong(now))]
            case Pong():
                return []
            case _ if self.state is State.JOINING:
                raise InvalidMessage("The room is being joined")
            case Join() | Resume():
                return self._enter(message)
            case Leave():
                self._check_room(message.room_id)
                self.state = State.CONNECTED
                self.room_id = None
                return [Exit()]
            case _:
                self._check_room(message.room_id)
                return [Relay(message)]

    def _enter(self, message: Join | Resume) -> list[Step]:
        if self.state is State.JOINED:
            if isinstance(message, Resume):
                raise InvalidMessage("The room is joined already")
            if not self._is_here(message.room_id):
                raise InvalidMessage("Another room is joined; leave it first")
        self.state = State.JOINING
        return [Enter(message)]

    def _check_room(self, room_id: RoomId) -> None:
        if self.state is not State.JOINED:
            raise InvalidMessage("No room is joined")
        if not self._is_here(room_id):
            raise Refused("INVALID_ROOM", "This is not the room that was joined")

    def _is_here(self, room_id: RoomId) -> bool:
        if room_id == self.room_id:
            return True
        try:
            return MeetingRef.parse(room_id) in self._names
        except ValueError:
            return False

    def _in_pace(self, now: float) -> bool:
        earned = max(0.0, now - self._counted_at) * self._pace.per_s
        self._allowance = min(self._pace.burst, self._allowance + earned) - 1
        self._counted_at = now
        return self._allowance >= 0

    def _hang_up(self, code: int) -> Hangup:
        self.state = State.CLOSED
        return Hangup(code)
