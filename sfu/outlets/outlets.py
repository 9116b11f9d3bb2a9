"""The recordings and live streams of one media process, and what functions ask of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from meet.control import Command, Reply
from meet.control import Kind as CommandKind
from meet.errors import Unavailable
from sfu.outlets.books import Kind, OpenBook
from sfu.outlets.egress import CannotRun, Egress, StartProcess, Venue
from sfu.outlets.process import EgressProcess
from sfu.tap import Wanted

log = logging.getLogger("meet.sfu.outlets")

COMMANDS: frozenset[CommandKind] = frozenset(
    {"start-recording", "pause-recording", "resume-recording", "stop-recording", "start-stream", "stop-stream"}
)
"""Those that wait for a process, and so must be obeyed beside all others."""


class Outlets:
    """All that leaves the rooms of this process."""

    def __init__(
        self,
        open_book: OpenBook,
        *,
        most: int,
        renew_s: float,
        now: Callable[[], float],
        start_process: StartProcess = EgressProcess.start,
    ) -> None:
        """`most` at once; rows are renewed every `renew_s`; `now` is monotonic."""
        self._open_book = open_book
        self._most = most
        self._renew_s = renew_s
        self._now = now
        self._start_process = start_process
        self._egresses: dict[tuple[Kind, str], Egress] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._closing = False
        self._restarts = 0
        self._dropped = 0
        """Of those that are over, as the one before."""

    def count(self, kind: Kind) -> int:
        """How many of a kind there are."""
        return sum(of == kind for of, _ in self._egresses)

    def of(self, venue: Venue) -> list[Egress]:
        """What leaves a room, what is about to end included."""
        return [egress for egress in self._egresses.values() if egress.venue is venue]

    def snapshots(self, venue: Venue) -> list[dict[str, Any]]:
        """What leaves a room, for its presence."""
        return [egress.snapshot() for egress in self.of(venue) if egress.is_live]

    async def obey(self, command: Command, venue: Venue | None) -> Reply:
        """Do what a function asks, one of `COMMANDS`; `venue` is the room, if anybody is there. Raises KeyError,
        TypeError or ValueError where the command is malformed."""
        data = command.data
        match command.kind:
            case "start-recording":
                return await self._start("recording", str(data["recording_id"]), Wanted.recorded(data), data, venue)
            case "start-stream":
                return await self._start("stream", str(data["stream_id"]), Wanted.streamed(data), data, venue)
            case "stop-recording":
                return await self._stop(self._find("recording", data))
            case "stop-stream":
                return await self._stop(self._find("stream", data))
            case "pause-recording" | "resume-recording":
                return await self._switch(self._find("recording", data), paused=command.kind == "pause-recording")
        raise ValueError(command.kind)

    async def end_all(self, egresses: Collection[Egress]) -> None:
        """End some, and wait until that is written."""
        await asyncio.gather(*(egress.stop() for egress in egresses))

    async def close(self, *, timeout_s: float) -> None:
        """End all, and begin none any more. What is not done in time goes on in its process, and its row's end is the
        sweeper's to write."""
        self._closing = True
        try:
            async with asyncio.timeout(timeout_s):
                await self.end_all(list(self._egresses.values()))
        except TimeoutError:
            log.warning("%d recordings and streams did not end in time", len(self._egresses))

    def totals(self) -> Mapping[str, int]:
        """Since the beginning: `restarts` of processes that died, `dropped` packets that these were too slow for."""
        live = self._egresses.values()
        return {
            "restarts": self._restarts + sum(egress.restarts for egress in live),
            "dropped": self._dropped + sum(egress.dropped for egress in live),
        }

    def _find(self, kind: Kind, data: Mapping[str, Any]) -> Egress | None:
        return self._egresses.get((kind, str(data[f"{kind}_id"])))

    async def _start(
        self, kind: Kind, egress_id: str, wanted: Wanted, data: Mapping[str, Any], venue: Venue | None
    ) -> Reply:
        egress = self._egresses.get((kind, egress_id))
        if egress is None:
            if venue is None:
                return Reply("not-found")
            if self._closing:
                return _refused("The server is restarting. Please try again.")
            if len(self._egresses) >= self._most:
                return _refused(
                    "The server has as many recordings and streams as it can take. Please try again later."
                )
            egress = self._begin(kind, egress_id, wanted, data, venue)
        try:
            await egress.running()
        except CannotRun as error:
            return _refused(str(error))
        return Reply("ok")

    def _begin(self, kind: Kind, egress_id: str, wanted: Wanted, data: Mapping[str, Any], venue: Venue) -> Egress:
        egress = Egress(
            self._open_book(kind, egress_id),
            wanted,
            data,
            venue,
            start_process=self._start_process,
            renew_s=self._renew_s,
            now=self._now,
        )
        self._egresses[kind, egress_id] = egress
        life = asyncio.create_task(self._live(egress))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return egress

    async def _live(self, egress: Egress) -> None:
        try:
            await egress.run()
        finally:
            del self._egresses[egress.book.kind, egress.book.egress_id]
            self._restarts += egress.restarts
            self._dropped += egress.dropped

    async def _stop(self, egress: Egress | None) -> Reply:
        if egress is None:
            return Reply("not-found")
        await egress.stop()
        return Reply("ok")

    async def _switch(self, egress: Egress | None, *, paused: bool) -> Reply:
        try:
            done = egress is not None and await egress.switch(paused=paused)
        except Unavailable as error:
            return _refused(error.message)
        return Reply("ok" if done else "not-found")


def _refused(reason: str) -> Reply:
    return Reply("refused", {"reason": reason})
