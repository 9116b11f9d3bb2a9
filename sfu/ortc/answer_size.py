"""How many sections our offers may have: a client's answer to one of them must fit into a frame."""

import re
from collections.abc import Sequence

from sfu.rtp.parameters import Kind

ANSWER_CHARACTERS = 60_000
"""What an answer to our offer may measure: a frame from a client holds 64 KB, and JSON escapes its line ends."""
FIRST_GUESS: dict[Kind, int] = {"audio": 800, "video": 1_200}
"""Characters that a section of such an answer takes, until one shows what the client's really take (Chromium: 560 for
audio, 800 for video)."""


class AnswerSize:
    """What the answers of one client measure."""

    def __init__(self, reserved_videos: int = 0) -> None:
        """`reserved_videos`: so many video sections have room, however much audio there is."""
        self._reserved = reserved_videos
        self._sizes = dict(FIRST_GUESS)

    def learn(self, answer: str, kinds: Sequence[Kind]) -> None:
        """Take an answer's sections, which are of these kinds, for what the next will measure."""
        _, *sections = re.split(r"^(?=m=)", answer, flags=re.MULTILINE)
        measured: dict[Kind, int] = {}
        for kind, section in zip(kinds, sections, strict=False):
            size = len(section) + 2 * section.count("\n")
            measured[kind] = max(size, measured.get(kind, 1))
        self._sizes |= measured

    def room(self, kind: Kind, sections: Sequence[Kind]) -> int:
        """How many sections of a kind there may be in all, beside those `sections` of the other that there are."""
        other: Kind = "video" if kind == "audio" else "audio"
        others = sections.count(other)
        if other == "video":
            others = max(others, self._reserved)
        return max(0, ANSWER_CHARACTERS - others * self._sizes[other]) // self._sizes[kind]
