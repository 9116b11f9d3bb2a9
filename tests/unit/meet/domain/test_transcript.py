"""Transcripts put together from parts."""

import json
import math

import pytest

from meet.domain.transcript import Segment, Transcript, Word, from_json, joined, mean_confidence, to_json, word_count

HELLO = Transcript(10, (Segment("Hello you.", 1, 2, 0.9, (Word("Hello", 1, 1.5, 0.9),), 2),), "en", 0.98)
BYE = Transcript(5, (Segment("Good bye.", 0.5, 1, 0.4, (), 1),), "en", 0.6)
HOLA = Transcript(5, (Segment("Hola.", 0, 0.2, 0.5),), "es", 0.99)


def test_parts_follow_each_other() -> None:
    whole = joined([(0, HELLO), (10, BYE)])
    assert whole.text == "Hello you. Good bye."
    assert [(each.start, each.end) for each in whole.segments] == [(1, 2), (10.5, 11)]
    assert whole.duration_s == 15
    assert (whole.language, whole.language_probability) == ("en", 0.98)
    assert joined([(20, HELLO)]).words == [Word("Hello", 21, 21.5, 0.9)]


def test_the_language_is_that_of_most_of_the_speech() -> None:
    assert joined([(0, HOLA), (5, HELLO)]).language == "en"
    assert joined([(0, Transcript(9))]).language is None
    assert joined([]) == Transcript(0.0)


def test_confidence_is_the_geometric_mean_over_tokens() -> None:
    assert joined([(0, HELLO), (10, BYE)]).confidence == pytest.approx(math.pow(0.9 * 0.9 * 0.4, 1 / 3))
    assert Transcript(3).confidence is None
    assert mean_confidence([(0.5, 1), (None, 1)]) is None
    assert mean_confidence([(0.0, 1)]) == pytest.approx(1e-9)


def test_json_and_back() -> None:
    assert from_json(json.loads(json.dumps(to_json(HELLO)))) == HELLO


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("Don't panic -- it's well-known.", 4),
        ("会议很有成效。", 6),
        ("今天 Alice 来了", 5),
        ("회의는 생산적이었습니다", 2),
        ("Встреча прошла хорошо", 3),
    ],
)
def test_words_are_counted_in_every_script(text: str, words: int) -> None:
    assert word_count(text) == words
