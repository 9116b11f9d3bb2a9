"""Translation by Apertium's rules, from Debian: between a few languages that are kin, and English and Spanish.

    from fr to en:    fr → es → en, since there is no pair for it

It is understandable rather than good, takes 0.4 s a call, and knows nothing of how sure it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache

from meet.domain.inference import InferenceModel

from .base import UNWATCHED, Asked, Place, Refused, Unloadable, Watch, Written
from .language import language_of

CODES: Mapping[str, str] = {"eng": "en", "spa": "es", "fra": "fr", "ita": "it", "por": "pt"}
"""ISO 639-2, as some pairs are named, in ISO 639-1."""
TAKES_S = 120.0
"""That one piece of text may take."""
PIECE = 20_000
"""Characters that are translated at once, whole lines as far as they are that short."""
MARKS = re.compile(r"(?<!\w)[*#@](?=\w)")
"""What it sets before words that it doesn't know, where it is asked to or not."""


def missing(model: InferenceModel) -> str | None:
    """See `engines`."""
    if shutil.which("apertium") is None:
        return f"apertium is not installed: {model.cure}"
    return None if pairs() else f"apertium has no pair of languages: {model.cure}"


@lru_cache(maxsize=1)
def pairs() -> Mapping[tuple[str, str], str]:
    """The installed modes, by what they translate from and to."""
    listed = _run(["apertium", "-l"], "")
    found = {}
    for mode in listed.split():
        source, _, target = mode.partition("-")
        key = CODES.get(source, source), CODES.get(target, target)
        if all(code in CODES.values() for code in key):
            found[key] = mode
    return found


def route(source: str, target: str, known: Mapping[tuple[str, str], str]) -> Sequence[str] | None:
    """The modes that lead from a language to another, the fewest; None where none do."""
    waiting: deque[tuple[str, tuple[str, ...]]] = deque([(source, ())])
    seen = {source}
    while waiting:
        language, modes = waiting.popleft()
        if language == target:
            return modes
        for (first, second), mode in sorted(known.items()):
            if first == language and second not in seen:
                seen.add(second)
                waiting.append((second, (*modes, mode)))
    return None


class Engine:
    """See `base.Engine`. Options: `source_language`, which is told by the text where it isn't given, and
    `target_language`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model

    def load(self, watch: Watch) -> None:
        """Nothing is held: it runs anew for each text."""
        if why := missing(self._model):
            raise Unloadable(why)

    def unload(self) -> None:
        """There is nothing to give back."""

    def memory_bytes(self) -> int | None:
        """Nothing between two texts."""
        return 0

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> Written:
        """A text in another language; its lines stay lines."""
        source = asked.options.get("source_language") or language_of(asked.text)[0]
        target = str(asked.options["target_language"])
        modes = route(source, target, pairs())
        if modes is None:
            raise Refused(
                f"Apertium translates between {', '.join(self._model.languages)}, not {source} to {target}."
            )
        pieces = _pieces(asked.text)
        done = []
        for number, piece in enumerate(pieces):
            for mode in modes:
                watch.go_on(number / len(pieces))
                piece = _run(["apertium", "-u", "-f", "txt", mode], piece)  # noqa: PLW2901 - handed through
            done.append(piece)
        return Written(MARKS.sub("", "".join(done)), None, source)


def _pieces(text: str) -> list[str]:
    """The text in pieces of whole lines."""
    pieces = [""]
    for line in text.splitlines(keepends=True):
        for first in range(0, len(line), PIECE):
            part = line[first : first + PIECE]
            if len(pieces[-1]) + len(part) > PIECE:
                pieces.append("")
            pieces[-1] += part
    return pieces


def _run(command: Sequence[str], text: str) -> str:
    """What a program makes of a text. Apertium's own words end where there is a zero."""
    try:
        done = subprocess.run(  # noqa: S603 - one of its modes, no shell
            command,
            input=text.replace("\0", " "),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            timeout=TAKES_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise Refused("The translation takes longer than it may.") from None
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"{' '.join(command)} failed: {getattr(error, 'stderr', '') or error}") from error
    return done.stdout
