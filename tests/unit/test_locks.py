"""The lock files are of the requirements as they are now, and name no index: whoever installs has their own."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
RUNTIME = ["layers/deps/requirements.txt", "sfu/requirements.txt", "localstack/requirements-build.in"]
LOCKS = {
    "requirements.lock": RUNTIME,
    "requirements-dev.lock": [*RUNTIME, "tests/requirements.txt"],
    "localstack/requirements-ministack.txt": ["localstack/requirements-ministack.in"],
    "localstack/requirements-servers.txt": ["localstack/requirements-servers.in"],
    "localstack/requirements-sam.txt": ["localstack/requirements-sam.in"],
    "localstack/requirements-otlp.txt": ["localstack/requirements-otlp.in"],
}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", re.MULTILINE)


def pins(path: str) -> dict[str, str]:
    """Each package and its version, by the normalised name."""
    found = _PIN.findall((ROOT / path).read_text())
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_is_required(lock: str) -> None:
    required = {name: version for source in LOCKS[lock] for name, version in pins(source).items()}
    locked = pins(lock)
    stale = {name: version for name, version in required.items() if locked.get(name) != version}
    assert not stale, "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    packages = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if not entry.startswith("#")]
    assert len(packages) == len(pins(lock))
    assert all("--hash=sha256:" in entry for entry in packages)


def test_the_workers_layer_has_what_the_rest_runs_on() -> None:
    layer, everything = pins("layers/ffmpeg/requirements.txt"), pins("requirements.lock")
    assert {name: everything.get(name) for name in layer} == layer


def test_both_environments_have_the_same_runtime() -> None:
    runtime, everything = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: everything.get(name) for name in runtime} == runtime
