"""The layers of a video track: what can be sent of it, at which rate, and what a viewer wants of it.

A simulcast encoding and an SVC spatial layer are both a spatial layer here; a temporal layer is a share of the frames
of one. Layers are ordered: more of either costs more.
"""

from dataclasses import dataclass
from typing import NamedTuple

HIGHEST = 7
"""Above every spatial (AV1: 0 to 3) and temporal (VP9: 0 to 7) layer: no bound."""


class LayerId(NamedTuple):
    """One layer of a track, counted from 0, the lowest."""

    spatial: int
    temporal: int


EVERYTHING = LayerId(HIGHEST, HIGHEST)
"""No bound in either direction."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What a subscriber can be sent, with all the lower layers that it needs counted in."""

    id: LayerId
    bitrate_bps: int
    """Measured, of RTP packets with headers, over the last second or two."""
    width: int
    height: int
    frame_rate: float


@dataclass(frozen=True, slots=True)
class View:
    """How one subscriber looks at one video track; a page says it by `subscribe` and `set-layer`."""

    visible: bool = True
    """Nothing of an invisible one is sent."""
    width: int | None = None
    """Of the picture on the screen, in device pixels: no layer is sent above the first one that fills it."""
    height: int | None = None
    cap: LayerId = EVERYTHING
    """No layer above it is sent, in either direction."""
