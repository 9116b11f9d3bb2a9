"""A node's work: messages of the queues in, answers in the rows of their jobs, whatever happens in between.

It goes as the FFmpeg worker's does (`functions.workers.ffmpeg.handler`): a job is claimed as an attempt with a lease,
only the holder of the latest attempt ends it, and what is written by others is taken back. In addition a claim tells
who took the job, so that who takes it over from a node that died can say so (`Fleet.took_over`), and the end of a job
is announced to who waits for it.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event

from redis import Redis, RedisError

from meet import completion, objects, queue, results
from meet.clock import utcnow
from meet.config import settings
from meet.domain.inference import Tally
from meet.domain.job import Job
from meet.errors import Unavailable
from meet.fleet import Fleet
from meet.store import jobs, media

from ..ffmpeg.lease import Lease
from ..ffmpeg.run import Stopped
from .engines.base import Refused, Unloadable, Watch
from .parts import Parts, clean_up
from .shelf import InsufficientMemory, Shelf
from .tally import Tallies
from .work import Done, answer

log = logging.getLogger("meet.inference")

MOST_ATTEMPTS = 5
"""How often a job is taken; the nodes of that many died of it."""
ELSEWHERE_S = 0.2
"""Before a job that this node can't do is offered again."""
DONE_SHARE = 95
"""Of the progress, when the engine is done."""
Extend = Callable[[int], object]
"""Keeps the message from others for so many seconds."""


