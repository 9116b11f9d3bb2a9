"""The metrics of the document in Prometheus' text format: counted in Redis, or read off this process.

`go_*` of the document became `python_*`, `process_*` and `asyncio_tasks` (decision 39). Those, and
`db_connections_active`, speak of the instance that answers; all others of the whole system.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0 as CONTENT_TYPE
from prometheus_client.registry import Collector
from redis import Redis

from meet.config import settings
from meet.presence import Presence
from meet.web.observability import ACTIVE_USER_S, BUCKETS_S, INFINITE, USERS_KEY, metrics_key
from meet.web.redis import redis

__all__ = ["CONTENT_TYPE", "exposition"]

_ESTABLISHED = "01"
"""The state column of /proc/net/tcp, from the kernel's include/net/tcp_states.h."""


def exposition(services: Sequence[str]) -> bytes:
    """Everything a scrape gets: the requests of these services, the system's gauges, and this process."""
    registry = CollectorRegistry()
    registry.register(_Requests(redis(), services))
    registry.register(_System(redis()))
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)
    return generate_latest(registry)


class _Requests(Collector):
    """`http_*`, from the hashes that `meet.web.observability` writes."""

    def __init__(self, redis: Redis, services: Sequence[str]) -> None:
        self._redis = redis
        self._services = services

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "http_requests_total",
            "Total number of HTTP requests",
            labels=["endpoint", "method", "service", "status_code"],
        )
        latency = HistogramMetricFamily(
            "http_request_duration_seconds", "HTTP request latency", labels=["endpoint", "method", "service"]
        )
        pipe = self._redis.pipeline(transaction=False)
        for service in self._services:
            pipe.hgetall(metrics_key(service))
        for service, fields in zip(self._services, cast("list[dict[bytes, bytes]]", pipe.execute()), strict=True):
            buckets: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
            sums: dict[tuple[str, str], float] = {}
            for field, value in sorted(fields.items()):
                match field.decode().split(" "):
                    case ["requests", method, status, template]:
                        requests.add_metric([template, method, service, status], int(value))
                    case ["bucket", method, bound, template]:
                        buckets[template, method][bound] = int(value)
                    case ["micros", method, template]:
                        sums[template, method] = int(value) / 1_000_000
            for (template, method), counts in buckets.items():
                bounds = [*map(str, BUCKETS_S), INFINITE]
                cumulative = accumulate(counts.get(bound, 0) for bound in bounds)
                latency.add_metric(
                    [template, method, service],
                    list(zip(bounds, cumulative, strict=True)),
                    sum_value=sums.get((template, method), 0.0),
                )
        yield requests
        yield latency


class _System(Collector):
    """The gauges of the document."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        users = self._redis.zcount(USERS_KEY, time.time() - ACTIVE_USER_S, "+inf")
        rooms = Presence(self._redis).rooms()
        connections = sum(session.peer_connections for room in rooms for session in room.sessions)
        yield GaugeMetricFamily("active_users", "Users seen in the last five minutes", value=users)
        yield GaugeMetricFamily("active_meetings", "Meetings in which somebody is", value=len(rooms))
        yield GaugeMetricFamily("webrtc_connections", "Active WebRTC connections", value=connections)
        yield GaugeMetricFamily(
            "db_connections_active", "Connections of this process to DynamoDB", value=database_connections()
        )
        yield GaugeMetricFamily(
            "asyncio_tasks", "Tasks of the event loop that answers", value=len(asyncio.all_tasks())
        )


def database_connections(proc: Path = Path("/proc/self")) -> int:
    """How many established TCP connections this process has to the port of DynamoDB's endpoint.

    Read from the kernel, which alone counts them rightly: clients keep their pools to themselves. 0 without `/proc`.
    """
    endpoint = urlsplit(settings().aws_endpoint_url or "https://dynamodb")
    port = endpoint.port or (443 if endpoint.scheme == "https" else 80)
    own = set()
    for descriptor in (proc / "fd").glob("*"):
        try:
            own.add(str(descriptor.readlink()))
        except OSError:  # closed since it was listed
            continue
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        if (proc / "net" / table).exists()
        for line in (proc / "net" / table).read_text().splitlines()[1:]
    ]
    return sum(
        1
        for _, _, peer, state, *rest in lines
        if state == _ESTABLISHED and int(peer.rpartition(":")[2], 16) == port and f"socket:[{rest[5]}]" in own
    )
