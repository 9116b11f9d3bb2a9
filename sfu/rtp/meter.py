"""What each layer of one stream takes: bit rate and frame rate, measured as it arrives."""

from collections.abc import Callable
from typing import NamedTuple

from sfu.rtp.layers import LayerId
from sfu.rtp.packet import RtpPacket
from sfu.rtp.stats import Rate

WINDOW_S = 2.0
"""Of the rates: a key frame, ten times as large as others, is not to look like another rate; and no more of a past in
which a layer was not sent."""
MAX_SHARES = 64
"""More than any stream has: 4 spatial by 8 temporal layers, with and without a key frame's indications."""


class Share(NamedTuple):
    """Packets that go to the same subscribers."""

    spatial: int
    temporal: int
    targets: int = -1
    """The decode targets that include them, as a bitmask; -1 where layers alone tell."""


_WHOLE = Share(0, 0)


class _Tally:
    __slots__ = ("frame_rate", "frames", "octet_rate", "octets")

    def __init__(self, now: float) -> None:
        self.octets = self.frames = 0
        self.octet_rate, self.frame_rate = Rate(WINDOW_S), Rate(WINDOW_S)
        self.sample(now)

    def sample(self, now: float) -> None:
        self.octet_rate.sample(self.octets, now)
        self.frame_rate.sample(self.frames, now)


class LayerMeter:
    """Counts the packets of one stream by the layer that they belong to."""

    def __init__(self) -> None:
        self._tallies: dict[Share, _Tally] = {}

    def add(self, packet: RtpPacket, new_frame: bool, now: float) -> None:
        """A packet of the stream; `new_frame` says whether it is the first seen of its picture."""
        layer = packet.layer
        if layer is None:
            key, starts = _WHOLE, new_frame
        else:
            key, starts = Share(layer.spatial, layer.temporal, layer.targets), layer.starts
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MAX_SHARES:
                return
            tally = self._tallies[key] = _Tally(now)
        tally.octets += 16 + len(packet.extension) + len(packet.payload)
        tally.frames += starts

    def sample(self, now: float) -> None:
        """Note the counters: a few times a second."""
        for tally in self._tallies.values():
            tally.sample(now)

    def layers(self, now: float) -> frozenset[LayerId]:
        """The layers of which frames come; before any rate is known, of which any came."""
        flowing = [share for share, tally in self._tallies.items() if tally.octet_rate.per_second(tally.octets, now)]
        return frozenset(LayerId(share.spatial, share.temporal) for share in flowing or self._tallies)

    def bitrate_bps(self, includes: Callable[[Share], bool], now: float) -> float:
        """Of all that a subscriber gets for whom `includes` holds."""
        return 8 * sum(t.octet_rate.per_second(t.octets, now) for k, t in self._tallies.items() if includes(k))

    def frame_rate(self, includes: Callable[[Share], bool], now: float) -> float:
        """Of the same, in frames a second."""
        return sum(t.frame_rate.per_second(t.frames, now) for k, t in self._tallies.items() if includes(k))
