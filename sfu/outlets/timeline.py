"""The time that a recording counts: it stands still during pauses."""


class Timeline:
    """Seconds since the beginning, without pauses. `now` is monotonic."""

    def __init__(self, began: float) -> None:
        self._began = began
        """When it would have begun, had there been no pauses."""
        self.paused_at: float | None = None
        """Since when it stands still; None: it does not."""

    def at(self, now: float) -> float:
        """Where it stands."""
        return (now if self.paused_at is None else self.paused_at) - self._began

    def pause(self, now: float) -> None:
        """Stand still; again: nothing."""
        if self.paused_at is None:
            self.paused_at = now

    def resume(self, now: float) -> None:
        """Go on; again: nothing."""
        if self.paused_at is not None:
            self._began += now - self.paused_at
            self.paused_at = None
