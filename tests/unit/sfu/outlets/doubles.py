"""Egress processes and rows that are none, for tests of what goes on between them."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from meet.errors import Unavailable
from sfu.egress.wire import Deframer, Message
from sfu.outlets.books import Kind
from sfu.outlets.process import Sink

WAIT_S = 5.0


async def until(condition: Callable[[], object]) -> None:
    """Let others go on until something is so."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - of anything at all
            await asyncio.sleep(0)


class FakeProcess:
    """An `EgressProcess`: it does what is asked, and dies when it is told to."""

    def __init__(
        self, sink: Sink, heard: Callable[[Message], None], now: Callable[[], float], *, obliging: bool
    ) -> None:
        self.sink = sink
        self.said: list[Message] = []
        self.gone = asyncio.Event()
        self.dropped = 0
        self.pid = id(self)
        self.heard_at = now()
        self.code = 0
        self.obliging = obliging
        """Whether it says `ready` and `ended` by itself."""
        self._heard = heard
        self._deframer = Deframer()

    @property
    def kinds(self) -> list[str]:
        """The types of what it was told."""
        return [message["type"] for message in self.said]

    @property
    def configuration(self) -> Message:
        """What it was told first."""
        return self.said[0]

    def send(self, frame: bytes) -> None:
        if self.gone.is_set():
            return
        for message in self._deframer.feed(frame):
            assert isinstance(message, dict)
            self.said.append(message)
            if self.obliging and message["type"] == "configure":
                self.say("ready")
                status = {"status": "streaming"} if self.sink == "streamer" else {}
                self.say("stats", size=100, duration_s=1.0, **status)
            if self.obliging and message["type"] == "stop":
                self.say("ended", size=200, duration_s=2.0)
                self.gone.set()

    def pour(self, frame: bytes, packets: int) -> None:
        self.dropped += packets

    def say(self, kind: str, **values: Any) -> None:
        self._heard({"type": kind, **values})

    def die(self, code: int = -9) -> None:
        self.code = code
        self.gone.set()

    def kill(self) -> None:
        if not self.gone.is_set():
            self.die()

    async def end(self) -> int:
        self.gone.set()
        return self.code


class Theatre:
    """Where processes are started."""

    def __init__(self) -> None:
        self.processes: list[FakeProcess] = []
        self.obliging = True
        self.full = False
        """Whether the system can't start another one."""

    async def start(self, sink: Sink, heard: Callable[[Message], None], now: Callable[[], float]) -> Any:
        await asyncio.sleep(0)
        if self.full:
            raise OSError("no more processes")
        self.processes.append(FakeProcess(sink, heard, now, obliging=self.obliging))
        return self.processes[-1]


class FakeBook:
    """A `Book` that notes what it is told."""

    def __init__(self, kind: Kind, egress_id: str) -> None:
        self.kind = kind
        self.sink: Sink = "recorder" if kind == "recording" else "streamer"
        self.egress_id = egress_id
        self.waited_for = kind == "recording"
        self.written: list[tuple[Any, ...]] = []
        self.wanted = True
        """Whether the row is there, and live."""
        self.away = 0
        """How many of the next writes the store is away for."""
        self.worth_an_end = False
        self.hold: asyncio.Event | None = None
        """What `began` waits for; `holding` says that it does."""
        self.holding = False

    def runs(self, said: Mapping[str, Any]) -> bool:
        return self.kind == "recording" or said.get("status") == "streaming"

    def next_take(self, said: Mapping[str, Any]) -> None:
        self.written.append(("next", said.get("size", 0)))

    def status(self, said: Mapping[str, Any], *, running: bool, paused: bool) -> str:
        return "paused" if paused else "recording" if running else "pending"

    def stats(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return {"size": said.get("size", 0)}

    async def began(self) -> str | None:
        if self.hold is not None:
            self.holding = True
            await self.hold.wait()
        await self._write("began")
        return "owner" if self.wanted else None

    async def renew(self, said: Mapping[str, Any]) -> bool:
        await self._write("renew", said.get("size", 0))
        return self.wanted

    async def switched(self, *, paused: bool) -> None:
        await self._write("paused" if paused else "resumed")

    async def finish(self, said: Mapping[str, Any], *, interrupted: bool) -> None:
        await self._write("finish", said.get("size", 0), interrupted)

    async def fail(self, error: str) -> None:
        await self._write("fail", error)

    async def _write(self, *what: Any) -> None:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Unavailable
        self.written.append(what)


class Library:
    """Where the rows are."""

    def __init__(self) -> None:
        self.books: dict[str, FakeBook] = {}

    def open(self, kind: Kind, egress_id: str) -> Any:
        return self.books.setdefault(egress_id, FakeBook(kind, egress_id))


class FakeVenue:
    """A room as an egress sees it."""

    def __init__(self) -> None:
        self.taps = 0
        self.asked: list[str] = []
        self.news: list[tuple[str, str, str, str]] = []
        self.breaks = False

    def tap(self, wanted: Any, outlet: Any) -> Any:
        if self.breaks:
            raise RuntimeError("a bug")
        self.taps += 1
        return object()

    def untap(self, tap: Any) -> None:
        self.taps -= 1

    def want_key_frame(self, tap: Any, track_id: str) -> None:
        self.asked.append(track_id)

    def announce(self, kind: str, egress_id: str, news: str, owner_id: str) -> None:
        self.news.append((kind, egress_id, news, owner_id))
