"""Real inference nodes to be asked and killed, and the jobs that they are given."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from meet import objects, queue, results
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.control import Command, Reply, call
from meet.domain.inference import InferenceNode
from meet.domain.job import Given, Job, JobKind
from meet.fleet import Fleet, inbox
from meet.store import base, jobs
from tests.conftest import ROOT
from tests.engines import node_environment, python

LEASE_S = 3
ASK_S = 0.1
PATIENCE_S = 300.0
"""For what happens at last: models compute, and on a busy machine others compute as well."""


def until(ask: Callable[[], Any], what: str) -> Any:
    """Wait until the answer is true; the answer."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(ASK_S)
    return answer


class Nodes:
    """Nodes over tables, queues and a bucket of their own."""

    def __init__(self, env: Mapping[str, str], venv: str = "inference") -> None:
        self.env = dict(env)
        self.redis = Redis.from_url(settings().redis_url, socket_timeout=None)  # a command may take a minute
        self.fleet = Fleet(self.redis)
        self._venv = venv
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, **more: str) -> tuple[subprocess.Popen[bytes], InferenceNode]:
        """A node, once it told of itself."""
        command = [str(python(self._venv)), "-m", "functions.workers.inference"]
        process = subprocess.Popen(command, env=self.env | more, cwd=ROOT)
        self._running.append(process)

        def told() -> InferenceNode | None:
            assert process.poll() is None, "the node ended"
            return next((each for each in self.fleet.nodes() if each.address.endswith(f":{process.pid}")), None)

        return process, until(told, "a node")

    def stop(self) -> None:
        """End those that run, which must go well."""
        for process in self._running:
            if process.poll() is None:
                process.terminate()
                assert process.wait(PATIENCE_S) == 0
        self._running.clear()

    def tell(self, node: InferenceNode, command: Command, timeout_s: float = 60) -> Reply:
        """What a node answers to a command."""
        return call(self.redis, inbox(node.node_id), command, timeout_s=timeout_s)

    def order(
        self,
        kind: JobKind,
        model: str,
        *,
        path: Path | None = None,
        mime_type: str = "audio/wav",
        text: str = "",
        **options: Any,
    ) -> Job:
        """A job, as a function makes it, in its queue."""
        job_id = new_id()
        given = None
        if path is not None:
            given = Given(results.given_key(job_id), mime_type)
            objects.upload_file(path, given.key, mime_type)
        elif text:
            more, given = results.place_text(job_id, text)
            options |= more
        options["model"] = model
        job = Job(job_id, kind, "alice", (), (), 1, utcnow(), given=given, options=options)
        jobs.create(job, [])
        queue.send(job)
        return job

    def ended(self, job: Job) -> Job:
        """The job once it is over."""
        return until(lambda: (now := jobs.get(job.job_id)).is_over and now, f"the end of the {job.kind}")

    def objects_of(self, job: Job) -> list[str]:
        """The keys of what was written for a job, and for its parts."""
        return [each.key for each in objects.every(f"{results.PREFIX}{job.job_id}")]


@contextmanager
def node_bench(backend: Mapping[str, str], home: Path, venv: str = "inference", **more: str) -> Iterator[Nodes]:
    """Nodes, of which none runs yet, on a Redis database that nobody else uses."""
    name = f"nodes-{new_id()[:8]}"
    env = node_environment() | dict(backend)
    env |= {
        "MEET_HOME": str(home),
        "MEET_REDIS_URL": backend["MEET_REDIS_URL"].removesuffix("/0") + "/63",
        "MEET_TABLE_PREFIX": f"{name}-",
        "MEET_QUEUE_PREFIX": f"{name}-",
        "MEET_BUCKET": name,
        "MEET_JOB_LEASE_S": str(LEASE_S),
        "MEET_INFERENCE_THREADS": "1",
    } | more
    caches = [settings, base._connect, queue._connect, queue._url, objects._connect]
    with pytest.MonkeyPatch.context() as patch:
        for variable in (*os.environ, *env):
            if variable.startswith(("MEET_", "AWS_")):
                patch.delenv(variable, raising=False)
        for variable, value in env.items():
            patch.setenv(variable, value)
        for cache in caches:
            cache.cache_clear()
        base.create_tables()
        queue.ensure_queues()
        objects.ensure_bucket()
        nodes = Nodes(env, venv)
        nodes.redis.flushdb()
        try:
            yield nodes
        finally:
            nodes.stop()
            nodes.redis.close()
    for cache in caches:
        cache.cache_clear()
