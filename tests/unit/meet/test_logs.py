import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from meet import logs
from meet.config import settings


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """What is logged from now on, a line each, as objects."""
    monkeypatch.setenv("MEET_LOG_FORMAT", "json")
    settings.cache_clear()
    stream = io.StringIO()
    handlers = list(logging.root.handlers)
    level = logging.root.level
    logging.root.handlers.clear()
    monkeypatch.setattr("sys.stderr", stream)
    logs.start("INFO", service="edge")
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    settings.cache_clear()


def test_a_line_says_what_it_is_about(lines: Any) -> None:
    log = logging.getLogger("meet.test")
    with logs.about(room=12), logs.about(request_id="r"):
        log.info("hello %s", "you")
    log.warning("later")
    first, second = lines()
    assert {"level": "INFO", "message": "hello you", "service": "edge", "room": 12, "request_id": "r"}.items() <= (
        first.items()
    )
    assert "room" not in second


def test_an_error_has_its_traceback_in_the_same_line(lines: Any) -> None:
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("meet.test").exception("no")
    [line] = lines()
    assert "KeyError: 'gone'" in line["exc_info"]


def test_what_is_known_of_a_request_stands_on_top(lines: Any) -> None:
    about = {"service": "user-service", "request_id": "r", "status": 200}
    logging.getLogger("meet.test").info(json.dumps(about), extra={"request": about})
    [line] = lines()
    assert about.items() <= line.items()
    assert "request" not in line
