"""Which models are in memory: never more than fits, none lost while it is used."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from functions.workers.ffmpeg.run import Stopped
from functions.workers.inference import shelf as shelf_module
from functions.workers.inference.engines.base import UNWATCHED, Asked, Place, Unloadable, Watch, Written
from functions.workers.inference.shelf import InsufficientMemory, Shelf
from meet.domain.inference import Function, InferenceModel, Source

PLACE = Place(Path("/nowhere"), 1)


class Slow:
    """An engine that loads when it is let."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self.model = model
        self.is_loaded = False
        self.may_load = Event()
        self.may_load.set()

    def load(self, watch: Watch) -> None:
        watch.go_on(0.5)
        assert self.may_load.wait(10)
        if self.model.licence == "broken":
            raise Unloadable("its files are broken")
        self.is_loaded = True

    def unload(self) -> None:
        self.is_loaded = False

    def memory_bytes(self) -> int | None:
        return int(self.model.options["measured"]) if "measured" in self.model.options else None

    def infer(self, asked: Asked, watch: Watch) -> Written:
        assert self.is_loaded
        return Written(asked.text)


def model(model_id: str, size: int, **more: Any) -> InferenceModel:
    return InferenceModel(
        model_id,
        model_id,
        Function.TRANSLATION,
        Source("pkg", "x"),
        "slow",
        **{"licence": "MIT"} | more,
        memory_bytes=size,
    )


A, B, C, BROKEN, BIG = (
    model("a", 40),
    model("b", 40),
    model("c", 40),
    model("x", 10, licence="broken"),
    model("big", 101),
)
ABSENT = model("absent", 1)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(shelf_module, "make", Slow)
    monkeypatch.setattr(shelf_module, "missing", lambda row: "install it" if row is ABSENT else None)
    return Shelf([A, B, C, BROKEN, BIG, ABSENT], PLACE, 100)


def ids(shelf: Shelf) -> set[str]:
    return {each.model_id for each in shelf.loaded if each.status == "loaded"}


def test_what_can_run_is_known_before_anything_is_loaded(shelf: Shelf) -> None:
    assert shelf.available == ("a", "b", "c", "x", "big")
    assert shelf.lacking == {"absent": "install it"}
    assert shelf.functions == (Function.TRANSLATION,)
    assert shelf.obtainable == ()
    assert shelf.loaded == ()


def test_that_a_model_fits_is_decided_before_it_is_loaded(shelf: Shelf) -> None:
    assert shelf.load(A, UNWATCHED).status == "loaded"
    assert shelf.load(A, UNWATCHED) == shelf.loaded[0]
    shelf.load(B, UNWATCHED)
    with pytest.raises(InsufficientMemory, match="c takes 0 MB"):
        shelf.load(C, UNWATCHED)
    assert ids(shelf) == {"a", "b"}
    assert shelf.unload("a") == 40
    assert shelf.unload("a") is None
    shelf.load(C, UNWATCHED)
    assert ids(shelf) == {"b", "c"}


def test_a_request_takes_the_place_of_what_was_unused_for_longest(shelf: Shelf) -> None:
    for each in (A, B, A):
        with shelf.using(each, UNWATCHED):
            pass
    with shelf.using(C, UNWATCHED) as engine:
        assert engine.infer(Asked(text="hi"), UNWATCHED) == Written("hi")
    assert ids(shelf) == {"a", "c"}
    with pytest.raises(InsufficientMemory), shelf.using(BIG, UNWATCHED):
        pytest.fail("it doesn't fit")


def test_what_is_used_is_not_given_up(shelf: Shelf) -> None:
    with shelf.using(A, UNWATCHED), shelf.using(B, UNWATCHED):
        with pytest.raises(InsufficientMemory), shelf.using(C, UNWATCHED):
            pytest.fail("it doesn't fit")
        assert ids(shelf) == {"a", "b"}


def test_a_model_is_used_by_one_at_a_time_and_who_waits_may_be_stopped(shelf: Shelf) -> None:
    stop, entered = Event(), Event()
    found: list[str] = []

    def second() -> None:
        try:
            with shelf.using(A, Watch(stop)):
                found.append("used")
        except Stopped:
            found.append("stopped")

    with shelf.using(A, UNWATCHED):
        waiting = Thread(target=second)
        waiting.start()
        assert not entered.wait(0.2)
        assert found == []
        stop.set()
        waiting.join(10)
    assert found == ["stopped"]


def test_a_model_that_can_not_be_loaded_says_so_and_is_tried_again(shelf: Shelf) -> None:
    for _ in range(2):
        with pytest.raises(Unloadable, match="its files are broken"):
            shelf.load(BROKEN, UNWATCHED)
        [slot] = shelf.loaded
        assert (slot.status, slot.error) == ("error", "its files are broken")
    with pytest.raises(Unloadable, match="install it"):
        shelf.load(ABSENT, UNWATCHED)


def test_loading_that_is_stopped_leaves_nothing(shelf: Shelf) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        shelf.load(A, Watch(stop))
    assert shelf.loaded == ()


def test_what_is_measured_takes_the_place_of_the_estimate(shelf: Shelf) -> None:
    assert shelf.load(model("a", 40, options={"measured": 55}), UNWATCHED).memory_bytes == 55


def test_uses_are_counted(shelf: Shelf) -> None:
    shelf.load(A, UNWATCHED)
    shelf.note("a", busy_s=1.5, failed=False)
    shelf.note("a", busy_s=0.5, failed=True)
    shelf.note("nobody", busy_s=1, failed=True)
    [facts] = shelf.loaded
    assert (facts.requests, facts.failures, facts.busy_s) == (2, 1, 2.0)
    assert facts.load_time is not None
