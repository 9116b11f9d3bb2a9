"""How often what dies may be begun anew."""

from collections import deque

MOST = 5
WITHIN_S = 60.0


class Restarts:
    """The deaths of the last minute: one that dies at once each time would only take time from the calls."""

    def __init__(self, most: int = MOST, within_s: float = WITHIN_S) -> None:
        self._deaths: deque[float] = deque(maxlen=most + 1)
        self._most = most
        self._within_s = within_s

    def may(self, now: float) -> bool:
        """It died at this moment: whether it may be begun once more."""
        self._deaths.append(now)
        return sum(now - death < self._within_s for death in self._deaths) <= self._most
