"""`/api/v1/streaming`: live streams of rooms. The streamer is the room's media process'; players come to the edge."""

import logging
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from meet import egress_url
from meet.audience import Audience, audiences
from meet.clock import new_id, utcnow
from meet.control import Reply
from meet.domain.stream import Aired, Stream, StreamStatus
from meet.errors import MeetError, Unavailable
from meet.store import streams
from meet.web.access import may_see
from meet.web.auth import Principal, SignedIn
from meet.web.listing import meeting_filter, readable_by
from meet.web.live import ask_room, presence
from meet.web.paging import Page, pagination
from meet.web.redis import redis

from .asking import ask, nobody_there
from .stream_schemas import (
    PREFIX,
    Filters,
    StartBody,
    StartedAnswer,
    StopBody,
    StoppedAnswer,
    StreamAnswer,
    StreamsAnswer,
)

START_S = 20.0
"""How long a start waits until there is something to be seen: an encoder runs, the first segments are there, an RTMP
server takes it. What takes longer is answered as `starting`, and goes on."""
BEGINS = timedelta(seconds=150)
"""How long nothing need be heard of one that is starting: it is tried for 2 minutes to reach an RTMP server."""
STOP_S = 20.0
"""Until the last segment is in the bucket."""

router = APIRouter(prefix=PREFIX, tags=["streaming"])
log = logging.getLogger("meet.streams")

Filter = Annotated[str, Query(max_length=128)]


def health() -> dict[str, Any]:
    """How many streams there are now, over all media processes."""
    rooms = presence().rooms()
    running = sum(one.get("kind") == "stream" for room in rooms for one in room.egress)
    return {"status": "healthy", "active_streams": running, "timestamp": int(time.time())}


@router.post("/start")
def start(asked: StartBody, user: SignedIn) -> StartedAnswer:
    """Stream a room, in which somebody must be. 409 with the other's id where it goes there already."""
    meeting = asked.meeting_for(user)
    if asked.rtmp_url is not None:
        egress_url.checked(asked.rtmp_url)
    if presence().home(meeting.number) is None:
        raise nobody_there()
    now = utcnow()
    stream = Stream(
        stream_id=new_id(),
        meeting_id=meeting.meeting_id,
        meeting_number=meeting.number,
        owner_id=user.user_id,
        created_at=now,
        stream_type=asked.stream_type,
        quality=asked.quality,
        picture=asked.picture,
        rtmp_url=asked.rtmp_url,
        held_until=now + BEGINS,
    )
    streams.create(stream)
    try:
        reply = _asked_to_begin(stream)
    except Unavailable:
        log.warning("stream %s is not on the air after %d s", stream.stream_id, START_S)
    except Exception as error:
        streams.withdraw(stream.stream_id, f"It did not begin: {error}", at=utcnow())
        raise
    else:
        if (refused := _refusal(reply)) is not None:
            streams.withdraw(stream.stream_id, f"It did not begin: {refused.message}", at=utcnow())
            raise refused
    return StartedAnswer.of(streams.get(stream.stream_id))


@router.post("/stop")
def stop(asked: StopBody, user: SignedIn) -> StoppedAnswer:
    """End a stream; one that is over stays as it ended."""
    stream = _stream_of(user, asked.stream_id)
    if not stream.is_over:
        with suppress(Unavailable):  # it has been told, and what it still keeps, it keeps without anybody waiting
            ask(stream.meeting_number, "stop-stream", timeout_s=STOP_S, stream_id=stream.stream_id)
        stream = _ended(stream.stream_id)
    return StoppedAnswer.of(stream, _audience(stream.stream_id), now=utcnow())


@router.get("/status/{stream_id}")
def status(stream_id: str, user: SignedIn) -> StreamAnswer:
    """How a stream goes, for those who may see the room."""
    stream = _as_it_runs(_stream_of(user, stream_id))
    return StreamAnswer.of(stream, _audience(stream_id), now=utcnow(), to_owner=user.user_id == stream.owner_id)


@router.get("/list")
def of_caller(  # noqa: PLR0917 - each is a parameter of the query
    user: SignedIn,
    page: Page,
    status: Annotated[StreamStatus | Literal[""], Query()] = "",
    stream_type: Literal["", "rtmp", "hls", "dash"] = "",
    user_id: Filter = "",
    meeting_id: Filter = "",
) -> StreamsAnswer:
    """The streams that the caller may see, newest first: those that are not over, unless `status` says which."""
    found = readable_by(
        user,
        streams,
        meeting=meeting_filter(meeting_id),
        owner_id=user_id,
        age=attrgetter("created_at", "stream_id"),
    )
    found = [
        entry
        for entry in found
        if (entry.status is status if status else not entry.is_over) and stream_type in ("", entry.stream_type)
    ]
    listed = streams.find_many(entry.stream_id for entry in page.of(found))
    watched = _audiences([stream.stream_id for stream in listed])
    now = utcnow()
    return StreamsAnswer(
        filters=Filters(status=status, stream_type=stream_type, user_id=user_id, meeting_id=meeting_id),
        pagination=pagination(page, len(found)),
        streams=[StreamAnswer.of(*each, now=now) for each in zip(listed, watched, strict=True)],
    )


def _asked_to_begin(stream: Stream) -> Reply | None:
    """What the room's media process says, None where there is none; `Unavailable` where it says nothing in time."""
    picture = stream.picture
    to_rtmp = {} if stream.rtmp_url is None else {"rtmp_url": stream.rtmp_url}
    return ask_room(
        stream.meeting_number,
        "start-stream",
        timeout_s=START_S,
        stream_id=stream.stream_id,
        stream_type=stream.stream_type,
        width=picture.width,
        height=picture.height,
        bitrate_bps=picture.bitrate_bps,
        frame_rate=picture.frame_rate,
        **to_rtmp,
    )


def _refusal(reply: Reply | None) -> MeetError | None:
    """The error of a stream that its media process does not begin."""
    if reply is None or reply.status == "not-found":
        return nobody_there()
    if reply.status == "refused":
        return Unavailable(str(reply.data.get("reason") or "The room's media process can't do this now."))
    return None


def _ended(stream_id: str) -> Stream:
    """A stream that its media process was asked to stop; where it is still open, that process is gone, or slow, and
    it is ended here.
    """
    watched = _audience(stream_id)
    streams.stop(stream_id, at=utcnow(), total_viewers=watched.total, peak_viewers=watched.peak)
    return streams.get(stream_id)


def _stream_of(user: Principal, stream_id: str) -> Stream:
    stream = streams.get(stream_id)
    if not may_see(user, stream.owner_id, stream.meeting_id):
        raise streams.not_found(stream_id)
    return stream


def _audience(stream_id: str) -> Audience:
    return _audiences([stream_id])[0]


def _audiences(stream_ids: list[str]) -> list[Audience]:
    return audiences(redis(), stream_ids, now=time.time())


def _as_it_runs(stream: Stream) -> Stream:
    """A stream with what its room publishes each second, which is fresher than what was stored."""
    room = None if stream.is_over else presence().room(stream.meeting_number)
    told = next((one for one in room.egress if one.get("id") == stream.stream_id), None) if room else None
    if told is None:
        return stream
    measured = {name: told["stats"][name] for name in Aired.__dataclass_fields__ if name in told["stats"]}
    return replace(stream, status=StreamStatus(told["status"]), aired=Aired(**measured))
