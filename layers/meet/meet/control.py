"""How a function asks a media process for something: `call(node, Command) -> Reply`, over two Redis lists.

A command is taken by its node at most once. It is idempotent by design, so a caller that heard nothing may repeat
it. A reply that nobody waits for expires.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from meet.clock import new_id
from meet.errors import Unavailable

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis

REPLY_TTL_S = 30

Kind = Literal[
    "close-room",
    "remove-participant",
    "set-media-state",
    "start-recording",
    "pause-recording",
    "resume-recording",
    "stop-recording",
    "start-stream",
    "stop-stream",
    "load-model",
    "unload-model",
    "check-health",
]


@dataclass(frozen=True, slots=True)
class Command:
    """What is asked.

    `close-room` {meeting_number, reason}: everybody is kicked, the room is gone.
    `remove-participant` {meeting_number, user_id, reason}: that participant leaves; unknown is fine.
    `set-media-state` {meeting_number, peer_id, audio_enabled?, video_enabled?, screen_sharing?, video_quality?}:
    the reply's `data` is {user_id, media_state}; status `not-found` where the peer is gone.
    `start-recording` {meeting_number, recording_id, quality, audio, video, screen}: `ok` once it runs, again: the
    same; `not-found` where nobody is in the room, `refused` with {reason} where the recorder does not start.
    `pause-recording`, `resume-recording`, `stop-recording` {meeting_number, recording_id}: `not-found` where it
    doesn't run. `stop` answers when all is in the bucket and the job that makes the file is queued.
    `start-stream` {meeting_number, stream_id, stream_type, width, height, bitrate_bps, frame_rate, rtmp_url?} and
    `stop-stream` {meeting_number, stream_id}: likewise.

    Of an inference node (`meet.fleet`): `load-model` {model_id}: `ok` once it is loaded, with {load_s, memory_bytes};
    `refused` with {code, reason}: `insufficient-memory`, `unavailable` or `failed`. `unload-model` {model_id}: `ok`
    with {freed_bytes}, `not-found` where it isn't loaded. `check-health` {}: `ok` with {checks: {name: pass/fail}}.
    """

    kind: Kind
    data: dict[str, Any] = field(default_factory=dict)
    command_id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of it."""

    status: Literal["ok", "not-found", "refused"]
    data: dict[str, Any] = field(default_factory=dict)


def call(redis: Redis, node_id: str, command: Command, *, timeout_s: float = 5.0) -> Reply:
    """Ask a node and wait for its reply; `Unavailable` (503) where none comes in time."""
    inbox = f"control:{node_id}"
    pipe = redis.pipeline(transaction=True)
    pipe.rpush(inbox, json.dumps(asdict(command)))
    pipe.expire(inbox, REPLY_TTL_S)
    pipe.execute()
    found = cast("list[bytes] | None", redis.blpop([f"reply:{command.command_id}"], timeout=timeout_s))
    if found is None:
        raise Unavailable("The room's media process did not answer in time. Please try again later.")
    return Reply(**json.loads(found[1]))


async def next_command(redis: AsyncRedis, node_id: str, *, timeout_s: float = 1.0) -> Command | None:
    """The node's side: the next command, or None after `timeout_s` without one."""
    waiting = redis.blpop([f"control:{node_id}"], timeout=timeout_s)
    found = await cast("Awaitable[list[bytes] | None]", waiting)
    return Command(**json.loads(found[1])) if found else None


async def reply(redis: AsyncRedis, command: Command, answer: Reply) -> None:
    """The node's side: answer a command."""
    key = f"reply:{command.command_id}"
    pipe = redis.pipeline(transaction=True)
    pipe.rpush(key, json.dumps(asdict(answer)))
    pipe.expire(key, REPLY_TTL_S)
    await pipe.execute()
