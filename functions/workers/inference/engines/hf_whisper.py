"""Speech recognition by Whisper in transformers, with the time and the likelihood of every word.

The library's own word times lag by a token and it tells no likelihoods, so after the text was generated one pass with
that text forced gives both: the probabilities of its tokens, and by how the decoder attends to the recording, aligned
by dynamic time warping, when each was said (as OpenAI's own code does it). That needs attention in its plain form.
Spans of speech come from the packaged detection of voices where it is installed, else from where it is loud.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from meet.domain.inference import InferenceModel
from meet.domain.transcript import Segment, Transcript, Word, joined, mean_confidence

from . import hf
from .base import UNWATCHED, Asked, Place, Watch
from .sound import SPEECH_HZ, Sound, cuts, decode, windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPAN_S = 28.0
"""That is heard at once; the model knows 30 s."""
SILENT = 10 ** (-50 / 20)
FRAME_S = 0.02
"""Of the encoder."""
UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})

missing = hf.missing


class Engine:
    """See `base.Engine`. Options: `language`, `words`, `task`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._place = place
        self._loaded: hf.Loaded | None = None
        self._reader: Any = None

    def load(self, watch: Watch) -> None:
        """Fetch and load the checkpoint."""

        def make(folder: Any, dtype: Any) -> tuple[Any, Any]:
            from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor  # noqa: PLC0415

            model = AutoModelForSpeechSeq2Seq.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
            return model, AutoProcessor.from_pretrained(folder)

        self._loaded, self._reader = hf.load(self._model, self._place, watch, make)

    def unload(self) -> None:
        """Give the memory back."""
        self._loaded = self._reader = None
        hf.free(self._place)

    def memory_bytes(self) -> int | None:
        """Of its weights."""
        return self._loaded.memory_bytes if self._loaded else 0

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> Transcript:
        """What is said in a file."""
        sound = decode(asked.file, asked.mime_type, watch)
        language = asked.options.get("language")
        language = language.split("-")[0].lower() if language else None
        parts = []
        for start, end in spoken(sound):
            watch.go_on(start / sound.duration_s)
            part = self._hear(sound.mono(start, end), language, str(asked.options.get("task", "transcribe")))
            if part is not None:
                parts.append((start, part))
        whole = joined(parts)
        return Transcript(sound.duration_s, whole.segments, whole.language, whole.language_probability)

    def _hear(self, heard: NDArray[np.float32], language: str | None, task: str) -> Transcript | None:
        """What is said in one span; None where the model hears nothing in it."""
        import torch  # noqa: PLC0415 - of nodes alone

        if self._loaded is None:
            raise RuntimeError("nothing is loaded")
        model, tokens = self._loaded.model, self._reader.tokenizer
        knows = model.generation_config
        read = self._reader(heard, sampling_rate=SPEECH_HZ, return_tensors="pt", return_attention_mask=True)
        features = read.input_features.to(self._loaded.device, self._loaded.dtype)
        is_multilingual = bool(getattr(knows, "is_multilingual", False))
        sure: float | None = None
        told: dict[str, Any] = {}
        with torch.inference_mode():
            if is_multilingual:
                if language is None:
                    language, sure = self._language(features)
                told = {"language": language, "task": task}  # without a task it can loop
            mask = read.attention_mask.to(self._loaded.device)
            made = model.generate(features, attention_mask=mask, return_timestamps=True, **told)[0].tolist()
        last_text = tokens.convert_tokens_to_ids("<|notimestamps|>")
        special = set(tokens.all_special_ids)
        text = [each for each in made if each <= last_text and each not in special]
        said = tokens.decode(text).strip()
        if not said:
            return None
        likely, ends = self._align(
            features, text, len(heard) / SPEECH_HZ, language if is_multilingual else None, task
        )
        words = self._words(text, likely, ends, language or "en")
        begins, finishes = (words[0].start, words[-1].end) if words else (0.0, len(heard) / SPEECH_HZ)
        confidence = mean_confidence((each, 1) for each in likely)
        segment = Segment(said, begins, finishes, confidence, tuple(words), len(text))
        return Transcript(len(heard) / SPEECH_HZ, (segment,), language or "en", sure)

    def _language(self, features: Any) -> tuple[str, float]:
        """The likeliest of the model's own languages."""
        import torch  # noqa: PLC0415

        assert self._loaded is not None  # noqa: S101 - the caller looked
        model = self._loaded.model
        names = list(model.generation_config.lang_to_id)
        ids = list(model.generation_config.lang_to_id.values())
        first = self._reader.tokenizer.convert_tokens_to_ids("<|startoftranscript|>")
        asked = torch.tensor([[first]], device=self._loaded.device)
        likely = model(features, decoder_input_ids=asked).logits[0, -1].float()[ids].softmax(0)
        best = int(likely.argmax())
        return names[best].strip("<|>"), float(likely[best])

    def _align(
        self, features: Any, text: list[int], duration_s: float, language: str | None, task: str
    ) -> tuple[list[float], list[float]]:
        """The probability of each token, and when it begins, with the end of the last."""
        import numpy as np  # noqa: PLC0415
        import torch  # noqa: PLC0415
        from transformers.models.whisper.generation_whisper import (  # noqa: PLC0415
            _dynamic_time_warping,
            _median_filter,
        )

        assert self._loaded is not None  # noqa: S101
        model, tokens = self._loaded.model, self._reader.tokenizer
        token = tokens.convert_tokens_to_ids
        before = [token("<|startoftranscript|>")]
        if language is not None:
            before += [token(f"<|{language}|>"), token(f"<|{task}|>")]
        forced = [*before, token("<|notimestamps|>"), *text, tokens.eos_token_id]
        given = torch.tensor([forced], device=self._loaded.device)
        with torch.inference_mode():
            told = model(features, decoder_input_ids=given, output_attentions=True, use_cache=False)
        first = len(before)
        chosen = given[0, first + 1 : -1, None]
        likely = told.logits[0, first:-2].float().softmax(-1).gather(1, chosen)[:, 0].tolist()
        heads = model.generation_config.alignment_heads
        frames = max(1, round(duration_s / FRAME_S))
        attended = torch.stack([told.cross_attentions[layer][0, head] for layer, head in heads])[..., :frames].float()
        mean, spread = attended.mean(-2, keepdim=True), attended.std(-2, keepdim=True, unbiased=False)
        smooth = _median_filter((attended - mean) / spread.clamp_min(1e-6), model.config.median_filter_width)
        rows, columns = _dynamic_time_warping(-smooth.mean(0)[first:-1].cpu().double().numpy())
        steps = np.pad(np.diff(rows), (1, 0), constant_values=1).astype(bool)
        return likely, [*(columns[steps] * FRAME_S).tolist(), duration_s]

    def _words(self, text: list[int], likely: list[float], begins: list[float], language: str) -> list[Word]:
        """Tokens put together to words: at spaces, or where there are none, at whole characters."""
        tokens = self._reader.tokenizer
        groups: list[list[int]] = []
        for index, token in enumerate(text):
            if groups and not (
                tokens.decode([token]).startswith(" ")
                or (language in UNSPACED and "\ufffd" not in tokens.decode([text[each] for each in groups[-1]]))
            ):
                groups[-1].append(index)
            else:
                groups.append([index])
        words = []
        for group in groups:
            said = tokens.decode([text[index] for index in group]).strip()
            if said:
                confidence = math.exp(sum(math.log(max(likely[index], 1e-9)) for index in group) / len(group))
                words.append(Word(said, begins[group[0]], begins[group[-1] + 1], confidence))
        return words


def spoken(sound: Sound) -> list[tuple[float, float]]:
    """Spans of at most `SPAN_S` in which somebody speaks."""
    import numpy as np  # noqa: PLC0415

    if find_spec("faster_whisper") is not None:
        from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415

        options = VadOptions(min_silence_duration_ms=400, max_speech_duration_s=SPAN_S)
        found = []
        for start, end in cuts(sound, 300.0):
            spans = get_speech_timestamps(sound.mono(start, end), options)
            found += [(start + each["start"] / sound.rate, start + each["end"] / sound.rate) for each in spans]
        return found
    return [
        (start, end)
        for start, end in windows(sound, SPAN_S)
        if np.sqrt(np.square(sound.mono(start, end)).mean()) > SILENT
    ]
