"""A media process in memory: a node with a fake store, fake media, an in-memory Redis, and clients by ASGI."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from fakeredis import FakeAsyncRedis, FakeServer
from starlette.websockets import WebSocket

from meet import tokens
from meet.config import Settings, settings
from meet.domain.meeting import Meeting, MeetingRef, Seat, participant_id
from meet.domain.message import Message
from meet.domain.room import RoomRecord
from meet.domain.session import Session
from meet.errors import Conflict, NotFound, Unavailable
from sfu.clocks import Clocks
from sfu.media_events import MediaEvent
from sfu.node import Node
from sfu.ortc import SdpError
from sfu.report import RoomReport, room_report
from sfu.router import Router
from sfu.rtp.parameters import TransportParameters
from sfu.session import ClientSocket
from sfu.tap import Tap
from sfu.views import Views
from sfu.writer import Writer

from .outlets.doubles import Library, Theatre

MEETING_ID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
WAIT_S = 10.0


class FakeClock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).timestamp()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeMeetings:
    """`meet.store.meetings` in memory: one meeting, 123."""

    def __init__(self) -> None:
        self.seats: dict[str, datetime] = {}
        self.most = 100
        self.there = True
        self.ended = False
        self.away = False
        self.hold: asyncio.Event | None = None
        """Where it is there, a seat is taken only once it is set; `holding` says that somebody waits."""
        self.holding = asyncio.Event()
        self.e2ee = False
        self.loop = asyncio.get_running_loop()
        self.taken: list[str] = []
        self.released: list[str] = []
        self.renewed: list[tuple[str, ...]] = []

    def find(self, ref: MeetingRef) -> Meeting | None:
        self._check()
        if not self.there or ref not in (MeetingRef(uuid=MEETING_ID), MeetingRef(number=123)):
            return None
        now = datetime.now(UTC)
        e2ee = self.e2ee
        return Meeting(MEETING_ID, 123, "creator", "T", "", now, 30, self.most, now, now, require_e2ee=e2ee)

    def take_seat(self, meeting_id: str, user_id: str, username: str, *, now: datetime) -> Seat:
        self._check()
        if self.hold is not None:
            self.loop.call_soon_threadsafe(self.holding.set)
            asyncio.run_coroutine_threadsafe(self.hold.wait(), self.loop).result(WAIT_S)
        if not self.there:
            raise NotFound
        if self.ended:
            raise Conflict("The meeting has ended", code="MEETING_ENDED")
        if user_id not in self.seats and len(self.seats) >= self.most:
            raise Conflict("The meeting is full", code="ROOM_FULL")
        self.taken.append(user_id)
        self.seats[user_id] = now + timedelta(seconds=120)
        return Seat(participant_id(meeting_id, user_id), username, now, self.seats[user_id])

    def release_seat(self, meeting_id: str, user_id: str, *, now: datetime) -> int:
        self._check()
        self.released.append(user_id)
        self.seats.pop(user_id, None)
        return 0

    def renew_seats(self, meeting_id: str, user_ids: Collection[str], *, held_until: datetime) -> frozenset[str]:
        self._check()
        if not self.there:
            raise NotFound
        self.renewed.append(tuple(user_ids))
        return frozenset(user_ids) - self.seats.keys()

    def _check(self) -> None:
        if self.away:
            raise Unavailable


class FakePeer:
    """The ICE of a connection by HTTP."""

    def __init__(self) -> None:
        self.last_activity: datetime | None = None
        self.remote_ice = ("theirs", "p" * 24)
        self.sessions = 1

    @property
    def ice(self) -> TransportParameters:
        candidate = "candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host"
        return TransportParameters(f"ours{self.sessions}", "q" * 24, "sha-256 AB:CD", (candidate,))

    def restart_ice(self, ufrag: str, pwd: str) -> TransportParameters:
        self.remote_ice = (ufrag, pwd)
        self.sessions += 1
        return self.ice


class FakeMedia:
    """`sfu.media.RoomMedia` that notes what it was asked."""

    def __init__(self, emit: Callable[[MediaEvent], None]) -> None:
        self.emit = emit
        self.calls: list[tuple[Any, ...]] = []
        self.ticked = asyncio.Event()
        self.closed = False
        self.refuses = False
        """Whether every offer is one that can't be used."""
        self.peers: dict[str, FakePeer] = {}
        """Connections by HTTP, by their name."""

    def publish(self, user_id: str, sdp: str, sources: Any, now: float, *, connection: str = "") -> str:
        self.calls.append(("publish", user_id, sdp, dict(sources)))
        if sdp == "bad" or self.refuses:
            raise SdpError("no media section")
        if connection:
            self.peers[connection] = FakePeer()
        return f"answer to {sdp}"

    def view(self, user_id: str, sdp: str, now: float, *, connection: str) -> str:
        return self.publish(user_id, sdp, {}, now, connection=connection)

    def end(self, user_id: str, connection: str, now: float) -> None:
        self.calls.append(("end", user_id, connection))
        self.peers.pop(connection, None)

    def connection(self, user_id: str, connection: str) -> Any:
        return self.peers.get(connection)

    def subscribe(self, user_id: str, now: float) -> None:
        self.calls.append(("subscribe", user_id))

    def answered(self, user_id: str, sdp: str, now: float) -> None:
        self.calls.append(("answered", user_id, sdp))
        if sdp == "bad":
            raise SdpError("there is no offer")

    def restart(self, user_id: str, now: float) -> None:
        self.calls.append(("restart", user_id))

    def leave(self, user_id: str, now: float) -> None:
        self.calls.append(("leave", user_id))

    def close(self, now: float) -> None:
        self.closed = True

    def tick(self, now: float) -> None:
        self.ticked.set()

    def set_media_state(self, user_id: str, **state: bool | None) -> None:
        self.calls.append(("state", user_id, state))

    def set_video_quality(self, user_id: str, quality: str, now: float) -> None:
        self.calls.append(("quality", user_id, quality))

    def want(self, user_id: str, track_id: str, now: float, **view: Any) -> None:
        self.calls.append(("want", user_id, track_id, view))

    def refuse(self, user_id: str, track_id: str, now: float) -> None:
        self.calls.append(("refuse", user_id, track_id))

    def cap(self, user_id: str, track_id: str, now: float, **layers: int | None) -> None:
        self.calls.append(("cap", user_id, track_id, layers))

    def tell_layers(self, user_id: str) -> None:
        self.calls.append(("tell layers", user_id))

    def tap(self, wanted: Any, outlet: Any, name_of: Callable[[str], str], now: float) -> Any:
        self.calls.append(("tap", wanted))
        return Tap(wanted, outlet, Router(), Views(Router()), name_of, peer_id="tap")

    def untap(self, tap: Any, now: float) -> None:
        self.calls.append(("untap",))

    def rename(self, user_id: str, username: str) -> None:
        self.calls.append(("rename", user_id, username))

    def peer_of(self, peer_id: str) -> str | None:
        return peer_id.removesuffix("-peer") if peer_id.endswith("-peer") else None

    def connections_of(self, user_id: str) -> int:
        return 2

    def report(self, now: float) -> RoomReport:
        nobody = room_report(())
        return RoomReport(
            [{"peer_id": "alice-peer"}], nobody.statistics | {"total_peers": 1}, nobody.quality_metrics | {"good": 1}
        )


