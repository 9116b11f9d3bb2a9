"""What the tier says of itself in Redis: snapshots with a time to live, and which node holds which room.

The tier writes (`publish_*`, `place`), functions and edges only read. A node that stops publishing is gone after
`NODE_TTL_S`; its rooms are then placed anew by whoever asks first.

    node:{node_id}      NodeSnapshot as JSON, expires
    nodes               sorted set of node ids, scored by the time of their last snapshot
    room:{number}       RoomSnapshot as JSON, expires
    rooms               sorted set of room numbers, scored likewise
    home:{number}       the id of the node that holds the room
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

NODE_TTL_S = 5
ROOM_TTL_S = 10
HOME_TTL_S = 60
"""From its placement, or the last snapshot of its room: a home that nobody moves into is soon forgotten."""


@dataclass(frozen=True, slots=True)
class NodeSnapshot:
    """One media process, refreshed every second."""

    node_id: str
    url: str
    """Where edges reach it: `http://host:port`; its socket is `/ws/signaling` there."""
    started_at: str
    rooms: int
    clients: int
    """Open WebSockets, joined or not, and connections by WHIP and WHEP."""
    draining: bool = False


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """One connection that joined a room, by a WebSocket, WHIP or WHEP, in the words of the document."""

    session_id: str
    user_id: str
    username: str
    participant_id: str
    connected_at: str
    last_activity: str
    status: str
    """`active`, or `reconnecting` while a lost socket may still resume."""
    peer_connections: int
    media_state: dict[str, bool]


@dataclass(frozen=True, slots=True)
class RoomSnapshot:
    """One live room: who is there, what flows, how well. `peers` and `statistics` are the document's objects."""

    meeting_number: int
    meeting_id: str
    node_id: str
    created_at: str
    total_messages: int
    sessions: list[SessionSnapshot] = field(default_factory=list)
    peers: list[dict[str, Any]] = field(default_factory=list)
    statistics: dict[str, float] = field(default_factory=dict)
    quality_metrics: dict[str, int] = field(default_factory=dict)
    egress: list[dict[str, Any]] = field(default_factory=list)
    """What leaves the room: {kind: `recording` or `stream`, id, status, stats}, fresher than the stored rows."""

    @property
    def room_id(self) -> str:
        """The document's spelling, `meeting-123`."""
        return f"meeting-{self.meeting_number}"

    @property
    def participant_count(self) -> int:
        """How many people are there; one may have several sessions."""
        return len({session.user_id for session in self.sessions})


def encode(snapshot: NodeSnapshot | RoomSnapshot) -> str:
    """A snapshot as it stands in Redis."""
    return json.dumps(asdict(snapshot), separators=(",", ":"))


def decode_node(text: str | bytes) -> NodeSnapshot:
    """The inverse of `encode`; keys of a newer version are ignored."""
    return NodeSnapshot(**_known(NodeSnapshot, json.loads(text)))


def decode_room(text: str | bytes) -> RoomSnapshot:
    """The inverse of `encode`; keys of a newer version are ignored."""
    values = _known(RoomSnapshot, json.loads(text))
    values["sessions"] = [SessionSnapshot(**_known(SessionSnapshot, s)) for s in values.get("sessions", [])]
    return RoomSnapshot(**values)


def _known(shape: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in shape.__dataclass_fields__ if name in values}


