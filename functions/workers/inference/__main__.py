"""`python -m functions.workers.inference`: an inference node, until SIGTERM.

Its loop says every five seconds what it is at, and hears commands; threads do the work, one a function, so that a
long recording holds up no short text, and no heartbeat. At SIGTERM what was begun is given back for another node.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

from redis import Redis, RedisError
from redis.asyncio import Redis as AsyncRedis

from meet import control, logs, queue, tracing
from meet.clock import utcnow
from meet.config import settings
from meet.control import Command
from meet.domain.inference import HEARTBEAT_S
from meet.errors import Unavailable
from meet.fleet import Fleet, inbox
from meet.models import registry
from meet.queue import Queue

from ..ffmpeg.folder import own_folder
from .engines.base import Place
from .handler import Worker
from .machine import cores, device, memory_for_models
from .node import Node, runnable
from .shelf import Shelf
from .tally import Tallies

log = logging.getLogger("meet.inference")

AWAY_S = 1.0
"""Between two questions to a server that doesn't answer."""
LEAVE_S = 15.0
"""What the jobs in hand get to be given back."""


def feed(where: Queue, node: Node, busy: Lock, quitting: Event) -> None:
    """Take messages off a queue, one at a time, until the process is to end; `busy` is held meanwhile."""
    while not quitting.is_set():
        try:
            for message in queue.receive(where, visibility_s=settings().job_lease_s):
                extend = partial(_extend, where, message.receipt)
                with busy, tracing.segment("ai-service", message.trace):
                    if node.worker.attend(message.body, extend):
                        queue.done(where, message.receipt)
        except Unavailable as error:
            log.warning("%s does not answer: %s", where, error)
            quitting.wait(AWAY_S)
        except Exception:
            log.exception("a message of %s could not be worked on", where)
            quitting.wait(AWAY_S)


def _extend(where: Queue, receipt: str, visibility_s: int) -> bool:
    return queue.extend(where, receipt, visibility_s=visibility_s)


def start(redis: Redis, home: Path, quitting: Event) -> Node:
    """A node with nothing loaded yet."""
    chosen = settings()
    place = Place(home / "models", chosen.inference_threads or cores(), device())
    place.home.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(registry().models, place, chosen.inference_memory_bytes or memory_for_models())
    node_id = f"node-{secrets.token_hex(4)}"
    tallies = Tallies()
    worker = Worker(node_id, shelf, redis, tallies, quitting)
    return Node(node_id, utcnow(), home, shelf, worker, tallies, slots=max(1, len(runnable(shelf))))


async def live(node: Node, redis: Redis, quitting: Event) -> None:
    """Say what it is at and hear commands, until the process is to end."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    tasks = [asyncio.create_task(beat(node, Fleet(redis))), asyncio.create_task(listen(node, redis))]
    await ended.wait()
    quitting.set()
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def beat(node: Node, fleet: Fleet) -> None:
    """A heartbeat at once, and then every five seconds."""
    while True:
        try:
            await asyncio.to_thread(lambda: fleet.announce(node.snapshot()))
        except RedisError as error:
            log.warning("Redis does not answer: %s", error)
        await asyncio.sleep(HEARTBEAT_S)


async def listen(node: Node, redis: Redis) -> None:
    """Carry out commands as they come, side by side: loading a model takes a while."""
    running: set[asyncio.Task[None]] = set()
    async with AsyncRedis.from_url(settings().redis_url) as ears:
        while True:
            try:
                command = await control.next_command(ears, inbox(node.node_id))
            except RedisError as error:
                log.warning("Redis does not answer: %s", error)
                await asyncio.sleep(AWAY_S)
                continue
            if command is not None:
                task = asyncio.create_task(_answer(node, redis, ears, command))
                running.add(task)
                task.add_done_callback(running.discard)


async def _answer(node: Node, redis: Redis, ears: AsyncRedis, command: Command) -> None:
    reply = await asyncio.to_thread(node.obey, command, redis)
    try:
        await asyncio.to_thread(lambda: Fleet(redis).announce(node.snapshot()))  # who asked sees what came of it
        await control.reply(ears, command, reply)
    except RedisError as error:
        log.warning("nobody hears what came of %s: %s", command.kind, error)


def main() -> int:
    """Work until SIGTERM."""
    logs.start(settings().log_level)
    home = settings().home.resolve()
    quitting = Event()
    with (
        own_folder(home / "inference") as folder,
        Redis.from_url(settings().redis_url, socket_timeout=10, socket_connect_timeout=2) as redis,
    ):
        tempfile.tempdir = str(folder)
        node = start(redis, home, quitting)
        functions = runnable(node.shelf)
        log.info("%s does %s", node.node_id, ", ".join(functions) or "nothing: no engine is installed")
        for model_id, why in node.shelf.lacking.items():
            log.info("%s is not there: %s", model_id, why)
        busy = {Queue.of_function(each): Lock() for each in functions}
        for where, lock in busy.items():
            # A thread that waits for a message holds nothing, and ends with the process.
            Thread(target=feed, args=[where, node, lock, quitting], name=where, daemon=True).start()
        asyncio.run(live(node, redis, quitting))
        for lock in busy.values():
            lock.acquire(timeout=LEAVE_S)
        try:
            Fleet(redis).leave(node.node_id)
        except RedisError as error:
            log.warning("%s is listed for a while, since Redis does not answer: %s", node.node_id, error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
