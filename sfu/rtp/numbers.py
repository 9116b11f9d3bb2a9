"""Numbers of a few bits that wrap, counted on (like `seq`, for the counters inside payloads)."""


class Unwrapper:
    """Counts on a number that wraps, whatever the order in which its values come."""

    __slots__ = ("_highest",)

    def __init__(self) -> None:
        self._highest: int | None = None

    def take(self, value: int, bits: int) -> int:
        """The number that ends in `value` and is closest to the highest so far; the first one is `value` itself."""
        highest = self._highest
        if highest is None:
            self._highest = value
            return value
        half = 1 << bits - 1
        number = highest + (value - highest + half & (1 << bits) - 1) - half
        if number > highest:
            self._highest = number
        return number
