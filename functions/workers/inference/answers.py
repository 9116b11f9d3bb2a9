"""What engines answer, in the document's words: pure, one function a kind of job.

A figure that the model doesn't give is null. Times are rounded to milliseconds, likelihoods to four places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meet.domain.inference import EMOTIONS, InferenceModel
from meet.domain.transcript import Segment, Transcript, word_count
from meet.subtitles import render

from .engines.base import Mood, Scored, Written

SYNTHETIC, AUTHENTIC = "synthetic", "authentic"
"""The labels of synthesis detection, as rows of the registry name them."""


def recognition(heard: Transcript, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of `speech/recognition`. The language is the one that was asked for, else the one that was heard."""
    return {
        "text": heard.text,
        "confidence": likely(heard.confidence),
        "language": options.get("language") or heard.language,
        "duration": seconds(heard.duration_s),
        "words": [
            {
                "word": each.word,
                "start_time": seconds(each.start),
                "end_time": seconds(each.end),
                "confidence": likely(each.confidence),
            }
            for each in heard.words
        ],
    }


def transcription(heard: Transcript, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of `ai/transcribe`: `segments` whatever the format (decision 30), their words where they were asked for."""
    with_words = bool(options.get("timestamps"))
    return {
        "transcription": render(heard.segments, options.get("format") or "text"),
        "language": heard.language or options.get("language"),
        "duration": seconds(heard.duration_s),
        "word_count": word_count(heard.text),
        "segments": [_segment(each, with_words=with_words) for each in heard.segments],
    }


def _segment(each: Segment, *, with_words: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "text": each.text,
        "start": seconds(each.start),
        "end": seconds(each.end),
        "confidence": likely(each.confidence),
    }
    if with_words:
        found["words"] = [
            {
                "word": word.word,
                "start": seconds(word.start),
                "end": seconds(word.end),
                "confidence": likely(word.confidence),
            }
            for word in each.words
        ]
    return found


def emotion(felt: Sequence[Scored]) -> dict[str, Any]:
    """Of `speech/emotion`. The dominant one has most of the time, weighed by how likely it is; null in silence."""
    spans, weights = [], dict.fromkeys(EMOTIONS, 0.0)
    for each in felt:
        label, score = each.best
        weights[label] = weights.get(label, 0.0) + score * (each.end - each.start)
        spans.append(
            {
                "emotion": label,
                "confidence": likely(score),
                "start_time": seconds(each.start),
                "end_time": seconds(each.end),
            }
        )
    return {"emotions": spans, "dominant_emotion": max(weights, key=lambda each: weights[each]) if felt else None}


def synthesis(judged: Sequence[Scored]) -> dict[str, Any]:
    """Of `speech/synthesis-detection`: the mean over spans, by their length."""
    total = sum(each.end - each.start for each in judged)
    if not total:
        return {"is_synthetic": None, "confidence": None, "authenticity_score": None}
    synthetic = sum(each.scores.get(SYNTHETIC, 0.0) * (each.end - each.start) for each in judged) / total
    return {
        "is_synthetic": synthetic > 0.5,
        "confidence": likely(max(synthetic, 1 - synthetic)),
        "authenticity_score": likely(1 - synthetic),
    }


def translation(written: Written, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of `ai/translate`."""
    return {
        "translated_text": written.text,
        "source_language": options.get("source_language") or written.source_language,
        "target_language": options["target_language"],
        "confidence": likely(written.confidence),
    }


def summary(written: Written, text: str) -> dict[str, Any]:
    """Of `ai/summarize`; lengths in words."""
    before, after = word_count(text), word_count(written.text)
    return {
        "summary": written.text,
        "original_length": before,
        "summary_length": after,
        "compression_ratio": round(after / before, 3) if before else 0.0,
    }


def sentiment(mood: Mood) -> dict[str, Any]:
    """Of `ai/analyze`: `score` from -1, negative, to 1, positive; `confidence` is how likely the sentiment is."""
    label, score = mood.sentiment.best
    scores = mood.sentiment.scores
    return {
        "sentiment": label,
        "score": round(scores.get("positive", 0.0) - scores.get("negative", 0.0), 4),
        "confidence": likely(score),
        "emotions": {name: round(each, 4) for name, each in mood.emotions.items()},
    }


def signed(body: dict[str, Any], model: InferenceModel, took_s: float) -> dict[str, Any]:
    """With what every answer has: who answered, and how long it took."""
    return {**body, "processing_time": seconds(took_s), "model": model.model_id, "engine": model.engine}


def seconds(time_s: float) -> float:
    """Rounded to milliseconds."""
    return round(time_s, 3)


def likely(probability: float | None) -> float | None:
    """From 0 to 1."""
    return None if probability is None else round(min(max(probability, 0.0), 1.0), 4)
