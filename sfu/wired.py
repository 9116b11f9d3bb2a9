"""A consumer whose subscriber is an egress process, and its transport: a place in what goes over the wire next."""

from random import Random

from sfu.consumer import Consumer
from sfu.egress.wire import Batch, What
from sfu.producer import Producer
from sfu.rtp.layers import EVERYTHING, View
from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import RtpParameters
from sfu.rtp.stream import RtpStream


class TrackWire:
    """The transport of one track. It is always connected: what has no room is dropped further on."""

    connected = True
    arrived: float | None = None

    def __init__(self, number: int, batch: Batch) -> None:
        self.number = number
        """Of the track, on the wire."""
        self.packet: RtpPacket | None = None
        """What is being forwarded; kept by the consumer."""
        self.reported = False
        """Whether the publisher's clock was told."""
        self._batch = batch

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """Put a packet into the batch. The hot path: once per packet and egress process."""
        packet = self.packet
        assert packet is not None  # noqa: S101 - nothing but a consumer sends here
        what = What.KEY_FRAME if packet.key_frame else What.RTP
        self._batch.add(self.number, what, packet.arrival, index, header, payload)

    def send_rtcp(self, packet: bytes) -> None:
        """Put a report into the batch."""
        self.reported = True
        self._batch.add(self.number, What.RTCP, 0.0, 0, packet)


class WiredConsumer(Consumer):
    """A consumer over a `TrackWire`: it begins with the best layer that its view allows. Made by `Router.wire`."""

    def __init__(
        self,
        producer: Producer,
        peer_id: str,
        parameters: RtpParameters,
        wire: TrackWire,
        view: View,
        *,
        rng: Random,
        now: float,
    ) -> None:
        """As of any consumer; `view` is all that bounds the layers, since there is no path."""
        super().__init__(producer, peer_id, parameters, wire, rng=rng, now=now)
        self.wire = wire
        self.insists = True
        self._choice.aim(EVERYTHING, producer.ladder)
        self._choice.view = view

    def forward(self, stream: RtpStream, packet: RtpPacket) -> None:
        """As any consumer does; the wire has to know which packet it is."""
        self.wire.packet = packet
        super().forward(stream, packet)
