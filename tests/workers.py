"""Real FFmpeg workers to be killed, the jobs that they are given, and what is left of them.

A worker is `python -m functions.workers.ffmpeg`, but for its imports: those are done once, in the process that all
are forked from.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from functions.workers.ffmpeg.binary import find
from meet import objects, queue
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.job import Job, JobKind, Step
from meet.domain.media import MediaFile, MediaStatus
from meet.orders import Order
from meet.probe.client import examine_file
from meet.queue import Queue
from meet.store import base, jobs, media

LEASE_S = 2
ASK_S = 0.05
"""Between two questions: the one process of the local stack that answers them works for the workers as well."""
PATIENCE_S = 90.0
"""For what happens at last, on a busy machine."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.workers"])


def _work(env: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    settings.cache_clear()
    from functions.workers.ffmpeg.__main__ import main

    sys.exit(main())


class Bench:
    """Where jobs are given to workers: tables, queues and a bucket of its own."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.workers: list[BaseProcess] = []

    def start_worker(self) -> BaseProcess:
        """A worker, which takes messages soon."""
        worker = _forks.Process(target=_work, args=[self.env])
        worker.start()
        self.workers.append(worker)
        return worker

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.join(20)
            assert worker.exitcode is not None

    def put(self, path: Path, filename: str) -> MediaFile:
        """A file of nobody's, that is ready."""
        found = examine_file(path)
        media_id = new_id()
        file = MediaFile(
            media_id=media_id,
            owner_id="alice",
            filename=filename,
            file_type=found.kind.file_type,
            mime_type=found.kind.mime_type,
            uploaded_at=utcnow(),
            blob=objects.upload_file(path, objects.upload_key(media_id), found.kind.mime_type),
            facts=found.facts,
        )
        media.create(file)
        return file

    def order(self, kind: JobKind, inputs: Sequence[MediaFile], orders: Sequence[Order]) -> Job:
        """A new job, as a function makes it, whose message isn't sent yet."""
        job_id = new_id()
        steps = tuple(Step(new_id(), order.operation, order.options) for order in orders)
        ids = tuple(file.media_id for file in inputs)
        job = Job(job_id, kind, "alice", ids, steps, estimated_s=1, created_at=utcnow())
        outputs = [
            MediaFile(
                media_id=step.media_id,
                owner_id="alice",
                filename=order.name,
                file_type=order.file_type,
                mime_type=order.mime_type,
                uploaded_at=utcnow(),
                status=MediaStatus.PROCESSING,
                job_id=job_id,
            )
            for step, order in zip(steps, orders, strict=True)
        ]
        jobs.create(job, outputs)
        return job

    def objects_of(self, job: Job) -> list[str]:
        """The keys of all objects that were made for a job's outputs."""
        return [one.key for step in job.steps for one in objects.every(f"{objects.MEDIA}{step.media_id}/")]

    def waiting(self, name: str) -> int:
        """Messages of a queue, seen or not."""
        client = queue.client()
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def send_raw(self, body: object) -> None:
        """A message that may be no job's."""
        text = body if isinstance(body, str) else json.dumps(body)
        queue.client().send_message(QueueUrl=queue.url(Queue.FFMPEG), MessageBody=text)

    def assert_made_once(self, job: Job) -> Job:
        """The job is completed, and there is just one object for each output, and its thumbnail."""
        ended = jobs.get(job.job_id)
        assert ended.status == "completed", ended
        for step in job.steps:
            file = media.get(step.media_id)
            assert file.status is MediaStatus.READY
            assert file.blob is not None
            there = {one.key for one in objects.every(f"{objects.MEDIA}{step.media_id}/")}
            assert there == set(media.keys_of(file))
            assert objects.head(file.blob.key) == file.blob
        return ended


def until(ask: Callable[[], Any], what: str = "it") -> Any:
    """Wait until the answer is true; the answer."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(ASK_S)
    return answer


@contextmanager
def worker_bench(backend: Mapping[str, str], home: Path, **overrides: str) -> Iterator[Bench]:
    """A bench over the running servers; this process's settings are its settings meanwhile."""
    name = new_id()[:8]
    env = {
        **backend,
        "PATH": os.environ["PATH"],
        "MEET_HOME": str(home),
        "MEET_TABLE_PREFIX": f"{name}-",
        "MEET_QUEUE_PREFIX": f"{name}-",
        "MEET_BUCKET": f"bucket-{name}",
        "MEET_JOB_LEASE_S": str(LEASE_S),
        **overrides,
    }
    caches = [settings, base._connect, queue._connect, queue._url, objects._connect]
    with pytest.MonkeyPatch.context() as environment:
        for key, value in env.items():
            environment.setenv(key, value)
        for cache in caches:
            cache.cache_clear()
        base.create_tables()
        queue.ensure_queues()
        objects.ensure_bucket()
        bench = Bench(env)
        try:
            yield bench
        finally:
            bench.stop()
    for cache in caches:
        cache.cache_clear()


def clip(path: Path, *, seconds: float = 3, size: str = "480x270", rate: int = 24, sound: bool = True) -> Path:
    """A video of moving patterns, with a tone or silent; the extension chooses its format."""
    pictures = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]
    tone = ["-f", "lavfi", "-i", f"sine=440:duration={seconds}"] if sound else []
    fast = ["-deadline", "realtime", "-cpu-used", "8"] if path.suffix == ".webm" else ["-preset", "ultrafast"]
    command = [find(), "-v", "error", "-nostdin", *pictures, *tone, *fast, "-pix_fmt", "yuv420p", "-y", str(path)]
    subprocess.run(command, check=True)
    return path
