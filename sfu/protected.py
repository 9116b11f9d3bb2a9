"""A published track that brings its own parity: RED around every packet (RFC 2198), ULPFEC among them (RFC 5109).

What is lost on the publisher's way is made again here, and goes on as if it had come. Subscribers get neither RED nor
parity: their streams have other numbers. FEC is agreed on with those alone who can't be asked to send again
(`sfu.ortc.sections.read_codecs` has the reasons), so no other track pays for it.
"""

from sfu.producer import Producer
from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.parameters import ABS_SEND_TIME_URI, TRANSPORT_CC_URI, RtpParameters, RtpTransport, TrackInfo
from sfu.rtp.red import red_primary
from sfu.rtp.stream import RtpStream
from sfu.rtp.ulpfec import Repair


def brings_parity(parameters: RtpParameters) -> bool:
    """Whether ULPFEC was agreed on for a track."""
    return any(codec.name == "ulpfec" for codec in parameters.codecs)


class ProtectedProducer(Producer):
    """As `Producer`; what it forwards is unwrapped, and whole where the parity suffices."""

    def __init__(
        self, track: TrackInfo, transport: RtpTransport, *, reporter: tuple[int, str], remb_bps: int, now: float
    ) -> None:
        super().__init__(track, transport, reporter=reporter, remb_bps=remb_bps, now=now)
        written_later = (ABS_SEND_TIME_URI, TRANSPORT_CC_URI)
        ids = (track.parameters.extension_id(uri) for uri in written_later)
        self._zeroed = frozenset(number for number in ids if number is not None)
        self._repairs: dict[int, tuple[RtpStream, Repair]] = {}

    @property
    def recovered(self) -> int:
        """Packets that parity brought back."""
        return sum(repair.recovered for _, repair in self._repairs.values())

    def receive_rtp(self, packet: RtpPacket, now: float) -> None:
        """A packet of one of our SSRCs, and what it lets us make again."""
        super().receive_rtp(packet, now)
        for stream, repair in self._repairs.values():
            while (made := repair.take(stream.highest - stream.cache.capacity + 1)) is not None:
                self._receive_made(stream, made, now)

    def tick(self, now: float) -> None:
        """What time brings: of what parity does not suffice for, a key frame."""
        for stream, repair in self._repairs.values():
            if repair.gave_up(now):
                stream.key_frames.want()
        super().tick(now)

    def _receive_made(self, stream: RtpStream, packet: RtpPacket, now: float) -> None:
        """It does not count as received: the publisher's reports are to say what its way loses.

        What the parity makes is the publisher's word, the payload type too.
        """
        if not self._streams.sends(packet):
            self.malformed += 1
            return
        if not stream.accept(packet, now, recovered=True):
            return
        self._inspect(stream, packet)
        if not self.muted:
            for forward in self.forward:
                forward(stream, packet)

    def _inspect(self, stream: RtpStream, packet: RtpPacket) -> None:
        codecs = self._streams.codecs
        codec = codecs[packet.payload_type]
        try:
            if codec.name == "red" and packet.payload:
                payload_type, packet.payload = red_primary(packet.payload)
                packet.marker_type = packet.marker_type & 0x80 | payload_type
                if payload_type not in codecs or codecs[payload_type].name in ("red", "rtx"):
                    raise PacketError("RED: a block of what was not agreed on")
                codec = codecs[payload_type]
            if codec.name == "ulpfec":
                payload, packet.payload = packet.payload, b""  # like padding, which is left out
                self._repair(stream).add(payload, stream.highest, packet.arrival)
                return
        except PacketError:
            packet.payload = b""
            self.malformed += 1
            return
        super()._inspect(stream, packet)

    def _repair(self, stream: RtpStream) -> Repair:
        """Of this stream; a new one where its sender started anew."""
        known, repair = self._repairs.get(stream.ssrc, (None, None))
        if repair is None or known is not stream:
            repair = Repair(stream.cache, stream.ssrc, self._zeroed)
            self._repairs[stream.ssrc] = stream, repair
        return repair
