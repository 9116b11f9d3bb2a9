"""Bytes that wait for the bucket: a little in memory, more on disk, and no more than there is room for."""

import os
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

MEMORY_BYTES = 16 << 20
"""What waits beyond this goes to the disk. 16 s of 8 Mbit/s: most never does."""
MEMORY_MOST_BYTES = 128 << 20
"""Where the disk takes none."""
DISK_BYTES = 1 << 30


class SpoolFull(Exception):
    """There is no room for more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Some bytes: in memory, or at a place in the file."""

    size: int
    data: bytes | None
    offset: int = 0


class Spool:
    """What waits. Its file has no name: whatever becomes of this process, nothing of it stays."""

    def __init__(
        self, *, memory: int = MEMORY_BYTES, memory_most: int = MEMORY_MOST_BYTES, disk: int = DISK_BYTES
    ) -> None:
        self._memory, self._memory_most, self._disk = memory, memory_most, disk
        self._in_memory = 0
        self._on_disk = 0
        self._end = 0
        self._file: IO[bytes] | None = None

    def put(self, data: bytes) -> Waiting:
        """Keep these. Raises `SpoolFull`."""
        size = len(data)
        if self._in_memory + size > self._memory and self._end + size <= self._disk and self._wrote(data):
            waiting = Waiting(size, None, self._end)
            self._end += size
            self._on_disk += size
            return waiting
        if self._in_memory + size > self._memory_most:
            raise SpoolFull
        self._in_memory += size
        return Waiting(size, data)

    def read(self, waiting: Waiting) -> bytes:
        """The bytes. Raises OSError where the disk does not give them back."""
        if waiting.data is not None or self._file is None:
            return waiting.data or b""
        data = os.pread(self._file.fileno(), waiting.size, waiting.offset)
        if len(data) != waiting.size:
            raise OSError("the spool is shorter than what was written")
        return data

    def remove(self, waiting: Waiting) -> None:
        """They are not needed any more."""
        if waiting.data is not None:
            self._in_memory -= waiting.size
            return
        self._on_disk -= waiting.size
        if not self._on_disk and self._file is not None:  # the file begins anew: it grows during one outage alone
            self._end = 0
            os.ftruncate(self._file.fileno(), 0)

    def close(self) -> None:
        """Forget everything."""
        if self._file is not None:
            self._file.close()

    def _wrote(self, data: bytes) -> bool:
        """Whether the disk took them."""
        try:
            if self._file is None:
                self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this
            view, offset = memoryview(data), self._end
            while view:
                count = os.pwrite(self._file.fileno(), view, offset)
                view, offset = view[count:], offset + count
        except OSError:
            return False
        return True
