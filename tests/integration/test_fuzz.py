"""Whatever bytes come, nothing but our own errors comes out: the inputs that are kept, and new ones (`tests/fuzz`).

Some thousands here. With MEET_SOAK, as many as each target says: a million of most.
"""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.conftest import ROOT
from tests.fuzz import corpus
from tests.fuzz.targets import TARGETS

SHARE = "1" if os.environ.get("MEET_SOAK") else "0.002"


@pytest.mark.parametrize("target", TARGETS)
def test_what_once_reached_new_code_is_taken_or_refused(target: str) -> None:
    inputs = corpus.known(target)
    assert inputs
    for data in inputs:
        TARGETS[target].run(data)


@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris for this machine")
def test_what_was_never_sent_before_is_taken_or_refused() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--share", SHARE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(TARGETS)
