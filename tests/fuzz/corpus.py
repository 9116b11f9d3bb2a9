"""The inputs that are kept: a file for each target, an input a line in base64, shortest first."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path

from tests.fuzz.targets import TARGETS

FOLDER = Path(__file__).parents[1] / "data" / "fuzz"


def kept(target: str) -> list[bytes]:
    """What earlier runs found worth keeping."""
    path = FOLDER / f"{target}.b64"
    return [b64decode(line) for line in path.read_text().splitlines()] if path.exists() else []


def known(target: str) -> list[bytes]:
    """All inputs to begin with: seeds and what was kept."""
    return [*TARGETS[target].seeds(), *kept(target)]


def keep(target: str, inputs: Iterable[bytes]) -> None:
    """Write the file anew."""
    lines = sorted({b64encode(data).decode() for data in inputs}, key=lambda line: (len(line), line))
    (FOLDER / f"{target}.b64").write_text("".join(f"{line}\n" for line in lines))
