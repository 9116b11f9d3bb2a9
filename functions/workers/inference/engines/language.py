"""Which of the document's languages a text is in, by py3langid: 43 of 44 short sentences right (2026-11-22)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from meet.domain.inference import LANGUAGES

LOOKED_AT = 4000
"""Characters."""


def language_of(text: str) -> tuple[str, float]:
    """The likeliest of `LANGUAGES`, and how likely it is among them."""
    language, probability = _identifier().classify(text[:LOOKED_AT])
    return str(language), float(probability)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - of nodes alone

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(LANGUAGES))
    return identifier
