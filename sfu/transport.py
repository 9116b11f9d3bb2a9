"""A peer's way in and out."""

from collections.abc import Callable
from typing import Literal

from sfu.rtp.parameters import RemoteTransport, TransportParameters

TransportState = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]
PacketHandler = Callable[[bytes, float], None]
StateHandler = Callable[[TransportState], None]


class WebRtcTransport:
    """One peer's ICE-lite, DTLS-SRTP transport; made by `Endpoint.create_transport`, implements `RtpTransport`."""

    @property
    def parameters(self) -> TransportParameters:
        """Our end, for the SDP."""
        raise NotImplementedError

    @property
    def state(self) -> TransportState:
        """Where the transport stands."""
        raise NotImplementedError

    @property
    def connected(self) -> bool:
        """Whether SRTP keys are there; what is sent before is dropped."""
        raise NotImplementedError

    @property
    def rtt_ms(self) -> float | None:
        """The round-trip time seen in the DTLS handshake, or None."""
        raise NotImplementedError

    def start(self, remote: RemoteTransport) -> None:
        """Take the other end's parameters. Again with another ufrag: an ICE restart (call `restart_ice` before)."""
        raise NotImplementedError

    def restart_ice(self) -> TransportParameters:
        """Fresh ICE credentials for an answer to an ICE restart; the old ones work until the new ones are used."""
        raise NotImplementedError

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """See `RtpTransport.send_rtp`."""
        raise NotImplementedError

    def send_rtcp(self, packet: bytes) -> None:
        """See `RtpTransport.send_rtcp`."""
        raise NotImplementedError

    def close(self) -> None:
        """Say goodbye (close_notify) and leave the endpoint. May be called again."""
        raise NotImplementedError
