"""A published track: takes its packets in, asks again for what was lost, and hands each to the consumers once."""

from collections.abc import Callable

from sfu.rtp import rtcp
from sfu.rtp.bits import KeyFrame
from sfu.rtp.codecs import Detector, detector, red_primary
from sfu.rtp.extensions import Sharing
from sfu.rtp.keyframes import KeyFrameRequests
from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.parameters import TRANSPORT_CC_URI, RtpCodec, RtpTransport, TrackInfo
from sfu.rtp.stats import Rate, TrackStats
from sfu.rtp.stream import RtpStream
from sfu.rtp.streams import StreamTable

REPORT_INTERVAL_S = 1.0
SAMPLE_INTERVAL_S = 0.1
SILENCE_S = 2.0
"""An encoding that sent nothing for so long makes room for another one of its track."""
_FEC = frozenset(("ulpfec", "flexfec-03"))
"""Never forwarded: computed over numbers and headers that subscribers don't see, it would repair into garbage."""
_BESIDE = frozenset(("telephone-event", "cn"))
"""What comes between the packets of a codec does not change it."""

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
        self.active: RtpStream | None = None
        """The stream that is forwarded: the first encoding that sends."""
        self.malformed = 0
        """Packets whose payload could not be read."""
        self._transport = transport
        self._reporter, self._cname = reporter
        self._remb_bps = remb_bps
        self._numbered = track.parameters.extension_id(TRANSPORT_CC_URI) is not None
        """Whether transport-wide feedback tells the publisher what the path carries (`Uplink`), so REMB need not."""
        self._streams = StreamTable(track.parameters)
        self._video = track.kind == "video"
        self._codec = self._streams.main_codec
        self._detect: Detector | None = detector(self._codec.name) if self._video else None
        self._picture = KeyFrame()
        self._key_frames = KeyFrameRequests()
        self._fir_command = 0
        self._report_at = self._sample_at = 0.0
        self._octet_rate, self._frame_rate = Rate(), Rate()
        self._octet_rate.sample(0, now)

    @property
    def ssrcs(self) -> list[int]:
        """All SSRCs that are known to be this track's, those of RTX among them."""
        return self._streams.ssrcs

    @property
    def codec(self) -> RtpCodec:
        """What is being sent; before the first packet, what is preferred."""
        return self._codec

    @property
    def picture(self) -> KeyFrame:
        """The size that the last key frame told."""
        return self._picture

    def frame_rate(self, now: float) -> float:
        """Frames a second; 0 for audio."""
        active = self.active
        return round(self._frame_rate.per_second(active.frames, now), 1) if active and self._video else 0.0

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
        active = self.active
        if stream is not active and (active is None or active.ssrc == stream.ssrc):
            self._activate(stream)
        self._inspect(stream, packet)
        if stream is self.active and not self.muted:
            for forward in self.forward:
                forward(stream, packet)

    def receive_report(self, report: rtcp.SenderReport, now: float) -> None:
        """An SR from the publisher: it counts where it is of one of our streams."""
        for stream in self._streams:
            if stream.ssrc == report.ssrc:
                stream.hear(report, now)

    def request_key_frame(self, now: float) -> None:
        """Ask the publisher for a key frame, at once or when the floor between two ends. Audio has none."""
        self.want_key_frame()
        self._ask_key_frame(now)

    def want_key_frame(self) -> None:
        """The same, with the next `tick`."""
        if self._video:
            self._key_frames.want()

    def tick(self, now: float) -> None:
        """What time brings: NACKs, key frame requests, a report about once a second. Call it every 20 ms or so."""
        for stream in self._streams:
            if stream.nack is not None:
                self._ask_again(stream, now)
        self._ask_key_frame(now)
        active = self.active
        if active is None:
            return
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_INTERVAL_S
            self._octet_rate.sample(self._streams.octets, now)
            self._frame_rate.sample(active.frames, now)
        if now >= self._report_at:
            self._report_at = now + REPORT_INTERVAL_S
            self._report(now)
            if now - active.last_arrival >= SILENCE_S:
                self._leave_silent(now)

    def stats(self, now: float) -> TrackStats:
        """The track as it arrives."""
        active, table = self.active, self._streams
        return TrackStats(
            codec=self._codec.name,
            bitrate_bps=round(8 * self._octet_rate.per_second(table.octets, now)),
            packets=table.ended_packets + sum(stream.packets for stream in table),
            lost=table.ended_lost + sum(stream.lost for stream in table),
            loss_rate=active.loss_rate if active else 0.0,
            jitter_ms=active.jitter_ms if active else 0.0,
            width=self._picture.width,
            height=self._picture.height,
            frame_rate=self.frame_rate(now),
        )

    def _activate(self, stream: RtpStream) -> None:
        if self.active is not None:
            self.want_key_frame()
        self.active = stream
        self._frame_rate = Rate()

    def _leave_silent(self, now: float) -> None:
        """Go on with another encoding where one still sends."""
        for stream in self._streams:
            if stream.highest >= 0 and now - stream.last_arrival < REPORT_INTERVAL_S:
                self._activate(stream)
                return

    def _inspect(self, stream: RtpStream, packet: RtpPacket) -> None:
        """Find out what the packet brings, and whether a subscriber may begin at it."""
        payload = packet.payload
        codec = self._streams.codecs[packet.marker_type & 0x7F]
        try:
            if codec.name == "red" and payload:
                payload_type, payload = red_primary(payload)
                codec = self._streams.codecs.get(payload_type, codec)
            if codec.name in _FEC:
                packet.payload = b""  # like padding, which is left out
                return
            if codec is not self._codec and codec.name not in _BESIDE:
                self._codec = codec
                self._detect = detector(codec.name) if self._video else None
            if self._detect is None:
                packet.key_frame = bool(payload)
                return
            found = self._detect(payload) if payload else None
        except PacketError:
            self.malformed += 1
            return
        if found is None:
            return
        packet.key_frame = True
        if stream.nack is not None:
            stream.nack.key_frame(packet.index)
        if stream is self.active:
            self._key_frames.came()
            if found.width:
                self._picture = found

    def _ask_again(self, stream: RtpStream, now: float) -> None:
        lost = stream.lost_now(now)
        if lost:
            self._send(rtcp.nack(self._reporter, stream.ssrc, lost))
        if stream.gave_up() and stream is self.active:
            self.want_key_frame()

    def _ask_key_frame(self, now: float) -> None:
        stream = self.active or self._streams.first
        if stream is None or not self._transport.connected or not self._key_frames.due(now, stream.last_arrival):
            return
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
        if "goog-remb" in self._streams.main_codec.feedback and not self._numbered:
            compound += rtcp.remb(self._reporter, self._remb_bps, [stream.ssrc for stream in heard])
        self._transport.send_rtcp(compound)

    def _send(self, feedback: bytes) -> None:
        """A compound opens with a report and a CNAME (RFC 3550 section 6.1), though it brings feedback alone."""
        opening = rtcp.receiver_report(rtcp.ReceiverReport(self._reporter))
        self._transport.send_rtcp(opening + rtcp.source_description(self._reporter, self._cname) + feedback)
