"""Direct uploads that were begun, in Redis.

    upload:{media_id}    JSON; gone by itself when nobody has completed it, as what arrived of it is swept

Losing one costs its client a new upload, and nobody anything else.
"""

import json
from dataclasses import asdict, dataclass

from redis.asyncio import Redis

from meet.errors import NotFound
from sfu.edge.registration import Labels


@dataclass(frozen=True, slots=True)
class PendingUpload:
    """A file of `size` bytes that its client sends to the bucket itself, in parts of `part_size` but for the last."""

    media_id: str
    owner_id: str
    key: str
    multipart_id: str
    size: int
    part_size: int
    labels: Labels

    @property
    def part_sizes(self) -> list[int]:
        """The size of each part, the first being number 1."""
        whole, rest = divmod(self.size, self.part_size)
        return [self.part_size] * whole + [rest] * bool(rest)


class PendingUploads:
    """All of them. Methods raise `redis.exceptions.RedisError`, which is answered with 503."""

    def __init__(self, redis: Redis, lifetime_s: int) -> None:
        self._redis = redis
        self._lifetime_s = lifetime_s

    async def put(self, upload: PendingUpload) -> None:
        """Keep one that has begun."""
        await self._redis.set(_key(upload.media_id), json.dumps(asdict(upload)), ex=self._lifetime_s)

    async def find(self, media_id: str, owner_id: str) -> PendingUpload | None:
        """The user's own of this id, or None."""
        text = await self._redis.get(_key(media_id))
        if text is None:
            return None
        kept = json.loads(text)
        upload = PendingUpload(**(kept | {"labels": Labels(**kept["labels"])}))
        return upload if upload.owner_id == owner_id else None

    async def get(self, media_id: str, owner_id: str) -> PendingUpload:
        """The user's own of this id; else `NotFound`."""
        upload = await self.find(media_id, owner_id)
        if upload is None:
            raise NotFound("There is no such upload, or it was begun too long ago")
        return upload

    async def drop(self, media_id: str) -> bool:
        """It has ended, one way or the other; False where somebody else said so first."""
        return bool(await self._redis.delete(_key(media_id)))


def _key(media_id: str) -> str:
    return f"upload:{media_id}"
