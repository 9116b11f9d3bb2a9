"""What engines compute by themselves, without a model."""

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.workers.inference.engines import apertium, e5_prototype, extractive, ffmpeg_filters, missing
from functions.workers.inference.engines.base import Refused, Unloadable
from functions.workers.inference.engines.embedding import MOST_CHARACTERS, plain
from functions.workers.inference.engines.packages import check
from functions.workers.inference.engines.prosody import arousal
from functions.workers.inference.engines.sentences import MOST, sentences
from functions.workers.inference.engines.sound import Sound, cuts, write_wav
from functions.workers.inference.engines.transcript_prosody import MOST_SURE, tilted
from meet.domain.inference import Function, InferenceModel, Source

RATE = 1000


def sound(seconds: float, quiet_at: float | None = None) -> Sound:
    """A hum that pauses for a second."""
    samples = np.full((round(seconds * RATE), 1), 5000, dtype=np.int16)
    if quiet_at is not None:
        samples[round((quiet_at - 0.5) * RATE) : round((quiet_at + 0.5) * RATE)] = 3
    return Sound(samples, RATE)


def test_sound_is_cut_where_it_is_quiet() -> None:
    assert cuts(sound(140, quiet_at=55), 60) == [(0, pytest.approx(55, abs=0.5)), (pytest.approx(55, abs=0.5), 140)]
    assert cuts(sound(89), 60) == [(0, 89)]
    assert cuts(sound(0), 60) == [(0, 0)]


@given(st.floats(0, 900), st.floats(31, 120))
def test_cuts_cover_everything_once(seconds: float, part_s: float) -> None:
    whole = sound(seconds)
    spans = cuts(whole, part_s)
    assert spans[0][0] == 0
    assert spans[-1][1] == whole.duration_s
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert all(part_s - 20 <= end - start <= part_s + 20 for start, end in spans[:-1])


def test_a_part_is_written_as_it_is(tmp_path: Path) -> None:
    write_wav(sound(3, quiet_at=1).part(0.5, 2.0), tmp_path / "part.wav")
    with wave.open(str(tmp_path / "part.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE, 1, 1500)
        assert np.frombuffer(file.readframes(1500), np.int16).max() == 5000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?  Four", ["One.", "Two!", "Three?", "Four"]),
        ("会议很有成效。下周见！好", ["会议很有成效。", "下周见！", "好"]),
        ("First line\n\nsecond line", ["First line", "second line"]),
        ("... !!! \n --", []),
        ("", []),
    ],
)
def test_sentences_end_where_people_end_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text())
def test_sentences_are_short_and_lose_no_letter(text: str) -> None:
    found = sentences(text)
    assert all(0 < len(each) <= MOST for each in found)
    assert [char for each in found for char in each if char.isalpha()] == [char for char in text if char.isalpha()]


def test_what_has_no_full_stop_is_cut() -> None:
    assert [len(each) <= MOST for each in sentences("word " * 400)] == [True] * 5
    assert len(sentences("x" * 1000)) == 3


def test_nothing_reaches_the_engine_that_it_has_no_room_for() -> None:
    assert plain("\0great\0") == " great "
    assert plain("ﷺ")[:5] == "صلى ا"
    assert len(plain("ﷺ" * 5000)) == MOST_CHARACTERS
    assert plain("\ud800 ok") == "? ok"


def test_a_summary_keeps_within_its_words() -> None:
    said = ["a b c d", "e f", "g", "h i j", "k"]
    assert extractive.within([0, 1, 2, 3, 4], said, 6) == [0, 1]
    assert extractive.within([0, 1, 2, 3, 4], said, 100) == [0, 1, 2]
    assert extractive.within([0, 1], ["a b c", "d e"], 1) == [1]
    assert extractive.bullets(["One.", "Two"]) == "• One\n• Two"


def test_many_sentences_are_looked_at_evenly() -> None:
    assert e5_prototype.spread(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert e5_prototype.spread([1, 2], 5) == [1, 2]


def test_translation_goes_the_shortest_way() -> None:
    known = {("en", "es"): "eng-spa", ("es", "fr"): "es-fr", ("es", "pt"): "es-pt", ("fr", "es"): "fr-es"}
    assert apertium.route("en", "es", known) == ("eng-spa",)
    assert apertium.route("en", "fr", known) == ("eng-spa", "es-fr")
    assert apertium.route("en", "en", known) == ()
    assert apertium.route("fr", "en", known) is None


def test_videos_are_enhanced_as_asked() -> None:
    assert ffmpeg_filters.filters("super_resolution", "high", None, (640, 360)) == [
        "scale=1280:720:flags=lanczos,cas=0.7"
    ]
    assert ffmpeg_filters.filters("denoising", "low", (320, 180), (640, 360)) == [
        "hqdn3d=2:1.5:3:2.25,scale=320:180:flags=lanczos"
    ]
    assert len(ffmpeg_filters.filters("stabilization", "medium", None, (640, 360))) == 2
    assert "normalize" in ffmpeg_filters.filters("color_correction", "medium", None, (640, 360))[0]
    with pytest.raises(Refused, match="'magic' is no enhancement"):
        ffmpeg_filters.filters("magic", "medium", None, (640, 360))
    assert ffmpeg_filters.size_of("720p", (640, 360)) == (1280, 720)
    assert ffmpeg_filters.size_of("1921x1081", (640, 360)) == (1920, 1080)
    assert ffmpeg_filters.size_of(None, (640, 360)) is None


def test_melody_tilts_and_never_makes_sure() -> None:
    even = dict.fromkeys(("happy", "sad", "angry", "neutral", "surprised", "fearful", "disgusted"), 1 / 7)
    excited, calm = tilted(even, 1.0), tilted(even, -1.0)
    assert excited["angry"] > even["angry"] > calm["angry"]
    assert excited["neutral"] < even["neutral"] < calm["neutral"]
    assert max(tilted({**dict.fromkeys(even, 0.0), "sad": 1.0}, -1).values()) == MOST_SURE


def test_a_voice_that_swings_is_more_excited_than_one_that_drones() -> None:
    at = np.arange(3 * 16_000) / 16_000
    drone = np.sin(2 * np.pi * 120 * at).astype(np.float32)
    swings = np.sin(2 * np.pi * (180 * at + 20 * np.sin(2 * np.pi * 1.5 * at))).astype(np.float32)
    assert arousal(swings, 16_000) > arousal(drone, 16_000) + 0.5
    assert arousal(np.zeros(100, np.float32), 16_000) == 0.0
    assert arousal(np.zeros(16_000, np.float32), 16_000) == 0.0


def test_a_row_without_an_engine_is_told() -> None:
    row = InferenceModel("x", "X", Function.TRANSLATION, Source("pkg", "x"), "no_such_engine", "MIT", 1)
    assert missing(row) == "there is no engine 'no_such_engine'"


def test_files_that_are_not_the_right_ones_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc")
    right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check(tmp_path, {"weights": right})
    with pytest.raises(Unloadable, match=r"is not the file that the registry names: its SHA-256 is ba78"):
        check(tmp_path, {"weights": right[::-1]})
    with pytest.raises(Unloadable, match="can't be read"):
        check(tmp_path, {"others": right})
