"""Fuzz by coverage (atheris, libFuzzer): `python -m tests.fuzz TARGET... [--share 0.01] [--keep]`; no target: all.

Each target runs in a process of its own, two at a time. One that meets a bug says the input and its traceback, and
this ends with 1. `--keep` adds what reached new code to the inputs that are kept in `tests/data/fuzz`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sfu"], exclude=["sfu._aiortc"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz import corpus

SLOWEST_S = 5
"""An input that takes longer is a bug: each is a few kilobytes at most, and a call waits meanwhile."""
PROCESSES = 2


def main() -> int:
    """Run what the command line asks for."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}")
    asked.add_argument("--share", type=float, default=1.0, help="of the inputs that each target says, such as 0.01")
    asked.add_argument("--seed", type=int, default=0, help="of the mutations; 0: another one each time")
    asked.add_argument("--keep", action="store_true", help="keep what reached new code")
    options = asked.parse_args()
    if unknown := set(options.target) - TARGETS.keys():
        asked.error(f"no such target: {', '.join(unknown)}")
    waiting = [Run(name, options) for name in options.target or TARGETS]
    going: dict[int, Run] = {}
    stood = True
    while waiting or going:
        while waiting and len(going) < PROCESSES:
            run = waiting.pop(0)
            going[run.start()] = run
        child, status = os.wait()
        stood &= going.pop(child).end(os.waitstatus_to_exitcode(status))
    return int(not stood)


class Run:
    """One target's run, in a child: libFuzzer never returns, and what was imported is imported there already."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self._name = name
        self._target = TARGETS[name]
        self._inputs = int(self._target.inputs * options.share)
        self._seed: int = options.seed
        self._keep: bool = options.keep
        self._folder = Path(tempfile.mkdtemp())  # not one that a child, as it ends, takes away

    def start(self) -> int:
        """Let libFuzzer loose; its process id."""
        folder = self._folder
        (folder / "found").mkdir()
        (folder / "known").mkdir()
        for number, data in enumerate(corpus.known(self._name)):
            (folder / "known" / str(number)).write_bytes(data)
        arguments = [
            "fuzz",
            f"-runs={self._inputs}",
            f"-max_len={self._target.longest}",
            f"-seed={self._seed}",
            f"-timeout={SLOWEST_S}",
            *([f"-dict={corpus.FOLDER / self._target.words}"] if self._target.words else []),
            f"-artifact_prefix={folder}/bug-",
            "-len_control=0",
            str(folder / "found"),
            str(folder / "known"),
        ]
        child = os.fork()
        if not child:
            with (folder / "log").open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            atheris.Setup(arguments, self._target.run)
            atheris.Fuzz()
        return child

    def end(self, code: int) -> bool:
        """Say what came of it; whether the target stood."""
        bugs = [path.read_bytes().hex() for path in self._folder.glob("bug-*")]
        found = [path.read_bytes() for path in (self._folder / "found").iterdir()]
        log = (self._folder / "log").read_text(errors="replace")
        shutil.rmtree(self._folder)
        if code or bugs:
            print(f"{self._name}: ended with {code}", log[-6000:], *bugs, sep="\n", flush=True)
            return False
        kept = f", {corpus.keep(self._name, found)} of it kept" if self._keep else ""
        print(f"{self._name}: {self._inputs} inputs, {len(found)} reached something new{kept}", flush=True)
        return True


if __name__ == "__main__":
    sys.exit(main())
