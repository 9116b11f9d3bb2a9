"""A published track: takes its packets in, asks again for what was lost, and hands each to the consumers once."""

from collections.abc import Callable

from sfu.rtp import rtcp
from sfu.rtp.bits import KeyFrame
from sfu.rtp.extensions import Sharing
from sfu.rtp.keyframes import SPACING_S
from sfu.rtp.ladder import Ladder
from sfu.rtp.layers import Layer
from sfu.rtp.measured import measured_layers
from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.parameters import DEPENDENCY_DESCRIPTOR_URI, TRANSPORT_CC_URI, RtpCodec, RtpTransport, TrackInfo
from sfu.rtp.reader import PayloadReader
from sfu.rtp.red import red_primary
from sfu.rtp.stats import Rate, TrackStats, answered_round_trip_s, reference
from sfu.rtp.stream import RtpStream
from sfu.rtp.streams import StreamTable

REPORT_INTERVAL_S = 1.0
SAMPLE_INTERVAL_S = 0.1
_BESIDE = frozenset(("telephone-event", "cn", "red", "rtx", "ulpfec"))
"""What comes between the packets of a codec, or around them, does not change it."""

Forward = Callable[[RtpStream, RtpPacket], None]


class Producer:
    """One track of a publisher, over one transport. Made by `Router.produce`."""

    def __init__(
        self, track: TrackInfo, transport: RtpTransport, *, reporter: tuple[int, str], remb_bps: int, now: float
    ) -> None:
        """`reporter` is the SSRC and the CNAME of our RTCP; `remb_bps` is what one publisher may send in all."""
        self.track = track
        self.muted = False
        """Whether nothing of the track is forwarded; set by `Router.mute`."""
        self.hushed = False
        """Whether only those consumers get it that insist; set by `Router.hush`."""
        self.listener: Forward | None = None
        """Who hears each new packet before the consumers; set by `Router.listen`."""
        self.forward: tuple[Forward, ...] = ()
        """Who gets each new packet; kept by the router."""
        self.sharing: Sharing = {}
        """What the consumers share in writing headers."""
        self.ladder = Ladder()
        """The encodings that were heard, by quality; one for a track that is no simulcast."""
        self._several = len(track.parameters.encodings) > 1
        self.malformed = 0
        """Packets whose payload could not be read."""
        self._transport = transport
        self._reporter, self._cname = reporter
        self._remb_bps = remb_bps
        self._numbered = track.parameters.extension_id(TRANSPORT_CC_URI) is not None
        """Whether transport-wide feedback tells the publisher what the path carries (`Uplink`), so REMB need not."""
        self._dependency_id = track.parameters.extension_id(DEPENDENCY_DESCRIPTOR_URI)
        self._streams = StreamTable(track.parameters)
        self._video = track.kind == "video"
        self._codec = self._streams.main_codec
        self._fir_command = 0
        self._report_at = self._sample_at = 0.0
        self._asked_at = float("-inf")
        self._rtt_s: float | None = None
        self._octet_rate = Rate()
        self._octet_rate.sample(0, now)
        self._measured: tuple[float, int, tuple[Layer, ...]] = (now, -1, ())

    @property
    def ssrcs(self) -> list[int]:
        """All SSRCs that are known to be this track's, those of RTX among them."""
        return self._streams.ssrcs

    @property
    def codec(self) -> RtpCodec:
        """What is being sent; before the first packet, what is preferred."""
        return self._codec

    @property
    def simulcast(self) -> bool:
        """Whether a spatial layer is an encoding of its own. Later offers may add rids to a single one."""
        return self._several or len(self.ladder.rungs) > 1

    @property
    def active(self) -> RtpStream | None:
        """The best encoding that sends; before any does, none."""
        rungs = self.ladder.active
        return rungs[-1] if rungs else None

    @property
    def picture(self) -> KeyFrame:
        """The size of the best encoding, as its last key frame told."""
        return self.active.picture if self.active else KeyFrame()

    def frame_rate(self, now: float) -> float:
        """Frames a second of the best encoding; 0 for audio."""
        return round(self.active.frame_rate(now), 1) if self.active and self._video else 0.0

    def layers(self, now: float) -> tuple[Layer, ...]:
        """What is sent now, layer by layer, ascending in bit rate; nothing of audio.

        As measured at most a tenth of a second ago: every subscriber asks a few times a second.
        """
        if not self._video:
            return ()
        at, revision, measured = self._measured
        if revision != self.ladder.revision or not 0 <= now - at < SAMPLE_INTERVAL_S:
            measured = measured_layers(self.ladder, now, simulcast=self.simulcast)
            self._measured = now, self.ladder.revision, measured
        return measured

    def takes(self, payload_type: int) -> bool:
        """Whether the payload type was negotiated for this track."""
        return payload_type in self._streams.codecs

    def learn(self, packet: RtpPacket) -> bool:
        """Take in an SSRC that was not signalled; False where it can't belong to this track."""
        return self._streams.learn(packet)

    def receive_rtp(self, packet: RtpPacket, now: float) -> None:
        """A packet of one of our SSRCs: counted, kept, and forwarded if it is new."""
        stream = self._streams.accept(packet, now)
        if stream is None:
            return
        self._inspect(stream, packet)
        if stream.silent or stream not in self.ladder.rungs:
            self.ladder.heard(stream, now)
        if not self.muted:
            for forward in self.forward:
                forward(stream, packet)

    def receive_report(self, report: rtcp.SenderReport, now: float) -> None:
        """An SR from the publisher: it counts where it is of one of our streams."""
        for stream in self._streams:
            if stream.ssrc == report.ssrc:
                stream.hear(report, now)

    def receive_delay(self, answer: rtcp.DelaySinceReference, now: float) -> None:
        """The publisher says how long it has had our reference time: what is missing was spent on the way."""
        for ssrc, last, delay in answer.answers:
            rtt_s = answered_round_trip_s(last, delay, now) if ssrc == self._reporter else None
            if rtt_s is not None:
                self._rtt_s = rtt_s

    def request_key_frame(self, now: float, stream: RtpStream | None = None) -> None:
        """Ask the publisher for a key frame of an encoding, or of all that send, at once or when the floor between
        two ends. Audio has none."""
        for asked in self.want_key_frame(stream):
            self._ask_key_frame(asked, now)

    def want_key_frame(self, stream: RtpStream | None = None) -> tuple[RtpStream, ...]:
        """The same, with the next `tick`; of which encodings."""
        if not self._video:
            return ()
        asked = (stream,) if stream else self.ladder.active or tuple(self._streams)
        for each in asked:
            each.key_frames.want()
        return asked

    def tick(self, now: float) -> None:
        """What time brings: NACKs, key frame requests, a report about once a second. Call it every 20 ms or so."""
        for stream in self._streams:
            if stream.nack is not None:
                self._ask_again(stream, now)
            self._ask_key_frame(stream, now)
        if not self.ladder.rungs:
            return
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_INTERVAL_S
            self._octet_rate.sample(self._streams.octets, now)
            for stream in self.ladder.rungs:
                stream.sample(now)
            self.ladder.look(now)
        if now >= self._report_at:
            self._report_at = now + REPORT_INTERVAL_S
            self._report(now)

    def stats(self, now: float) -> TrackStats:
        """The track as it arrives."""
        active, table = self.active, self._streams
        expected = sum(stream.loss.expected for stream in table)
        return TrackStats(
            codec=self._codec.name,
            bitrate_bps=round(8 * self._octet_rate.per_second(table.octets, now)),
            packets=table.ended_packets + sum(stream.packets for stream in table),
            lost=table.ended_lost + sum(stream.lost for stream in table),
            loss_rate=sum(stream.loss.lost for stream in table) / expected if expected else 0.0,
            jitter_ms=active.jitter_ms if active else 0.0,
            width=self.picture.width,
            height=self.picture.height,
            frame_rate=self.frame_rate(now),
            expected=expected,
            layers=self.layers(now),
            rtt_ms=None if self._rtt_s is None else self._rtt_s * 1000,
        )

    def _inspect(self, stream: RtpStream, packet: RtpPacket) -> None:
        """Find out what the packet brings, and whether a subscriber may begin at it."""
        payload = packet.payload
        codec = self._streams.codecs[packet.marker_type & 0x7F]
        try:
            if not self._video:
                packet.key_frame = bool(payload)
            if codec.name == "red" and payload:
                payload_type, payload = red_primary(payload)
                codec = self._streams.codecs.get(payload_type, codec)
            if codec is not self._codec and codec.name not in _BESIDE:
                self._codec = codec
            if not self._video:
                return
            if not payload:
                return
            reader = stream.reader
            if reader is None or reader.codec != codec.name:
                reader = stream.reader = PayloadReader(codec.name)
            dependency = None if self._dependency_id is None else packet.elements.get(self._dependency_id)
            found = reader.read(packet, payload, dependency)
        except PacketError:
            self.malformed += 1
            return
        finally:
            stream.meter.add(packet, stream.new_frame, packet.arrival)
        if found is None:
            return
        packet.key_frame = True
        stream.key_frames.came()
        stream.begins = max(stream.begins, packet.index)
        if stream.nack is not None:
            stream.nack.key_frame(packet.index)

    def _ask_again(self, stream: RtpStream, now: float) -> None:
        lost = stream.lost_now(now)
        if lost:
            self._send(rtcp.nack(self._reporter, stream.ssrc, lost))
        if stream.gave_up():
            stream.key_frames.want()

    def _ask_key_frame(self, stream: RtpStream, now: float) -> None:
        if not self._transport.connected or now - self._asked_at < SPACING_S:
            return
        if not stream.key_frames.due(now, stream.last_arrival):
            return
        self._asked_at = now
        feedback = self._codec.feedback
        if "ccm fir" in feedback and "nack pli" not in feedback:
            self._fir_command += 1
            self._send(rtcp.full_intra_request(self._reporter, stream.ssrc, self._fir_command))
        else:
            self._send(rtcp.picture_loss(self._reporter, stream.ssrc))

    def _report(self, now: float) -> None:
        heard = [stream for stream in self._streams if stream.highest >= 0]
        report = rtcp.ReceiverReport(self._reporter, tuple(stream.report(now) for stream in heard))
        compound = rtcp.receiver_report(report) + rtcp.source_description(self._reporter, self._cname)
        compound += rtcp.reference_time(self._reporter, reference(now))
        if "goog-remb" in self._streams.main_codec.feedback and not self._numbered:
            compound += rtcp.remb(self._reporter, self._remb_bps, [stream.ssrc for stream in heard])
        self._transport.send_rtcp(compound)

    def _send(self, feedback: bytes) -> None:
        """A compound opens with a report and a CNAME (RFC 3550 section 6.1), though it brings feedback alone."""
        opening = rtcp.receiver_report(rtcp.ReceiverReport(self._reporter))
        self._transport.send_rtcp(opening + rtcp.source_description(self._reporter, self._cname) + feedback)
