"""Which encoding and which layers a subscriber is to be sent: by its link, by what it looks at, by what there is."""

from collections.abc import Sequence
from typing import NamedTuple

from sfu.rtp.bits import KeyFrame
from sfu.rtp.ladder import Ladder
from sfu.rtp.layers import HIGHEST, Layer, LayerId, View
from sfu.rtp.stream import RtpStream


class Chosen(NamedTuple):
    """What is to be sent."""

    stream: RtpStream
    limit: LayerId
    """Of the layers inside the stream."""
    layer: LayerId
    """The same as the track's layers are counted."""


class LayerChoice:
    """What one subscriber wants of one track, against what is there of it."""

    def __init__(self) -> None:
        self.view = View()
        self._paused = False
        self._target = LayerId(0, 0)
        self._rid: str | None = None
        """The encoding that the target meant: rungs are counted anew when one is added below it."""

    def aim(self, target: LayerId | None, ladder: Ladder) -> None:
        """Set what the link carries; None for nothing at all."""
        self._paused = target is None
        if target is not None:
            self._target = target
            named = ladder.rungs[target.spatial : target.spatial + 1]
            self._rid = named[0].rid if named else None

    def allowed(self, layers: tuple[Layer, ...], sizes: Sequence[KeyFrame]) -> tuple[Layer, ...]:
        """Those of a track's layers that the view wants, at least the first; `sizes` are of its spatial layers."""
        if not self.view.visible:
            return ()
        top = self._highest(sizes)
        wanted = (layer for layer in layers if layer.id.spatial <= top.spatial and layer.id.temporal <= top.temporal)
        return tuple(wanted) or layers[:1]

    def chosen(self, ladder: Ladder, sizes: Sequence[KeyFrame], *, simulcast: bool) -> Chosen | None:
        """What to send now; None for nothing: the link carries none, or nobody looks."""
        rungs = ladder.rungs
        if self._paused or not self.view.visible or not rungs:
            return None
        top = self._highest(sizes)
        spatial, temporal = self._target.spatial, min(self._target.temporal, top.temporal)
        if not simulcast:
            limit = LayerId(min(spatial, top.spatial), temporal)
            return Chosen(rungs[-1], limit, limit)
        if self._rid is not None:
            spatial = next((at for at, rung in enumerate(rungs) if rung.rid == self._rid), spatial)
        active = [at for at, rung in enumerate(rungs) if not rung.silent] or list(range(len(rungs)))
        at = max((at for at in active if at <= min(spatial, top.spatial)), default=active[0])
        return Chosen(rungs[at], LayerId(HIGHEST, temporal), LayerId(at, temporal))

    def _highest(self, sizes: Sequence[KeyFrame]) -> LayerId:
        """The cap, and no spatial layer above the first one that fills the picture on the screen."""
        cap, width, height = self.view.cap, self.view.width, self.view.height
        if width is None and height is None:
            return cap
        fills = (at for at, size in enumerate(sizes) if size.width >= (width or 1) and size.height >= (height or 1))
        return LayerId(min(cap.spatial, next(fills, cap.spatial)), cap.temporal)
