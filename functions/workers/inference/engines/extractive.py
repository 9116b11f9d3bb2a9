"""A summary out of a text's own sentences: the central ones, no two of the same, in their order. It can't invent.

What is central is found as LexRank does it (Erkan and Radev, 2004): a random walk over how alike sentences are; what
is chosen is traded against likeness to what was chosen before (maximal marginal relevance, Carbonell and Goldstein,
1998). Alike means near in multilingual-e5-small. A long text is summarized in sections first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meet.domain.inference import InferenceModel
from meet.domain.transcript import word_count

from . import embedding
from .base import UNWATCHED, Asked, Place, Refused, Watch, Written
from .embedding import Embedding
from .sentences import sentences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SECTION = 200
"""Sentences that are compared with each other."""
KEPT = 20
"""Of each section of a long text."""
MOST_SENTENCES = 4000
"""That are looked at: what a minute is long enough for."""
DAMPING = 0.85
CENTRAL = 0.6
"""The weight of being central against being new."""
AT_LEAST = 3
SHARE = 4
"""At most one sentence of so many is taken, though there be room for more."""

missing = embedding.missing


class Engine:
    """See `base.Engine`. Options: `max_length` in words, `format`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._e5: Embedding | None = None

    def load(self, watch: Watch) -> None:
        """Load the embedding."""
        self._e5 = Embedding(self._model)

    def unload(self) -> None:
        """Give the memory back."""
        self._e5 = None

    def memory_bytes(self) -> int | None:
        """Not known: its engine doesn't tell."""
        return None

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> Written:
        """A summary of a text."""
        said = sentences(asked.text)
        if not said:
            raise Refused("There are no words in this text.")
        if len(said) > MOST_SENTENCES:
            raise Refused(f"The text has {len(said)} sentences, and {MOST_SENTENCES} can be summarized at once.")
        most_words = int(asked.options.get("max_length", 150))
        chosen = self._choose(said, most_words, watch)
        return Written(bullets(chosen) if asked.options.get("format") == "bullet_points" else " ".join(chosen))

    def _choose(self, said: Sequence[str], most_words: int, watch: Watch) -> list[str]:
        if self._e5 is None:
            raise RuntimeError("nothing is loaded")
        sections = [said[first : first + SECTION] for first in range(0, len(said), SECTION)]
        vectors = []
        for number, section in enumerate(sections):
            watch.go_on(number / len(sections))
            vectors.append(self._e5.of(section, watch))
        if len(sections) > 1:
            import numpy as np  # noqa: PLC0415 - of nodes alone

            kept = [_order(each)[:KEPT] for each in vectors]
            said = [section[index] for section, of in zip(sections, kept, strict=True) for index in sorted(of)]
            vectors = [np.concatenate([each[sorted(of)] for each, of in zip(vectors, kept, strict=True)])]
        return [said[index] for index in sorted(within(_order(vectors[0]), said, most_words))]


def _order(vectors: NDArray[np.float32]) -> list[int]:
    """All sentences, in the order in which a summary would take them."""
    import numpy as np  # noqa: PLC0415

    # All texts of this model are alike to 0.75 or more; what is left without their mean tells them apart.
    apart = vectors - vectors.mean(axis=0)
    apart /= np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-6)
    alike = np.clip(apart @ apart.T, 0.0, 1.0)
    np.fill_diagonal(alike, 0.0)
    central = _walk(alike)
    order: list[int] = []
    nearest = np.zeros(len(vectors))
    left = np.ones(len(vectors), dtype=bool)
    for _ in range(len(vectors)):
        score = np.where(left, CENTRAL * central - (1 - CENTRAL) * nearest, -np.inf)
        best = int(score.argmax())
        order.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return order


def _walk(alike: NDArray[np.float32]) -> NDArray[np.float32]:
    """How often a walk from sentence to sentence comes by each; the most visited has 1."""
    import numpy as np  # noqa: PLC0415

    count = len(alike)
    steps = alike / np.maximum(alike.sum(axis=1, keepdims=True), 1e-9)
    visits = np.full(count, 1 / count)
    for _ in range(50):
        visits = (1 - DAMPING) / count + DAMPING * steps.T @ visits
    found: NDArray[np.float32] = visits / visits.max()
    return found


def within(order: Sequence[int], said: Sequence[str], most_words: int) -> list[int]:
    """The first of these sentences that fit; where none does, the shortest."""
    most = max(AT_LEAST, len(said) // SHARE)
    chosen: list[int] = []
    words = 0
    for index in order:
        length = word_count(said[index])
        if len(chosen) < most and words + length <= most_words:
            chosen.append(index)
            words += length
    return chosen or [min(order, key=lambda index: word_count(said[index]))]


def bullets(chosen: Sequence[str]) -> str:
    """A line each."""
    return "\n".join(f"• {each.rstrip('.')}" for each in chosen)
