"""What runs models, one file an engine, each under the name that rows of the registry have for it.

    engine = make(model, place)      # cheap: nothing is loaded, nothing is imported that is heavy
    engine.load(watch); engine.infer(asked, watch); engine.unload()

A module has a class `Engine` and a function `missing(model) -> str | None`: what keeps it from running that model on
this machine, a sentence with the cure. Neither imports what the engine computes with: that is for `load`.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from meet.domain.inference import InferenceModel

from .base import Engine, Place


def make(model: InferenceModel, place: Place) -> Engine:
    """The engine of a row, not loaded yet; `LookupError` where there is no such engine."""
    engine: Engine = _module(model).Engine(model, place)
    return engine


def missing(model: InferenceModel) -> str | None:
    """Why this model can't run here, or None where it can, at once or after its weights were fetched."""
    try:
        why: str | None = _module(model).missing(model)
    except LookupError as error:
        return str(error)
    return why


def _module(model: InferenceModel) -> ModuleType:
    try:
        return import_module(f".{model.engine}", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}.{model.engine}":
            raise
        raise LookupError(f"there is no engine {model.engine!r}") from None
