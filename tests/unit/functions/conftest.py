"""What a function's routes need to run without a network: tables in moto, Redis in memory, callers with tokens."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partialmethod
from typing import Any

import httpx
import pytest
from fakeredis import FakeRedis, FakeServer
from redis import Redis

from meet import presence, tokens
from meet.config import settings
from meet.control import Command, Reply
from meet.presence import NodeSnapshot, RoomSnapshot
from meet.web import redis as web_redis
from tests.unit.tables import empty_tables

Headers = dict[str, str]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """Empty tables and an empty Redis, behind settings of their own; rate limits are off."""
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_TABLE_PREFIX", "unit-")
    monkeypatch.setenv("MEET_JWT_SECRET", "of no use to anybody, and 32 bytes long")
    monkeypatch.setenv("MEET_RATE_LIMITS", "off")
    monkeypatch.setenv("MEET_PUBLIC_BASE_URL", "https://meet.example.org")
    server = FakeServer()
    monkeypatch.setattr(web_redis, "_client", lambda _timeout_s: FakeRedis(server=server))
    caches = [settings, web_redis.redis, web_redis.patient_redis]
    for cache in caches:
        cache.cache_clear()
    with empty_tables():
        yield server
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def redis(environment: FakeServer) -> Redis:
    """The Redis that the function asks."""
    return FakeRedis(server=environment)


@pytest.fixture
def bearer(environment: FakeServer) -> Callable[..., Headers]:
    """`bearer("alice")`: the headers of a signed-in user, whose id and name are both that."""

    def headers(user_id: str, role: str = "user") -> Headers:
        token, _ = tokens.issue_access(user_id, user_id, role, f"family-of-{user_id}")
        return {"Authorization": f"Bearer {token}"}

    return headers


class Http:
    """Requests to an application in this process, each on an event loop of its own, as on Lambda."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """`httpx.request`, here."""

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="https://meet.example.org") as client:
                return await client.request(method, url, **options)

        return asyncio.run(send())

    get = partialmethod(request, "GET")
    post = partialmethod(request, "POST")
    put = partialmethod(request, "PUT")
    delete = partialmethod(request, "DELETE")


@pytest.fixture
def http_to(environment: FakeServer) -> Callable[[Any], Http]:
    """`http_to(app)`: a client of an application, in this environment."""
    return Http


class Node:
    """A media process as far as Redis can tell: it publishes rooms, and obeys commands as it is told to."""

    node_id = "node-1"

    def __init__(self, redis: Redis) -> None:
        self.commands: list[Command] = []
        self.reply = Reply("ok")
        self.obey: Callable[[Command], None] = lambda _: None
        """What it does before it replies."""
        self._redis = redis
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._obey)
        node = NodeSnapshot(self.node_id, "http://127.0.0.1:1", "2025-10-05T12:00:00Z", rooms=0, clients=0)
        redis.set(f"node:{self.node_id}", presence.encode(node))
        redis.zadd("nodes", {self.node_id: 0})
        self._thread.start()

    def publish(self, room: RoomSnapshot) -> None:
        """Hold a room."""
        self._redis.set(f"room:{room.meeting_number}", presence.encode(room))
        self._redis.zadd("rooms", {str(room.meeting_number): 0})
        self._redis.set(f"home:{room.meeting_number}", self.node_id)

    def stop(self) -> None:
        """Take no more commands."""
        self._ends.set()
        self._thread.join()

    def _obey(self) -> None:
        while not self._ends.is_set():
            found = self._redis.blpop([f"control:{self.node_id}"], timeout=0.02)
            if found:
                command = Command(**json.loads(found[1]))
                self.commands.append(command)
                self.obey(command)
                self._redis.rpush(f"reply:{command.command_id}", json.dumps(asdict(self.reply)))


@pytest.fixture
def node(redis: Redis) -> Iterator[Node]:
    """One live media process, without rooms."""
    live = Node(redis)
    yield live
    live.stop()
