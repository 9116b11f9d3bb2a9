"""What a process of ours writes to its log: our own lines at the configured level, those of libraries from WARNING.

Below that, libraries write what must never reach a log (decision 13): uvicorn and websockets the URLs of sockets,
which carry tokens, and at DEBUG the frames too; botocore and pynamodb the items, hashes of passwords among them.

Where `MEET_LOG_FORMAT` is `json`, each line is an object that names the service, and the trace, the request and the
room that it is about, where there is one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from meet import tracing
from meet.config import settings

if TYPE_CHECKING:
    from logging import LogRecord

PLAIN = "%(asctime)s %(levelname)s %(name)s %(message)s"

_TALKATIVE = ("botocore", "mangum", "pynamodb", "uvicorn.error", "websockets")

_about: ContextVar[dict[str, str | int]] = ContextVar("meet-log", default={})  # noqa: B039 - only ever replaced


def start(level: str, form: str = PLAIN, *, service: str = "") -> None:
    """Log to standard error from now on, lines of `form` from `level` up, or objects as `service`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json(service) if settings().log_format == "json" else logging.Formatter(form))
    logging.basicConfig(level=level, handlers=[handler])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def about(**what: str | int) -> Iterator[None]:
    """What is logged within is about this: `room`, `request_id`."""
    token = _about.set(_about.get() | what)
    try:
        yield
    finally:
        _about.reset(token)


def _json(service: str) -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter  # noqa: PLC0415 - where it is asked for

    class _Formatter(JsonFormatter):
        def add_fields(self, log_data: dict[str, Any], record: LogRecord, message_dict: dict[str, Any]) -> None:
            super().add_fields(log_data, record, message_dict)
            log_data.update(log_data.pop("request", None) or {})
            log_data.update(_about.get())
            if trace_id := tracing.trace_id():
                log_data["trace_id"] = trace_id

    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    return _Formatter(
        "{asctime}{levelname}{name}{message}",
        style="{",
        rename_fields=names,
        static_fields={"service": service},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )
