"""Which data plane a process has: the one in C where it was built, else the one in Python."""

import logging
import socket
from collections.abc import Callable
from typing import Literal

from sfu.plane.base import Plane, Streams
from sfu.plane.python import PythonPlane

logger = logging.getLogger(__name__)

PlaneName = Literal["auto", "python", "engine"]


def make_plane(name: PlaneName, sock: socket.socket, wake: Callable[[], None], streams: Streams | None) -> Plane:
    """A plane over a non-blocking UDP socket. `auto` takes what there is; ImportError where `engine` is not there."""
    if name == "python":
        return PythonPlane(sock, wake, streams)
    try:
        from sfu.plane.engine.plane import EnginePlane  # noqa: PLC0415 - it may not be there
    except ImportError as missing:
        if name == "engine":
            raise
        logger.debug("the data plane is the one in Python: %s", missing)
        return PythonPlane(sock, wake, streams)
    return EnginePlane(sock, wake, streams)
