"""The inputs that are kept: a file for each target, an input a line in base64, shortest first.

Found by fuzzing, and sent by Chromium 156. Each goes a way through our code that none before it in its file goes.
"""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.targets import TARGETS

FOLDER = Path(__file__).parents[1] / "data" / "fuzz"
OURS = str(Path(__file__).parents[2] / "sfu")

Step = tuple[str, int, int]
"""A line of a file, and the one before it."""


def kept(target: str) -> list[bytes]:
    """What earlier runs found worth keeping."""
    path = FOLDER / f"{target}.b64"
    return [b64decode(line) for line in path.read_text().splitlines()] if path.exists() else []


def known(target: str) -> list[bytes]:
    """All inputs to begin with: seeds and what was kept."""
    return [*TARGETS[target].seeds(), *kept(target)]


def keep(target: str, inputs: Iterable[bytes]) -> int:
    """Add to the file what of these goes new ways; how many that were."""
    before = kept(target)
    after = list(_telling(TARGETS[target].run, TARGETS[target].seeds(), {*before, *inputs}))
    (FOLDER / f"{target}.b64").write_text("".join(f"{b64encode(data).decode()}\n" for data in after))
    return len(set(after) - set(before))


def _telling(run: Callable[[bytes], None], seeds: Iterable[bytes], inputs: Iterable[bytes]) -> Iterator[bytes]:
    seen: set[Step] = set()
    for seed in seeds:
        seen |= _steps(run, seed)
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        steps = _steps(run, data)
        if not steps <= seen:
            seen |= steps
            yield data


def _steps(run: Callable[[bytes], None], data: bytes) -> set[Step]:
    steps: set[Step] = set()

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.startswith(OURS):
            return None
        last = frame.f_lineno

        def line(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal last
            steps.add((name, last, frame.f_lineno))
            last = frame.f_lineno
            return line

        return line

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        run(data)
    finally:
        sys.settrace(before)
    return steps
