"""A recording's own time: it begins with its first take, and does not go on while it is paused."""


class Timeline:
    """From the machine's monotonic clock to seconds of the recording."""

    def __init__(self, begins_s: float, begins_at: float) -> None:
        """It stands at `begins_s` at the monotonic moment `begins_at`."""
        self.begins_s = begins_s
        self._at = begins_at
        self._pauses: list[tuple[float, float]] = []
        """From and until when; the last one may have no end yet."""

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return bool(self._pauses) and self._pauses[-1][1] == float("inf")

    def pause(self, now: float) -> None:
        """Stand still from now on; paused already is fine."""
        if not self.paused:
            self._pauses.append((now, float("inf")))

    def resume(self, now: float) -> None:
        """Go on; not paused is fine."""
        if self.paused:
            began, _ = self._pauses.pop()
            self._pauses.append((began, max(now, began)))

    def position(self, now: float) -> float:
        """Where it stands."""
        stood = sum(min(until, now) - began for began, until in self._pauses if began < now)
        return self.begins_s + now - self._at - stood

    def place(self, at: float) -> float | None:
        """Where what was captured at this moment belongs; None for what fell into a pause.

        Below `begins_s` for what was captured before the beginning.
        """
        if any(began <= at < until for began, until in self._pauses):
            return None
        return self.position(at)
