"""A live stream: what is said in a room, mixed into one picture and given to the world while it happens.

`NEXT` is the whole table. While it is under way it is held: its node moves `held_until`, and one whose node died is
`failed`. A value never changes: a transition returns a new one. `rtmp_url` ends in a key that lets anybody publish in
its owner's name: it is shown to the owner alone (decision 23), and `masked` to everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from meet.domain.recording import HEIGHTS, Quality

StreamType = Literal["rtmp", "hls", "dash"]

BITRATES_BPS: Mapping[Quality, int] = MappingProxyType({"low": 1_000_000, "medium": 2_500_000, "high": 4_500_000})
"""Of the video where the caller names none: YouTube's recommendation for 480p, 720p and 1080p at 30 frames a second,
rounded (support.google.com/youtube/answer/2853702)."""
FRAME_RATE = 30

STREAMS = "streams/"
"""Before the keys of all streams' objects."""

PLAYLIST = "playlist.m3u8"
"""HLS's multivariant playlist, which names the others beside it."""
MANIFEST = "manifest.mpd"
"""DASH's. Both name the same CMAF segments, `.m4s`."""


def stream_prefix(stream_id: str) -> str:
    """Of every object of a stream: what its playlists name lies beside them."""
    return f"{STREAMS}{stream_id}/"


class StreamStatus(StrEnum):
    """Where a stream is in its life."""

    STARTING = "starting"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    """The RTMP server went away; HLS and DASH go on."""
    STOPPED = "stopped"
    FAILED = "failed"


NEXT: Mapping[StreamStatus, frozenset[StreamStatus]] = MappingProxyType(
    {
        StreamStatus.STARTING: frozenset({StreamStatus.STREAMING, StreamStatus.STOPPED, StreamStatus.FAILED}),
        StreamStatus.STREAMING: frozenset({StreamStatus.RECONNECTING, StreamStatus.STOPPED, StreamStatus.FAILED}),
        StreamStatus.RECONNECTING: frozenset({StreamStatus.STREAMING, StreamStatus.STOPPED, StreamStatus.FAILED}),
        StreamStatus.STOPPED: frozenset(),
        StreamStatus.FAILED: frozenset(),
    }
)
"""Which statuses may follow which."""


class TransitionError(ValueError):
    """A status that can't follow the present one."""

    def __init__(self, before: StreamStatus, after: StreamStatus) -> None:
        super().__init__(f"A stream that is {before} cannot become {after}")
        self.before = before
        self.after = after


@dataclass(frozen=True, slots=True)
class Picture:
    """What is made: `width` and `height` are even."""

    width: int = 1280
    height: int = 720
    bitrate_bps: int = BITRATES_BPS["medium"]
    """Of the video."""
    frame_rate: int = FRAME_RATE

    @classmethod
    def of(
        cls, quality: Quality, *, bitrate_bps: int | None = None, resolution: tuple[int, int] | None = None
    ) -> Picture:
        """By a quality, unless more is said."""
        height = HEIGHTS[quality]
        width, height = resolution or (round(height * 16 / 9 / 2) * 2, height)
        return cls(width, height, bitrate_bps or BITRATES_BPS[quality])


@dataclass(frozen=True, slots=True)
class Aired:
    """What the streamer measures."""

    bitrate_bps: int = 0
    frame_rate: float = 0.0
    dropped_frames: int = 0
    errors: int = 0
    """The document's `encoding_errors`: frames that could not be decoded or encoded."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream. Its id is not to be guessed: who knows it may watch (decision 22)."""

    stream_id: str
    meeting_id: str
    meeting_number: int
    owner_id: str
    created_at: datetime
    stream_type: StreamType
    quality: Quality = "medium"
    picture: Picture = Picture()
    rtmp_url: str | None = field(default=None, repr=False)
    status: StreamStatus = StreamStatus.STARTING
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    held_until: datetime | None = None
    """While this lies ahead, a media process is at it."""
    aired: Aired = Aired()
    total_viewers: int = 0
    peak_viewers: int = 0
    error: str | None = None
    """Why it failed, for people."""

    @property
    def room_id(self) -> str:
        """The document's spelling, `meeting-123`."""
        return f"meeting-{self.meeting_number}"

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return not NEXT[self.status]

    @property
    def masked_rtmp_url(self) -> str | None:
        """The URL without what is secret in it: the last part of its path, its query, and who signs in."""
        return None if self.rtmp_url is None else masked(self.rtmp_url)

    def became(self, status: StreamStatus, *, at: datetime, until: datetime | None = None) -> Stream:
        """Streaming, or reconnecting; the same status again is fine."""
        after = self if status is self.status else self._became(status)
        return replace(after, started_at=self.started_at or at, held_until=until or self.held_until)

    def renewed(self, aired: Aired, *, until: datetime) -> Stream:
        """Its media process is still at it; status stays."""
        if self.is_over:
            raise TransitionError(self.status, self.status)
        return replace(self, aired=aired, held_until=until)

    def stopped(self, *, at: datetime, total_viewers: int, peak_viewers: int) -> Stream:
        """Somebody stopped it, or everybody left the room."""
        return replace(
            self._became(StreamStatus.STOPPED),
            stopped_at=at,
            held_until=None,
            total_viewers=total_viewers,
            peak_viewers=peak_viewers,
        )

    def failed(self, error: str, *, at: datetime) -> Stream:
        """It can't go on; `error` is a sentence for its owner."""
        return replace(self._became(StreamStatus.FAILED), stopped_at=at, held_until=None, error=error)

    def _became(self, after: StreamStatus) -> Stream:
        if after not in NEXT[self.status]:
            raise TransitionError(self.status, after)
        return replace(self, status=after)


def masked(rtmp_url: str) -> str:
    """An RTMP URL as logs and lists may have it: `rtmp://live.example.com/app/***`."""
    scheme, _, rest = rtmp_url.partition("://")
    host, slash, path = rest.partition("?")[0].partition("/")
    host = host.rpartition("@")[2]
    application, _, key = path.rpartition("/")
    if not slash or not (application or key):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}/{application}/***" if application else f"{scheme}://{host}/***"
