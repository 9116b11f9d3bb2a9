"""Setting up says in one sentence what stands in the way."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`localstack/install.py`, which is a script and in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "localstack"))
    import install

    return install


def test_an_old_python_is_told_what_to_install(install: ModuleType) -> None:
    with pytest.raises(install.Refused, match=r"needs Python 3\.11 or newer and python3 is 3\.9.*apt install"):
        install.check_python((3, 9, 2), "python3")
    install.check_python((3, 11, 2), "python3")


def test_a_missing_venv_module_names_its_package(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess(command, 1, "", "the ensurepip module is not available.")

    monkeypatch.setattr(install.subprocess, "run", fail)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(install.Refused, match=f"apt install python{version}-venv"):
        install.make_venv(str(tmp_path / "venv"))


def test_of_a_failure_the_line_that_matters_is_told(install: ModuleType) -> None:
    said = "Looking\nERROR: No matching distribution found for x==1\n[notice] upgrade pip"
    assert install.failure(said) == "ERROR: No matching distribution found for x==1"
    assert install.failure("one\ntwo\n") == "two"


def test_a_wheel_with_another_hash_is_refused(tmp_path: Path) -> None:
    """The real script on a real environment: what is not what was locked is not installed."""
    wheel = tmp_path / "thing-1-py3-none-any.whl"
    wheel.write_bytes(b"not what was locked")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"thing @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    command = [sys.executable, str(ROOT / "localstack" / "install.py"), str(tmp_path / "venv"), str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "could not be installed: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
    assert "Traceback" not in done.stderr