class Client:
    """The other end of a `ClientSocket`, by ASGI messages."""

    def __init__(self, node: Node, token: str) -> None:
        self.frames: list[dict[str, Any]] = []
        self.joined: dict[str, Any] = {}
        self.code: int | None = None
        self.reading = asyncio.Event()
        self.reading.set()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._news = asyncio.Event()
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "path": "/ws/signaling",
            "query_string": urlencode({"token": token}).encode(),
            "headers": [],
        }
        self.socket = ClientSocket(WebSocket(scope, self._inbox.get, self._take), node, node.clocks)
        self.task = asyncio.create_task(self.socket.serve())

    def say(self, **frame: Any) -> None:
        self.say_text(json.dumps(frame))

    def say_text(self, text: str) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "bytes": data})

    def drop(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame of this type; those before it are gone."""
        async with asyncio.timeout(WAIT_S):
            while True:
                while self.frames:
                    frame = self.frames.pop(0)
                    if frame["type"] == kind:
                        return frame
                self._news.clear()
                await self._news.wait()

    async def end(self) -> int | None:
        """Wait for the server's side to be done; its close code, if it closed."""
        async with asyncio.timeout(WAIT_S):
            await self.task
        return self.code

    async def _take(self, message: Any) -> None:
        await self.reading.wait()
        if message["type"] == "websocket.send":
            self.frames.append(json.loads(message["text"]))
            self._news.set()
        elif message["type"] == "websocket.close":
            self.code = message["code"]


@dataclass
class Process:
    """A node with all that it leans on."""

    node: Node
    clock: FakeClock
    meetings: FakeMeetings
    redis: FakeAsyncRedis
    server: FakeServer
    """`server.connected = False`: Redis is away."""
    media: list[FakeMedia]
    kept: list[Any]
    library: Library
    """The rows of recordings and streams."""
    theatre: Theatre
    """Their processes."""
    clients: list[Client] = field(default_factory=list)

    def connect(self, user: str, token: str | None = None) -> Client:
        if token is None:
            token, _ = tokens.issue_access(user, f"{user}@account", "user", f"{user}-family")
        client = Client(self.node, token)
        self.clients.append(client)
        return client

    async def join(self, user: str, **frame: Any) -> Client:
        client = self.connect(user)
        client.say(type="join", **{"room_id": "meeting-123", **frame})
        client.joined = await client.hear("joined")
        return client

    async def settle(self) -> None:
        """Until the chores that were begun are done."""
        async with asyncio.timeout(WAIT_S):
            while self.node._chores:
                await asyncio.gather(*self.node._chores)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The settings of this test."""
    monkeypatch.setenv("MEET_JWT_SECRET", "x" * 32)
    settings.cache_clear()
    yield settings()
    settings.cache_clear()


@pytest_asyncio.fixture
async def process(chosen: Settings) -> AsyncIterator[Process]:
    """A node that isn't running: tests call what time and functions would."""
    clock, meetings, server = FakeClock(), FakeMeetings(), FakeServer()
    redis = FakeAsyncRedis(server=server)
    media: list[FakeMedia] = []
    kept: list[Any] = []
    library, theatre = Library(), Theatre()

    def create_media(emit: Callable[[MediaEvent], None]) -> FakeMedia:
        media.append(FakeMedia(emit))
        return media[-1]

    node = Node(
        chosen,
        url="http://127.0.0.1:1",
        redis=redis,
        meetings=meetings,
        create_media=create_media,
        writer=Writer(dict.fromkeys((Session, Message, RoomRecord), kept.extend)),
        open_book=library.open,
        start_process=theatre.start,
        clocks=Clocks(wall=clock, monotonic=clock),
    )
    await node.publish()
    made = Process(node, clock, meetings, redis, server, media, kept, library=library, theatre=theatre)
    yield made
    for client in made.clients:
        client.task.cancel()
        with suppress(asyncio.CancelledError):
            await client.task
    await node.close()
    await redis.aclose()
