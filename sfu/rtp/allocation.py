"""How a budget is shared among the videos of one subscriber: pure, from what each could be to what each shall be.

First everybody is seen a little: each visible video gets its lowest layer, screens and speakers first, so that where
not all fit the least important are left out. Then all rise together, a layer a round, in the same order. A layer that
does not fit is skipped for a later one that does: what remains of a round is not wasted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sfu.rtp.layers import Layer, LayerId


@dataclass(frozen=True, slots=True)
class Claim:
    """One video that a subscriber could be sent."""

    key: int
    """Whose it is; anything that tells claims apart. The lower goes first among equals, so give it by age."""
    layers: tuple[Layer, ...]
    """Ascending in bit rate; () for one that nobody sees or sends."""
    screen: bool = False
    speaking: bool = False
    held: LayerId | None = None
    """What it has now. More than that costs `HEADROOM`."""

    @property
    def rank(self) -> tuple[bool, bool, int, int]:
        """The smaller, the more important: a screen is what all talk about, then who talks.

        Among equals, who has more keeps it: to take turns would only make all of them change.
        """
        return not self.screen, not self.speaking, -self.held_bps, self.key

    @property
    def held_bps(self) -> int:
        """What it takes now."""
        return next((layer.bitrate_bps for layer in self.layers if layer.id == self.held), 0)


HEADROOM = 1.15
"""What a layer must leave free before it is taken: bit rates vary by so much within seconds (VBR, key frames)."""


SCANT = 0.6
"""Of the most important video something is sent as long as so much of its lowest layer fits: its rate is measured
over two seconds and may be that of a key frame, the estimate stands 15 % below what the path carries, and nothing is
worse than to see nobody."""


def allocate(claims: Iterable[Claim], budget_bps: float) -> dict[int, LayerId | None]:
    """The layer of each claim, by key, so that all together fit into the budget; None: nothing of it."""
    ranked = sorted((claim for claim in claims), key=lambda claim: claim.rank)
    steps = {claim.key: _costs(claim) for claim in ranked}
    reached = dict.fromkeys(steps, -1)
    left = budget_bps
    rising = ranked
    while rising:
        still = []
        for claim in rising:
            costs, at = steps[claim.key], reached[claim.key]
            if at + 1 >= len(costs):
                continue
            more = costs[at + 1] - (costs[at] if at >= 0 else 0.0)
            if more <= left:
                left -= more
                reached[claim.key] = at + 1
                still.append(claim)
        rising = still
    first = next((claim for claim in ranked if claim.layers), None)
    if first is not None and max(reached.values()) < 0 and SCANT * first.layers[0].bitrate_bps <= budget_bps:
        reached[first.key] = 0
    return {claim.key: claim.layers[reached[claim.key]].id if reached[claim.key] >= 0 else None for claim in ranked}


def _costs(claim: Claim) -> list[float]:
    """What each layer counts for, so that it never falls from one to the next."""
    return [
        float(layer.bitrate_bps) if layer.bitrate_bps <= claim.held_bps else HEADROOM * layer.bitrate_bps
        for layer in claim.layers
    ]


def cost(claims: Iterable[Claim]) -> int:
    """The bit rate of what all have now."""
    return sum(claim.held_bps for claim in claims)
