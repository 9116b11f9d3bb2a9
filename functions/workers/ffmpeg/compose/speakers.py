"""Who speaks when, by how loud everybody was: the levels that the recorder keeps beside the tracks (RFC 6464).

A turn goes to another only when that one was the loudest for a while: a cough or a yes does not move the picture, and
a pause for breath does not either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from meet.domain.capture import SILENCE

WINDOW_S = 0.5
"""Levels of so long are taken together."""
QUIETEST = 55
"""Levels above (quieter than -55 dBov) are a room and no speech."""
TAKES_OVER = 3
"""Windows of the last `OF_LAST` in which one must have been the loudest to get the turn."""
OF_LAST = 4
LEAST_TURN_S = 2.0


@dataclass(frozen=True, slots=True)
class Level:
    """How loud somebody was at a moment: 0 is the loudest, 127 silence."""

    at_s: float
    user_id: str
    level: int


@dataclass(frozen=True, slots=True)
class Turn:
    """From here on this one speaks."""

    at_s: float
    user_id: str


def turns(levels: Iterable[Level]) -> list[Turn]:
    """Who speaks from when on, in order; empty where nobody ever did."""
    found: list[Turn] = []
    lately: list[str | None] = []
    window = 0
    for index, loudest in _loudest(levels):
        if index - window > OF_LAST:
            lately.clear()
        lately = [*lately, *[None] * min(index - window - 1, OF_LAST), loudest][-OF_LAST:]
        window = index
        # The first word of all needs nobody's leave.
        enough = TAKES_OVER if found else 1
        if lately.count(loudest) < enough or (found and found[-1].user_id == loudest):
            continue
        begins_s = WINDOW_S * (index - _run(lately, loudest) + 1)
        if found:
            begins_s = max(begins_s, found[-1].at_s + LEAST_TURN_S)
            if begins_s > WINDOW_S * (index + 1):
                continue
        found.append(Turn(begins_s, loudest))
    return found


def _run(lately: list[str | None], user_id: str) -> int:
    """How many windows ago one began to be the loudest."""
    return len(lately) - lately.index(user_id)


def _loudest(levels: Iterable[Level]) -> list[tuple[int, str]]:
    """The loudest of each window in which anybody speaks, in order."""
    heard: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in levels:
        if one.level <= QUIETEST and one.at_s >= 0:
            heard[int(one.at_s / WINDOW_S)][one.user_id].append(SILENCE - one.level)
    # By energy that adds up: who speaks through half of a window is louder than who clicks once.
    return [(index, max(sorted(voices), key=lambda who: sum(voices[who]))) for index, voices in sorted(heard.items())]
