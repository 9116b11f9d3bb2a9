"""Who is in a room: what is known of each, and what waits for one whose socket is lost."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meet.domain.session import Session
from sfu.signaling import frames
from sfu.signaling.frames import Frame
from sfu.signaling.messages import RoomId, Sdp

BACKLOG_FRAMES = 200
BACKLOG_BYTES = 512 * 1024
"""What waits for one lost participant; the oldest goes first."""
FORMER_SESSIONS = 8
"""How many sessions back a client may resume from: a `joined` can be lost with its socket too."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who wants to join, by a connection of their own."""

    session_id: str
    user_id: str
    username: str
    """The account's."""
    participant_id: str
    room_id: RoomId
    """The spelling to talk to them with."""
    joined_at: float
    shown_as: str | None = None
    avatar_url: str | None = None
    ice_servers: Sequence[Mapping[str, object]] = ()
    replaces: str | None = None
    """The session that the same socket had until now, where it joins anew."""


@dataclass(slots=True)
class Participant:
    """Somebody in a room, their current session, and what waits for them while it is lost."""

    session: Session
    """That of the socket; of who has none, the oldest of `further`."""
    room_id: RoomId
    shown_as: str
    avatar_url: str | None
    joined_at: float
    has_socket: bool = True
    """Or had one, and may still resume."""
    further: dict[str, Session] = field(default_factory=dict)
    """Connections that were begun by HTTP (WHIP, WHEP), the oldest first."""
    former: deque[str] = field(default_factory=lambda: deque(maxlen=FORMER_SESSIONS))
    lost_at: float | None = None
    backlog: deque[Frame] = field(default_factory=deque)
    backlog_bytes: int = 0
    said: dict[str, bool] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    """What somebody else switched off, and the media plane holds back until the participant says that it is on."""
    video_quality: str = "high"
    sdp_as_text: bool = False
    unanswered: tuple[str, list[Mapping[str, Any]]] | None = None
    """The SFU's offer that the client hasn't answered."""

    @property
    def user_id(self) -> str:
        """Whose it is, as in every session."""
        return self.session.user_id

    @property
    def listens(self) -> bool:
        """Whether what is sent to them now arrives."""
        return self.has_socket and self.lost_at is None

    def shape(self, sdp: str, kind: str) -> Sdp:
        """A description in the shape that the client last used (decision 8)."""
        return sdp if self.sdp_as_text else {"type": kind, "sdp": sdp}

    def miss(self, frame: Frame) -> None:
        """Keep what is said once, in bounds."""
        self.backlog.append(frame)
        self.backlog_bytes += len(frames.encode(frame))
        while len(self.backlog) > BACKLOG_FRAMES or self.backlog_bytes > BACKLOG_BYTES:
            self.backlog_bytes -= len(frames.encode(self.backlog.popleft()))

    def catch_up(self) -> Iterator[Frame]:
        """What was missed, which is then forgotten."""
        while self.backlog:
            yield self.backlog.popleft()
        self.backlog_bytes = 0
