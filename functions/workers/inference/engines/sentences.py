"""A text as its sentences, whatever the script."""

from __future__ import annotations

import re

MOST = 400
"""Characters of one: what has no full stop is cut where there is a space, or anywhere."""

_ENDS = re.compile(r"(?<=[.!?؟])\s+(?=\S)|(?<=[。！？])\s*(?=\S)|\s*\n\s*")
_SPACES = re.compile(r"[^\S\n]+")
_LETTER = re.compile(r"\w")


def sentences(text: str) -> list[str]:
    """In their order; what has no letter in it is left out."""
    found = []
    for piece in _ENDS.split(_SPACES.sub(" ", text)):
        found += [part for part in _cut(piece.strip()) if _LETTER.search(part)]
    return found


def _cut(sentence: str) -> list[str]:
    parts = []
    while len(sentence) > MOST:
        at = sentence.rfind(" ", MOST // 2, MOST)
        at = MOST if at < 0 else at
        parts.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*parts, sentence] if sentence else parts
