"""The rows of what a media process records and streams, which it alone changes while they live.

Everything blocks in the store and so is done in threads. `Unavailable` says that the store is away: what is told
again and again anyway is told the next time, and what is not, is repeated by the caller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from meet import recordings as ending
from meet.audience import Audience, audience_of
from meet.domain.recording import Measured, RecordingStatus
from meet.domain.stream import StreamStatus
from meet.store import recordings, streams
from sfu.outlets.process import Sink
from sfu.outlets.totals import aired, measured, together

log = logging.getLogger("meet.sfu.outlets")

Kind = Literal["recording", "stream"]


class Book(Protocol):
    """What the life of a recording or a stream is written down in. `said` is what its process measured last."""

    kind: Kind
    sink: Sink
    egress_id: str
    waited_for: bool
    """Whether who asked for it waits until it runs, and writes down themselves where it does not come to that."""

    def runs(self, said: Mapping[str, Any]) -> bool:
        """Whether a process that is ready, and said this, does what was asked for."""

    def next_take(self, said: Mapping[str, Any]) -> None:
        """Its process died, and another one begins where it stopped."""

    @property
    def worth_an_end(self) -> bool:
        """Whether what the takes before kept is of use to people, though it can't go on."""

    def status(self, said: Mapping[str, Any], *, running: bool, paused: bool) -> str:
        """As the document calls it."""

    def stats(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """All that was measured until now, for snapshots: the fields of `Measured` or `Aired`."""

    async def began(self) -> str | None:
        """It runs: who asked for it, or None where nobody wants it any more."""

    async def renew(self, said: Mapping[str, Any]) -> bool:
        """It is still at it; False where it is over or gone, by somebody else."""

    async def switched(self, *, paused: bool) -> None:
        """It is paused, or goes on."""

    async def finish(self, said: Mapping[str, Any], *, interrupted: bool) -> None:
        """It ended as it should, or with a loss at its end. May be repeated."""

    async def fail(self, error: str) -> None:
        """It can't go on. May be repeated."""


class RecordingBook:
    """`meet.store.recordings`, and at the end the job that makes the file."""

    kind: Kind = "recording"
    sink: Sink = "recorder"
    waited_for = True

    def __init__(self, recording_id: str, lease_s: float, utcnow: Callable[[], datetime]) -> None:
        self.egress_id = recording_id
        self._lease = timedelta(seconds=lease_s)
        self._utcnow = utcnow
        self._former = Measured()
        """Of the takes before."""

    def runs(self, said: Mapping[str, Any]) -> bool:
        """At once: what comes is kept."""
        return True

    def next_take(self, said: Mapping[str, Any]) -> None:
        """What it kept stays kept."""
        self._former = self._all(said)

    @property
    def worth_an_end(self) -> bool:
        """Where something was kept."""
        return self._former.size > 0

    def status(self, said: Mapping[str, Any], *, running: bool, paused: bool) -> str:
        """A `RecordingStatus`."""
        if not running:
            return RecordingStatus.PENDING
        return RecordingStatus.PAUSED if paused else RecordingStatus.RECORDING

    def stats(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of `Measured`, of all takes."""
        return asdict(self._all(said))

    async def began(self) -> str | None:
        """Who asked for it, or None."""
        now = self._utcnow()
        found = await asyncio.to_thread(recordings.began, self.egress_id, at=now, until=now + self._lease)
        return None if found is None else found.owner_id

    async def renew(self, said: Mapping[str, Any]) -> bool:
        """Whether it is still live."""
        until = self._utcnow() + self._lease
        return await asyncio.to_thread(recordings.renew, self.egress_id, self._all(said), until=until)

    async def switched(self, *, paused: bool) -> None:
        """It is paused, or goes on."""
        await asyncio.to_thread(recordings.paused if paused else recordings.resumed, self.egress_id)

    async def finish(self, said: Mapping[str, Any], *, interrupted: bool) -> None:
        """Stop it, and have its file made."""
        await asyncio.to_thread(
            ending.finish,
            self.egress_id,
            at=self._utcnow(),
            measured=self._all(said),
            interrupted=interrupted,
        )

    async def fail(self, error: str) -> None:
        """There will be no file."""
        await asyncio.to_thread(recordings.fail, self.egress_id, error, at=self._utcnow())

    def _all(self, said: Mapping[str, Any]) -> Measured:
        return together(self._former, measured(said))


class StreamBook:
    """`meet.store.streams`, and at the end who watched."""

    kind: Kind = "stream"
    sink: Sink = "streamer"
    waited_for = False

    def __init__(self, stream_id: str, lease_s: float, utcnow: Callable[[], datetime], redis: Redis) -> None:
        self.egress_id = stream_id
        self._lease = timedelta(seconds=lease_s)
        self._utcnow = utcnow
        self._redis = redis

    def runs(self, said: Mapping[str, Any]) -> bool:
        """Once something is on the air."""
        return said.get("status") in (StreamStatus.STREAMING, StreamStatus.RECONNECTING)

    def next_take(self, said: Mapping[str, Any]) -> None:
        """The same stream goes on."""

    @property
    def worth_an_end(self) -> bool:
        """Never: it is over either way, and its owner is to know why."""
        return False

    def status(self, said: Mapping[str, Any], *, running: bool, paused: bool) -> str:
        """A `StreamStatus`; of a process that has only begun, the one before goes on."""
        if not running:
            return StreamStatus.STARTING
        return str(said["status"]) if self.runs(said) else StreamStatus.STREAMING

    def stats(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of `Aired`."""
        return asdict(aired(said))

    async def began(self) -> str | None:
        """Who asked for it, or None."""
        found = await self._became(StreamStatus.STREAMING)
        return None if found is None else found.owner_id

    async def renew(self, said: Mapping[str, Any]) -> bool:
        """Whether it is still to be."""
        if self.runs(said) and await self._became(StreamStatus(said["status"])) is None:
            return False
        until = self._utcnow() + self._lease
        return await asyncio.to_thread(streams.renew, self.egress_id, aired(said), until=until) is not None

    async def switched(self, *, paused: bool) -> None:
        """No stream is ever paused."""
        raise ValueError("a stream can't be paused")

    async def finish(self, said: Mapping[str, Any], *, interrupted: bool) -> None:
        """Note who watched. What was on the air at the end is all the same."""
        now = self._utcnow()
        try:
            watched = await audience_of(self._redis, self.egress_id, now=now.timestamp())
        except RedisError:
            log.warning("Redis is away: nobody knows how many watched stream %s", self.egress_id)
            watched = Audience()
        await asyncio.to_thread(
            streams.stop,
            self.egress_id,
            at=now,
            total_viewers=watched.total,
            peak_viewers=watched.peak,
        )

    async def fail(self, error: str) -> None:
        """It is over."""
        await asyncio.to_thread(streams.fail, self.egress_id, error, at=self._utcnow())

    async def _became(self, status: StreamStatus) -> Any:
        now = self._utcnow()
        return await asyncio.to_thread(streams.became, self.egress_id, status, at=now, until=now + self._lease)


class OpenBook(Protocol):
    """How an `Outlets` gets its books; `opener` makes one."""

    def __call__(self, kind: Kind, egress_id: str) -> Book:
        """The book of a row that is there."""


def opener(redis: Redis, lease_s: float, utcnow: Callable[[], datetime]) -> OpenBook:
    """The books of the real store; rows are held for `lease_s` at a time."""

    def open_book(kind: Kind, egress_id: str) -> Book:
        if kind == "recording":
            return RecordingBook(egress_id, lease_s, utcnow)
        return StreamBook(egress_id, lease_s, utcnow, redis)

    return open_book
