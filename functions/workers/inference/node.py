"""What a node says of itself every five seconds, and what it is told to do."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis import Redis, RedisError

from meet.clock import utcnow
from meet.control import Command, Reply
from meet.domain.inference import Function, InferenceNode
from meet.models import registry

from .engines.base import UNWATCHED, Unloadable
from .handler import Worker
from .machine import device, usage
from .shelf import InsufficientMemory, Shelf
from .tally import Tallies

log = logging.getLogger("meet.inference")

LEAST_DISK = 500_000_000
"""Free bytes, or a node has no room to work."""
MOST_MEMORY_PERCENT = 97.0


@dataclass(frozen=True, slots=True)
class Node:
    """One process that runs models."""

    node_id: str
    started_at: datetime
    home: Path
    shelf: Shelf
    worker: Worker
    tallies: Tallies
    slots: int

    def snapshot(self) -> InferenceNode:
        """All of it, as it is now."""
        used = usage(self.home)
        total, minute = self.tallies.read()
        return InferenceNode(
            node_id=self.node_id,
            address=f"{socket.gethostname()}:{os.getpid()}",
            started_at=self.started_at,
            last_heartbeat=utcnow(),
            functions=self.shelf.functions,
            available=self.shelf.available,
            obtainable=self.shelf.obtainable,
            lacking=self.shelf.lacking,
            loaded=self.shelf.loaded,
            memory_bytes=self.shelf.memory_bytes,
            cpu_percent=used.cpu_percent,
            memory_percent=used.memory_percent,
            gpu_percent=used.gpu_percent,
            gpu_memory_percent=used.gpu_memory_percent,
            disk_free_bytes=used.disk_free_bytes,
            active=self.worker.active,
            slots=self.slots,
            total=total,
            minute=minute,
        )

    def obey(self, command: Command, redis: Redis) -> Reply:
        """Carry a command out, however long it takes."""
        model_id = str(command.data.get("model_id", ""))
        match command.kind:
            case "load-model":
                return self._load(model_id)
            case "unload-model":
                freed = self.shelf.unload(model_id)
                return Reply("not-found") if freed is None else Reply("ok", {"freed_bytes": freed})
            case "check-health":
                return Reply("ok", {"checks": self._checks(redis)})
            case _:
                return Reply("refused", {"code": "failed", "reason": f"A node does not know {command.kind}"})

    def _load(self, model_id: str) -> Reply:
        model = registry().find(model_id)
        if model is None:
            return Reply("not-found")
        try:
            loaded = self.shelf.load(model, UNWATCHED)
        except InsufficientMemory as error:
            return Reply("refused", {"code": "insufficient-memory", "reason": str(error)})
        except Unloadable as error:
            return Reply("refused", {"code": "unavailable", "reason": str(error)})
        except Exception as error:
            log.exception("%s could not be loaded", model_id)
            return Reply("refused", {"code": "failed", "reason": f"{type(error).__name__}: {error}"})
        return Reply("ok", {"load_s": loaded.load_s, "memory_bytes": loaded.memory_bytes})

    def _checks(self, redis: Redis) -> dict[str, str]:
        used = usage(self.home)
        try:
            connected = bool(redis.ping())
        except RedisError:
            connected = False
        checks = {
            "connectivity": connected,
            "memory": used.memory_percent < MOST_MEMORY_PERCENT,
            "disk": used.disk_free_bytes > LEAST_DISK,
        }
        if device() == "cuda":
            checks["gpu"] = used.gpu_memory_percent is not None and used.gpu_memory_percent < MOST_MEMORY_PERCENT
        return {name: "pass" if is_well else "fail" for name, is_well in checks.items()}


def runnable(shelf: Shelf) -> list[Function]:
    """The functions of which it has a model, or could fetch one: whose queues it takes from."""
    ids = {*shelf.available, *shelf.obtainable}
    return [each for each in Function if any(m.model_id in ids for m in registry().models if m.function is each)]
