"""Summaries by models of transformers: sequence-to-sequence ones, as BART, or those that follow instructions.

A text that is longer than the model reads is summarized in pieces, and what comes of them once more.
"""

from __future__ import annotations

from typing import Any

from meet.domain.inference import InferenceModel
from meet.domain.transcript import word_count

from . import hf
from .base import UNWATCHED, Asked, Place, Refused, Watch, Written
from .extractive import bullets
from .sentences import sentences

TOKENS_A_WORD = 1.4
SPARE_TOKENS = 64
"""Of what a model reads, for the instruction around a text."""
MOST_READ = 4096
"""Tokens at once, though a model might read more: memory grows with the square."""
MOST_ROUNDS = 4
ASKED = "Summarize this text in at most {words} words{form}, in its own language:\n\n{text}"

missing = hf.missing


class Engine:
    """See `base.Engine`. Options: `max_length` in words, `format`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._place = place
        self._loaded: hf.Loaded | None = None
        self._tokens: Any = None

    def load(self, watch: Watch) -> None:
        """Fetch and load the checkpoint."""

        def make(folder: Any, dtype: Any) -> tuple[Any, Any]:
            from transformers import (  # noqa: PLC0415
                AutoConfig,
                AutoModelForCausalLM,
                AutoModelForSeq2SeqLM,
                AutoTokenizer,
            )

            is_pair = AutoConfig.from_pretrained(folder).is_encoder_decoder
            kind = AutoModelForSeq2SeqLM if is_pair else AutoModelForCausalLM
            return kind.from_pretrained(folder, dtype=dtype), AutoTokenizer.from_pretrained(folder)

        self._loaded, self._tokens = hf.load(self._model, self._place, watch, make)

    def unload(self) -> None:
        """Give the memory back."""
        self._loaded = self._tokens = None
        hf.free(self._place)

    def memory_bytes(self) -> int | None:
        """Of its weights."""
        return self._loaded.memory_bytes if self._loaded else 0

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> Written:
        """A summary of a text."""
        if not word_count(asked.text):
            raise Refused("There are no words in this text.")
        words = int(asked.options.get("max_length", 150))
        as_points = asked.options.get("format") == "bullet_points"
        text = asked.text
        for _ in range(MOST_ROUNDS):
            pieces = self._pieces(text)
            if len(pieces) == 1:
                break
            text = " ".join(self._write(piece, words, watch, as_points=False) for piece in pieces)
        said = self._write(self._pieces(text)[0], words, watch, as_points=as_points)
        if as_points and "\n" not in said:
            said = bullets(sentences(said))
        return Written(said)

    def _pieces(self, text: str) -> list[str]:
        """The text in as many pieces as the model needs to read all of it."""
        most = self._reads() - SPARE_TOKENS
        pieces, lengths = [""], [0]
        for sentence in sentences(text):
            length = len(self._tokens(sentence, add_special_tokens=False, verbose=False)["input_ids"]) + 1
            if lengths[-1] and lengths[-1] + length > most:
                pieces.append("")
                lengths.append(0)
            pieces[-1] = f"{pieces[-1]} {sentence}".strip()
            lengths[-1] += length
        return pieces

    def _reads(self) -> int:
        if self._loaded is None:
            raise RuntimeError("nothing is loaded")
        most = getattr(self._loaded.model.config, "max_position_embeddings", MOST_READ)
        return int(min(most, self._tokens.model_max_length, MOST_READ))

    def _write(self, text: str, words: int, watch: Watch, *, as_points: bool) -> str:
        import torch  # noqa: PLC0415 - of nodes alone

        watch.go_on()
        if self._loaded is None:
            raise RuntimeError("nothing is loaded")
        model = self._loaded.model
        most: dict[str, Any] = {"max_new_tokens": max(8, int(words * TOKENS_A_WORD)), "do_sample": False}
        if model.config.is_encoder_decoder:
            given = self._tokens(text, return_tensors="pt", truncation=True, max_length=self._reads())
            most |= {"num_beams": 4, "no_repeat_ngram_size": 3}
            first = 0
        else:
            form = " as bullet points" if as_points else ""
            said = [{"role": "user", "content": ASKED.format(words=words, form=form, text=text)}]
            given = self._tokens.apply_chat_template(
                said, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            most["repetition_penalty"] = 1.1
            first = given["input_ids"].shape[1]
        chosen = {name: given[name].to(self._loaded.device) for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            made = model.generate(**chosen, **most)
        found: str = self._tokens.decode(made[0, first:], skip_special_tokens=True)
        return found.strip()
