"""Which media process a caller belongs to."""

import asyncio
from functools import lru_cache

from redis.exceptions import RedisError

from meet.domain.meeting import MeetingRef
from meet.errors import NotFound, Unavailable
from meet.presence import AsyncPresence, NodeSnapshot
from meet.store import meetings

NO_PROCESS = "No media process is running. Please try again later."


@lru_cache(maxsize=10_000)
def _number(ref: MeetingRef) -> int:
    """The number of a meeting, which never changes; one that isn't found is looked up again the next time."""
    meeting = meetings.find(ref)
    if meeting is None:
        raise NotFound
    return meeting.number


async def meeting_number(room_id: str | int) -> int:
    """The number of the meeting that any spelling of decision 1 names; `NotFound`, `Unavailable`."""
    try:
        ref = MeetingRef.parse(room_id)
    except ValueError:
        raise NotFound from None
    if ref.number is not None:
        return ref.number
    return await asyncio.to_thread(_number, ref)


class Placement:
    """Reads who lives from Redis, and settles rooms. Raises `Unavailable` where nobody lives or Redis is away."""

    def __init__(self, presence: AsyncPresence) -> None:
        self._presence = presence

    async def least_loaded(self) -> NodeSnapshot:
        """The process that a caller without a room is sent to."""
        return (await self._by_load())[0]

    async def home(self, room_id: str | int, *, prefer: str = "") -> NodeSnapshot:
        """The process that holds a room, settled now if it has none: on `prefer` or else on the least loaded.

        Raises `NotFound` where `room_id` is no meeting's.
        """
        number = await meeting_number(room_id)
        nodes = await self._by_load()
        # Stable: `prefer` first, the others by load as they were. Nobody new is sent to one that drains.
        candidates = sorted((n for n in nodes if not n.draining), key=lambda n: n.node_id != prefer) or nodes
        try:
            chosen = await self._presence.place(number, [node.node_id for node in candidates])
        except RedisError:
            raise Unavailable from None
        for node in nodes:
            if node.node_id == chosen:
                return node
        raise Unavailable(NO_PROCESS)

    async def _by_load(self) -> list[NodeSnapshot]:
        try:
            nodes = await self._presence.nodes()
        except RedisError:
            raise Unavailable from None
        if not nodes:
            raise Unavailable(NO_PROCESS)
        return sorted(nodes, key=lambda node: (node.draining, node.clients, node.node_id))
