"""The RTP streams of one track: which SSRC is which encoding, and which repairs which (RFC 4588)."""

from collections.abc import Iterator

from sfu.rtp.matching import rtx_repairs
from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import REPAIRED_RID_URI, RID_URI, RtpCodec, RtpParameters
from sfu.rtp.stream import RtpStream

MAX_SSRCS = 32
"""Of one track over its life: three simulcast encodings, RTX for each, and room for SSRCs that change."""
MAX_RIDS = 4
"""Simulcast encodings of one track at a time; more than are ever negotiated. And so many streams without a rid: each
keeps its last packets, which of video take 1.5 MB."""


class StreamTable:
    """Takes the packets of a track to the stream they belong to, retransmissions unwrapped."""

    def __init__(self, parameters: RtpParameters) -> None:
        self.codecs = {codec.payload_type: codec for codec in parameters.codecs}
        """By payload type, RTX and FEC among them."""
        media = [codec for codec in parameters.codecs if codec.name not in ("rtx", "red", "ulpfec")]
        if not media:
            raise ValueError("a track without a codec")
        self.main_codec = media[0]
        """The preferred one, which tells what feedback was agreed on."""
        self.unusable = 0
        """Packets of a payload type that was not negotiated, or of RTX in a stream that is none."""
        self.ended_packets = self.ended_lost = self.ended_octets = 0
        """Counters of streams whose sender started anew."""
        self._parameters = parameters
        self._video = parameters.kind == "video"
        self._repaired_type = rtx_repairs(parameters)
        self._sent_types = frozenset(self.codecs.keys() - self._repaired_type.keys())
        self._streams: dict[int, RtpStream] = {}
        self._repairs: dict[int, int] = {}  # RTX SSRC to the SSRC that it repairs
        self._rids: dict[str, int] = {}
        self._ended_ssrcs = 0
        for encoding in parameters.encodings:
            if encoding.ssrc is not None:
                self._open(encoding.ssrc, self.main_codec, encoding.rid or "")
                if encoding.rid is not None:
                    self._rids[encoding.rid] = encoding.ssrc
                if encoding.rtx_ssrc is not None:
                    self._repairs[encoding.rtx_ssrc] = encoding.ssrc

    def __iter__(self) -> Iterator[RtpStream]:
        return iter(self._streams.values())

    @property
    def ssrcs(self) -> list[int]:
        """All that are known: signalled, or learnt since."""
        return [*self._streams, *self._repairs]

    @property
    def first(self) -> RtpStream | None:
        """The first encoding."""
        return next(iter(self._streams.values()), None)

    @property
    def octets(self) -> int:
        """Payload bytes that came, in all."""
        return self.ended_octets + sum(stream.octets for stream in self._streams.values())

    def learn(self, packet: RtpPacket) -> bool:
        """Take in an SSRC that was not signalled; False where it can't belong to this track."""
        codec = self.codecs.get(packet.payload_type)
        if codec is None or len(self._streams) + len(self._repairs) + self._ended_ssrcs >= MAX_SSRCS:
            return False
        if codec.name == "rtx":
            rid = self._rid(packet, REPAIRED_RID_URI)
            repaired = self._rids.get(rid) if rid else next(iter(self._streams), None)
            if repaired is None:
                return False
            self._repairs[packet.ssrc] = repaired
            return True
        rid = self._rid(packet, RID_URI)
        if rid in self._rids:
            self._end(self._rids[rid])
        elif len(self._rids if rid else self._streams) >= MAX_RIDS and (rid or not self._end_quietest()):
            return False
        self._open(packet.ssrc, codec, rid)
        if rid:
            self._rids[rid] = packet.ssrc
        return True

    def sends(self, packet: RtpPacket) -> bool:
        """Whether the payload type is one that a stream of media may bring."""
        return packet.payload_type in self._sent_types

    def accept(self, packet: RtpPacket, now: float) -> RtpStream | None:
        """The stream that takes the packet in, or None for what is a duplicate, too old or of no use."""
        stream = self._streams.get(packet.ssrc)
        recovered = stream is None
        if stream is None:
            stream = self._restored(packet)
            if stream is None:
                return None
        if packet.marker_type & 0x7F not in self._sent_types:
            self.unusable += 1
            return None
        if stream.accept(packet, now, recovered=recovered):
            return stream
        if not stream.started_anew:
            return None
        stream = self._replace(stream)
        stream.accept(packet, now)
        return stream

    def _restored(self, packet: RtpPacket) -> RtpStream | None:
        """Make an RTX packet the one it repeats (RFC 4588 section 4). Without a payload it is padding that probes."""
        stream = self._streams.get(self._repairs.get(packet.ssrc, -1))
        payload_type = self._repaired_type.get(packet.marker_type & 0x7F)
        if stream is None or payload_type is None or len(packet.payload) < 2 or stream.highest < 0:
            return None
        packet.ssrc = stream.ssrc
        packet.sequence_number = int.from_bytes(packet.payload[:2], "big")
        packet.payload = packet.payload[2:]
        packet.marker_type = packet.marker_type & 0x80 | payload_type
        return stream

    def _open(self, ssrc: int, codec: RtpCodec, rid: str) -> None:
        self._streams[ssrc] = RtpStream(
            ssrc, codec.clock_rate, video=self._video, asks_again="nack" in codec.feedback, rid=rid
        )

    def _replace(self, old: RtpStream) -> RtpStream:
        """The sender of an SSRC started anew."""
        self._count(old)
        new = RtpStream(old.ssrc, old.clock_rate, video=self._video, asks_again=old.nack is not None, rid=old.rid)
        self._streams[old.ssrc] = new
        return new

    def _end(self, ssrc: int) -> None:
        """An encoding goes on under another SSRC."""
        self._count(self._streams.pop(ssrc))
        repairs = [of for of, to in self._repairs.items() if to == ssrc]
        for repair in repairs:
            del self._repairs[repair]
        self._ended_ssrcs += 1 + len(repairs)

    def _end_quietest(self) -> bool:
        """Of the streams without a rid, one goes on no more: that which said something longest ago."""
        streams = [stream for stream in self._streams.values() if not stream.rid]
        if streams:
            self._end(min(streams, key=lambda stream: stream.last_arrival).ssrc)
        return bool(streams)

    def _count(self, old: RtpStream) -> None:
        self.ended_packets += old.packets
        self.ended_lost += old.lost
        self.ended_octets += old.octets

    def _rid(self, packet: RtpPacket, uri: str) -> str:
        element_id = self._parameters.extension_id(uri)
        if element_id is None:
            return ""
        return packet.elements.get(element_id, b"").decode("ascii", "replace")
