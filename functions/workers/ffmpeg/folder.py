"""Where a worker's process keeps what it works on: a folder of its own, that goes with it even if it is killed.

Each is locked as long as its process lives; whoever starts removes those that nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

LOCK = "lock"


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """A fresh folder below `parent`, held until the end; those of processes that are gone are removed first."""
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (parent / LOCK).open("w") as all_of_them:
        fcntl.flock(all_of_them, fcntl.LOCK_EX)  # nobody takes a folder for left that is about to be held
        for left in parent.iterdir():
            if left.is_dir() and not _is_held(left):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
        hold = (folder / LOCK).open("w")
        fcntl.flock(hold, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        hold.close()


def _is_held(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r") as hold:
            fcntl.flock(hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
