"""Where models go: whatever the fleet, no node above its memory and no model gone."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from meet.domain.inference import Function, InferenceModel, InferenceNode, LoadedModel, Source
from meet.domain.placement import Move, node_for, rebalance

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODELS = "abcdef"


def node(node_id: str, memory: int, loaded: dict[str, int], can_run: str = MODELS) -> InferenceNode:
    models = tuple(LoadedModel(model_id, size) for model_id, size in loaded.items())
    return InferenceNode(node_id, "here:1", NOW, NOW, available=tuple(can_run), loaded=models, memory_bytes=memory)


@st.composite
def fleets(draw: st.DrawFn) -> list[InferenceNode]:
    """Nodes that hold no more than their memory, each with models of its own sizes."""
    nodes = []
    for number in range(draw(st.integers(0, 5))):
        loaded = draw(st.dictionaries(st.sampled_from(MODELS), st.integers(0, 50), max_size=len(MODELS)))
        spare = draw(st.integers(0, 100))
        can_run = "".join({*draw(st.sets(st.sampled_from(MODELS))), *loaded})
        nodes.append(node(f"n{number}", sum(loaded.values()) + spare, loaded, can_run))
    return nodes


@given(fleets())
def test_at_every_step_models_stay_and_memory_suffices(nodes: list[InferenceNode]) -> None:
    held = {each.node_id: {one.model_id: one.memory_bytes for one in each.loaded} for each in nodes}
    by_id = {each.node_id: each for each in nodes}
    before = sorted(model_id for models in held.values() for model_id in models)
    for move in rebalance(nodes):
        size = held[move.origin][move.model_id]
        assert move.model_id not in held[move.target]
        assert by_id[move.target].can_run(move.model_id)
        held[move.target][move.model_id] = size
        assert sum(held[move.target].values()) <= by_id[move.target].memory_bytes
        del held[move.origin][move.model_id]
    assert sorted(model_id for models in held.values() for model_id in models) == before


@given(fleets())
def test_the_fullest_node_never_gets_fuller_and_a_second_time_nothing_moves(nodes: list[InferenceNode]) -> None:
    held = {each.node_id: {one.model_id: one.memory_bytes for one in each.loaded} for each in nodes}
    can_run = {each.node_id: "".join(each.available) for each in nodes}
    memory = {each.node_id: each.memory_bytes for each in nodes}

    def fullest() -> float:
        return max((sum(models.values()) / memory[name] for name, models in held.items() if memory[name]), default=0)

    before = fullest()
    for move in rebalance(nodes):
        held[move.target][move.model_id] = held[move.origin].pop(move.model_id)
    assert fullest() <= before
    assert rebalance([node(name, memory[name], models, can_run[name]) for name, models in held.items()]) == []


def test_a_full_node_gives_to_an_empty_one() -> None:
    nodes = [node("n1", 100, {"a": 40, "b": 30, "c": 10}), node("n2", 100, {})]
    assert rebalance(nodes) == [Move("a", "n1", "n2")]


def test_what_is_even_stays() -> None:
    assert rebalance([node("n1", 100, {"a": 40}), node("n2", 100, {"b": 40})]) == []
    assert rebalance([]) == []


def test_what_is_being_loaded_stays_and_counts() -> None:
    loading = InferenceNode(
        "n2", "here:1", NOW, NOW, available=("a",), loaded=(LoadedModel("b", 90, "loading"),), memory_bytes=100
    )
    assert rebalance([node("n1", 100, {"a": 40}), loading]) == []


def test_a_model_is_loaded_where_there_is_most_room() -> None:
    model = InferenceModel("a", "A", Function.TRANSLATION, Source("pkg", "a"), "engine", "MIT", 50)
    nodes = [node("n1", 60, {}), node("n2", 100, {"b": 20}), node("n3", 900, {}, can_run="b")]
    found = node_for(model, nodes)
    assert found is not None
    assert found.node_id == "n2"
    assert node_for(model, [node("n1", 49, {}), node("n2", 100, {"b": 51})]) is None
