"""What is recorded on its way to the bucket, while it is recorded: an object a fragment.

Lanes are independent of each other, and within one nothing overtakes anything: whatever is in the bucket of a track
is its file from the beginning on. While the bucket is away, all waits, and is tried again. One that was away for
`AWAY_S` is given up, and so is everything where there is no more room to wait in.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic

from botocore.exceptions import BotoCoreError, ClientError

from meet import objects
from meet.errors import MeetError
from sfu.egress.spool import Spool, SpoolFull, Waiting

log = logging.getLogger("meet.sfu.egress")

AWAY_S = 90.0
"""An outage of 30 s is survived, though a request that it began with may hang for another 30 s."""
RETRY_S = 0.5
AT_ONCE = 8
"""Requests: 25 people's tracks at 50 ms an object a second."""

AWAY = "The file store did not take what was recorded for too long."
BUG = "What was recorded could not be kept."
NO_ROOM = "There was no room left for what the file store did not take."

Put = Callable[[str, bytes, str], object]
"""`meet.objects.put_bytes`: blocks."""


@dataclass(eq=False, slots=True)
class _Fragment:
    key: str
    mime: str
    waiting: Waiting
    since: float
    sending: bool = False


class Fragments:
    """The way to the bucket. All methods are called from one event loop; none but `idle` and `drain` waits."""

    def __init__(
        self,
        put: Put = objects.put_bytes,
        *,
        spool: Spool | None = None,
        clock: Callable[[], float] = monotonic,
        away_s: float = AWAY_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.error: str | None = None
        """Why nothing is taken any more, in a sentence for the recording's owner."""
        self._put, self._clock = put, clock
        self._away_s, self._retry_s = away_s, retry_s
        self._spool = spool or Spool()
        self._lanes: dict[str, deque[_Fragment]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fragments")
        self._answered = float("-inf")
        """When the bucket took something last."""
        self._away = False

    def add(self, lane: str, key: str, data: bytes, mime: str, *, replaces: bool = False) -> None:
        """Bring an object to the bucket. `replaces`: what still waits of the same key need not go there before."""
        if self.error is not None:
            return
        waiting = self._lanes.get(lane)
        if waiting is None:
            waiting = self._lanes[lane] = deque()
            task = asyncio.ensure_future(self._empty(lane))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        since = self._clock()
        if replaces and waiting and waiting[-1].key == key and not waiting[-1].sending:
            former = waiting.pop()
            self._spool.remove(former.waiting)
            since = former.since
        try:
            waiting.append(_Fragment(key, mime, self._spool.put(data), since))
        except SpoolFull:
            self._fail(NO_ROOM)

    def check(self) -> None:
        """See whether the bucket is away for good; to be called every now and then."""
        oldest = min((lane[0].since for lane in self._lanes.values() if lane), default=float("inf"))
        if self.error is None and self._clock() - max(oldest, self._answered) > self._away_s:
            self._fail(AWAY)

    async def idle(self) -> None:
        """Until all of it is in the bucket, or `error` says why not."""
        while self._tasks and self.error is None:
            await asyncio.wait(self._tasks, timeout=self._retry_s)
            self.check()

    async def drain(self) -> None:
        """The same, after which nothing more can be added."""
        await self.idle()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A request that hangs is not waited for.
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._spool.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a bug", exc_info=task.exception())
            self._fail(BUG)

    async def _empty(self, lane: str) -> None:
        waiting = self._lanes[lane]
        while waiting and self.error is None:
            if await self._sent(waiting[0]):
                self._spool.remove(waiting.popleft().waiting)
            else:
                await asyncio.sleep(self._retry_s)
        self._lanes.pop(lane, None)

    async def _sent(self, fragment: _Fragment) -> bool:
        async with self._slots:
            fragment.sending = True
            try:
                data = self._spool.read(fragment.waiting)
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, self._put, fragment.key, data, fragment.mime)
            except (MeetError, BotoCoreError, ClientError, OSError) as error:
                fragment.sending = False
                if not self._away:  # once an outage: a line for each attempt would fill a disk
                    self._away = True
                    log.warning("%s is not in the bucket yet, and tried again: %s", fragment.key, error)
                return False
        self._answered = self._clock()
        if self._away:
            self._away = False
            log.warning("the bucket takes what is recorded again")
        return True

    def _fail(self, reason: str) -> None:
        log.error("what is recorded is lost: %s", reason)
        self.error = reason
        self._lanes.clear()
