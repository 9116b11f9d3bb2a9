"""The engine in C: no compiler's warning, and nothing that a sanitizer has to say, whatever is said to it.

Some packets here; with MEET_SOAK a million.
"""

import os
from pathlib import Path

import pytest

from tests.sanitized import build_sanitized, compile_engine, run_sanitized

PACKETS = "1000000" if os.environ.get("MEET_SOAK") else "3000"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sanitized(tmp_path_factory.mktemp("engine"))


def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    done = compile_engine(tmp_path / "native.so", "-O2", "-D_FORTIFY_SOURCE=2")
    assert (done.returncode, done.stderr) == (0, "")


def test_whatever_is_said_to_it_it_touches_nothing_but_its_own(library: Path) -> None:
    done = run_sanitized(library, "tests.fuzz.engine", PACKETS)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert done.stdout == f"{PACKETS} packets\n"


def test_its_own_tests_touch_nothing_else(library: Path) -> None:
    """What is sent, forwarded and received, with the build that watches itself."""
    tests = [str(HERE / name) for name in ("test_plane.py", "test_fan.py")]
    done = run_sanitized(library, "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
