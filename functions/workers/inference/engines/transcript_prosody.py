"""What a voice feels, as far as its words and its melody tell: a stand-in where no acoustic model is loaded.

The words decide (recognized, then compared with sentences that stand for each emotion), the melody tilts between what
is excited and what is calm. Its accuracy on emotional speech was never measured, so a confidence is at most 0.75;
models that were trained for it are in the registry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from meet.domain.inference import EMOTIONS as FELT
from meet.domain.inference import InferenceModel
from meet.models import registry

from . import embedding, faster_whisper
from .base import UNWATCHED, Asked, Place, Scored, Unloadable, Watch
from .e5_prototype import EMOTIONS, SENTIMENTS, Prototypes
from .embedding import Embedding
from .prosody import arousal
from .sound import decode

EXAMPLES = dict(
    zip(
        FELT,
        (
            EMOTIONS["joy"],
            EMOTIONS["sadness"],
            EMOTIONS["anger"],
            SENTIMENTS["neutral"],
            EMOTIONS["surprise"],
            EMOTIONS["fear"],
            EMOTIONS["disgust"],
        ),
        strict=True,
    )
)
EXCITED: Mapping[str, float] = {
    "happy": 1.0,
    "angry": 1.0,
    "surprised": 1.0,
    "fearful": 0.5,
    "disgusted": 0.0,
    "neutral": -1.0,
    "sad": -1.0,
}
TILT = 0.5
"""How much the melody may count: a factor of 1.6 from one end to the middle."""
MOST_SURE = 0.75


def missing(model: InferenceModel) -> str | None:
    """See `engines`."""
    return embedding.missing(model) or faster_whisper.missing(model)


class Engine:
    """See `base.Engine`. The row's `options.speech` names the model that recognizes the words."""

    def __init__(self, model: InferenceModel, place: Place) -> None:
        self._model = model
        self._place = place
        speech = registry().find(str(model.options.get("speech", "whisper-base")))
        if speech is None or speech.engine != "faster_whisper":
            raise LookupError(f"{model.model_id} needs a model of faster_whisper in its options.speech")
        self._speech = faster_whisper.Engine(speech, place)
        self._likeness: Prototypes | None = None

    def load(self, watch: Watch) -> None:
        """Load both models that it consists of."""
        self._speech.load(watch)
        self._likeness = Prototypes(Embedding(self._model), EXAMPLES)

    def unload(self) -> None:
        """Give the memory back."""
        self._speech.unload()
        self._likeness = None

    def memory_bytes(self) -> int | None:
        """Not known, of either."""
        return None

    def infer(self, asked: Asked, watch: Watch = UNWATCHED) -> list[Scored]:
        """What is felt in each phrase of a file; nothing where nothing is said."""
        if self._likeness is None:
            raise Unloadable("nothing is loaded")
        sound = decode(asked.file, asked.mime_type, watch)
        heard = self._speech.hear(sound, watch, language=None, words=False, task="transcribe")
        felt = []
        for each in heard.segments:
            watch.go_on()
            excited = arousal(sound.mono(each.start, each.end), sound.rate)
            felt.append(Scored(tilted(self._likeness.scores([each.text]), excited), each.start, each.end))
        return felt


def tilted(scores: Mapping[str, float], excited: float) -> dict[str, float]:
    """Scores, shifted towards what is excited or calm, none above `MOST_SURE`."""
    weighed = {label: score * math.exp(TILT * excited * EXCITED[label]) for label, score in scores.items()}
    total = sum(weighed.values())
    return {label: min(MOST_SURE, score / total) for label, score in weighed.items()}
