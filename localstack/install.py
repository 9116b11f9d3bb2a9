"""Make a virtual environment that holds exactly what hash-locked requirements files name.

    python3 localstack/install.py VENV LOCK [LOCK...] [--editable DIR]

Runs on whatever `python3` a machine has, so that an old one hears a sentence instead of a SyntaxError: nothing
here is newer than Python 3.7, and only the standard library is used.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

OLDEST = (3, 11)


class Refused(Exception):
    """What stands in the way; the message is the sentence that names the cure."""


def check_python(version: tuple[int, ...], executable: str) -> None:
    """Refuse an interpreter that the project cannot run on."""
    if version[:2] < OLDEST:
        raise Refused(
            f"Meet needs Python 3.11 or newer and {executable} is {version[0]}.{version[1]}: install one "
            "(Debian 12: apt install python3.11-venv), or name it with `make PYTHON=/path/to/python3.11`."
        )


def make_venv(folder: str) -> str:
    """The interpreter of the environment in `folder`, which is made where it is missing."""
    python = os.path.join(folder, "bin", "python")
    if os.path.exists(python) and os.path.exists(os.path.join(folder, "bin", "pip")):
        return python
    command = [sys.executable, "-m", "venv", "--clear", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stdout + done.stderr
        if "ensurepip" in said or "No module named venv" in said:
            package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            raise Refused(f"Python's venv module is incomplete: install it with `apt install {package}`.")
        raise Refused(f"No virtual environment could be made in {folder}: {failure(said)}")
    return python


def install(python: str, locks: list[str], editable: str) -> None:
    """Install the locked wheels, each checked against its hash, then the project itself."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    run([*pip, "--require-hashes", *(part for lock in locks for part in ("-r", lock))])
    if editable:
        # The build backend is one of the locked packages; isolation would fetch another, unlocked.
        run([*pip, "--no-build-isolation", "-e", editable])


def run(command: list[str]) -> None:
    """Run pip; of a failure, the line that matters is told."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(
            f"The locked packages could not be installed: {failure(done.stderr)} "
            "(Is PyPI reachable, and the disk not full? Then run the same command again.)"
        )


def failure(text: str) -> str:
    """pip's or venv's own words for what went wrong: the last line marked ERROR, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1]


def main() -> int:
    """Do it, or say in one sentence why not."""
    parser = argparse.ArgumentParser(description="Make a virtual environment from hash-locked requirements.")
    parser.add_argument("venv")
    parser.add_argument("locks", nargs="+", metavar="LOCK")
    parser.add_argument("--editable", default="", metavar="DIR")
    options = parser.parse_args()
    try:
        check_python(tuple(sys.version_info), sys.executable)
        print(f"Setting up {options.venv} (once) ...", file=sys.stderr)
        install(make_venv(options.venv), options.locks, options.editable)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
