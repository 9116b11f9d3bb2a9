"""Where a subscriber's stream stands: what every packet moves, kept where an engine written in C can move it as well.

Who decides (`sfu.consumer`, `sfu.rtp.munger`) reads and writes these few numbers, and nothing else changes with a
packet as long as nothing has to be decided anew. So an engine may do what is done to most packets without a word to
Python, by what it was told last (`EngineLane.settle`); it asks again as soon as that does not hold any more.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from sfu.rtp.packet import RtpPacket

Callback = Callable[[Any, RtpPacket], None]
"""Takes the `RtpStream` that a packet came in by, and the packet."""

Layout = tuple[int, int, bytes, int, int, object, tuple[Any, ...] | None]
"""How headers are written: see `sfu.rtp.extensions.HeaderWriter.layout`."""


class Lane(Protocol):
    """Of one subscriber's stream."""

    highest_in: int
    """The highest index of the source that was mapped, or passed over; kept by `sfu.rtp.munger.Munger`."""
    last: Any
    """The newest `RtpPacket` that was sent, or None."""
    packets: int
    """Sent for the first time."""
    octets: int
    """Of payload, repetitions not counted."""
    settled: bool
    """Whether what `EngineLane.settle` told holds still: set it to False where that may have changed."""


class PythonLane:
    """Without an engine: `settled` then means nothing."""

    __slots__ = ("highest_in", "last", "octets", "packets", "settled")

    def __init__(self, highest_in: int) -> None:
        self.highest_in = highest_in
        self.last: RtpPacket | None = None
        self.packets = self.octets = 0
        self.settled = False


class EngineLane(Lane, Protocol):
    """One that an engine moves as well."""

    def settle(  # noqa: PLR0917 - a call into C; its positions are `engine/lane.c`'s
        self,
        stream: object,
        session: Any,
        layout: Layout,
        types: Mapping[int, int],
        delta: int,
        rewrite: tuple[Any, ...],
        still: bool,
        renumbers: bool,
        /,
    ) -> None:
        """How packets of `stream` are written, and by which session they leave, until `settled` becomes False.

        `types` maps the second byte of a header, `delta` is the munger's, `rewrite` a `Rewrite`; `still` says that
        its limit is where it is to be, `renumbers` that payloads have other numbers than the subscriber's.
        """


@runtime_checkable
class EngineTransport(Protocol):
    """A transport that an engine may send by."""

    @property
    def engine_session(self) -> object | None:
        """What it sends by; None where packets have to be given to `send_rtp`."""


class Lanes(Protocol):
    """What an engine offers to a router."""

    def lane(self, highest_in: int) -> EngineLane:
        """A lane for a new stream."""

    def fan(self, lanes: Sequence[EngineLane], functions: Sequence[Callback]) -> Callback:
        """What forwards a packet to each of the lanes, or else calls its function, which settles the lane anew."""
