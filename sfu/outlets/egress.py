"""One recording or live stream of a room, from its start to its end.

Theory of operation. `run` is its whole life: a process is started and given a tap of the room; once it does what was
asked for, the row says so and people are told; where it dies, the next one begins where the timeline stands, a few
times a minute at most; and when it is to end, it gets time to keep what is there. What is asked of it meanwhile only
sets what `run` waits for, or waits for it. Nothing that goes wrong in here comes out: it becomes the row's error, and
the call goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, Protocol

from meet.errors import Unavailable
from sfu.egress.wire import Message, WireError, message
from sfu.outlets.books import Book, Kind
from sfu.outlets.process import EgressProcess, Sink
from sfu.outlets.restarts import Restarts
from sfu.outlets.timeline import Timeline
from sfu.tap import Outlet, Tap, Wanted

log = logging.getLogger("meet.sfu.outlets")

News = Literal["started", "paused", "resumed", "stopped"]

SILENT_S = 30.0
"""A process that says nothing for so long, though it is to say something each second, hangs."""
CLOSE_S = 60.0
"""For what is there to be kept: the recorder outlasts an S3 that is away for 30 s."""
RETRIES_S = (0.5, 2.0, 8.0)
"""The pauses before the end is written once more, where the store is away; after that it is the sweeper's."""
MOST_REASON_CHARS = 500


class CannotRun(Exception):
    """It did not come to run; the text is a sentence for people."""


class Venue(Protocol):
    """What an egress asks of its room, `sfu.live_room.LiveRoom`. The room may be over: then nothing comes of it."""

    def tap(self, wanted: Wanted, outlet: Outlet) -> Tap: ...
    def untap(self, tap: Tap) -> None: ...
    def want_key_frame(self, tap: Tap, track_id: str) -> None: ...
    def announce(self, kind: Kind, egress_id: str, news: News, owner_id: str) -> None: ...


class StartProcess(Protocol):
    """`EgressProcess.start`."""

    async def __call__(
        self, sink: Sink, heard: Callable[[Message], None], now: Callable[[], float]
    ) -> EgressProcess: ...


