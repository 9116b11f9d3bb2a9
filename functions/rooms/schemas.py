"""What the endpoints about live rooms read and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field

from meet.clock import iso
from meet.domain.meeting import Meeting
from meet.domain.message import Message
from meet.domain.session import SessionStatus
from meet.presence import RoomSnapshot, SessionSnapshot

from .view import SessionView

NO_STATISTICS: dict[str, int | float] = dict.fromkeys(
    (
        "total_peers",
        "active_peers",
        "total_tracks",
        "audio_tracks",
        "video_tracks",
        "screen_tracks",
        "total_bandwidth",
        "inbound_bandwidth",
        "outbound_bandwidth",
        "packet_loss_rate",
        "average_jitter",
        "average_rtt",
    ),
    0,
)
NO_QUALITY: dict[str, int] = dict.fromkeys(("excellent", "good", "fair", "poor"), 0)


def _duration_s(room: RoomSnapshot, now: datetime) -> int:
    return max(0, int((now - datetime.fromisoformat(room.created_at)).total_seconds()))


class RoomSession(BaseModel):
    """One connection of a live room."""

    session_id: str
    user_id: str
    username: str
    participant_id: str
    connected_at: str
    last_activity: str
    status: str
    media_state: dict[str, bool]

    @classmethod
    def of(cls, session: SessionSnapshot) -> Self:
        return cls(
            session_id=session.session_id,
            user_id=session.user_id,
            username=session.username,
            participant_id=session.participant_id,
            connected_at=session.connected_at,
            last_activity=session.last_activity,
            status=session.status,
            media_state=session.media_state,
        )


class RoomSessionsAnswer(BaseModel):
    data: list[RoomSession]


class SessionDetails(BaseModel):
    session_id: str
    user_id: str
    username: str
    participant_id: str
    meeting_id: int
    connected_at: str
    last_activity: str
    status: str
    peer_connections: int
    media_state: dict[str, bool]


class SessionAnswer(BaseModel):
    data: SessionDetails

    @classmethod
    def of(cls, session: SessionView) -> Self:
        return cls(
            data=SessionDetails(
                session_id=session.session_id,
                user_id=session.user_id,
                username=session.username,
                participant_id=session.participant_id,
                meeting_id=session.meeting_number,
                connected_at=session.connected_at,
                last_activity=session.last_activity,
                status=session.status,
                peer_connections=session.peer_connections,
                media_state=dict(session.media_state),
            )
        )


class ListedSession(BaseModel):
    session_id: str
    user_id: str
    username: str
    meeting_id: int
    status: str
    connected_at: str
    last_activity: str

    @classmethod
    def of(cls, session: SessionView) -> Self:
        return cls(
            session_id=session.session_id,
            user_id=session.user_id,
            username=session.username,
            meeting_id=session.meeting_number,
            status=session.status,
            connected_at=session.connected_at,
            last_activity=session.last_activity,
        )


class SessionsAnswer(BaseModel):
    """`inactive` is what isn't `active`: about to resume, or closed."""

    data: list[ListedSession]
    total: int
    active: int
    inactive: int


class CleanupAnswer(BaseModel):
    message: str
    cleaned_sessions: int
    timestamp: str


class MessageAnswer(BaseModel):
    """A message; `to_user_id` is "" where everybody got it."""

    message_id: str
    type: str
    from_user_id: str
    to_user_id: str
    meeting_id: int
    payload: dict[str, Any]
    created_at: str

    @classmethod
    def of(cls, message: Message) -> Self:
        return cls(
            message_id=message.message_id,
            type=message.type,
            from_user_id=message.from_user_id,
            to_user_id=message.to_user_id or "",
            meeting_id=message.meeting_number,
            payload=message.payload,
            created_at=iso(message.created_at),
        )


class HistoryAnswer(BaseModel):
    data: list[MessageAnswer]
    truncated: bool
    """There are more of those asked for, but they did not fit."""


class RoomDetails(BaseModel):
    participant_count: int
    created_at: str

    @classmethod
    def of(cls, room: RoomSnapshot) -> Self:
        return cls(participant_count=room.participant_count, created_at=room.created_at)


class OverviewAnswer(BaseModel):
    active_sessions: int
    connected_clients: int
    active_rooms: int
    room_details: dict[str, RoomDetails]


class RoomStats(BaseModel):
    """`duration` is in seconds; `active_connections` leaves out those who lost their socket."""

    room_id: str
    participant_count: int
    created_at: str
    duration: int
    total_messages: int
    active_connections: int

    @classmethod
    def of(cls, room: RoomSnapshot, *, now: datetime) -> Self:
        return cls(
            room_id=room.room_id,
            participant_count=room.participant_count,
            created_at=room.created_at,
            duration=_duration_s(room, now),
            total_messages=room.total_messages,
            active_connections=sum(session.status == SessionStatus.ACTIVE for session in room.sessions),
        )


class RoomsStatsAnswer(BaseModel):
    data: dict[str, RoomStats]


class PeersAnswer(BaseModel):
    """`peers` are the document's objects, as the room's process publishes them."""

    room_id: str
    peers: list[dict[str, Any]]
    total_peers: int


class RoomStatisticsAnswer(BaseModel):
    """`duration` is in seconds; `created_at` is the meeting's where the room isn't live; no recording: ""."""

    room_id: str
    meeting_id: int
    created_at: str
    duration: int
    is_recording: bool
    recording_id: str
    statistics: dict[str, int | float]
    quality_metrics: dict[str, int]

    @classmethod
    def of(cls, meeting: Meeting, room: RoomSnapshot | None, recording_id: str | None, *, now: datetime) -> Self:
        return cls(
            room_id=meeting.room_id,
            meeting_id=meeting.number,
            created_at=room.created_at if room else iso(meeting.created_at),
            duration=_duration_s(room, now) if room else 0,
            is_recording=recording_id is not None,
            recording_id=recording_id or "",
            statistics=NO_STATISTICS | (room.statistics if room else {}),
            quality_metrics=NO_QUALITY | (room.quality_metrics if room else {}),
        )


Switch = Annotated[bool, Field(strict=True)]


class MediaBody(BaseModel):
    """What to change; what is absent or null stays."""

    audio_enabled: Switch | None = None
    video_enabled: Switch | None = None
    screen_sharing: Switch | None = None
    video_quality: Literal["low", "medium", "high"] | None = None

    @property
    def switches_on(self) -> bool:
        """Whether anything is to be sent that may not have been."""
        return bool(self.audio_enabled or self.video_enabled or self.screen_sharing)


class MediaStateAnswer(BaseModel):
    peer_id: str
    user_id: str
    media_state: dict[str, Any]
    updated_at: str
