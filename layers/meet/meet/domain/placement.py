"""Where models lie: which node loads the next one, and which moves make a fleet even.

Nodes and models in, moves out. A move is carried out as it is written, load before unload, so a model that is
somewhere stays somewhere; and no node ever has more than its memory, in the middle of it as little as at its end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meet.domain.inference import InferenceModel, InferenceNode


@dataclass(frozen=True, slots=True)
class Move:
    """Load the model on `target`, then unload it from `origin`."""

    model_id: str
    origin: str
    target: str


def node_for(model: InferenceModel, nodes: Iterable[InferenceNode]) -> InferenceNode | None:
    """Where to load a model that has to be: on the node with the most room of those that can run it.

    None where it fits on none of them.
    """
    able = [each for each in nodes if each.can_run(model.model_id) and each.free_bytes >= model.memory_bytes]
    return max(able, key=lambda each: (each.free_bytes, each.node_id), default=None)


def rebalance(nodes: Iterable[InferenceNode]) -> list[Move]:
    """The moves after which memory is used as evenly as single moves can make it, relative to what each node has.

    A model goes only where it can run and isn't yet. The fullest node gives its largest model that fits on the
    emptiest one and leaves that one less full than the giver was; each such move brings the two closer, so it ends.
    """
    shelves = {each.node_id: _Shelf.of(each) for each in nodes if each.memory_bytes > 0}
    moves = []
    while (move := _next_move(list(shelves.values()))) is not None:
        moves.append(move)
        shelves[move.target].models[move.model_id] = shelves[move.origin].models.pop(move.model_id)
    return moves


@dataclass
class _Shelf:
    node: InferenceNode
    models: dict[str, int]
    kept: int
    """Bytes of models that are being loaded, which don't move."""

    @classmethod
    def of(cls, node: InferenceNode) -> _Shelf:
        models = {each.model_id: each.memory_bytes for each in node.loaded if each.status == "loaded"}
        return cls(node, models, node.loaded_bytes - sum(models.values()))

    def share(self, more: int = 0) -> float:
        return (self.kept + sum(self.models.values()) + more) / self.node.memory_bytes


def _next_move(shelves: list[_Shelf]) -> Move | None:
    fullest_first = sorted(shelves, key=lambda each: (-each.share(), each.node.node_id))
    for giver in fullest_first:
        for taker in reversed(fullest_first):
            for model_id, size in sorted(giver.models.items(), key=lambda item: (-item[1], item[0])):
                if (
                    size > 0
                    and model_id not in taker.models
                    and taker.node.can_run(model_id)
                    and taker.share(size) <= 1
                    and taker.share(size) < giver.share()
                ):
                    return Move(model_id, giver.node.node_id, taker.node.node_id)
    return None