class Egress:
    """One recording or stream. Made, and run, by `Outlets`."""

    def __init__(
        self,
        book: Book,
        wanted: Wanted,
        asked: Mapping[str, Any],
        venue: Venue,
        *,
        start_process: StartProcess,
        renew_s: float,
        now: Callable[[], float],
    ) -> None:
        """`asked` is what the command said; `renew_s` is how often the row is renewed; `now` is monotonic."""
        self.book = book
        self.venue = venue
        self.restarts = 0
        """Processes that were started in the place of others."""
        self._wanted = wanted
        self._asked = dict(asked)
        self._start_process = start_process
        self._renew_s = renew_s
        self._now = now
        self._timeline: Timeline | None = None
        self._deaths = Restarts()
        self._take = 0
        self._process: EgressProcess | None = None
        self._tap: Tap | None = None
        self._dropped = 0
        self._ready = False
        """Whether the process takes packets."""
        self._said: Message = {}
        """What the process measured last."""
        self._ended = False
        """Whether it has said its last word."""
        self._exhausted = False
        """Whether processes died too often."""
        self._error: str | None = None
        self._unwanted = False
        """Whether somebody else ended the row, so that there is nothing to write any more."""
        self._owner_id = ""
        self._works = asyncio.Event()
        self._running = asyncio.Event()
        self._news = asyncio.Event()
        """Something was said that the row is to have at once."""
        self._stop = asyncio.Event()
        self._over = asyncio.Event()
        self._switching = asyncio.Lock()

    @property
    def is_live(self) -> bool:
        """Whether it is to go on."""
        return not self._stop.is_set()

    @property
    def dropped(self) -> int:
        """Packets that its processes were too slow for."""
        return self._dropped + (self._process.dropped if self._process else 0)

    @property
    def pid(self) -> int | None:
        """The number of its process."""
        return self._process.pid if self._process else None

    def snapshot(self) -> dict[str, Any]:
        """For the room's presence: see `meet.presence.RoomSnapshot`."""
        paused = self._timeline is not None and self._timeline.paused_at is not None
        return {
            "kind": self.book.kind,
            "id": self.book.egress_id,
            "status": self.book.status(self._said, running=self._running.is_set(), paused=paused),
            "stats": self.book.stats(self._said),
        }

    # What is asked of it

    async def running(self) -> None:
        """Wait until it does what was asked for; `CannotRun` where it does not come to that."""
        await _first(self._running.wait(), self._over.wait())
        if not self._running.is_set():
            raise CannotRun(self._error or "It was stopped before it began.")

    async def stop(self) -> None:
        """End it, and wait until that is written. May be called again."""
        self._stop.set()
        await self._over.wait()

    async def switch(self, *, paused: bool) -> bool:
        """Pause it, or go on; the same again is fine. False where it is over. Raises `Unavailable`."""
        await _first(self._running.wait(), self._stop.wait())
        async with self._switching:
            if self._stop.is_set() or self._timeline is None:
                return False
            if paused != (self._timeline.paused_at is not None):
                await self.book.switched(paused=paused)
                now = self._now()
                (self._timeline.pause if paused else self._timeline.resume)(now)
                self._say("pause" if paused else "resume", at=now)
                self._announce("paused" if paused else "resumed")
            return True

    async def run(self) -> None:
        """Live until it is over. Not to be cancelled: `stop` it."""
        row = asyncio.create_task(self._guarded(self._keep_row()))
        while not self._stop.is_set():
            await self._guarded(self._live_once())
        await row
        await self._guarded(self._finish())
        self._over.set()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it; a bug that it meets is the end of this egress, and of nothing else."""
        try:
            await work
        except Exception:
            log.exception("%s ends by a bug", self)
            self._fail("It ended unexpectedly.")

    # A process

    async def _live_once(self) -> None:
        """Start a process and let it work until it dies, or all is to end."""
        try:
            process = await self._start_process(self.book.sink, self._hear, self._now)
        except OSError as error:
            log.warning("%s: no process can be started: %s", self, error)
            self._died()
            return
        self._process, self._ready, self._ended = process, False, False
        try:
            await self._work(process)
            if not self._ended:
                process.kill()
        except Exception:
            process.kill()
            raise
        finally:  # where this task is cancelled, all ends here, and the process keeps what is there by itself
            self._process = None
            self._dropped += process.dropped
        code = await process.end()
        if not self._stop.is_set():
            log.warning("%s: its process ended with %d", self, code)
            self._died()

    async def _work(self, process: EgressProcess) -> None:
        """Feed it until it is gone or hangs; where all is to end, let it keep what is there."""
        self._configure()
        self._tap = self.venue.tap(self._wanted, process)
        try:
            await self._watch(process)
        finally:
            self.venue.untap(self._tap)
            self._tap = None
        if self._stop.is_set():
            self._announce("stopped")
            self._say("stop", at=self._now())
            await _first(process.gone.wait(), asyncio.sleep(CLOSE_S))

    def _configure(self) -> None:
        now = self._now()
        if self._timeline is None:
            self._timeline = Timeline(now)
        said = {"kind": self.book.sink, "take": self._take, "begins_s": self._timeline.at(now), "begins_at": now}
        self._say("configure", **self._asked | said)
        if self._timeline.paused_at is not None:
            self._say("pause", at=now)

    async def _watch(self, process: EgressProcess) -> None:
        """Until the process is gone, or all is to end."""
        while not (process.gone.is_set() or self._stop.is_set()):
            await _first(process.gone.wait(), self._stop.wait(), asyncio.sleep(SILENT_S / 10))
            if self._now() - process.heard_at > SILENT_S:
                log.warning("%s: its process hangs", self)
                return

    def _died(self) -> None:
        """A process is gone that was to go on: another one takes its place, unless that happens too often."""
        self.book.next_take(self._said)
        self._said = {}
        self._take += 1
        if self._deaths.may(self._now()):
            self.restarts += 1
        else:
            self._exhausted = True
            self._fail("Its process ended unexpectedly again and again.")

    def _say(self, kind: str, /, **values: Any) -> None:
        if self._process is not None:
            self._process.send(message(kind, **values))

    def _hear(self, said: Message) -> None:
        """A message of the process. Raises `WireError`."""
        match said["type"]:
            case "ready":
                self._ready = True
            case "stats" | "ended":
                changed = said.get("status") != self._said.get("status")
                self._said, self._ended = said, said["type"] == "ended"
                if changed:
                    self._news.set()
                if said.get("error"):
                    self._fail(str(said["error"])[:MOST_REASON_CHARS])
            case "key-frame":
                if self._tap is not None:
                    self.venue.want_key_frame(self._tap, str(said.get("track_id")))
            case other:
                raise WireError(f"a message of type {other[:40]}")
        if self._ready and self.book.runs(self._said):
            self._works.set()

    # The row, and who is told

    async def _keep_row(self) -> None:
        """Write down that it runs, once it does, and then that it still does. Never cancelled: a write that is under
        way would happen all the same, and nobody know of it."""
        await _first(self._works.wait(), self._stop.wait())
        if self._stop.is_set():
            return
        try:
            owner_id = await self.book.began()
        except Unavailable as error:
            self._fail(str(error))
            return
        if owner_id is None:
            self._disown()
            return
        self._owner_id = owner_id
        self._running.set()
        self._announce("started")
        while not self._stop.is_set():
            await _first(self._news.wait(), self._stop.wait(), asyncio.sleep(self._renew_s))
            self._news.clear()
            try:
                if not self._stop.is_set() and not await self.book.renew(self._said):
                    self._disown()
            except Unavailable:
                log.warning("%s: its row can't be renewed, the store is away", self)

    def _disown(self) -> None:
        log.warning("%s: somebody else ended it", self)
        self._unwanted = True
        self._stop.set()

    def _fail(self, reason: str) -> None:
        self._error = self._error or reason
        self._stop.set()

    async def _finish(self) -> None:
        """Write down how it ended. Of what never ran that may be up to whoever asked for it: `running` tells them."""
        self._announce("stopped")
        told = self._error is None or self.book.waited_for
        if self._unwanted or (told and not self._running.is_set()):
            return
        for pause_s in (*RETRIES_S, None):
            try:
                if self._error and not (self._exhausted and self.book.worth_an_end):
                    log.warning("%s has failed: %s", self, self._error)
                    await self.book.fail(self._error)
                else:
                    await self.book.finish(self._said, interrupted=not self._ended)
            except Unavailable:
                if pause_s is None:
                    log.error("%s: its end can't be written, and is left to the sweeper", self)
                    return
                await asyncio.sleep(pause_s)
            else:
                return

    def _announce(self, news: News) -> None:
        """Tell the room; that it stopped, once, and only where it was told that it began."""
        if self._owner_id:
            self.venue.announce(self.book.kind, self.book.egress_id, news, self._owner_id)
        if news == "stopped":
            self._owner_id = ""

    def __str__(self) -> str:
        return f"{self.book.kind} {self.book.egress_id}"


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Until the first of these is done; the others are called off."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
