"""The file that is being looked at, as the child sees it: every byte comes from the caller."""

import io
import os
import socket

from . import wire

FIRST = 64 << 10
"""What is asked for first, and after every jump; twice as much after each, as long as reading goes straight on."""


class Reader(io.RawIOBase):
    """A file of `size` bytes behind a socket. It reads ahead: a request may take as long as S3 does."""

    def __init__(self, caller: socket.socket, size: int) -> None:
        super().__init__()
        self.size = size
        self._caller = caller
        self._at = 0
        self._kept = b""
        self._kept_from = 0
        self._next = FIRST

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("a seek to before the file's start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a Buffer is what typeshed asks for
        part = self._part(len(buffer))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _part(self, most: int) -> bytes:
        """Some bytes from here, at least one unless the file ends here."""
        if self._at >= self.size or not most:
            return b""
        start = self._at - self._kept_from
        if not 0 <= start < len(self._kept):
            straight_on = start == len(self._kept) and self._kept
            self._next = min(2 * self._next, wire.MOST_READ) if straight_on else FIRST
            self._kept = self._ask(self._at, min(self._next, self.size - self._at))
            self._kept_from, start = self._at, 0
        return self._kept[start : start + most]

    def _ask(self, offset: int, length: int) -> bytes:
        self._caller.sendall(wire.HEADER.pack(wire.READ, offset, length))
        return wire.receive(self._caller, length)
