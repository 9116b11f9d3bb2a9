"""What was made to do harm. All of it is read by one process that is confined as a child is; each gets a child of its
own under MEET_SOAK."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meet.probe.client import examine_file
from meet.probe.kinds import Found, Unreadable
from tests.data.hostile import CORPUS, Hostile

ROOT = Path(__file__).resolve().parents[4]
READ_ALL = """
import json
from io import BytesIO
from meet.probe import sandbox
from meet.probe.examine import examine
from meet.probe.kinds import Unreadable
from tests.data.hostile import CORPUS

corpus = [(one.name, one.make()) for one in CORPUS]
sandbox.confine()
for name, content in corpus:
    try:
        taken_for = examine(BytesIO(content), len(content)).kind.mime_type
    except Exception as error:
        taken_for = None
    print(json.dumps([name, taken_for]), flush=True)
"""
MALICE = [one for one in CORPUS if one.name in ("hls.mp4", "subtitles.avi", "16k.png", "comment.png", "noise.mp3")]


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str | None]:
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL],
        cwd=ROOT,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(line) for line in done.stdout.splitlines())


@pytest.mark.parametrize("hostile", CORPUS, ids=str)
def test_each_is_taken_for_what_it_is_or_refused(hostile: Hostile, verdicts: dict[str, str | None]) -> None:
    assert verdicts[hostile.name] == hostile.taken_for


@pytest.mark.parametrize("hostile", CORPUS if os.environ.get("MEET_SOAK") else MALICE, ids=str)
def test_a_child_of_its_own_says_the_same(hostile: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(hostile.make())
    try:
        found: Found | None = examine_file(path)
    except Unreadable:
        found = None
    assert (found and found.kind.mime_type) == hostile.taken_for


def test_there_are_enough_of_them() -> None:
    assert len(CORPUS) >= 40
    assert len({one.name for one in CORPUS}) == len(CORPUS)
