"""What came of a node's requests: all of them, and those of the last minute."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock

from meet.domain.inference import Tally

WINDOW_S = 60.0


class Tallies:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._total = Tally()
        self._recent: deque[tuple[float, Tally]] = deque()

    def add(self, one: Tally, *, now: float | None = None) -> None:
        """One more that ended."""
        with self._lock:
            self._total += one
            self._recent.append((time.monotonic() if now is None else now, one))

    def read(self, *, now: float | None = None) -> tuple[Tally, Tally]:
        """Of all time, and of the last `WINDOW_S`."""
        with self._lock:
            since = (time.monotonic() if now is None else now) - WINDOW_S
            while self._recent and self._recent[0][0] < since:
                self._recent.popleft()
            return self._total, sum((each for _, each in self._recent), Tally())
