import resource
from pathlib import Path

import pytest

from sfu.doctor import machine
from sfu.doctor.finding import Verdict


def test_a_small_socket_buffer_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "rmem_max"
    limit.write_text("212992\n")
    monkeypatch.setattr(machine, "BUFFERS", limit)
    found = machine.check_machine()[-1]
    assert found.verdict is Verdict.DOUBT
    assert "sysctl -w net.core.rmem_max=4194304" in found.text


def test_a_low_limit_of_open_files_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1 << 20))
    assert any(f.verdict is Verdict.DOUBT and "ulimit -n 4096" in f.text for f in machine.check_machine())


def test_versions_are_told() -> None:
    assert "aiortc" in machine.check_machine()[0].text
