"""How loud each track was over time, for a composition that shows who speaks."""

import json

from meet.domain.capture import SILENCE

STEP_S = 0.1
"""Of every so long the loudest counts: half a syllable."""


class Loudness:
    """The levels of RFC 6464 of one take, until they are written down."""

    def __init__(self) -> None:
        self._loudest: dict[tuple[int, int], int] = {}
        """By (step, track number)."""

    def heard(self, number: int, at_s: float, level: int) -> None:
        """A packet of this track was so loud."""
        if level < SILENCE:
            key = int(at_s / STEP_S), number
            self._loudest[key] = min(level, self._loudest.get(key, SILENCE))

    def take(self, until_s: float = float("inf")) -> bytes:
        """What was heard before that time, as it stands in the bucket; b"" for nothing. Silence is left out."""
        taken = sorted(key for key in self._loudest if (key[0] + 1) * STEP_S <= until_s)
        if not taken:
            return b""
        rows = [[round(step * STEP_S, 1), number, self._loudest.pop((step, number))] for step, number in taken]
        return json.dumps(rows, separators=(",", ":")).encode()
