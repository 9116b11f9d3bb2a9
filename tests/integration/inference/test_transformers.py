"""The transformers path, with tiny random checkpoints from a hub on localhost: fetched, loaded, asked, answered.

What they say is noise, so what is looked at is its form. It needs `make up WITH=transformers` to have been made once.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meet.domain.inference import LANGUAGES
from tests.engines import SENSE, Engines, engines, python
from tests.hub import Served, hub

pytestmark = pytest.mark.skipif(
    not python("transformers").exists(), reason="transformers is not installed: make .venvs/transformers/ready"
)
WAV = "audio/wav"
TOKEN = "hf_of_nobody"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hub")
    script = Path(__file__).parents[2] / "tiny.py"
    subprocess.run([python("transformers"), script, folder], check=True, env={"HF_HUB_OFFLINE": "1"})
    with hub(folder) as started:
        yield started


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def asked(served: Served, home: Path) -> Iterator[Engines]:
    variables = {"HF_ENDPOINT": served.url, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home / "hf")}
    with engines(home, "transformers", **variables) as started:
        yield started


def test_speech_is_fetched_and_heard_with_the_time_of_every_word(asked: Engines, served: Served) -> None:
    heard = asked.answer("whisper-base-hf", path=str(SENSE), mime_type=WAV, options={"words": True})
    assert heard["duration_s"] == pytest.approx(7.1)
    assert heard["language"] in LANGUAGES
    assert 0 < heard["language_probability"] <= 1
    for segment in heard["segments"]:
        assert 0 < segment["confidence"] <= 1
        assert segment["words"]
        for word in segment["words"]:
            assert 0 <= word["start"] <= word["end"] <= 7.2
            assert 0 < word["confidence"] <= 1
    fetched = [path for method, path, _ in served.asked if "openai/whisper-base/resolve" in path and method == "GET"]
    assert any(path.endswith("model.safetensors") for path in fetched)
    assert f"Bearer {TOKEN}" in {authorization for _, path, authorization in served.asked if "/resolve/" in path}


def test_labels_become_those_of_the_document(asked: Engines) -> None:
    felt = asked.answer("hubert-emotion", path=str(SENSE), mime_type=WAV)
    assert [round(each["end"] - each["start"], 1) for each in felt] == [2.5, 2.5, 2.1]
    assert all(set(each["scores"]) == {"neutral", "happy", "angry", "sad"} for each in felt)
    judged = asked.answer("deepfake-audio-v2", path=str(SENSE), mime_type=WAV)
    assert [set(each["scores"]) for each in judged] == [{"synthetic", "authentic"}]
    assert sum(judged[0]["scores"].values()) == pytest.approx(1, abs=1e-5)


def test_texts_are_translated_summarized_and_judged(asked: Engines) -> None:
    options = {"source_language": "en", "target_language": "zh"}
    written = asked.answer("m2m100", text="Hello.\nHow are you?", options=options)
    assert 0 < written["confidence"] < 1
    assert written["text"].count("\n") == 1
    long = "The meeting was very productive. " * 60
    assert asked.answer("bart-large-cnn", text=long, options={"max_length": 10})["text"] is not None
    mood = asked.answer("distilbert-sentiment", text="The meeting was very productive.")
    assert set(mood["sentiment"]["scores"]) == {"positive", "neutral", "negative"}
    assert {"joy", "trust", "anticipation"} <= set(mood["emotions"])


def test_what_the_hub_does_not_have_is_said(asked: Engines) -> None:
    refused = asked.ask("whisper-emotion", path=str(SENSE), mime_type=WAV)["refused"]
    assert "is not on the hub, or not for this HF_TOKEN" in refused


def test_what_was_fetched_needs_no_hub(asked: Engines, home: Path) -> None:
    asked.answer("hubert-emotion", path=str(SENSE), mime_type=WAV)
    with engines(home, "transformers", HF_HUB_OFFLINE="1") as alone:
        assert alone.answer("hubert-emotion", path=str(SENSE), mime_type=WAV)
