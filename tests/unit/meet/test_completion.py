"""Waiting for a job's end: what is announced is heard, what isn't is found out."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from fakeredis import FakeRedis, FakeServer
from redis.exceptions import ConnectionError as RedisConnectionError

from meet import completion


class Looking:
    """`look` that finds something from a moment on, and counts how often it was asked."""

    def __init__(self) -> None:
        self.found: str | None = None
        self.asked = 0
        self.on_ask: Callable[[], None] = lambda: None

    def __call__(self) -> str | None:
        self.asked += 1
        self.on_ask()
        return self.found


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis(server=FakeServer())


@pytest.fixture
def look() -> Looking:
    return Looking()


def test_what_is_over_already_is_not_waited_for(redis: FakeRedis, look: Looking) -> None:
    look.found = "done"
    assert completion.wait(redis, "j1", look, timeout_s=60) == "done"
    assert look.asked == 1


def test_the_end_is_heard(redis: FakeRedis, look: Looking) -> None:
    """It comes between two looks, which is as late as may be."""
    looked = threading.Event()
    look.on_ask = looked.set

    def work() -> None:
        assert looked.wait(10)
        look.found = "done"
        completion.announce(redis, "another")
        completion.announce(redis, "j1")

    worker = threading.Thread(target=work)
    worker.start()
    assert completion.wait(redis, "j1", look, timeout_s=60) == "done"
    worker.join()
    assert look.asked == 2


def test_whoever_waits_hears_it(redis: FakeRedis, look: Looking) -> None:
    asked = threading.Barrier(4)

    def ask(mine: list[None]) -> str | None:
        if not mine:
            mine.append(None)
            asked.wait(10)
        return look()

    begun: list[list[None]] = [[], [], []]
    with ThreadPoolExecutor(3) as waiters:
        answers = [waiters.submit(completion.wait, redis, "j1", partial(ask, one), timeout_s=60) for one in begun]
        asked.wait(10)
        while look.asked < 3:
            time.sleep(0.01)
        look.found = "done"
        completion.announce(redis, "j1")
        assert [answer.result() for answer in answers] == ["done"] * 3


def test_what_was_not_announced_is_found_at_the_end(redis: FakeRedis, look: Looking) -> None:
    def finish_quietly() -> None:
        look.found = "done" if look.asked == 2 else None

    look.on_ask = finish_quietly
    assert completion.wait(redis, "j1", look, timeout_s=0.1) == "done"


@pytest.mark.parametrize("timeout_s", [0.0, 0.05])
def test_its_time_is_over(redis: FakeRedis, look: Looking, timeout_s: float) -> None:
    begun = time.monotonic()
    assert completion.wait(redis, "j1", look, timeout_s=timeout_s) is None
    assert time.monotonic() - begun >= timeout_s
    assert look.asked >= 1


def test_an_announcement_that_nobody_heard_is_seen_when_listening_begins(
    redis: FakeRedis, look: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends after the caller decided to wait, and before Redis has the subscription."""
    listen = completion._listen

    def end_first(*arguments: object) -> None:
        monkeypatch.setattr(completion, "_listen", listen)
        look.found = "done"
        completion.announce(redis, "j1")
        listen(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(completion, "_listen", end_first)
    assert completion.wait(redis, "j1", look, timeout_s=60) == "done"
    assert look.asked == 1


def test_while_redis_is_away_it_looks_now_and_then(
    redis: FakeRedis, look: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(completion, "AWAY_S", 0.01)
    monkeypatch.setattr("redis.client.PubSub.subscribe", away)

    def finish() -> None:
        look.found = "done" if look.asked == 3 else None

    look.on_ask = finish
    assert completion.wait(redis, "j1", look, timeout_s=60) == "done"
