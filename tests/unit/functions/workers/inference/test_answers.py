"""Answers in the document's words, and counts."""

from functions.workers.inference import answers
from functions.workers.inference.engines.base import Mood, Scored, Written
from functions.workers.inference.tally import Tallies
from meet.domain.inference import Function, InferenceModel, Source, Tally
from meet.domain.transcript import Segment, Transcript, Word

HEARD = Transcript(5.2004, (Segment("Hello you", 0.1, 1.0, 0.81, (Word("Hello", 0.1, 0.5, 0.98),), 2),), "en", 0.9)


def test_recognition() -> None:
    assert answers.recognition(HEARD, {"language": "en-US"}) == {
        "text": "Hello you",
        "confidence": 0.81,
        "language": "en-US",
        "duration": 5.2,
        "words": [{"word": "Hello", "start_time": 0.1, "end_time": 0.5, "confidence": 0.98}],
    }
    silent = answers.recognition(Transcript(3), {})
    assert (silent["text"], silent["confidence"], silent["words"], silent["language"]) == ("", None, [], None)


def test_transcription_has_segments_whatever_its_format() -> None:
    said = answers.transcription(HEARD, {"format": "vtt"})
    assert said["transcription"].startswith("WEBVTT")
    assert said["segments"] == [{"text": "Hello you", "start": 0.1, "end": 1.0, "confidence": 0.81}]
    assert said["word_count"] == 2
    timed = answers.transcription(HEARD, {"timestamps": True})
    assert timed["transcription"] == "Hello you"
    assert timed["segments"][0]["words"] == [{"word": "Hello", "start": 0.1, "end": 0.5, "confidence": 0.98}]


def test_the_dominant_emotion_lasts_longest() -> None:
    felt = [Scored({"happy": 0.9, "sad": 0.1}, 0, 1), Scored({"happy": 0.4, "neutral": 0.6}, 1, 4)]
    said = answers.emotion(felt)
    assert said["dominant_emotion"] == "neutral"
    assert said["emotions"][0] == {"emotion": "happy", "confidence": 0.9, "start_time": 0, "end_time": 1}
    assert answers.emotion([]) == {"emotions": [], "dominant_emotion": None}


def test_synthesis_is_the_mean_over_time() -> None:
    judged = [Scored({"synthetic": 0.9, "authentic": 0.1}, 0, 1), Scored({"synthetic": 0.1, "authentic": 0.9}, 1, 4)]
    assert answers.synthesis(judged) == {"is_synthetic": False, "confidence": 0.7, "authenticity_score": 0.7}
    assert answers.synthesis([])["is_synthetic"] is None


def test_texts() -> None:
    assert answers.translation(Written("Hola", None, "en"), {"target_language": "es"}) == {
        "translated_text": "Hola",
        "source_language": "en",
        "target_language": "es",
        "confidence": None,
    }
    assert answers.summary(Written("One two."), "One two three four five.") == {
        "summary": "One two.",
        "original_length": 5,
        "summary_length": 2,
        "compression_ratio": 0.4,
    }
    mood = Mood(Scored({"positive": 0.9, "negative": 0.05, "neutral": 0.05}), {"joy": 0.75})
    assert answers.sentiment(mood) == {
        "sentiment": "positive",
        "score": 0.85,
        "confidence": 0.9,
        "emotions": {"joy": 0.75},
    }


def test_every_answer_is_signed() -> None:
    row = InferenceModel("m", "M", Function.TRANSLATION, Source("pkg", "m"), "rules", "MIT", 1)
    assert answers.signed({"a": 1}, row, 0.12345) == {
        "a": 1,
        "processing_time": 0.123,
        "model": "m",
        "engine": "rules",
    }


def test_the_last_minute_is_the_last_minute() -> None:
    tallies = Tallies()
    tallies.add(Tally(succeeded=1, busy_s=2), now=0)
    tallies.add(Tally(failed=1, timed_out=1), now=30)
    assert tallies.read(now=60) == (Tally(1, 1, 1, 2), Tally(1, 1, 1, 2))
    total, minute = tallies.read(now=61)
    assert total.requests == 2
    assert minute == Tally(failed=1, timed_out=1)
    assert tallies.read(now=1000) == (total, Tally())
