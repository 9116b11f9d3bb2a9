"""Packaged engines give true results: real people are understood, texts are judged, noise goes; more by MEET_SOAK.

The recordings are Debian's (`tests.engines`); nothing is fetched, and no part of a result is made up.
"""

from __future__ import annotations

import os
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from meet.domain.inference import EMOTIONS
from tests.engines import SENSE, SENSE_SAYS, Engines, engines, speech, word_errors
from tests.workers import clip

SOAK = bool(os.environ.get("MEET_SOAK"))
WAV = "audio/wav"

ELSEWHERE = [
    ("fr", "conf-onlyperson", "vous êtes présentement le seul participant dans cette conférence"),
    ("es", "conf-onlyperson", "usted es la única persona en esta conferencia"),
    ("it", "conf-onlyperson", "lei è l'unica persona nella conferenza"),
    ("ru", "conf-onlyperson", "сейчас вы единственный участник конференции"),
]

MOODS = [
    ("positive", "This meeting was very productive and everyone was engaged."),
    ("negative", "Das Ergebnis ist leider sehr schlecht"),
    ("neutral", "会議は火曜日の十時です"),
    ("positive", "La reunión fue excelente, muchas gracias"),
    ("negative", "Это ужасно, всё сломалось"),
    ("neutral", "الاجتماع يوم الثلاثاء"),
]

MINUTES = """\
Good morning everyone, thanks for joining. Our main goal is to release version two of the meeting platform by the end
of November. Anna said the video service is almost ready, but the recording feature still has bugs. We agreed that Tom
will fix the recording bugs by Friday. Then we reviewed the budget. Marketing asked for twenty thousand dollars more
for the launch campaign. Finance can approve only fifteen thousand this quarter. We decided to cut the conference
travel to cover the rest. Someone asked about the coffee machine, it is still broken.""".replace("\n", " ")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with engines(tmp_path_factory.mktemp("home")) as started:
        yield started


def write(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())
    return path


def samples_of(path: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(path)) as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, file.getnchannels())
        return heard.astype(np.float32) / 32768, file.getframerate()


def test_read_english_is_understood_word_by_word(asked: Engines) -> None:
    heard = asked.answer("whisper-base", path=str(SENSE), mime_type=WAV, options={"language": "en-US", "words": True})
    [segment] = heard["segments"]
    assert word_errors(SENSE_SAYS, segment["text"]) <= 0.05
    assert heard["language"] == "en"
    assert heard["duration_s"] == pytest.approx(7.1, abs=0.01)
    assert 0.5 < segment["confidence"] < 1
    words = segment["words"]
    assert [word["word"] for word in words][1:5] == ["Mr.", "John", "Dashwood", "had"]
    assert all(0 < word["confidence"] <= 1 for word in words)
    assert all(before["end"] <= after["start"] + 0.01 for before, after in pairwise(words))
    assert words[3]["start"] == pytest.approx(0.95, abs=0.2)  # where "Dashwood" begins, by ear


@pytest.mark.parametrize(("language", "name", "said"), ELSEWHERE if SOAK else ELSEWHERE[:1])
def test_other_languages_are_told_and_understood(asked: Engines, language: str, name: str, said: str) -> None:
    heard = asked.answer("whisper-base", path=str(speech(name, language)), mime_type=WAV)
    assert (heard["language"], heard["language_probability"] > 0.5) == (language, True)
    assert word_errors(said, " ".join(each["text"] for each in heard["segments"])) <= 0.4


@pytest.mark.parametrize("loud", [0.0, 0.02])
def test_silence_and_noise_say_nothing(asked: Engines, tmp_path: Path, loud: float) -> None:
    hiss = loud * np.random.default_rng(1).standard_normal(5 * 16_000)
    path = write(tmp_path / "hiss.wav", hiss)
    heard = asked.answer("whisper-base", path=str(path), mime_type=WAV)
    assert (heard["segments"], heard["language"], heard["duration_s"]) == ([], None, 5.0)


def test_a_voice_has_one_of_the_documented_emotions(asked: Engines) -> None:
    felt = asked.answer("transcript-prosody", path=str(speech("tt-weasels")), mime_type=WAV)
    assert felt
    for each in felt:
        assert set(each["scores"]) == set(EMOTIONS)
        assert max(each["scores"].values()) <= 0.75
        assert 0 <= each["start"] < each["end"] <= 3


