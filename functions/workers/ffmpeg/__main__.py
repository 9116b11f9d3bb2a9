"""`python -m functions.workers.ffmpeg`: feed the handler from both queues until SIGTERM.

One job of each queue at a time, so that a long one doesn't hold up the short ones. At SIGTERM runs of FFmpeg are
ended, and what was begun is given back for another worker to do.
"""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from threading import Lock, Thread
from typing import Any

from meet import logs, queue
from meet.config import settings
from meet.errors import Unavailable
from meet.queue import Queue, Received

from .binary import Missing, ffmpeg
from .folder import own_folder
from .handler import handler, quitting

log = logging.getLogger("meet.worker")

AWAY_S = 1.0
"""Between two questions to a queue that doesn't answer."""
LEAVE_S = 15.0
"""What the jobs in hand get to be given back."""


def event_of(where: Queue, message: Received) -> dict[str, Any]:
    """What Lambda would have given the handler."""
    attributes = {"ApproximateReceiveCount": str(message.times)}
    if message.trace:
        attributes["AWSTraceHeader"] = message.trace
    record = {
        "messageId": message.message_id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": attributes,
        "eventSourceARN": f"arn:aws:sqs:{settings().aws_region}:000000000000:{where.full_name}",
    }
    return {"Records": [record]}


def feed(where: Queue, busy: Lock) -> None:
    """Take messages off a queue, one at a time, until the process is to end; `busy` is held meanwhile."""
    while not quitting.is_set():
        try:
            for message in queue.receive(where, visibility_s=settings().job_lease_s):
                with busy:
                    if not handler(event_of(where, message), None)["batchItemFailures"]:
                        queue.done(where, message.receipt)
        except Unavailable as error:
            log.warning("%s does not answer: %s", where, error)
            quitting.wait(AWAY_S)
        except Exception:
            log.exception("%s can't be asked", where)
            quitting.wait(AWAY_S)


def main() -> int:
    """Work until SIGTERM; 1 where there is no FFmpeg that can."""
    logs.start(settings().log_level, service="ffmpeg-worker")
    try:
        binary = ffmpeg()
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    log.info("FFmpeg %s at %s", binary.version, binary.path)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: quitting.set())
    with own_folder(settings().home.resolve() / "jobs") as folder:
        tempfile.tempdir = str(folder)
        busy = {where: Lock() for where in (Queue.FFMPEG, Queue.FFMPEG_LONG)}
        for where, lock in busy.items():
            # A thread that waits for a message holds nothing, and ends with the process.
            Thread(target=feed, args=[where, lock], name=where, daemon=True).start()
        quitting.wait()
        for lock in busy.values():
            lock.acquire(timeout=LEAVE_S)
    return 0


if __name__ == "__main__":
    sys.exit(main())
