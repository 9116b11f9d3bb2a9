"""Processes started in tiers, watched together, stopped in the opposite order."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TextIO

POLL_S = 0.05
STOP_S = 20.0
"""What a tier gets to finish in: MiniStack writes its state then, a media process takes leave of its clients."""


class Refused(Exception):
    """Why the system can't run, in one sentence that names the cure."""


class Stopped(Exception):
    """Somebody asked to stop while something was still starting."""


@dataclass(frozen=True)
class Child:
    """One process of ours; what it prints goes to `log`."""

    name: str
    tier: int
    process: "subprocess.Popen[bytes]"
    log: Path


class Children:
    """All processes started here. `stop` ends them, the last tier first.

    Each keeps `hold` open: should this process be killed, what it locks stays locked until the last of them ended.
    """

    def __init__(self, logs: Path, stop_asked: Event, hold: TextIO) -> None:
        self._logs = logs
        self._stop_asked = stop_asked
        self._hold = hold
        self._children: list[Child] = []

    def start(self, name: str, tier: int, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
        """Start a process in a session of its own, so that a terminal's Ctrl-C reaches this one alone."""
        log = self._logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        guard = shutil.which("setpriv")  # the kernel ends the child should this process be killed
        prefix = [guard, "--pdeathsig", "TERM", "--"] if guard else []
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*prefix, *map(str, command)],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._hold.fileno(),),
            )
        self._children.append(Child(name, tier, process, log))

    def check(self) -> None:
        """`Refused` where a process ended that nobody asked to."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                raise Refused(
                    f"{child.name} {how}; the last of its log: {_last_line(child.log)} (all of it: {child.log})"
                )

    def wait_until(self, ready: Callable[[], bool], what: str, within_s: float) -> None:
        """Ask `ready` again and again; `Refused` after `within_s` seconds or where a process died meanwhile."""
        deadline = time.monotonic() + within_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise Refused(
                    f"{what} does not answer within {within_s:.0f} s: the logs in {self._logs} may say why."
                )
            if self._stop_asked.wait(POLL_S):
                raise Stopped

    def watch(self) -> None:
        """Return when somebody asks to stop; `Refused` when a process ends before that."""
        while not self._stop_asked.wait(0.2):
            self.check()

    def stop(self) -> None:
        """End every process, tier by tier from the last, each politely first."""
        for tier in sorted({child.tier for child in self._children}, reverse=True):
            members = [child for child in self._children if child.tier == tier]
            for child in members:
                _signal(child, signal.SIGTERM)
            deadline = time.monotonic() + STOP_S
            for child in members:
                try:
                    child.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    _signal(child, signal.SIGKILL)
                    child.process.wait()
        self._children.clear()


def _signal(child: Child, number: signal.Signals) -> None:
    """To the process and what it started, which share its session and so its process group."""
    if child.process.poll() is None:
        os.killpg(child.process.pid, number)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing"