class Presence:
    """The reader's side, for functions (synchronous Redis)."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def room(self, number: int) -> RoomSnapshot | None:
        """The live room of a meeting, or None where nobody meets."""
        text = cast("bytes | None", self._redis.get(f"room:{number}"))
        return decode_room(text) if text else None

    def rooms(self) -> list[RoomSnapshot]:
        """Every live room, by number."""
        numbers = cast("list[bytes]", self._redis.zrange("rooms", 0, -1))
        return [decode_room(text) for text in self._values("room", numbers)]

    def home(self, number: int) -> str | None:
        """The id of the live node that holds a room, or None. It is known before the room's first snapshot."""
        home = cast("bytes | None", self._redis.get(f"home:{number}"))
        return home.decode() if home and self._redis.exists(b"node:" + home) else None

    def nodes(self) -> list[NodeSnapshot]:
        """Every live media process."""
        return [
            decode_node(text)
            for text in self._values("node", cast("list[bytes]", self._redis.zrange("nodes", 0, -1)))
        ]

    def _values(self, kind: str, ids: list[bytes]) -> list[bytes]:
        keys = [f"{kind}:".encode() + name for name in sorted(ids)]
        found = cast("list[bytes | None]", self._redis.mget(keys)) if keys else []
        return [text for text in found if text]


# KEYS: home of the room. ARGV: HOME_TTL_S, then the candidates of the caller, best first. A home that lives stays,
# else the first candidate that lives takes the room. One script, so two first joins of a room meet on one node.
_PLACE = """
local home = redis.call('GET', KEYS[1])
if home and redis.call('EXISTS', 'node:' .. home) == 1 then return home end
for i = 2, #ARGV do
  local node = ARGV[i]
  if redis.call('EXISTS', 'node:' .. node) == 1 then
    redis.call('SET', KEYS[1], node, 'EX', ARGV[1])
    return node
  end
end
return false
"""

# KEYS: home of the room. ARGV: the node that gives it up. Only its own.
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class AsyncPresence:
    """The tier's side: publishes, places, and reads for the edge (asyncio Redis)."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._redis = redis

    async def publish(self, node: NodeSnapshot, rooms: list[RoomSnapshot], *, now: float) -> None:
        """Refresh a node and its rooms in one round trip; forget what has long expired."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(f"node:{node.node_id}", encode(node), ex=NODE_TTL_S)
        pipe.zadd("nodes", {node.node_id: now})
        pipe.zremrangebyscore("nodes", 0, now - 60)
        for room in rooms:
            pipe.set(f"room:{room.meeting_number}", encode(room), ex=ROOM_TTL_S)
            # A room may outlive its home's expiry, or a Redis that lost what it had.
            pipe.set(f"home:{room.meeting_number}", node.node_id, ex=HOME_TTL_S, nx=True)
            pipe.expire(f"home:{room.meeting_number}", HOME_TTL_S)
            pipe.zadd("rooms", {str(room.meeting_number): now})
        pipe.zremrangebyscore("rooms", 0, now - 60)
        await pipe.execute()

    async def forget_room(self, number: int, node_id: str) -> None:
        """An empty room is gone: its snapshot, and its home where it is still this node."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.delete(f"room:{number}")
        pipe.zrem("rooms", str(number))
        pipe.eval(_RELEASE, 1, f"home:{number}", node_id)
        await pipe.execute()

    async def forget_node(self, node_id: str) -> None:
        """A node that stops says so, instead of expiring."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.delete(f"node:{node_id}")
        pipe.zrem("nodes", node_id)
        await pipe.execute()

    async def nodes(self) -> list[NodeSnapshot]:
        """Every live media process."""
        ids = cast("list[bytes]", await self._redis.zrange("nodes", 0, -1))
        found = await self._redis.mget([b"node:" + name for name in ids]) if ids else []
        return [decode_node(text) for text in found if text]

    async def rooms(self) -> list[RoomSnapshot]:
        """Every live room."""
        numbers = cast("list[bytes]", await self._redis.zrange("rooms", 0, -1))
        found = await self._redis.mget([b"room:" + name for name in numbers]) if numbers else []
        return [decode_room(text) for text in found if text]

    async def place(self, number: int, candidates: list[str]) -> str | None:
        """The node that holds room `number`, decided now where it has none; None where no candidate lives."""
        arguments = [f"home:{number}", str(HOME_TTL_S), *candidates]
        found = await cast("Awaitable[bytes | None]", self._redis.eval(_PLACE, 1, *arguments))
        return found.decode() if found else None
