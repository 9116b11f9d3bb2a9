"""One run of FFmpeg: in a folder of its own, within limits, told to stop when it must.

    run(command, folder, stop=event, on_progress=print)

The process is the head of a group of its own, so that nothing it starts outlives it, and dies with the worker's
thread, so that a killed worker leaves no run behind. What it may not pass is set by the kernel's limits: memory, CPU
time and the size of a file; the wall clock and `stop` are watched here.
"""

from __future__ import annotations

import os
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import IO

from meet.config import settings

from .inputs import Command

WATCH_S = 0.2
"""How often `stop` and the clock are looked at."""
ERRORS_KEPT = 4096
"""Bytes of the last that FFmpeg says of what went wrong."""
OPEN_FILES = 256
GRACE_S = 5
"""Of computing, for FFmpeg to end by itself."""
ENDED_BY_SIGNAL = 255
"""FFmpeg's exit code when it took a signal as a wish that it ends; nobody but the kernel (SIGXCPU) has one here."""
MOST_SAID = 300
"""Characters of it that are told on."""

Progress = Callable[[float], None]


class Stopped(Exception):
    """The run was ended because `stop` was set."""


class Failed(Exception):
    """FFmpeg can't do this; the text is a sentence for the job's owner. `log` is what FFmpeg said."""

    def __init__(self, sentence: str, log: str = "") -> None:
        super().__init__(sentence)
        self.log = log


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take."""

    wall_s: float
    cpu_s: int
    memory_bytes: int
    """Of data: what shared libraries map isn't counted."""
    output_bytes: int


def limits() -> Limits:
    """Those of the settings."""
    chosen = settings()
    cores = os.cpu_count() or 1
    return Limits(chosen.job_most_s, chosen.job_most_s * cores, chosen.job_memory_bytes, chosen.job_output_bytes)


def run(
    binary: str,
    command: Command,
    folder: Path,
    *,
    stop: Event,
    within: Limits,
    on_progress: Progress,
    source: IO[bytes] | None = None,
) -> Path:
    """Run FFmpeg in `folder` and return the file it made. `on_progress` is given 0 to 1.

    `source` is its standard input; without one it has none.

    Raises `Failed` where FFmpeg fails or passes a limit, `Stopped` soon after `stop` was set, `RuntimeError` where
    somebody else ended it. Nothing runs afterwards.
    """
    deadline = time.monotonic() + within.wall_s
    with started([binary, *command.arguments], folder, within, source=source, errors=subprocess.PIPE) as process:
        log = _watch(process, command, deadline, stop=stop, on_progress=on_progress)
    if process.returncode != 0:
        raise _failure(process.returncode, log, within)
    made = folder / command.output
    if not made.is_file() or made.stat().st_size == 0:
        raise Failed("The file has nothing that could be converted.", log)
    if made.stat().st_size >= within.output_bytes:
        raise _too_large(within, log)
    return made


@contextmanager
def started(
    arguments: Sequence[str],
    folder: Path,
    within: Limits,
    *,
    errors: IO[bytes] | int,
    source: IO[bytes] | None = None,
    env: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[subprocess.Popen[bytes]]:
    """A confined process in `folder`, whose standard output is a pipe to us; it and all that it started is ended."""
    with subprocess.Popen(  # noqa: S603 - a list of arguments that `commands` makes, and no shell
        [*_ends_with_us(), *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "MALLOC_ARENA_MAX": "2", **env},  # none of ours; no heap for each of many threads
        stdin=subprocess.DEVNULL if source is None else source,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    ) as process:
        try:
            _confine(process.pid, within)
            yield process
        finally:
            _end(process)


def _ends_with_us() -> list[str]:
    """What a process is started through so that the kernel ends it with the thread that started it."""
    guard = shutil.which("setpriv")  # util-linux; a Lambda's machine ends as a whole
    return [guard, "--pdeathsig", "KILL", "--"] if guard else []


def _confine(pid: int, within: Limits) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_DATA, (within.memory_bytes,) * 2)
        resource.prlimit(pid, resource.RLIMIT_CPU, (within.cpu_s, within.cpu_s + GRACE_S))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (within.output_bytes,) * 2)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (OPEN_FILES,) * 2)
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
    except ProcessLookupError:
        return  # it has ended already, which `_watch` sees


def _watch(
    process: subprocess.Popen[bytes], command: Command, deadline: float, *, stop: Event, on_progress: Progress
) -> str:
    """Read what FFmpeg says until it has said all; the last of what it said of errors."""
    assert process.stdout is not None  # noqa: S101 - both are pipes
    assert process.stderr is not None  # noqa: S101
    errors = rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            if stop.is_set():
                raise Stopped
            if time.monotonic() > deadline:
                raise Failed("It takes longer than a job may.", errors.decode(errors="replace"))
            for key, _ in selector.select(WATCH_S):
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    errors = (errors + data)[-ERRORS_KEPT:]
                else:
                    *lines, rest = (rest + data)[-ERRORS_KEPT:].split(b"\n")
                    for line in lines:
                        share = progress_of(line, command.duration_s)
                        if share is not None:
                            on_progress(share)
    while True:
        try:
            process.wait(WATCH_S)
        except subprocess.TimeoutExpired:  # it closed its pipes and goes on
            if stop.is_set():
                raise Stopped from None
            if time.monotonic() > deadline:
                raise Failed("It takes longer than a job may.", errors.decode(errors="replace")) from None
        else:
            return errors.decode(errors="replace")


def progress_of(line: bytes, duration_s: float | None) -> float | None:
    """How far a run is by a line of FFmpeg's `-progress`, from 0 to 1; None where the line doesn't say."""
    name, _, value = line.partition(b"=")
    if name != b"out_time_us" or not duration_s:
        return None
    try:
        return min(max(int(value) / 1e6 / duration_s, 0.0), 1.0)
    except ValueError:  # N/A, before the first frame
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _failure(code: int, log: str, within: Limits) -> Exception:
    if code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ) or "File too large" in log:
        return _too_large(within, log)
    if code == ENDED_BY_SIGNAL:
        return Failed("It takes more computing than a job may.", log)
    if "Cannot allocate memory" in log or "Out of memory" in log:
        return Failed("It takes more memory than a job may.", log)
    if code in (-signal.SIGKILL, -signal.SIGTERM):
        return RuntimeError(f"FFmpeg was ended from outside ({code}); the machine may be short of memory")
    said = [line.strip() for line in log.splitlines() if line.strip()]
    last = "".join(char for char in said[-1] if char.isprintable())[:MOST_SAID] if said else f"it ended with {code}"
    return Failed(f"FFmpeg can't convert this file: {last}", log)


def _too_large(within: Limits, log: str) -> Failed:
    return Failed(f"The output would be larger than {within.output_bytes // 1_000_000} MB.", log)
