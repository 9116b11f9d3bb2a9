"""What engines of transformers share: loading a checkpoint by whatever source, on whatever device, and its size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from meet.domain.inference import InferenceModel, Source

from .. import sources
from .base import Place, Unloadable, Watch

NEEDED = ("torch", "transformers")
CURE = "start with `make up WITH=transformers`"


def missing(model: InferenceModel) -> str | None:
    """See `engines`."""
    gone = [name for name in NEEDED if find_spec(name) is None]
    return f"{' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} not installed: {CURE}" if gone else None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checkpoint in memory."""

    model: Any
    device: str
    dtype: Any

    @property
    def memory_bytes(self) -> int:
        """Of its parameters and buffers."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return sum(each.numel() * each.element_size() for each in tensors)


def load(
    model: InferenceModel,
    place: Place,
    watch: Watch,
    make: Callable[[Path, Any], tuple[Any, Any]],
    source: Source | None = None,
) -> tuple[Loaded, Any]:
    """Fetch a checkpoint where it isn't here, and have `make(folder, dtype)` give its model and what it reads with.

    In half precision on a GPU. Raises `Unloadable` where its files are not such a checkpoint.
    """
    folder = sources.fetch(model, place, watch, source)
    import torch  # noqa: PLC0415 - of nodes alone
    from transformers.utils import logging  # noqa: PLC0415

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(place.threads)
    dtype = torch.float16 if place.device == "cuda" else torch.float32
    try:
        made, reader = make(folder, dtype)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise Unloadable(f"{source or model.source} can't be loaded: {str(error).splitlines()[0]}") from error
    return Loaded(made.to(place.device).eval(), place.device, dtype), reader


def free(place: Place) -> None:
    """Give the GPU's memory back, which torch would keep for itself."""
    if place.device == "cuda":
        import torch  # noqa: PLC0415

        torch.cuda.empty_cache()
