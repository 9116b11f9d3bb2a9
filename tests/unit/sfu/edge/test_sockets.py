"""Sockets through a real edge on loopback to media processes that only echo, say who they are, and close."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from fakeredis import FakeAsyncRedis
from starlette.types import Message
from starlette.websockets import WebSocket
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from meet import logs
from meet.config import Settings, settings
from meet.presence import AsyncPresence, NodeSnapshot
from meet.tokens import issue_access, issue_ticket, read_ticket
from sfu.edge.app import create_edge
from sfu.edge.placement import Placement
from sfu.edge.sockets import MOST_FRAME_BYTES, Signaling, room_asked_for

SECRET = "0123456789abcdef0123456789abcdef"
USER = ("user-1", "ann", "user", "family-1")


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_JWT_SECRET", SECRET)
    settings.cache_clear()


@dataclass
class Process:
    """A media process: greets with its name, echoes, closes when told `close`."""

    name: str
    tokens: list[str] = field(default_factory=list)
    frames: list[str | bytes] = field(default_factory=list)
    forwarded_for: list[str] = field(default_factory=list)
    closed: asyncio.Queue[tuple[int | None, str | None]] = field(default_factory=asyncio.Queue)

    async def __call__(self, connection: ServerConnection) -> None:
        assert connection.request
        self.tokens.append(parse_qs(urlsplit(connection.request.path).query)["token"][0])
        self.forwarded_for.append(connection.request.headers["X-Forwarded-For"])
        try:
            await connection.send(f"I am {self.name}")
            async for frame in connection:
                self.frames.append(frame)
                if frame == "close":
                    await connection.close(4409, "replaced")
                elif frame == "die":
                    connection.transport.abort()
                else:
                    await connection.send(frame)
        finally:
            await connection.wait_closed()
            self.closed.put_nowait((connection.close_code, connection.close_reason))


@dataclass
class Tier:
    """Two media processes and the edge before them."""

    url: str
    first: Process
    second: Process
    redis: FakeAsyncRedis
    presence: AsyncPresence

    def connect(self, token: str, **query: str) -> connect:
        rest = "".join(f"&{name}={value}" for name, value in query.items())
        return connect(f"{self.url}?token={token}{rest}", compression=None, open_timeout=5)


@asynccontextmanager
async def running_tier(tmp_path: Path, rate_limits: str = "off") -> AsyncIterator[Tier]:
    redis = FakeAsyncRedis()
    presence = AsyncPresence(redis)
    first, second = Process("first"), Process("second")
    chosen = Settings(rate_limits=rate_limits)
    listening = socket.create_server(("127.0.0.1", 0))
    app = create_edge(chosen, page=tmp_path, redis=redis)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, ws="websockets-sansio", ws_max_size=MOST_FRAME_BYTES)
    )
    async with serve(first, "127.0.0.1", 0) as one, serve(second, "127.0.0.1", 0) as two:
        for clients, process, inner in ((0, first, one), (5, second, two)):
            port = inner.sockets[0].getsockname()[1]
            node = NodeSnapshot(process.name, f"http://127.0.0.1:{port}", "", rooms=0, clients=clients)
            await presence.publish(node, [], now=1_000.0)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield Tier(f"ws://127.0.0.1:{listening.getsockname()[1]}/ws/signaling", first, second, redis, presence)
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def tier(tmp_path: Path) -> AsyncIterator[Tier]:
    async with running_tier(tmp_path) as running:
        yield running


async def closing(client: ClientConnection) -> tuple[int | None, str | None]:
    with suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason


def join(room: str | int, kind: str = "join") -> str:
    return json.dumps({"type": kind, "room_id": room})


@pytest.mark.parametrize(
    ("frame", "room"),
    [
        (join("meeting-5"), "meeting-5"),
        (join(5), 5),
        (join("5", "resume"), "5"),
        ('{"type":"join","data":{"room_id":"5"}}', "5"),
        ('{"type":"chat","room_id":"5","content":"\\"join\\""}', None),
        ('{"type":"join"}', None),
        ('{"type":"join","room_id":[]}', None),
        ('"join"', None),
        ('{"join"', None),
        ('"join"' + "[" * 100_000, None),
        ('{"type":"ping"}', None),
    ],
)
def test_only_a_join_asks_for_a_room(frame: str, room: str | int | None) -> None:
    assert room_asked_for(frame) == room


async def test_frames_pass_both_ways_whatever_they_are(tier: Tier) -> None:
    async with tier.connect("any") as client:
        assert await client.recv() == "I am first"
        for frame in ('{"type":"ping"}', "x" * 100_000, b"\x00\xff"):
            await client.send(frame)
            assert await client.recv() == frame
    assert tier.first.tokens == ["any"]
    assert tier.first.forwarded_for == ["127.0.0.1"]


async def test_a_close_passes_with_its_code_from_either_side(tier: Tier) -> None:
    async with tier.connect("any") as client:
        await client.send("close")
        assert await closing(client) == (4409, "replaced")
    async with tier.connect("any") as client:
        await client.recv()
        await client.close(4001, "bye")
    assert await tier.first.closed.get() == (4409, "replaced")
    assert await tier.first.closed.get() == (4001, "bye")


async def test_a_lost_client_is_lost_for_the_media_process_too(tier: Tier) -> None:
    async with tier.connect("any") as client:
        await client.recv()
        client.transport.abort()
        assert (await tier.first.closed.get())[0] == 1006


async def test_a_media_process_that_dies_is_a_restart(tier: Tier) -> None:
    async with tier.connect("any") as client:
        await client.send("die")
        assert (await closing(client))[0] == 1012


async def test_a_join_goes_to_the_home_of_its_room(tier: Tier) -> None:
    await tier.presence.place(5, ["second"])
    token, _ = issue_access(*USER)
    async with tier.connect(token) as client:
        assert await client.recv() == "I am first"
        await client.send('{"type":"ping"}')
        assert await client.recv() == '{"type":"ping"}'
        await client.send(join("meeting-5"))
        assert await client.recv() == "I am second"
        assert await client.recv() == join("meeting-5")
        await client.send("after")
        assert await client.recv() == "after"
    assert tier.first.frames == ['{"type":"ping"}']
    assert tier.second.frames == [join("meeting-5"), "after"]
    assert tier.second.tokens == [token]
    assert await tier.first.closed.get() == (1000, "moved")


async def test_a_new_room_is_settled_where_its_first_client_is(tier: Tier) -> None:
    async with tier.connect("any") as client:
        await client.send(join(5))
        assert [await client.recv(), await client.recv()] == ["I am first", join(5)]
    assert await tier.presence.place(5, ["second"]) == "first"


async def test_the_hint_saves_the_move(tier: Tier) -> None:
    await tier.presence.place(5, ["second"])
    async with tier.connect("any", room="meeting-5") as client:
        await client.send(join(5))
        assert [await client.recv(), await client.recv()] == ["I am second", join(5)]
    assert tier.first.tokens == []


async def test_a_ticket_is_spent_once_and_survives_the_move(tier: Tier) -> None:
    await tier.presence.place(5, ["second"])
    ticket, _ = issue_ticket(*USER)
    async with tier.connect(ticket) as client:
        await client.recv()
        await client.send(join(5))
        assert await client.recv() == "I am second"
    given = [*tier.first.tokens, *tier.second.tokens]
    assert len({ticket, *given}) == 3  # each dial had a fresh one
    assert {read_ticket(token).user_id for token in given} == {"user-1"}
    assert await tier.redis.exists(f"ticket:{read_ticket(ticket).token_id}")

    async with tier.connect(ticket) as client:  # again: passed on as it is, for the media process to refuse
        await client.recv()
    assert tier.first.tokens[-1] == ticket


async def test_a_client_that_leaves_while_its_process_is_dialled_leaves_nothing_open(tier: Tier) -> None:
    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(_: Message) -> None:
        raise ClientDisconnected  # what uvicorn raises then

    scope = {"type": "websocket", "scheme": "ws", "query_string": b"token=any", "headers": [], "client": ("::1", 1)}
    client = WebSocket(scope, receive, send)
    await Signaling(tier.redis, Placement(tier.presence), None)(client)
    assert await asyncio.wait_for(tier.first.closed.get(), 5) == (1000, "")


async def test_no_log_has_a_token(tier: Tier, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    logs.start("DEBUG")
    async with tier.connect("tell-nobody") as client:
        assert await client.recv() == "I am first"
    assert tier.first.tokens == ["tell-nobody"]
    assert "tell-nobody" not in caplog.text


async def test_a_home_that_cannot_be_reached_ends_the_socket(tier: Tier, free_port: Callable[[], int]) -> None:
    gone = NodeSnapshot("gone", f"http://127.0.0.1:{free_port()}", "", rooms=1, clients=9)
    await tier.presence.publish(gone, [], now=1_000.0)
    await tier.presence.place(5, ["gone"])
    async with tier.connect("any") as client:
        await client.send(join(5))
        assert (await closing(client))[0] == 1012
    assert tier.first.frames == []  # the wrong process never saw the join


async def test_without_a_media_process_the_upgrade_is_refused(tier: Tier) -> None:
    await tier.presence.forget_node("first")
    await tier.presence.forget_node("second")
    with pytest.raises(InvalidStatus) as refused:
        await tier.connect("any").__aenter__()
    answer = refused.value.response
    assert answer.status_code == 503
    assert json.loads(answer.body or b"")["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert answer.headers["X-Request-Id"]


async def test_the_limit_refuses_the_upgrade_per_user(tmp_path: Path) -> None:
    ann, _ = issue_access(*USER)
    bob, _ = issue_access("user-2", "bob", "user", "family-2")
    async with running_tier(tmp_path, '{"websocket": [2, 2]}') as tier:
        for remaining in ("1", "0"):
            async with tier.connect(ann) as client:
                assert client.response
                assert client.response.headers["X-RateLimit-Remaining"] == remaining
        with pytest.raises(InvalidStatus) as refused:
            await tier.connect(ann).__aenter__()
        answer = refused.value.response
        assert answer.status_code == 429
        body = json.loads(answer.body or b"")["error"]
        assert body["code"] == "RATE_LIMIT_EXCEEDED"
        assert 0 < body["retry_after"] <= 60
        assert answer.headers["Retry-After"] == str(body["retry_after"])
        assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("2", "0")
        async with tier.connect(bob) as client:
            assert await client.recv() == "I am first"
