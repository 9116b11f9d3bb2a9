"""The change of a consumer from one track to another, which waits for a place to begin on the other one."""

from collections.abc import Callable

from sfu.consumer import Consumer
from sfu.producer import Producer
from sfu.rtp.matching import payload_types
from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import RtpParameters
from sfu.rtp.red import red_passage
from sfu.rtp.stream import RtpStream


class Switch:
    """A consumer that goes on with what it has until `producer` sends a key frame (or, of audio, anything)."""

    __slots__ = ("_done", "_types", "consumer", "parameters", "producer")

    def __init__(
        self, consumer: Consumer, producer: Producer, parameters: RtpParameters, done: Callable[["Switch"], None]
    ) -> None:
        """`done` is called when the change is to be made, before that packet is forwarded.

        Raises `IncompatibleCodecs` where the subscriber understands none of the track's codecs.
        """
        self.consumer = consumer
        self.producer = producer
        self.parameters = parameters
        source = producer.track.parameters
        red = red_passage(source, parameters)
        self._types = {*payload_types(source, parameters), *([red.source_type] if red else [])}
        self._done = done

    def forward(self, stream: RtpStream, packet: RtpPacket) -> None:
        """A new packet of the track that is waited for."""
        if not packet.key_frame or packet.marker_type & 0x7F not in self._types:
            return
        if self.consumer.begins_with(self.producer, stream):
            self._done(self)
            self.consumer.forward(stream, packet)
