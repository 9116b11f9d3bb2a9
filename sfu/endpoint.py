"""The one UDP socket."""

import time
from collections.abc import Callable

from sfu.transport import PacketHandler, StateHandler, WebRtcTransport


class Endpoint:
    """One UDP socket that all peers share."""

    @classmethod
    async def open(
        cls, host: str, port: int, announced: tuple[str, ...], *, clock: Callable[[], float] = time.monotonic
    ) -> "Endpoint":
        """Bind. `port` 0 takes a free one; `announced` are the addresses of the ICE candidates."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The UDP port."""
        raise NotImplementedError

    def create_transport(
        self, on_rtp: PacketHandler, on_rtcp: PacketHandler, on_state: StateHandler
    ) -> WebRtcTransport:
        """A transport for one peer."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Drive every timer. The endpoint does so itself every 50 ms."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every transport and the socket."""
        raise NotImplementedError
