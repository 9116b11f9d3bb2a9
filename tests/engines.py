"""Engines of inference nodes, run as they are without a node; what real people said, and how much of it was heard."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, clean_environment

SOUNDS = Path("/usr/share/asterisk/sounds")
"""Debian's asterisk-core-sounds-*-wav: professional speakers."""
READ = Path("/usr/share/pocketsphinx/test/data/librivox")
"""Debian's pocketsphinx-testdata: a volunteer of LibriVox reads Jane Austen."""
SENSE = READ / "sense_and_sensibility_01_austen_64kb-0870.wav"
SENSE_SAYS = (
    "and mister john dashwood had then leisure to consider how much there might be prudently in his power "
    "to do for them"
)


def python(name: str = "inference") -> Path:
    """The interpreter of the environment of nodes."""
    return ROOT / ".venvs" / name / "bin" / "python"


def node_environment(**more: str) -> dict[str, str]:
    """What a node, or its engines, run in."""
    return clean_environment() | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'layers' / 'meet'}"} | more


class Engines:
    """A process that answers one request after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, model: str, **request: Any) -> dict[str, Any]:
        """The whole answer: `answer` or `refused`, and how long it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"model": model, **request}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the engines ended with {self._process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def answer(self, model: str, **request: Any) -> Any:
        """The answer of one that must not refuse."""
        said = self.ask(model, **request)
        assert "refused" not in said, said
        return said["answer"]


@contextmanager
def engines(home: Path, venv: str = "inference", **more: str) -> Iterator[Engines]:
    """Engines with their weights below `home`."""
    env = node_environment(MEET_HOME=str(home), MEET_INFERENCE_THREADS="1", **more)
    command = [str(python(venv)), "-m", "functions.workers.inference.engines"]
    with subprocess.Popen(
        command, env=env, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Engines(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(60) == 0


def speech(name: str, language: str = "en") -> Path:
    """A recording of asterisk's; the test is skipped where the package is missing."""
    [folder] = [*SOUNDS.glob(f"{language}_*"), None][:1]
    if folder is None:
        pytest.skip(f"apt install asterisk-core-sounds-{language}-wav")
    return folder / f"{name}.wav"


def word_errors(said: str, heard: str) -> float:
    """The share of the words of `said` that were not heard as they are, or were invented (word error rate)."""
    expected, found = _words(said), _words(heard)
    row = list(range(len(found) + 1))
    for number, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], number
        for column, other in enumerate(found, 1):
            best = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != other))
            diagonal, row[column] = row[column], best
    return row[-1] / len(expected)


_SPELT: Mapping[str, str] = {"mr": "mister", "metres": "meters", "ok": "okay"}


def _words(text: str) -> list[str]:
    return [_SPELT.get(word, word) for word in re.findall(r"[\w']+", text.lower().replace("-", " "))]
