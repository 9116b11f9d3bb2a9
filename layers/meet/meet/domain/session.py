"""A session: one connection of one participant, from the frame that joined until the participant is gone.

A lost socket leaves its session reconnecting; a new connection may then resume, which closes this session and begins
the next one of the same participant. A value never changes: a transition returns a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class SessionStatus(StrEnum):
    """Where a session is in its life."""

    ACTIVE = "active"
    RECONNECTING = "reconnecting"
    """The socket is lost; it may resume for `settings().resume_s`."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class MediaState:
    """What a participant says to be sending, in the document's words."""

    audio_enabled: bool = False
    video_enabled: bool = False
    screen_sharing: bool = False

    def as_dict(self) -> dict[str, bool]:
        """As it stands in frames, snapshots and rows."""
        return {
            "audio_enabled": self.audio_enabled,
            "video_enabled": self.video_enabled,
            "screen_sharing": self.screen_sharing,
        }

    @classmethod
    def of(cls, values: Mapping[str, bool]) -> MediaState:
        """The inverse of `as_dict`; what is missing is off."""
        return cls(
            audio_enabled=values.get("audio_enabled", False),
            video_enabled=values.get("video_enabled", False),
            screen_sharing=values.get("screen_sharing", False),
        )


@dataclass(frozen=True, slots=True)
class Session:
    """One connection to one room. `username` is the account's, whatever name is shown in the room."""

    session_id: str
    user_id: str
    username: str
    participant_id: str
    meeting_id: str
    meeting_number: int
    connected_at: datetime
    last_activity: datetime
    status: SessionStatus = SessionStatus.ACTIVE
    peer_connections: int = 0
    """Media connections when it was last written; the live figure is in the room's snapshot."""
    media_state: MediaState = MediaState()

    def seen(self, at: datetime) -> Session:
        """Its client said something."""
        return replace(self, last_activity=at)

    def lost(self) -> Session:
        """Its socket is gone, and may come back."""
        return replace(self, status=SessionStatus.RECONNECTING)

    def closed(self) -> Session:
        """It is over: left, replaced, removed or too late."""
        return replace(self, status=SessionStatus.CLOSED)

    def is_stale(self, *, before: datetime) -> bool:
        """Whether nothing will come of it any more: closed, or not heard of since `before`.

        A session that is alive is written again every so often, so one that isn't lost its process.
        """
        return self.status is SessionStatus.CLOSED or self.last_activity < before
