"""One child of `client`: started, served with the bytes that it asks for, and always ended."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from meet.errors import Unavailable

from . import wire
from .kinds import Unreadable

MOST_S = 90.0
"""From start to end. It is more than a child may compute (`sandbox.CPU_S`), since its bytes may come from afar."""

_END_S = 5.0

_log = logging.getLogger(__name__)
_TOO_LONG = (signal.SIGXCPU, signal.SIGKILL)
"""How the kernel ends what computes too long."""


class Source(Protocol):
    """Where the bytes of a file come from, if it isn't a path. `read` may block; one thread calls it."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes, which are within `size`."""


class Child:
    """A task on one file, see `meet.probe.__main__` for its words."""

    def __init__(self, source: Path | Source, task: str, *how: object) -> None:
        self._source = source
        self._task = task
        self._how = how
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._stopped = False

    def stop(self) -> None:
        """End it, from any thread; `run` raises then."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def run(self) -> tuple[dict[str, Any], bytes]:
        """The answer and the picture with it. Blocks; raises as `client` says."""
        with _opened(self._source) as source, self._started(source.size) as peer:
            deadline = time.monotonic() + MOST_S
            while True:
                with self._talking(peer, deadline):
                    word, first, second = wire.HEADER.unpack(wire.receive(peer, wire.HEADER.size))
                    if word == wire.DONE:
                        return _answer(peer, first, second)
                if word == wire.READY:
                    self._ready = True
                    continue
                part = _read(source, first, second)
                with self._talking(peer, deadline):
                    peer.sendall(part)

    @contextmanager
    def _talking(self, peer: socket.socket, deadline: float) -> Iterator[None]:
        """Says in our words why the child doesn't answer. Faults of the source are not among it."""
        try:
            peer.settimeout(_left(deadline))
            yield
        except TimeoutError as error:
            raise Unavailable("The file could not be examined in time. Please try again later.") from error
        except (EOFError, ConnectionError) as error:
            raise self._end() from error

    @contextmanager
    def _started(self, size: int) -> Iterator[socket.socket]:
        """The process, with this end of the socket to it; it inherits nothing else, no variable of the environment
        either: there the secrets are."""
        peer, its = socket.socketpair()
        with peer:
            with its:
                command = [sys.executable, "-m", "meet.probe", self._task, str(size), *map(str, self._how)]
                environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
                self._process = subprocess.Popen(  # noqa: S603 - our own module, with numbers
                    command,
                    stdin=its.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                )
            try:
                if self._stopped:
                    self._process.kill()
                yield peer
            finally:
                peer.close()
                self._process.kill()
                self._process.wait()

    def _end(self) -> Exception:
        """Why there was no answer: its socket is closed, so it ends now, or is made to."""
        assert self._process is not None  # noqa: S101 - it was started
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if not self._ready or code > 0 or self._stopped:
            return RuntimeError(f"The probe ended with {code}")
        _log.warning("a file ended its probe", extra={"signal": -code})
        if -code in _TOO_LONG:
            return Unreadable("The file takes too long to be read")
        return Unreadable("The file is broken")


@contextmanager
def _opened(source: Path | Source) -> Iterator[Source]:
    if not isinstance(source, Path):
        yield source
        return
    with source.open("rb") as file:
        yield _Local(file.fileno())


class _Local:
    """A file of this machine."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.size = os.fstat(number).st_size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._number, length, offset)


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _read(source: Source, offset: int, length: int) -> bytes:
    if length > wire.MOST_READ or offset + length > source.size:
        raise RuntimeError(f"The probe asked for {length} bytes at {offset}")
    part = source.read(offset, length)
    if len(part) != length:
        raise RuntimeError(f"{len(part)} bytes came where {length} were asked for")
    return part


def _answer(peer: socket.socket, text_size: int, picture_size: int) -> tuple[dict[str, Any], bytes]:
    if text_size > wire.MOST_JSON or picture_size > wire.MOST_PICTURE:
        raise RuntimeError("The probe answered too much")
    answer: dict[str, Any] = json.loads(wire.receive(peer, text_size))
    picture = wire.receive(peer, picture_size)
    if "unreadable" in answer:
        _log.info("a file could not be read", extra={"cause": answer["cause"]})
        raise Unreadable(answer["unreadable"])
    return answer, picture