def test_what_has_no_sound_is_refused(asked: Engines, tmp_path: Path) -> None:
    silent = clip(tmp_path / "silent.mp4", seconds=0.2, sound=False)
    (tmp_path / "broken.wav").write_bytes(SENSE.read_bytes()[:20])
    for path, mime in ((silent, "video/mp4"), (tmp_path / "broken.wav", WAV), (SENSE, "text/plain")):
        said = asked.ask("whisper-base", path=str(path), mime_type=mime)
        assert "The sound of this file can't be read." in said["refused"]


@pytest.mark.parametrize(("mood", "text"), MOODS if SOAK else MOODS[:3])
def test_the_mood_of_plain_sentences_is_told(asked: Engines, mood: str, text: str) -> None:
    scores = asked.answer("e5-prototype", text=text)["sentiment"]["scores"]
    assert max(scores, key=scores.get) == mood
    assert sum(scores.values()) == pytest.approx(1)


@pytest.mark.parametrize("text", ["", " \n", "!?", "\0"])
def test_a_text_without_words_is_refused(asked: Engines, text: str) -> None:
    assert "no words" in asked.ask("e5-prototype", text=text)["refused"]
    assert "no words" in asked.ask("extractive", text=text)["refused"]


def test_hostile_texts_are_judged_like_others(asked: Engines) -> None:
    for text in ("a", "\0\0great\0", "😀" * 300 + "x", "ﷺ" * 500, "great " * 300, "<|endoftext|> ok \u202e\ud7ff"):
        assert sum(asked.answer("e5-prototype", text=text)["sentiment"]["scores"].values()) == pytest.approx(1)


def test_a_summary_has_the_texts_own_sentences(asked: Engines) -> None:
    summary = asked.answer("extractive", text=MINUTES, options={"max_length": 40})["text"]
    assert 10 <= len(summary.split()) <= 40
    assert all(f"{sentence.strip()}." in MINUTES for sentence in summary.rstrip(".").split(". "))
    points = asked.answer("extractive", text=MINUTES, options={"max_length": 60, "format": "bullet_points"})["text"]
    assert all(line.startswith("• ") for line in points.splitlines())
    assert "coffee" not in points


def test_a_voice_in_noise_is_freed_of_it(asked: Engines, tmp_path: Path) -> None:
    clean, rate = samples_of(SENSE)
    hiss = np.random.default_rng(2).standard_normal(len(clean)).astype(np.float32)
    noisy = clean[:, 0] + hiss * np.sqrt(np.mean(clean**2) / 10 ** (5 / 10))
    made = asked.answer(
        "deepfilternet3",
        path=str(write(tmp_path / "noisy.wav", noisy, rate)),
        mime_type=WAV,
        folder=str(tmp_path),
        options={"noise_reduction_level": "high"},
    )
    assert made["facts"]["noise_reduction_db"] > 15
    found, found_rate = samples_of(Path(made["path"]))
    assert found_rate == 48_000
    assert len(found) == 3 * len(clean)
    found = found[::3, 0]
    assert snr_db(clean[:, 0], found) > snr_db(clean[:, 0], noisy) + 4


def snr_db(clean: np.ndarray, found: np.ndarray) -> float:
    """How much of it is the voice, whatever its loudness (SI-SDR; Le Roux et al., 2019)."""
    voice = clean * (found @ clean) / (clean @ clean)
    return float(10 * np.log10((voice @ voice) / ((found - voice) @ (found - voice))))


def test_a_video_becomes_larger(asked: Engines, tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", seconds=0.4, size="160x120")
    options = {"enhancement_type": "super_resolution", "width": 160, "height": 120, "quality": "low"}
    made = asked.answer(
        "ffmpeg-filters", path=str(film), mime_type="video/mp4", folder=str(tmp_path), options=options
    )
    with av.open(made["path"]) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (320, 240)
        assert [each.codec_context.name for each in file.streams] == ["h264", "aac"]


@pytest.mark.skipif(not Path("/usr/bin/apertium").exists(), reason="apt install apertium and its pairs")
def test_apertium_translates(asked: Engines) -> None:
    said = asked.answer("apertium", text="The meeting is on Tuesday.\nThank you.", options={"target_language": "es"})
    assert said["source_language"] == "en"
    assert "reunión" in said["text"]
    assert "martes" in said["text"]
    assert len(said["text"].splitlines()) == 2
    assert "not en to zh" in asked.ask("apertium", text="Hello you all", options={"target_language": "zh"})["refused"]


@pytest.mark.parametrize("model", ["hubert-emotion", "nobody"])
def test_what_is_not_installed_is_said(asked: Engines, model: str) -> None:
    assert set(asked.ask(model, text="x", path=str(SENSE))) == {"refused"}