class Worker:
    """The hands of one node."""

    def __init__(self, node_id: str, shelf: Shelf, redis: Redis, tallies: Tallies, quitting: Event) -> None:
        self.node_id = node_id
        self._at: set[str] = set()
        self._shelf = shelf
        self._redis = redis
        self._fleet = Fleet(redis)
        self._tallies = tallies
        self._quitting = quitting

    @property
    def active(self) -> int:
        """Jobs that it is at, each part of a long recording as well."""
        return len(self._at)

    def attend(self, body: str, extend: Extend) -> bool:
        """Work on what one message names; whether the message is done."""
        try:
            job_id = queue.job_id_of(body)
        except ValueError as error:
            log.error("a message names no job (%s): %.200r", error, body)
            extend(0)
            return False
        extend(settings().job_lease_s)
        return self.do(job_id, extend)

    def do(self, job_id: str, extend: Extend = lambda seconds: None) -> bool:
        """Do a job, unless it is over or in other hands; whether nothing is left to do."""
        now = utcnow()
        before = jobs.find(job_id)
        if before is not None and not before.is_over:
            why = self._shelf.lacking.get(str(before.options.get("model")))
            if why is not None:
                return self._hand_on(before, why)
        job = jobs.claim(job_id, now=now, lease_s=settings().job_lease_s, worker=self.node_id)
        if job is None:
            found = jobs.find(job_id)
            if found is not None and found.is_held(now) and found.held_until is not None:
                extend(math.ceil((found.held_until - now).total_seconds()))  # its holder may be gone by then
            return found is None or found.is_over
        if before is not None and before.worker not in (None, self.node_id):
            self._tell_of_death(before)
        if job.attempt > MOST_ATTEMPTS:
            self._fail(job, f"It was tried {MOST_ATTEMPTS} times, and each time the node ended before the job did.")
            return True
        self._at.add(job_id)
        try:
            return self._work(job, extend)
        finally:
            self._at.discard(job_id)

    def _work(self, job: Job, extend: Extend) -> bool:
        began = time.monotonic()
        written: list[str] = []
        deadline = began + settings().inference_most_s
        lease = Lease(job, partial(extend, settings().job_lease_s), quitting=self._quitting, deadline=deadline)

        def told(share: float) -> None:
            lease.progress = int(share * DONE_SHARE)

        try:
            with tempfile.TemporaryDirectory(prefix="meet-inference-") as folder, lease:
                watch = Watch(lease.stop, told)
                done = answer(job, self._shelf, Path(folder), watch, written=written, divide=Parts(self.do))
                is_ours = _complete(job, done, written)
        except (Refused, Unloadable, InsufficientMemory) as error:
            log.warning("job %s failed: %s", job.job_id, error)
            self._fail(job, str(error), time.monotonic() - began)
            _take_back(written)
        except Stopped:
            _take_back(written)
            if lease.is_late and not lease.lost:
                self._fail(job, "It takes longer than it may.", time.monotonic() - began, timed_out=True)
                return True
            lease.give_back()
            if not lease.lost:  # the process ends
                extend(0)
                return False
            log.info("job %s is no longer this node's", job.job_id)
            found = jobs.find(job.job_id)
            return found is None or found.is_over
        except Exception:
            lease.give_back()
            _take_back(written)
            raise
        else:
            self._ended(job, Tally(succeeded=int(is_ours), busy_s=time.monotonic() - began))
        return True

    def _fail(self, job: Job, why: str, busy_s: float = 0.0, *, timed_out: bool = False) -> None:
        jobs.fail(job, why)
        self._ended(job, Tally(failed=1, timed_out=int(timed_out), busy_s=busy_s))

    def _ended(self, job: Job, tally: Tally) -> None:
        """Tell who waits, count it, and leave nothing behind. None of it changes what the row says."""
        try:
            completion.announce(self._redis, job.job_id)
        except RedisError as error:
            log.warning("the end of job %s is not announced: %s", job.job_id, error)
        if job.part_of is None:
            self._tallies.add(tally)
        try:
            results.forget_given(job)
            if job.part_of is None:
                clean_up(job)
        except Unavailable as error:
            log.warning("what job %s was given is left to the bucket's own rules: %s", job.job_id, error)

    def _hand_on(self, job: Job, why: str) -> bool:
        """Offer a job to the other nodes, as long as there is one that can do it."""
        model_id = str(job.options.get("model"))
        now = utcnow()
        if not any(node.can_run(model_id) for node in self._fleet.online(now) if node.node_id != self.node_id):
            now_mine = jobs.claim(job.job_id, now=now, lease_s=settings().job_lease_s, worker=self.node_id)
            if now_mine is not None:
                self._fail(now_mine, f"No node can run {model_id}: {why}")
            return now_mine is not None
        self._quitting.wait(ELSEWHERE_S)
        queue.send(job)  # anew: the old message would count how often it was looked at
        return True

    def _tell_of_death(self, before: Job) -> None:
        """Say that a job was left by its node, where that died: one that ended in order gave it back and left.

        A node that lives on after it lost a job is heard of until the lease lapses; one that died is not heard of
        any later than its last renewal and a third of the lease.
        """
        if before.held_until is None:
            return
        heard_of = before.held_until - timedelta(seconds=settings().job_lease_s / 2)
        try:
            failed = self._fleet.node(str(before.worker))
            if failed is not None and failed.last_heartbeat < heard_of:
                self._fleet.took_over(failed, self.node_id, at=utcnow())
        except RedisError as error:
            log.warning("that %s took over from %s is not told: %s", self.node_id, before.worker, error)


def _complete(job: Job, done: Done, written: list[str]) -> bool:
    """End the job with its answer; whether it was this attempt's to end. No object is left that is nobody's."""
    with suppress(Unavailable):  # what is left is swept
        results.forget_earlier(job)
    if done.output is not None:
        kept = jobs.complete(job, [done.output], result=done.body)
        keys = {key for file in kept for key in media.keys_of(file)}
        _take_back([key for key in written if key not in keys])
        return bool(kept)
    if done.file_key is not None:
        is_ours = jobs.answer(job, done.body, done.file_key)
    else:
        body, key = results.place_result(job, done.body)
        written += [key] if key else []
        is_ours = jobs.answer(job, body, key)
    if not is_ours:
        _take_back(written)
    return is_ours


def _take_back(keys: list[str]) -> None:
    """Delete objects that are nobody's."""
    try:
        objects.delete_many(keys)
    except Unavailable as error:
        log.warning("objects without a row are left to be swept: %s", error)
