"""What `make up` says of the AI service."""

from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from meet.domain.inference import Function, InferenceNode

ROOT = Path(__file__).resolve().parent.parent.parent.parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def inference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`localstack/inference.py`, which is in no package."""
    monkeypatch.syspath_prepend(str(ROOT / "localstack"))
    import inference

    return inference


def test_it_names_what_is_ready_and_the_cure_for_the_rest(inference: ModuleType) -> None:
    ready = tuple(each for each in Function if each not in (Function.TRANSLATION, Function.SYNTHESIS_DETECTION))
    lacking = {"apertium": "apertium is not installed: apt install it", "deepfake-audio-v2": "torch is not installed"}
    node = InferenceNode("n1", "here:1", NOW, NOW, functions=ready, obtainable=("m2m100",), lacking=lacking)
    first, *rest = inference.told([node]).splitlines()
    assert first.startswith("AI is ready for speech recognition, emotion detection, summarization")
    assert rest == [
        "Not for synthesis detection: torch is not installed.",
        "Not for translation: apertium is not installed: apt install it; or POST /api/v1/models/m2m100/load fetches "
        "m2m100; or POST /api/v1/models/madlad400-3b/load fetches madlad400-3b.",
    ]


def test_without_any_engine_it_says_so(inference: ModuleType) -> None:
    node = InferenceNode("n1", "here:1", NOW, NOW)
    assert inference.told([node]).startswith("AI is ready for nothing.")
