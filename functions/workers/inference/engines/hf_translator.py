"""Translation by sequence-to-sequence models of transformers: M2M100 and its kin, MADLAD and T5, and Marian's pairs.

Sentences are translated one by one, on a GPU several at once; lines stay lines. The confidence is the geometric mean
of the probabilities of all tokens that were written.
"""

from __future__ import annotations

import math
from typing import Any

from meet.domain.inference import InferenceModel

from . import hf
from .base import UNWATCHED, Asked, Place, Refused, Watch, Written
from .language import language_of
from .sentences import sentences

BEAMS = 4
MOST_TOKENS = 256
BATCH = {"cpu": 1, "cuda": 32}

missing = hf.missing


class Engine:
    """See `base.Engine`. Options: `source_language`, told by the text where it isn't given, and `target_language`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._place = place
        self._loaded: hf.Loaded | None = None
        self._tokens: Any = None

    def load(self, watch: Watch) -> None:
        """Fetch and load the checkpoint."""

        def make(folder: Any, dtype: Any) -> tuple[Any, Any]:
            from transformers import AutoModelForSeq2SeqLM, AutoTokenizer  # noqa: PLC0415

            model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=dtype)
            return model, AutoTokenizer.from_pretrained(folder)

        self._loaded, self._tokens = hf.load(self._model, self._place, watch, make)

    def unload(self) -> None:
        """Give the memory back."""
        self._loaded = self._tokens = None
        hf.free(self._place)

    def memory_bytes(self) -> int | None:
        """Of its weights."""
        return self._loaded.memory_bytes if self._loaded else 0

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> Written:
        """A text in another language."""
        source = str(asked.options.get("source_language") or language_of(asked.text)[0])
        target = str(asked.options["target_language"])
        lines = [sentences(line) for line in asked.text.splitlines()]
        said = [sentence for line in lines for sentence in line]
        if not said:
            raise Refused("There are no words in this text.")
        written: list[str] = []
        log, count = 0.0, 0
        size = BATCH[self._place.device]
        for first in range(0, len(said), size):
            watch.go_on(first / len(said))
            texts, more, tokens = self._translate(said[first : first + size], source, target)
            written += texts
            log, count = log + more, count + tokens
        rest = iter(written)
        text = "\n".join(" ".join(next(rest) for _ in line) for line in lines)
        return Written(text, math.exp(log / count) if count else None, source)

    def _translate(self, said: list[str], source: str, target: str) -> tuple[list[str], float, int]:
        """The sentences, the sum of the logarithms of their tokens' probabilities, and how many those are."""
        import torch  # noqa: PLC0415 - of nodes alone

        if self._loaded is None:
            raise RuntimeError("nothing is loaded")
        model = self._loaded.model
        more: dict[str, Any] = {}
        kind = model.config.model_type
        if kind == "m2m_100":
            self._tokens.src_lang = source
            more["forced_bos_token_id"] = self._tokens.get_lang_id(target)
        elif kind == "t5":
            said = [f"<2{target}> {each}" for each in said]
        given = self._tokens(said, return_tensors="pt", padding=True, truncation=True, max_length=MOST_TOKENS)
        with torch.inference_mode():
            made = model.generate(
                **given.to(self._loaded.device),
                max_new_tokens=MOST_TOKENS,
                num_beams=BEAMS,
                return_dict_in_generate=True,
                output_scores=True,
                **more,
            )
            scores = model.compute_transition_scores(
                made.sequences, made.scores, made.beam_indices, normalize_logits=True
            )
        chosen = scores[torch.isfinite(scores) & (scores < 0)]
        texts = self._tokens.batch_decode(made.sequences, skip_special_tokens=True)
        return texts, float(chosen.sum()), int(chosen.numel())
