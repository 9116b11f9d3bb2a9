"""The inference nodes, as they tell of themselves in Redis; which of them died, and who went on.

    inference:node:{node_id}        InferenceNode as JSON; kept for a day after the last of it
    inference:nodes                 sorted set of node ids, scored by the time of the last heartbeat (Unix seconds)
    inference:failover:{event_id}   hash of a Failover
    inference:failovers             sorted set of event ids, scored by their time

Nodes write, everybody else reads. A node that ends in order leaves (`leave`) and is forgotten; one that is killed
stays as it last was, and is offline once it was silent for `SILENT`. `meet.control` reaches it by `inbox(node_id)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from meet.domain.inference import Failover, Function, InferenceNode, LoadedModel, Tally

if TYPE_CHECKING:
    from redis import Redis

KEPT_S = 24 * 3600
"""How long a node that is silent is still listed, as offline."""
FAILOVERS_KEPT_S = 30 * 24 * 3600

_NODES = "inference:nodes"
_FAILOVERS = "inference:failovers"
_STAMPS = ("started_at", "last_heartbeat", "load_time")


def inbox(node_id: str) -> str:
    """What `meet.control` knows an inference node by; media processes have names of their own."""
    return f"inference-{node_id}"


class Fleet:
    """All nodes. Methods raise `redis.exceptions.RedisError` where Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def announce(self, node: InferenceNode) -> None:
        """The node's heartbeat."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.set(f"inference:node:{node.node_id}", encode(node), ex=KEPT_S)
        pipe.zadd(_NODES, {node.node_id: node.last_heartbeat.timestamp()})
        pipe.zremrangebyscore(_NODES, "-inf", node.last_heartbeat.timestamp() - KEPT_S)
        pipe.execute()

    def leave(self, node_id: str) -> None:
        """The node ends in order: it has given back what it was at."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.delete(f"inference:node:{node_id}")
        pipe.zrem(_NODES, node_id)
        pipe.execute()

    def nodes(self) -> list[InferenceNode]:
        """Every node that was heard of within a day, the offline ones as well, by id."""
        ids = cast("list[bytes]", self._redis.zrange(_NODES, 0, -1))
        texts = self._redis.mget([f"inference:node:{_text(node_id)}" for node_id in ids]) if ids else []
        found = [decode(text) for text in cast("list[bytes | None]", texts) if text is not None]
        return sorted(found, key=lambda each: each.node_id)

    def online(self, now: datetime) -> list[InferenceNode]:
        """Those that may be asked."""
        return [each for each in self.nodes() if each.status(now) != "offline"]

    def node(self, node_id: str) -> InferenceNode | None:
        """One of them, or None."""
        text = cast("bytes | None", self._redis.get(f"inference:node:{node_id}"))
        return None if text is None else decode(text)

    def took_over(self, failed: InferenceNode, backup_node: str, *, at: datetime) -> None:
        """A request of a node that died is in other hands: the first makes the event, the others add to it."""
        event_id = f"failover-{failed.node_id}"
        key = f"inference:failover:{event_id}"
        pipe = self._redis.pipeline(transaction=True)
        pipe.hsetnx(key, "backup_node", backup_node)
        pipe.hsetnx(key, "at", at.timestamp())
        pipe.hset(
            key,
            mapping={
                "failed_node": failed.node_id,
                "recovery_s": max(0.0, (at - failed.last_heartbeat).total_seconds()),
            },
        )
        pipe.hincrby(key, "affected_requests", 1)
        pipe.expire(key, FAILOVERS_KEPT_S)
        pipe.zadd(_FAILOVERS, {event_id: at.timestamp()}, nx=True)
        pipe.zremrangebyscore(_FAILOVERS, "-inf", at.timestamp() - FAILOVERS_KEPT_S)
        pipe.execute()

    def failovers(self, *, most: int = 100) -> list[Failover]:
        """The latest of them, the newest first."""
        ids = [_text(each) for each in cast("list[bytes]", self._redis.zrevrange(_FAILOVERS, 0, most - 1))]
        pipe = self._redis.pipeline(transaction=False)
        for event_id in ids:
            pipe.hgetall(f"inference:failover:{event_id}")
        return list(_failovers(ids, pipe.execute()))


def encode(node: InferenceNode) -> str:
    """A node as it stands in Redis."""
    return json.dumps(asdict(node), default=datetime.isoformat, separators=(",", ":"))


def decode(text: str | bytes) -> InferenceNode:
    """The inverse of `encode`; keys of a newer version are ignored."""
    values = _known(InferenceNode, json.loads(text))
    values["functions"] = tuple(Function(each) for each in values["functions"])
    values["loaded"] = tuple(LoadedModel(**_known(LoadedModel, each)) for each in values["loaded"])
    for name in ("total", "minute"):
        values[name] = Tally(**_known(Tally, values[name]))
    for name in ("available", "obtainable"):
        values[name] = tuple(values[name])
    return InferenceNode(**values)


def _known(shape: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    known = {each.name: values[each.name] for each in fields(shape) if each.name in values}
    for name in _STAMPS:
        if known.get(name) is not None:
            known[name] = datetime.fromisoformat(known[name])
    return known


def _failovers(ids: list[str], found: list[dict[bytes, bytes]]) -> Iterator[Failover]:
    for event_id, raw in zip(ids, found, strict=True):
        values = {_text(name): _text(value) for name, value in raw.items()}
        if values:
            yield Failover(
                event_id=event_id,
                failed_node=values["failed_node"],
                backup_node=values["backup_node"],
                at=datetime.fromtimestamp(float(values["at"]), UTC),
                recovery_s=float(values["recovery_s"]),
                affected_requests=int(values["affected_requests"]),
            )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
