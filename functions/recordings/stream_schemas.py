"""What the endpoints about live streams read and answer. Bit rates are in bits a second, durations in seconds."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from meet.audience import Audience
from meet.clock import iso
from meet.config import settings
from meet.domain.stream import MANIFEST, PLAYLIST, Picture, Stream, StreamType

from .room import RoomBody

PREFIX = "/api/v1/streaming"

LEAST_BPS, MOST_BPS = 100_000, 20_000_000
"""Below, nothing is to be seen at 30 frames a second; no platform takes more (YouTube's recommendation for 2160p)."""
LEAST_SIDE, MOST_PIXELS = 128, 1920 * 1080
"""More pixels than `high` has, in whichever shape, no core encodes in time."""


def _size(text: str) -> str:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ValueError("must be WIDTHxHEIGHT, such as 1280x720")
    sides = (int(width), int(height))
    if min(sides) < LEAST_SIDE or sides[0] * sides[1] > MOST_PIXELS or any(side % 2 for side in sides):
        raise ValueError(
            f"must be even numbers of at least {LEAST_SIDE} pixels, and {MOST_PIXELS} pixels at most in all"
        )
    return text


def _or_none(value: object) -> object:
    return None if value == "" else value


Resolution = Annotated[
    str, StringConstraints(strict=True, max_length=16, pattern=r"^[0-9]+x[0-9]+$"), AfterValidator(_size)
]


class StartBody(RoomBody):
    """A stream that is to begin. What is absent of the picture is the quality's."""

    stream_type: StreamType
    rtmp_url: Annotated[StrictStr | None, BeforeValidator(_or_none), Field(validate_default=True)] = None
    """Where an RTMP server takes it; its last part is the stream key. For `rtmp` alone."""
    quality: Literal["low", "medium", "high"] = "medium"
    bitrate: Annotated[int, Field(strict=True, ge=LEAST_BPS, le=MOST_BPS)] | None = None
    """Of the video."""
    resolution: Resolution | None = None

    @field_validator("rtmp_url", mode="after")
    @classmethod
    def _goes_somewhere(cls, url: str | None, info: ValidationInfo) -> str | None:
        if "stream_type" not in info.data:  # which is the error, then
            return url
        is_rtmp = info.data["stream_type"] == "rtmp"
        if is_rtmp and url is None:
            raise ValueError("is needed for stream_type rtmp")
        if not is_rtmp and url is not None:
            raise ValueError("is for stream_type rtmp alone")
        return url

    @property
    def picture(self) -> Picture:
        """What is to be made."""
        size: tuple[int, int] | None = None
        if self.resolution is not None:
            width, _, height = self.resolution.partition("x")
            size = (int(width), int(height))
        return Picture.of(self.quality, bitrate_bps=self.bitrate, resolution=size)


class StopBody(BaseModel):
    """Which stream is to end."""

    stream_id: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128)]


class StartedAnswer(BaseModel):
    """The stream, for who started it: the only answer with the whole `rtmp_url`, but for its owner's status.

    `hls_url` and `dash_url` need no header; who knows them may watch.
    """

    stream_id: str
    meeting_id: int
    room_id: str
    stream_type: str
    status: str
    rtmp_url: str | None
    hls_url: str
    dash_url: str
    quality: str
    bitrate: int
    resolution: str
    started_at: str
    viewers: int = 0

    @classmethod
    def of(cls, stream: Stream) -> Self:
        """The stream as it is now."""
        return cls(
            stream_id=stream.stream_id,
            meeting_id=stream.meeting_number,
            room_id=stream.room_id,
            stream_type=stream.stream_type,
            status=stream.status.value,
            rtmp_url=stream.rtmp_url,
            hls_url=hls_url(stream.stream_id),
            dash_url=dash_url(stream.stream_id),
            quality=stream.quality,
            bitrate=stream.picture.bitrate_bps,
            resolution=_resolution(stream),
            started_at=iso(_began(stream)),
        )


