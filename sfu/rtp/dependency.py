"""The dependency descriptor (AV1 RTP payload format 1.0, appendix A): a header extension that says of each frame
which layer it is of, what it builds on and which decode targets need it. Nothing of the payload is read, so it also
works where that is encrypted end to end, and for other codecs than AV1.

A *decode target* is what a receiver may choose: one spatial and one temporal layer with all that they need. A
*template* says which layer a frame is of, its indication for every decode target (DTI: not present, discardable,
switch, required), how many frames back those are that it builds on (fdiffs), and the same for chains: what must have
arrived for a decode target to be intact. Templates come with key frames; a packet names one of them.
"""

from functools import cached_property
from typing import NamedTuple

from sfu.rtp.bits import KeyFrame
from sfu.rtp.layers import EVERYTHING, LayerId
from sfu.rtp.packet import PacketError

NOT_PRESENT, DISCARDABLE, SWITCH, REQUIRED = range(4)
MAX_TEMPLATES = 64
MAX_SPATIAL, MAX_TEMPORAL = 4, 8
MAX_FDIFFS = 32
"""Of one template or frame; encoders have up to eight buffers to refer to."""
_REMEMBERED = 64
_NEXT_TEMPORAL, _NEXT_SPATIAL, _NO_MORE_LAYERS = 1, 2, 3
_ACTIVE_FLAG = 25
"""Where `active_decode_targets_present_flag` stands, in bits: after the mandatory fields and one flag."""


class Template(NamedTuple):
    """What frames have in common."""

    spatial: int
    temporal: int
    dtis: tuple[int, ...]
    """An indication for each decode target."""
    fdiffs: tuple[int, ...]
    chain_diffs: tuple[int, ...]


class Structure:
    """The templates of a stream, valid until the next structure."""

    def __init__(
        self,
        first_template: int,
        targets: int,
        templates: tuple[Template, ...],
        protected_by: tuple[int, ...],
        sizes: tuple[KeyFrame, ...],
    ) -> None:
        self.first_template = first_template
        self.targets = targets
        self.templates = templates
        self.protected_by = protected_by
        """The chain of each decode target; empty where there are no chains."""
        self.sizes = sizes
        """Of each spatial layer; empty where they are not told."""
        self._chosen: dict[tuple[LayerId, int], int] = {}
        self._served: dict[tuple[LayerId, int], int] = {}

    @property
    def everything(self) -> int:
        """A bitmask with all decode targets."""
        return (1 << self.targets) - 1

    @cached_property
    def layers(self) -> tuple[LayerId, ...]:
        """The layer of each decode target: the highest of the frames that it needs."""
        return tuple(
            LayerId(
                max((t.spatial for t in self.templates if t.dtis[target]), default=0),
                max((t.temporal for t in self.templates if t.dtis[target]), default=0),
            )
            for target in range(self.targets)
        )

    def target(self, limit: LayerId, active: int) -> int:
        """The best of the `active` decode targets that is not above `limit`; the lowest one where all are."""
        found = self._chosen.get((limit, active))
        if found is None:
            usable = [target for target in range(self.targets) if active >> target & 1] or [0]
            within = [target for target in usable if _within(self.layers[target], limit)]
            rank = self.layers.__getitem__
            found = max(within, key=rank) if within else min(usable, key=rank)
            if len(self._chosen) > _REMEMBERED:
                self._chosen.clear()
            self._chosen[limit, active] = found
        return found

    def nested(self, inner: int, outer: int) -> bool:
        """Whether all frames of one decode target are frames of another, so that one may go down at any time."""
        return all(not template.dtis[inner] or template.dtis[outer] for template in self.templates)

    def served(self, limit: LayerId, active: int) -> int:
        """Those of the `active` decode targets that somebody can decode who gets what `limit` lets through."""
        found = self._served.get((limit, active))
        if found is None:
            outer = self.target(limit, active)
            each = (1 << inner for inner in range(self.targets) if active >> inner & 1 and self.nested(inner, outer))
            found = sum(each)
            if len(self._served) > _REMEMBERED:
                self._served.clear()
            self._served[limit, active] = found
        return found


