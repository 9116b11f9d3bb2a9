"""What the module in C offers."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sfu.plane.base import Address
from sfu.rtp.lane import EngineLane, Layout

class Socket(Protocol):
    def fileno(self) -> int: ...

class Outbox:
    departed: int
    dropped: int
    segments: int
    def __new__(cls, sock: Socket, wake: Callable[[], None], /) -> Outbox: ...
    def __len__(self) -> int: ...
    def flush(self) -> None: ...

class Session:
    packets_sent: int
    bytes_sent: int
    unsent: int
    rtcp_index: int
    def __new__(
        cls, outbox: Outbox, rtp_key: bytes, rtp_salt: bytes, rtcp_key: bytes, rtcp_salt: bytes, /
    ) -> Session: ...
    def direct(self, address: Address | None, /) -> None: ...
    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes, /) -> None: ...
    def send_rtcp(self, packet: bytes, /) -> None: ...
    def seal_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes, /) -> bytes | None: ...
    def seal_rtcp(self, packet: bytes, /) -> bytes | None: ...

class Receiver:
    def __new__(cls, rtp_key: bytes, rtp_salt: bytes, rtcp_key: bytes, rtcp_salt: bytes, /) -> Receiver: ...
    def open_rtp(self, packet: bytes, /) -> bytes | None: ...
    def open_rtcp(self, packet: bytes, /) -> bytes | None: ...

class Inbox:
    def __new__(cls, sock: Socket, /) -> Inbox: ...
    def receive(self) -> list[tuple[bytes, Any, float]]: ...

class Numbers:
    def __new__(cls, times: Any, sizes: Any, following: Any, latest: Any, /) -> Numbers: ...

class Lane:
    highest_in: int
    packets: int
    octets: int
    last: Any
    settled: bool
    def __new__(cls, highest_in: int, /) -> Lane: ...
    def settle(
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
    ) -> None: ...

class Fan:
    def __new__(cls, lanes: tuple[EngineLane, ...], functions: tuple[Callable[..., None], ...], /) -> Fan: ...
    def __call__(self, stream: object, packet: object, /) -> None: ...
