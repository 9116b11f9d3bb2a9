"""The document's own quick-start script runs, with nothing but `BASE_URL` changed (decision 48)."""

import json
import re
import subprocess
from pathlib import Path

from tests.conftest import StartSystem

SCRIPT = Path(__file__).parent / "quick_start.sh"


def test_quick_start(start_system: StartSystem, tmp_path: Path) -> None:
    with start_system(
        MEET_RATE_LIMITS=""
    ) as system:  # a new one, with its limits on: the script has names of its own
        script = re.sub(r"(?m)^BASE_URL=.*$", f'BASE_URL="{system.base_url}"', SCRIPT.read_text())
        command = ["bash", "-eu", "-c", script]
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    registered, signed_in, made, joined, details = answers
    assert registered["username"] == "testuser"
    assert signed_in["token_type"] == "Bearer"
    assert made["status"] == "scheduled"
    assert joined["meeting_id"] == made["meeting_id"] == details["meeting_id"]
    assert details["status"] == "in_progress"
    assert details["current_participants"] == 1