class StoppedAnswer(BaseModel):
    """A stream that is over; `status` is `failed` for one that ended before anybody stopped it."""

    stream_id: str
    meeting_id: int
    status: str
    started_at: str
    stopped_at: str
    duration: int
    total_viewers: int
    peak_viewers: int
    error: str | None

    @classmethod
    def of(cls, stream: Stream, audience: Audience, *, now: datetime) -> Self:
        """The stream as it ended."""
        return cls(
            stream_id=stream.stream_id,
            meeting_id=stream.meeting_number,
            status=stream.status.value,
            started_at=iso(_began(stream)),
            stopped_at=iso(stream.stopped_at or now),
            duration=_duration_s(stream, now),
            total_viewers=max(stream.total_viewers, audience.total),
            peak_viewers=max(stream.peak_viewers, audience.peak),
            error=stream.error,
        )


class StreamQuality(BaseModel):
    """What the streamer measures. `frame_rate` is an integer, as the document shows it; `fps` is exact."""

    bitrate: int
    frame_rate: int
    fps: float
    resolution: str
    dropped_frames: int
    encoding_errors: int

    @classmethod
    def of(cls, stream: Stream) -> Self:
        """By its last word."""
        return cls(
            bitrate=stream.aired.bitrate_bps,
            frame_rate=round(stream.aired.frame_rate),
            fps=stream.aired.frame_rate,
            resolution=_resolution(stream),
            dropped_frames=stream.aired.dropped_frames,
            encoding_errors=stream.aired.errors,
        )


class StreamAnswer(BaseModel):
    """One stream. `rtmp_url` has its key for the owner alone, and never in a list."""

    stream_id: str
    meeting_id: int
    room_id: str
    status: str
    stream_type: str
    rtmp_url: str | None
    hls_url: str
    dash_url: str
    quality: str
    started_at: str
    stopped_at: str | None
    started_by: str
    duration: int
    current_viewers: int
    total_viewers: int
    peak_viewers: int
    quality_metrics: StreamQuality
    error: str | None

    @classmethod
    def of(cls, stream: Stream, audience: Audience, *, now: datetime, to_owner: bool = False) -> Self:
        """The stream as it is now."""
        return cls(
            stream_id=stream.stream_id,
            meeting_id=stream.meeting_number,
            room_id=stream.room_id,
            status=stream.status.value,
            stream_type=stream.stream_type,
            rtmp_url=stream.rtmp_url if to_owner else stream.masked_rtmp_url,
            hls_url=hls_url(stream.stream_id),
            dash_url=dash_url(stream.stream_id),
            quality=stream.quality,
            started_at=iso(_began(stream)),
            stopped_at=iso(stream.stopped_at) if stream.stopped_at else None,
            started_by=stream.owner_id,
            duration=_duration_s(stream, now),
            current_viewers=0 if stream.is_over else audience.current,
            total_viewers=max(stream.total_viewers, audience.total),
            peak_viewers=max(stream.peak_viewers, audience.peak),
            quality_metrics=StreamQuality.of(stream),
            error=stream.error,
        )


class Filters(BaseModel):
    """What the list was filtered by, as it was asked for; "" where it wasn't."""

    status: str
    stream_type: str
    user_id: str
    meeting_id: str


class StreamsAnswer(BaseModel):
    """One page of streams, newest first."""

    filters: Filters
    message: str = "Streams retrieved successfully"
    pagination: dict[str, int]
    streams: list[StreamAnswer]


def hls_url(stream_id: str) -> str:
    """Where a player finds a stream by HLS."""
    return f"{settings().base_url}{PREFIX}/hls/{stream_id}/{PLAYLIST}"


def dash_url(stream_id: str) -> str:
    """Where a player finds a stream by DASH."""
    return f"{settings().base_url}{PREFIX}/dash/{stream_id}/{MANIFEST}"


def _resolution(stream: Stream) -> str:
    return f"{stream.picture.width}x{stream.picture.height}"


def _began(stream: Stream) -> datetime:
    """One that never began has the time when it was asked for: the document has a time there."""
    return stream.started_at or stream.created_at


def _duration_s(stream: Stream, now: datetime) -> int:
    if stream.started_at is None:
        return 0
    return max(0, int(((stream.stopped_at or now) - stream.started_at).total_seconds()))
