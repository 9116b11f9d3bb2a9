"""What a process of ours writes to its log: our own lines at the configured level, those of libraries from WARNING.

Below that, libraries write what must never reach a log (decision 13): uvicorn and websockets the URLs of sockets,
which carry tokens, and at DEBUG the frames too; botocore and pynamodb the items, hashes of passwords among them.
"""

import logging

PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"

_TALKATIVE = ("botocore", "mangum", "pynamodb", "uvicorn.error", "websockets")


def start(level: str, form: str = PLAIN) -> None:
    """Log to standard error from now on, lines of `form` from `level` up."""
    logging.basicConfig(level=level, format=form)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
