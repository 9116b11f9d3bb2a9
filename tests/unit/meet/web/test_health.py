"""Health and metrics: paths, shapes, names and labels of the document."""

import json
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import fakeredis
import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from meet.presence import NodeSnapshot, RoomSnapshot, SessionSnapshot, encode
from meet.web.app import create_app
from meet.web.health import SERVICES
from meet.web.metrics import database_connections

NOW = 1_700_000_000


async def get(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://meet.test") as client:
        return await client.get(path)


def room(redis: fakeredis.FakeRedis, number: int, peer_connections: int) -> None:
    """A live room with one session, as a media process publishes it."""
    session = SessionSnapshot("s", "u", "alice", "p", "", "", "active", peer_connections, {})
    snapshot = RoomSnapshot(number, f"m{number}", "node", "", 0, sessions=[session])
    redis.set(f"room:{number}", encode(snapshot))
    redis.zadd("rooms", {str(number): NOW})


@pytest.fixture
def two_rooms(redis: fakeredis.FakeRedis) -> None:
    room(redis, 1, 2)
    room(redis, 2, 1)
    redis.set("node:node", encode(NodeSnapshot("node", "http://x", "", rooms=2, clients=5)))
    redis.zadd("nodes", {"node": NOW})


@pytest.mark.usefixtures("two_rooms")
@pytest.mark.parametrize(
    ("service", "path", "shape"),
    [
        ("user-service", "/health", {"status": "healthy", "timestamp": "time"}),
        ("user-service", "/api/v1/users/health", {"service": "user-service", "status": "ok", "time": "time"}),
        (
            "meeting-service",
            "/api/v1/meetings/health",
            {"service": "meeting-service", "status": "ok", "time": "time"},
        ),
        (
            "signaling-service",
            "/ws/signaling/health",
            {
                "active_rooms": 2,
                "active_sessions": 2,
                "connected_clients": 5,
                "service": "signaling-service",
                "status": "ok",
                "time": "time",
            },
        ),
        (
            "media-service",
            "/api/v1/media/health",
            {"service": "media-service", "status": "healthy", "timestamp": "seconds"},
        ),
        ("ai-service", "/api/v1/ai/health", {"status": "ok"}),
    ],
)
async def test_health(service: str, path: str, shape: dict[str, object]) -> None:
    answer = await get(create_app(service), path)
    assert answer.status_code == 200
    body = answer.json()
    for key, value in shape.items():
        if value == "time":
            assert datetime.fromisoformat(body.pop(key)).tzinfo
        elif value == "seconds":
            assert isinstance(body.pop(key), int)
        else:
            assert body.pop(key) == value
    assert body == {}


@pytest.mark.usefixtures("redis")
async def test_a_service_may_say_more_of_its_health() -> None:
    app = create_app("ai-service", health=lambda: {"status": "loading", "loaded": 3})
    assert (await get(app, "/api/v1/ai/health")).json() == {"status": "loading", "loaded": 3}


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("service", SERVICES)
async def test_health_and_metrics_are_never_limited(environment: pytest.MonkeyPatch, service: str) -> None:
    environment.setenv("MEET_RATE_LIMITS", json.dumps({"api": [1, 1]}))
    app = create_app(service)
    for path in ("health", "metrics") * 2:
        answer = await get(app, f"{SERVICES[service].prefix}/{path}")
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-remaining"] == "1"


@pytest.mark.usefixtures("two_rooms")
async def test_metrics(client: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]) -> None:
    await client.get("/api/v1/meetings/7", headers=bearer("alice"))
    await client.get("/api/v1/meetings/8", headers=bearer("bob"))
    await client.get("/api/v1/meetings/8", headers=bearer("bob"))
    answer = await client.get("/api/v1/meetings/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}

    [requests] = families["http_requests"].samples
    assert requests.name == "http_requests_total"
    assert requests.labels == {
        "endpoint": "/api/v1/meetings/{meeting_id}",
        "method": "GET",
        "service": "meeting-service",
        "status_code": "200",
    }
    assert requests.value == 3

    latency = families["http_request_duration_seconds"].samples
    counts = [sample.value for sample in latency if sample.name.endswith("_bucket")]
    assert len(counts) == 12
    assert counts == sorted(counts)
    assert counts[-1] == 3
    assert set(latency[0].labels) == {"endpoint", "method", "service", "le"}
    assert {sample.name: sample.value for sample in latency}["http_request_duration_seconds_count"] == 3

    gauges = {name: family.samples[0].value for name, family in families.items() if family.type == "gauge"}
    assert gauges["active_users"] == 2
    assert gauges["active_meetings"] == 2
    assert gauges["webrtc_connections"] == 3
    assert gauges["db_connections_active"] == 0
    assert gauges["asyncio_tasks"] >= 1
    assert gauges["process_resident_memory_bytes"] > 1_000_000
    assert "python_info" in families


@pytest.mark.usefixtures("redis")
async def test_the_gateways_metrics_are_those_of_all_services() -> None:
    await get(create_app("ai-service"), "/api/v1/ai/health")
    front = create_app("user-service")
    await get(front, "/health")
    text = (await get(front, "/metrics")).text
    assert 'endpoint="/api/v1/ai/health",method="GET",service="ai-service"' in text
    assert 'endpoint="/health",method="GET",service="user-service"' in text
    assert "ai-service" not in (await get(front, "/api/v1/users/metrics")).text


def test_database_connections_are_counted_by_the_kernel(environment: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        environment.setenv("MEET_AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        assert database_connections() == 0
        with socket.create_connection(("127.0.0.1", port)):
            assert database_connections() == 1


def test_no_proc_no_count(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert database_connections(tmp_path) == 0
