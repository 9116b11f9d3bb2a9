"""The children of a composition: started with nothing of ours, confined as FFmpeg is, and always ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import IO

from .compose.lines import Found, Line, adapters
from .compose.plan import Plan
from .inputs import Command
from .run import Failed, Limits, Progress, Stopped, run, started

QUESTION, ANSWER, PLAN, LOG = "question.json", "answer.json", "plan.json", "child.log"
WATCH_S = 0.2
LOG_KEPT = 4096
END_S = 10.0
"""What a painter gets to end once nobody reads it any more."""


def tidied(lines: Sequence[Line], folder: Path, *, stop: Event, within: Limits) -> list[Found]:
    """Each line as one file, see `tidy`. Raises `Stopped` soon after `stop` was set, `Failed` where it takes too long
    and `RuntimeError` where the child ended otherwise."""
    asked, found = adapters()
    (folder / QUESTION).write_bytes(asked.dump_json(list(lines)))
    deadline = time.monotonic() + within.wall_s
    with (
        _log(folder) as log,
        started(_python("tidy", QUESTION, ANSWER), folder, within, errors=log, env=_env()) as child,
    ):
        while child.returncode is None:
            if stop.is_set():
                raise Stopped
            if time.monotonic() > deadline:
                raise Failed("It takes longer than a job may.")
            with suppress(subprocess.TimeoutExpired):
                child.wait(WATCH_S)
    if child.returncode != 0:
        raise RuntimeError(f"the tracks could not be read ({child.returncode}): {_said(folder)}")
    return found.validate_json((folder / ANSWER).read_bytes())


def painted(
    binary: str,
    command: Command,
    plan: Plan,
    folder: Path,
    *,
    stop: Event,
    within: Limits,
    on_progress: Progress,
) -> Path:
    """What FFmpeg makes of what is painted by this plan. Raises as `run` does."""
    (folder / PLAN).write_bytes(plan.to_json())
    with _log(folder) as log, started(_python("paint", PLAN), folder, within, errors=log, env=_env()) as painter:
        assert painter.stdout is not None  # noqa: S101 - it is a pipe
        source = painter.stdout
        try:
            made = run(binary, command, folder, stop=stop, within=within, on_progress=on_progress, source=source)
        except Failed as error:
            if painter.poll():  # then FFmpeg had nothing to read, and is not at fault
                raise _ended(painter.returncode, folder) from error
            raise
        source.close()
        try:
            code = painter.wait(END_S)
        except subprocess.TimeoutExpired:
            raise RuntimeError("the painter does not end") from None
    if code != 0:  # FFmpeg took the end of what it wrote for the end of all
        raise _ended(code, folder)
    return made


def _ended(code: int, folder: Path) -> RuntimeError:
    return RuntimeError(f"the painter ended with {code}: {_said(folder)}")


def _python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", f"{__package__}.compose", *arguments]


def _env() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)}


def _log(folder: Path) -> IO[bytes]:
    return (folder / LOG).open("wb")


def _said(folder: Path) -> str:
    return (folder / LOG).read_bytes()[-LOG_KEPT:].decode(errors="replace").strip()