class Dependency:
    """One packet's dependency descriptor."""

    __slots__ = (
        "_active_at",
        "_data",
        "_rest_at",
        "active",
        "attached",
        "dtis",
        "ends",
        "fdiffs",
        "frame",
        "frame_number",
        "says_active",
        "spatial",
        "starts",
        "structure",
        "targets",
        "temporal",
    )

    def __init__(self, data: bytes, known: Structure | None = None, active: int | None = None) -> None:
        """Read it, by the last structure and the last active decode targets of the stream where it brings none.

        Raises `PacketError` where it ends too early, makes no sense, or needs a structure that is not there.
        """
        bits = _Bits(data)
        self._data = data
        self.starts, self.ends = bool(bits.take(1)), bool(bits.take(1))
        """The first and the last packet of a frame, of which there is one for each spatial layer."""
        template_id = bits.take(6)
        self.frame_number = bits.take(16)
        self.frame = self.frame_number
        """The number unwrapped, once a stream took the packet in."""
        self.attached = self.says_active = custom_dtis = custom_fdiffs = custom_chains = False
        if len(data) > 3:
            self.attached, self.says_active, custom_dtis, custom_fdiffs, custom_chains = (
                bool(bits.take(1)) for _ in range(5)
            )
        structure = _read_structure(bits) if self.attached else known
        if structure is None:
            raise PacketError("dependency descriptor: no structure so far")
        self.structure = structure
        self._active_at = bits.at
        if self.says_active:
            active = bits.take(structure.targets)
        elif self.attached or active is None:
            active = structure.everything
        self.active = active
        """The decode targets that the sender sends, as a bitmask."""
        self._rest_at = bits.at
        template = self._template(template_id)
        self.spatial, self.temporal = template.spatial, template.temporal
        self.dtis, self.fdiffs = template.dtis, template.fdiffs
        if custom_dtis:
            self.dtis = tuple(bits.take(2) for _ in range(structure.targets))
        if custom_fdiffs:
            self.fdiffs = _read_custom_fdiffs(bits)
        if custom_chains:
            bits.take(8 * len(template.chain_diffs))
        self.targets = sum(1 << target for target, dti in enumerate(self.dtis) if dti)
        """The decode targets that the frame is part of, as a bitmask."""

    @property
    def key_frame(self) -> bool:
        """Whether this is the first packet of a key frame, which brings the structure and builds on nothing."""
        return self.attached and self.starts and not self.fdiffs and not self.spatial

    def above(self, limit: LayerId) -> bool:
        """Whether the packet is of no use to who gets this layer."""
        return not self.targets >> self.structure.target(limit, self.active) & 1

    def towards(self, limit: LayerId, goal: LayerId, *, fresh: bool) -> LayerId:
        """The limit from this packet on, the first of its frame, where it is to become `goal`; `fresh` is the first
        packet of a picture.

        Down with a picture, where all that is needed was sent so far. Otherwise at a frame that was going to be sent
        and says that whoever can decode it can go on with the other decode target.
        """
        now, then = self.structure.target(limit, self.active), self.structure.target(goal, self.active)
        if now == then or (fresh and self.structure.nested(then, now)):
            return goal
        return goal if self.dtis[now] and self.dtis[then] == SWITCH else limit

    def bounded(self, limit: LayerId) -> bool:
        """Whether it says that decode targets are active which `limit` does not leave."""
        if limit == EVERYTHING or not (self.attached or self.says_active):
            return False
        return self.structure.served(limit, self.active) != self.active

    def rewritten(self, frames: int, limit: LayerId) -> bytes:
        """The descriptor with this much added to its frame number.

        Where it says which decode targets are active, or brings the structure, it says those that `limit` leaves.
        """
        data = self._data[:1] + (self.frame + frames & 0xFFFF).to_bytes(2, "big") + self._data[3:]
        if not self.bounded(limit):
            return data
        served, targets = self.structure.served(limit, self.active), self.structure.targets
        value, size = int.from_bytes(data, "big"), 8 * len(data)
        head = value >> size - self._active_at | 1 << self._active_at - 1 - _ACTIVE_FLAG
        rest_size = size - self._rest_at
        written = (head << targets | served) << rest_size | value & (1 << rest_size) - 1
        size = self._active_at + targets + rest_size
        return (written << -size % 8).to_bytes((size + 7) // 8, "big")

    def _template(self, template_id: int) -> Template:
        at = (template_id - self.structure.first_template) % MAX_TEMPLATES
        if at >= len(self.structure.templates):
            raise PacketError("dependency descriptor: a template that the structure has not")
        return self.structure.templates[at]


def _within(layer: LayerId, limit: LayerId) -> bool:
    return layer.spatial <= limit.spatial and layer.temporal <= limit.temporal


class _Bits:
    """Bits from the highest of the first byte on; `PacketError` beyond the last."""

    __slots__ = ("_size", "_value", "at")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = 8 * len(data)
        self.at = 0

    def take(self, count: int) -> int:
        self.at += count
        if self.at > self._size:
            raise PacketError("dependency descriptor: it ends too early")
        return self._value >> self._size - self.at & (1 << count) - 1

    def non_symmetric(self, values: int) -> int:
        """ns(n) of AV1 section 4.10.7: a number below `values`."""
        width = values.bit_length()
        short = (1 << width) - values
        value = self.take(width - 1)
        return value if value < short else (value << 1 | self.take(1)) - short


def _read_structure(bits: _Bits) -> Structure:
    """template_dependency_structure(), section A.8.3."""
    first_template, targets = bits.take(6), bits.take(5) + 1
    layers = _read_layers(bits)
    dtis = [tuple(bits.take(2) for _ in range(targets)) for _ in layers]
    fdiffs = [_read_fdiffs(bits) for _ in layers]
    chains = bits.non_symmetric(targets + 1)
    protected_by = tuple(bits.non_symmetric(chains) for _ in range(targets)) if chains else ()
    chain_diffs = [tuple(bits.take(4) for _ in range(chains)) for _ in layers]
    sizes: tuple[KeyFrame, ...] = ()
    if bits.take(1):
        sizes = tuple(KeyFrame(bits.take(16) + 1, bits.take(16) + 1) for _ in range(layers[-1].spatial + 1))
    templates = (
        Template(layer.spatial, layer.temporal, *rest)
        for layer, *rest in zip(layers, dtis, fdiffs, chain_diffs, strict=True)
    )
    return Structure(first_template, targets, tuple(templates), protected_by, sizes)


def _read_layers(bits: _Bits) -> list[LayerId]:
    """template_layers(): each is the layer of the template before it, or the next temporal or spatial one."""
    layers = [LayerId(0, 0)]
    while (step := bits.take(2)) != _NO_MORE_LAYERS:
        spatial, temporal = layers[-1]
        if step == _NEXT_TEMPORAL:
            temporal += 1
        elif step == _NEXT_SPATIAL:
            spatial, temporal = spatial + 1, 0
        layers.append(LayerId(spatial, temporal))
        if len(layers) > MAX_TEMPLATES or spatial >= MAX_SPATIAL or temporal >= MAX_TEMPORAL:
            raise PacketError("dependency descriptor: more layers than there are")
    return layers


def _read_fdiffs(bits: _Bits) -> tuple[int, ...]:
    """template_fdiffs(): how far back each frame is, in 4 bits."""
    found = []
    while bits.take(1):
        found.append(bits.take(4) + 1)
    return _bounded(found)


def _read_custom_fdiffs(bits: _Bits) -> tuple[int, ...]:
    """frame_fdiffs(): the same in 4, 8 or 12 bits."""
    found = []
    while size := bits.take(2):
        found.append(bits.take(4 * size) + 1)
    return _bounded(found)


def _bounded(fdiffs: list[int]) -> tuple[int, ...]:
    if len(fdiffs) > MAX_FDIFFS:
        raise PacketError("dependency descriptor: a frame that builds on too many")
    return tuple(fdiffs)
