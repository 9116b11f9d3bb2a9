"""The models of one node: which it can run, which are loaded, and who uses them now.

    with shelf.using(model, watch) as engine:      # loaded where it isn't, unused ones given up for it
        engine.infer(…)

That a model fits is decided by its estimate before it is loaded, and by what it was measured to take afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock, RLock

from meet.clock import utcnow
from meet.domain.inference import Function, InferenceModel, LoadedModel

from . import sources
from .engines import make, missing
from .engines.base import Engine, Place, Unloadable, Watch

WAIT_S = 0.1
"""How often who waits for a model looks whether it should go on."""


class InsufficientMemory(Exception):
    """The model doesn't fit beside those that are there."""


@dataclass
class _Slot:
    """A model that is here, or on its way."""

    model: InferenceModel
    facts: LoadedModel
    engine: Engine
    used_at: float = 0.0
    in_use: Lock = field(default_factory=Lock)


class Shelf:
    """Safe to use from any thread. `memory_bytes` is what all models may take together."""

    def __init__(self, models: Sequence[InferenceModel], place: Place, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._models = {each.model_id: each for each in models}
        self._place = place
        self._slots: dict[str, _Slot] = {}
        self._lock = RLock()
        self.lacking: dict[str, str] = {}
        self._here: set[str] = set()
        self.look()

    def look(self) -> None:
        """See anew what is installed and what was fetched."""
        lacking, here = {}, set()
        for model in self._models.values():
            why = missing(model) or sources.missing(model.source)
            if why is not None:
                lacking[model.model_id] = why
            elif sources.is_here(model.source, self._place):
                here.add(model.model_id)
        with self._lock:
            self.lacking, self._here = lacking, here

    @property
    def available(self) -> tuple[str, ...]:
        """Models that can be loaded without fetching anything, in the registry's order."""
        return tuple(each for each in self._models if each in self._here)

    @property
    def obtainable(self) -> tuple[str, ...]:
        """Models whose engine is here and whose weights would have to be fetched."""
        return tuple(each for each in self._models if each not in self._here and each not in self.lacking)

    @property
    def functions(self) -> tuple[Function, ...]:
        """What can be done at once."""
        return tuple(dict.fromkeys(self._models[each].function for each in self.available))

    @property
    def loaded(self) -> tuple[LoadedModel, ...]:
        """What is there, and what came of it."""
        with self._lock:
            return tuple(slot.facts for slot in self._slots.values())

    def load(self, model: InferenceModel, watch: Watch, *, make_room: bool = False) -> LoadedModel:
        """Load a model; fine where it is loaded. `make_room`: models that nobody uses are given up for it.

        Raises `InsufficientMemory` before anything is loaded, `Unloadable`, and `Stopped`.
        """
        if why := self.lacking.get(model.model_id):
            raise Unloadable(why)
        with self._lock:
            slot = self._slots.get(model.model_id)
            if slot is not None and slot.facts.status == "loaded":
                return slot.facts
        slot = self._taken(model, watch, make_room=make_room)
        try:
            return self._load(slot, watch)
        finally:
            slot.in_use.release()

    def unload(self, model_id: str) -> int | None:
        """Give up a model, once nobody uses it; the bytes that are free for it, or None where it isn't loaded."""
        with self._lock:
            slot = self._slots.get(model_id)
        if slot is None:
            return None
        with slot.in_use:
            slot.engine.unload()
            with self._lock:
                self._slots.pop(model_id, None)
        return slot.facts.memory_bytes

    @contextmanager
    def using(self, model: InferenceModel, watch: Watch) -> Iterator[Engine]:
        """The loaded engine of a model, for this thread alone. Raises as `load`; who waits for it may be stopped."""
        if why := self.lacking.get(model.model_id):
            raise Unloadable(why)
        slot = self._taken(model, watch, make_room=True)
        try:
            self._load(slot, watch)
            yield slot.engine
        finally:
            slot.used_at = time.monotonic()
            slot.in_use.release()

    def note(self, model_id: str, *, busy_s: float, failed: bool) -> None:
        """What came of one use."""
        with self._lock:
            slot = self._slots.get(model_id)
            if slot is not None:
                facts = slot.facts
                slot.facts = replace(
                    facts,
                    requests=facts.requests + 1,
                    failures=facts.failures + failed,
                    busy_s=facts.busy_s + busy_s,
                )

    def clear(self) -> None:
        """Give up all that nobody uses."""
        with self._lock:
            slots = list(self._slots.values())
        for slot in slots:
            if slot.in_use.acquire(blocking=False):
                slot.engine.unload()
                slot.in_use.release()

    def _taken(self, model: InferenceModel, watch: Watch, *, make_room: bool) -> _Slot:
        """The slot of a model, for this thread alone."""
        while True:
            slot = self._slot(model, make_room=make_room)
            while not slot.in_use.acquire(timeout=WAIT_S):
                watch.go_on()
            with self._lock:
                if self._slots.get(model.model_id) is slot:
                    return slot
            slot.in_use.release()  # it was given up meanwhile

    def _slot(self, model: InferenceModel, *, make_room: bool) -> _Slot:
        with self._lock:
            slot = self._slots.get(model.model_id)
            if slot is not None and slot.facts.status != "error":
                return slot
            self._slots.pop(model.model_id, None)
            if make_room:
                self._make_room(model.memory_bytes)
            taken = sum(each.facts.memory_bytes for each in self._slots.values() if each.facts.status != "error")
            if taken + model.memory_bytes > self.memory_bytes:
                raise InsufficientMemory(
                    f"{model.model_id} takes {model.memory_bytes // 1_000_000} MB, and "
                    f"{max(0, self.memory_bytes - taken) // 1_000_000} MB are free"
                )
            facts = LoadedModel(model.model_id, model.memory_bytes, "loading", progress=0.0)
            slot = self._slots[model.model_id] = _Slot(model, facts, make(model, self._place))
            return slot

    def _make_room(self, wanted: int) -> None:
        """Give up models that nobody uses, the longest unused first, until it fits or none is left."""
        idle = sorted(self._slots.values(), key=lambda slot: slot.used_at)
        for slot in idle:
            taken = sum(each.facts.memory_bytes for each in self._slots.values() if each.facts.status != "error")
            if taken + wanted <= self.memory_bytes:
                return
            if slot.in_use.acquire(blocking=False):
                slot.engine.unload()
                del self._slots[slot.model.model_id]
                slot.in_use.release()

    def _load(self, slot: _Slot, watch: Watch) -> LoadedModel:
        """Load what has a slot; `in_use` is held."""
        if slot.facts.status == "loaded":
            return slot.facts

        def told(share: float) -> None:
            slot.facts = replace(slot.facts, progress=share)

        began = time.monotonic()
        try:
            slot.engine.load(Watch(watch.stop, told))
        except BaseException as error:
            slot.engine.unload()
            with self._lock:
                if isinstance(error, Unloadable):
                    slot.facts = replace(slot.facts, status="error", error=str(error))
                else:
                    self._slots.pop(slot.model.model_id, None)
            raise
        with self._lock:
            measured = slot.engine.memory_bytes()
            slot.facts = replace(
                slot.facts,
                status="loaded",
                progress=1.0,
                error=None,
                load_time=utcnow(),
                load_s=time.monotonic() - began,
                memory_bytes=slot.facts.memory_bytes if measured is None else measured,
            )
            self._here.add(slot.model.model_id)
            slot.used_at = time.monotonic()
            return slot.facts
