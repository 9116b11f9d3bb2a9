"""The two clocks of a media process."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Clocks:
    """`wall` is Unix time, which signaling stamps and counts by; `monotonic` is what packets are timed by."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic

    def utcnow(self) -> datetime:
        """`wall` as the domain has it."""
        return datetime.fromtimestamp(self.wall(), UTC)
