"""`python -m sfu.egress recorder|streamer FD`: one egress process, a child of a media process.

`FD` is this end of their socket. Signals that ask the whole group to end are the media process's to answer: it says
when this one is to stop, and its going away says so, too.
"""

import asyncio
import importlib
import os
import resource
import signal
import socket
import sys
from types import FrameType

from meet import logs
from meet.config import settings
from sfu.egress.child import serve
from sfu.egress.sink import OpenSink

SINKS = {"recorder": "sfu.egress.recorder", "streamer": "sfu.egress.streamer"}
"""Modules that have an `open_sink`; loaded where they are wanted alone, since each brings much that the other needs
not."""
MOST_MEMORY_BYTES = 8 << 30
"""Of addresses: an encoder of 1080p with its threads and their arenas takes about two of these eight."""


def restrain() -> None:
    """Take no more memory than is there for all.

    Where memory runs out, the kernel is to end this process before any other.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")


def yield_to_calls() -> None:
    """Take what the processors have left: nice alone has no effect between sessions under the kernel's autogroup.

    What is started from here inherits it.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main(arguments: list[str]) -> int:
    """Run to the end."""
    kind, descriptor = arguments
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _leave_it)  # and not SIG_IGN, which an FFmpeg that is started from here would inherit
    restrain()
    logs.start(settings().log_level, service=f"egress-{kind}")
    open_sink: OpenSink = importlib.import_module(SINKS[kind]).open_sink
    if kind == "streamer":  # now that it is loaded: a recorder does little, and what it misses is lost
        yield_to_calls()
    connection = socket.socket(fileno=int(descriptor))
    connection.set_inheritable(False)  # what is started from here must not keep it open
    asyncio.run(serve(connection, open_sink))
    return 0


def _leave_it(_number: int, _frame: FrameType | None) -> None:
    """The media process has the signal, too."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
