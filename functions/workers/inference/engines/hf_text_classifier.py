"""Sentiment and emotions of a text by classifiers of transformers: the row's model for the one, and for the other the
source that its `options.emotions` names.

A long text is judged in pieces, each of which counts by its length.
"""

from __future__ import annotations

from typing import Any

from meet.domain.inference import InferenceModel, Source

from . import hf
from .base import UNWATCHED, Asked, Mood, Place, Refused, Scored, Watch
from .e5_prototype import spread
from .sentences import sentences

MOST_SENTENCES = 400
BATCH = {"cpu": 4, "cuda": 64}
SENTIMENTS = ("positive", "negative", "neutral")

missing = hf.missing


class Engine:
    """See `base.Engine`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._place = place
        self._sentiment: tuple[hf.Loaded, Any] | None = None
        self._emotions: tuple[hf.Loaded, Any] | None = None

    def load(self, watch: Watch) -> None:
        """Fetch and load both checkpoints."""

        def make(folder: Any, dtype: Any) -> tuple[Any, Any]:
            from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: PLC0415

            model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
            return model, AutoTokenizer.from_pretrained(folder)

        self._sentiment = hf.load(self._model, self._place, watch, make)
        named = self._model.options.get("emotions")
        if named:
            self._emotions = hf.load(self._model, self._place, watch, make, Source.parse(str(named)))

    def unload(self) -> None:
        """Give the memory back."""
        self._sentiment = self._emotions = None
        hf.free(self._place)

    def memory_bytes(self) -> int | None:
        """Of the weights of both."""
        return sum(each[0].memory_bytes for each in (self._sentiment, self._emotions) if each)

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> Mood:
        """The mood of a text."""
        said = spread(sentences(asked.text), MOST_SENTENCES)
        if not said:
            raise Refused("There are no words in this text.")
        sentiment = self._scores(self._sentiment, said, watch)
        unknown = set(sentiment) - set(SENTIMENTS)
        if unknown:
            raise RuntimeError(
                f"{self._model.source} has the labels {sorted(unknown)}: name them in the row's labels"
            )
        return Mood(Scored(sentiment), self._scores(self._emotions, said, watch) if self._emotions else {})

    def _scores(self, of: tuple[hf.Loaded, Any] | None, said: list[str], watch: Watch) -> dict[str, float]:
        import torch  # noqa: PLC0415 - of nodes alone

        if of is None:
            raise RuntimeError("nothing is loaded")
        loaded, tokens = of
        config = loaded.model.config
        several = config.problem_type == "multi_label_classification"
        sums = [0.0] * config.num_labels
        size = BATCH[self._place.device]
        for first in range(0, len(said), size):
            watch.go_on()
            some = said[first : first + size]
            given = tokens(some, return_tensors="pt", padding=True, truncation=True).to(loaded.device)
            with torch.inference_mode():
                logits = loaded.model(**given).logits.float()
            likely = (logits.sigmoid() if several else logits.softmax(-1)).tolist()
            for text, row in zip(some, likely, strict=True):
                sums = [total + len(text) * share for total, share in zip(sums, row, strict=True)]
        length = sum(len(each) for each in said)
        return {self._word(config.id2label[index]): total / length for index, total in enumerate(sums)}

    def _word(self, label: str) -> str:
        plain = label.lower()
        return self._model.labels.get(plain, plain)
