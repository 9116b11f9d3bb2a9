"""The registry: what it ships, and what an operator's file makes of it."""

from pathlib import Path

import pytest

from meet import models
from meet.config import settings
from meet.domain.inference import Function

ROW = """
[mine]
name = "Mine"
function = "translation"
source = "hf:me/mine@v2"
engine = "hf_translator"
licence = "MIT"
memory_mb = 1.5
"""


def built_in() -> models.Registry:
    return models.read(models.BUILT_IN.read_text())


def test_the_documented_names_are_there() -> None:
    whisper, hubert = built_in().find("whisper-base"), built_in().find("hubert-emotion")
    assert whisper is not None
    assert hubert is not None
    assert (whisper.function, hubert.function) == (Function.SPEECH_RECOGNITION, Function.EMOTION_DETECTION)
    assert built_in().find("nobody") is None


def test_every_function_has_a_row_and_every_row_an_engine() -> None:
    engines = Path(models.__file__).parents[3] / "functions" / "workers" / "inference" / "engines"
    assert {each.function for each in built_in().models} == set(Function)
    for each in built_in().models:
        assert (engines / f"{each.engine}.py").is_file(), each.model_id


def test_what_ships_weights_is_checked() -> None:
    assert [each.model_id for each in built_in().models if each.source.scheme == "pkg" and not each.sha256] == []


def test_a_row_is_added_or_takes_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "models.toml"
    own.write_text('[defaults]\ntranslation = "mine"\n' + ROW + ROW.replace("[mine]", "[m2m100]"))
    monkeypatch.setenv("MEET_MODELS", str(own))
    settings.cache_clear()
    models.registry.cache_clear()
    try:
        mine, taken = models.registry().find("mine"), models.registry().find("m2m100")
        assert mine is not None
        assert (str(mine.source), mine.version, mine.memory_bytes) == ("hf:me/mine@v2", "v2", 1_500_000)
        assert taken is not None
        assert taken.name == "Mine"
        assert models.registry().defaults == {Function.TRANSLATION: "mine"}
        assert len(models.registry().models) == len(built_in().models) + 1
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        models.registry.cache_clear()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mine = 3", "mine is no table"),
        ('[mine]\nname = "Mine"', "mine lacks engine, function, licence, memory_mb, source"),
        (ROW + "colour = 1", "mine: nobody knows colour"),
        (ROW.replace("hf:me/mine@v2", "hf:mine"), "mine: .* names no repository"),
        (ROW.replace("1.5", '"much"'), "mine: "),
        (ROW.replace('"translation"', '"cooking"'), "mine: 'cooking' is no function"),
        ('[defaults]\ntranslation = "whisper-base"', "defaults: 'whisper-base' is no model for translation"),
        ('[defaults]\ncooking = "mine"' + ROW, "defaults: 'cooking' is no function"),
        ("[mine", "."),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        models.read(models.BUILT_IN.read_text(), text)
