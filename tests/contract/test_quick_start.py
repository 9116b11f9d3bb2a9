"""The document's own quick-start script runs, with nothing but `BASE_URL` changed (decision 48)."""

import json
import re
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent / "quick_start.sh"


def test_quick_start(base_url: str, tmp_path: Path) -> None:
    script = re.sub(r"(?m)^BASE_URL=.*$", f'BASE_URL="{base_url}"', SCRIPT.read_text())
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
