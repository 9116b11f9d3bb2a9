"""Holding a job while it is worked on: its lease in the table and its message in the queue, moved by one thread.

    with Lease(job, extend, quitting=event) as lease:
        …                                  # watches lease.stop
        lease.progress = 40

`stop` is set where the work is of no use any more or must not go on here: the job was cancelled or is another's
(`lost`), the process was asked to quit, or its time is over. A lease that could not be moved in time counts as lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from types import TracebackType

from meet.clock import utcnow
from meet.config import settings
from meet.domain.job import Job
from meet.errors import Unavailable
from meet.store import jobs

log = logging.getLogger("meet.worker")

WATCH_S = 0.1
"""How often it is looked whether to quit."""
MOVES = 3
"""Within the time of a lease: two may fail."""


class Lease:
    """A claimed job in this worker's hands. `extend` keeps its message from others."""

    def __init__(
        self, job: Job, extend: Callable[[], object], *, quitting: Event, deadline: float | None = None
    ) -> None:
        self.job = job
        self.progress = job.progress
        self.stop = Event()
        self.lost = False
        self._extend = extend
        self._quitting = quitting
        self._deadline = deadline
        self._lease_s = settings().job_lease_s
        self._ended = Event()
        self._thread = Thread(target=self._hold, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def give_back(self) -> None:
        """Let the next worker take the job at once, as far as that can be arranged: the lease lapses in any case."""
        if self.lost:
            return
        try:
            jobs.renew(self.job, progress=self.progress, until=utcnow())
        except Unavailable as error:
            log.warning("job %s could not be given back: %s", self.job.job_id, error)

    @property
    def is_late(self) -> bool:
        """Whether the time that this process has is over."""
        return self._deadline is not None and time.monotonic() > self._deadline

    def _hold(self) -> None:
        moved = tried = time.monotonic()
        while not self._ended.wait(WATCH_S):
            now = time.monotonic()
            if self._quitting.is_set() or self.is_late:
                self.stop.set()
            if now - tried < self._lease_s / MOVES:
                continue
            tried = now
            try:
                is_ours = self._move()
                moved = now
            except Exception:
                log.exception("the lease of job %s could not be moved", self.job.job_id)
                is_ours = now - moved < self._lease_s
            if not is_ours:
                self.lost = True
                self.stop.set()
                return

    def _move(self) -> bool:
        until = utcnow() + timedelta(seconds=self._lease_s)
        if jobs.renew(self.job, progress=self.progress, until=until) is None:
            return False
        self._extend()
        return True
