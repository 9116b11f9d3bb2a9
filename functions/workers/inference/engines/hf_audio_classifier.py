"""What a recording sounds like, by a classifier of transformers: emotions, or whether a voice is synthetic.

The recording is judged in spans of 2.5 s or 10 s, on a GPU several at once; spans in which nobody speaks are left out
as far as their loudness tells. Labels of the checkpoint become the document's by the row's `labels`.
"""

from __future__ import annotations

from typing import Any

from meet.domain.inference import Function, InferenceModel

from . import hf
from .base import UNWATCHED, Asked, Place, Scored, Watch
from .sound import decode, windows

SPAN_S = {Function.EMOTION_DETECTION: 2.5, Function.SYNTHESIS_DETECTION: 10.0}
LEAST_S = 0.3
"""What is shorter at the end is too little to be judged."""
SILENT = 10 ** (-50 / 20)
"""Of full scale, root mean square: nobody speaks so low."""
BATCH = {"cpu": 1, "cuda": 16}

missing = hf.missing


class Engine:
    """See `base.Engine`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._place = place
        self._loaded: hf.Loaded | None = None
        self._extract: Any = None

    def load(self, watch: Watch) -> None:
        """Fetch and load the checkpoint."""

        def make(folder: Any, dtype: Any) -> tuple[Any, Any]:
            from transformers import AutoFeatureExtractor, AutoModelForAudioClassification  # noqa: PLC0415

            model = AutoModelForAudioClassification.from_pretrained(folder, dtype=dtype)
            return model, AutoFeatureExtractor.from_pretrained(folder)

        self._loaded, self._extract = hf.load(self._model, self._place, watch, make)

    def unload(self) -> None:
        """Give the memory back."""
        self._loaded = self._extract = None
        hf.free(self._place)

    def memory_bytes(self) -> int | None:
        """Of its weights."""
        return self._loaded.memory_bytes if self._loaded else 0

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> list[Scored]:
        """Each span of a file that can be heard."""
        import numpy as np  # noqa: PLC0415 - of nodes alone

        sound = decode(asked.file, asked.mime_type, watch)
        spans = [
            (start, end)
            for start, end in windows(sound, SPAN_S[self._model.function])
            if end - start >= LEAST_S and np.sqrt(np.square(sound.mono(start, end)).mean()) > SILENT
        ]
        found: list[Scored] = []
        size = BATCH[self._place.device]
        for first in range(0, len(spans), size):
            watch.go_on(first / len(spans))
            some = spans[first : first + size]
            scores = self._scores([sound.mono(start, end) for start, end in some])
            found += [Scored(each, start, end) for each, (start, end) in zip(scores, some, strict=True)]
        return found

    def _scores(self, heard: list[Any]) -> list[dict[str, float]]:
        import torch  # noqa: PLC0415

        if self._loaded is None:
            raise RuntimeError("nothing is loaded")
        read = self._extract(heard, sampling_rate=16_000, return_tensors="pt", padding=True)
        given = {
            name: value.to(self._loaded.device, self._loaded.dtype) if value.is_floating_point() else value
            for name, value in read.items()
        }
        with torch.inference_mode():
            likely = self._loaded.model(**given).logits.float().softmax(-1).tolist()
        names = self._loaded.model.config.id2label
        return [{self._word(names[index]): share for index, share in enumerate(row)} for row in likely]

    def _word(self, label: str) -> str:
        plain = label.lower()
        return self._model.labels.get(plain, plain)
