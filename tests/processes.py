"""What /proc says of the processes that a system runs."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def media_processes(pid: int) -> list[int]:
    """The media processes (`python -m sfu`) that `up.py` with this process id runs."""
    return [
        child for child in descendants(pid) if Path(f"/proc/{child}/cmdline").read_bytes().endswith(b"\0-m\0sfu\0")
    ]


def egress_processes(pid: int) -> list[int]:
    """The egress processes (`python -m sfu.egress`) of its media processes."""
    return [
        child for child in descendants(pid) if b"\0-m\0sfu.egress\0" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used, of all its threads; to a hundredth of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid: int) -> int:
    """The memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _words(path: Path) -> list[str]:
    return path.read_text().split()
