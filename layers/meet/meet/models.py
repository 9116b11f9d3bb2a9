"""The registry of models: `models.toml` beside this file, and what `MEET_MODELS` adds to it or puts in its place.

    registry().find("whisper-base")     a row, or None
    registry().choose(function, asked=None, nodes=fleet.online())

A row is a TOML table named by the model's id; adding a model is adding one. A row of `MEET_MODELS` with a known id
replaces the whole row. What is wrong in either file is a `ValueError` that names the row.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from meet.config import settings
from meet.domain.inference import Function, InferenceModel, InferenceNode, Source, choose

BUILT_IN = Path(__file__).with_suffix(".toml")

_NEEDED = frozenset({"name", "function", "source", "engine", "licence", "memory_mb"})
_OPTIONAL = frozenset({"version", "languages", "labels", "sha256", "cure", "options"})


@dataclass(frozen=True, slots=True)
class Registry:
    """All models, in their order."""

    models: tuple[InferenceModel, ...]
    defaults: Mapping[Function, str]
    """The model of a request that names none, where it can run."""

    def find(self, model_id: str) -> InferenceModel | None:
        """The row with this id."""
        return next((each for each in self.models if each.model_id == model_id), None)

    def choose(
        self,
        function: Function,
        *,
        asked: str | None,
        nodes: Collection[InferenceNode],
        languages: tuple[str | None, ...] = (),
    ) -> InferenceModel:
        """The model of a request, see `meet.domain.inference.choose`."""
        configured = self.defaults.get(function)
        return choose(self.models, function, asked=asked, configured=configured, nodes=nodes, languages=languages)


@lru_cache(maxsize=1)
def registry() -> Registry:
    """This process's registry, of the current settings; read once."""
    own = settings().models
    return read(BUILT_IN.read_text("utf-8"), own.read_text("utf-8") if own else "")


def read(*texts: str) -> Registry:
    """The registry that these TOML texts make, the later ones over the earlier. Raises `ValueError`."""
    rows: dict[str, InferenceModel] = {}
    defaults: dict[Function, str] = {}
    for text in texts:
        tables = tomllib.loads(text)
        chosen = tables.pop("defaults", {})
        for model_id, table in tables.items():
            rows[model_id] = _row(model_id, table)
        defaults |= {_function(name, "defaults"): model_id for name, model_id in chosen.items()}
    for function, model_id in defaults.items():
        if model_id not in rows or rows[model_id].function is not function:
            raise ValueError(f"defaults: {model_id!r} is no model for {function}")
    return Registry(tuple(rows.values()), defaults)


def _row(model_id: str, table: Any) -> InferenceModel:
    if not isinstance(table, dict):
        raise ValueError(f"{model_id} is no table")
    if missing := _NEEDED - table.keys():
        raise ValueError(f"{model_id} lacks {', '.join(sorted(missing))}")
    if unknown := table.keys() - _NEEDED - _OPTIONAL:
        raise ValueError(f"{model_id}: nobody knows {', '.join(sorted(unknown))}")
    try:
        source = Source.parse(table["source"])
        memory_bytes = int(table["memory_mb"] * 1_000_000)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{model_id}: {error}") from None
    return InferenceModel(
        model_id=model_id,
        name=table["name"],
        function=_function(table["function"], model_id),
        source=source,
        engine=table["engine"],
        licence=table["licence"],
        memory_bytes=memory_bytes,
        version=table.get("version") or _version(source),
        languages=tuple(table.get("languages", ())),
        labels=table.get("labels", {}),
        sha256=table.get("sha256", {}),
        cure=table.get("cure", ""),
        options=table.get("options", {}),
    )


def _version(source: Source) -> str:
    return source.revision or "1.0"


def _function(name: Any, where: str) -> Function:
    try:
        return Function(name)
    except ValueError:
        raise ValueError(f"{where}: {name!r} is no function; there are {', '.join(Function)}") from None
