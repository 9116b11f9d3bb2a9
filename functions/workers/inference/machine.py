"""What the machine of a node has, and what of it is used, measured: processors, memory, a GPU where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

MEMORY_SHARE = 0.7
"""Of the machine's, for models, where nothing else is configured."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used now; percentages are of the whole machine, or of what its container may have."""

    cpu_percent: float
    memory_percent: float
    gpu_percent: float | None
    gpu_memory_percent: float | None
    disk_free_bytes: int


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


@lru_cache(maxsize=1)
def device() -> str:
    """`cuda` where there is a GPU of NVIDIA's, else `cpu`."""
    return "cpu" if _gpu() is None else "cuda"


def memory_for_models() -> int:
    """What models may take together where nothing is configured: of the GPU's memory, or of the machine's."""
    gpu = _gpu()
    total = gpu.memory().total if gpu is not None else _memory_limit()
    return int(MEMORY_SHARE * total)


def usage(disk: Path) -> Usage:
    """What is used since the last call; the first one measures a tenth of a second."""
    import psutil  # noqa: PLC0415 - of nodes alone

    global _asked_before  # noqa: PLW0603 - as psutil's own memory of the last call is
    cpu = psutil.cpu_percent(None if _asked_before else 0.1)
    _asked_before = True
    memory = psutil.virtual_memory()
    limit = _memory_limit()
    in_use = psutil.Process().memory_info().rss if limit < memory.total else memory.total - memory.available
    gpu = _gpu()
    busy = gpu.busy_percent() if gpu is not None else None
    of_gpu = gpu.memory() if gpu is not None else None
    return Usage(
        cpu_percent=float(cpu),
        memory_percent=100.0 * in_use / limit,
        gpu_percent=busy,
        gpu_memory_percent=100.0 * of_gpu.used / of_gpu.total if of_gpu is not None else None,
        disk_free_bytes=shutil.disk_usage(disk).free,
    )


_asked_before = False


def _memory_limit() -> int:
    """The machine's memory, or what a container may have of it (cgroup v2)."""
    import psutil  # noqa: PLC0415

    total = int(psutil.virtual_memory().total)
    try:
        said = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
    except OSError:
        return total
    return min(total, int(said)) if said.isdecimal() else total


@dataclass(frozen=True, slots=True)
class _Gpu:
    """The first GPU, by NVIDIA's management library."""

    busy_percent: Callable[[], float | None]
    memory: Callable[[], Any]


@lru_cache(maxsize=1)
def _gpu() -> _Gpu | None:
    try:
        import pynvml  # noqa: PLC0415
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    except pynvml.NVMLError:
        return None

    def busy_percent() -> float | None:
        try:
            return float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        except pynvml.NVMLError:  # a slice of a GPU (MIG) doesn't tell
            return None

    return _Gpu(busy_percent, lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
