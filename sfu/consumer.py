"""A track as one subscriber gets it: one unbroken stream of its own, repeated where it was lost on the way."""

from collections import deque
from collections.abc import Iterable
from random import Random

from sfu.producer import Producer
from sfu.rtp import rtcp
from sfu.rtp.bits import KeyFrame
from sfu.rtp.choice import Chosen, LayerChoice
from sfu.rtp.departures import Departures
from sfu.rtp.extensions import HeaderWriter
from sfu.rtp.lane import EngineTransport, Lane, Lanes, PythonLane
from sfu.rtp.layers import Layer, LayerId, View
from sfu.rtp.matching import payload_types, rtx_types
from sfu.rtp.measured import layers_inside, spatial_sizes
from sfu.rtp.munger import Munger
from sfu.rtp.packet import PacketLayer, RtpPacket
from sfu.rtp.parameters import RtpParameters, RtpTransport
from sfu.rtp.red import red_passage
from sfu.rtp.repetitions import Repetitions
from sfu.rtp.rewrite import Numbering, Rewrite
from sfu.rtp.rtx import RtxStream, first_index
from sfu.rtp.seq import unwrap
from sfu.rtp.stats import ConsumerStats, Rate, RecentLoss, round_trip_s
from sfu.rtp.stream import RtpStream
from sfu.rtp.timeline import Timeline

REPORT_INTERVAL_S = 1.0
_REPORTS_REMEMBERED = 8
RECENT_S = 0.3
"""What followed a key frame in this time is sent at once to who begins with it: as much as the key frame itself."""
PROBE_PACKETS = 64
"""Of the newest packets, those that a probe may repeat: more than one holds."""


class Consumer:
    """One stream to one subscriber, over one transport. Made by `Router.consume`."""

    def __init__(
        self,
        producer: Producer,
        peer_id: str,
        parameters: RtpParameters,
        transport: RtpTransport,
        *,
        rng: Random,
        now: float,
        departures: Departures | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        """`parameters` are what the subscriber negotiated; its first encoding has the SSRCs. `departures` are the
        transport's, for its transport-wide numbers; `lanes` are of an engine that does what needs no thought.

        Raises `IncompatibleCodecs` where no codec is common, ValueError where no SSRC is given.
        """
        if not parameters.encodings or parameters.encodings[0].ssrc is None:
            raise ValueError("a consumer needs its SSRC")
        self.peer_id = peer_id
        self.outlives_track = False
        """Whether the end of its track only leaves it without one: `Router.follow` gives it the next."""
        self.insists = False
        """Whether it gets its track even while that is hushed; set by `Router.insist`."""
        self.ssrc = parameters.encodings[0].ssrc
        rtx_ssrc = parameters.encodings[0].rtx_ssrc
        self.closed = False
        self.connected = transport.connected
        """Whether the transport sends; kept by the router, which forwards nothing to one that doesn't."""
        self.resent = 0
        self.resends_refused = 0
        """NACKs that asked for more than the bounds allow."""
        self._departures = departures
        first = first_index(rng)
        self.engine_lane = None if lanes is None else lanes.lane(first - 1)
        """Where the stream stands, for the engine that forwards by `pass_on`; None without one."""
        self.lane: Lane = self.engine_lane or PythonLane(first - 1)
        """Where the stream stands."""
        self._rtx = None if rtx_ssrc is None else RtxStream(rtx_ssrc, first_index(rng), transport.send_rtp)
        self._read(producer, parameters)
        self._send = transport.send_rtp
        self._transport = transport
        self._engine_transport = transport if isinstance(transport, EngineTransport) else None
        self._munger: Munger[RtpStream, Rewrite] = Munger(first, Rewrite(), self.lane)
        self._timeline, self._numbering = Timeline(), Numbering()
        self._stream: RtpStream | None = None
        """What is followed; None while a place to begin is waited for."""
        self._choice = LayerChoice()
        self._chosen: Chosen | None = None
        """What is to be sent: where it is another encoding than what is followed, its key frame is waited for."""
        self._renumbers = False
        """Whether the numbers in payloads, of frames, are not the subscriber's."""
        self._goal = LayerId(0, 0)
        """Where the limit of layers within what is followed moves to."""
        self.speaking = False
        """Whether this is the track of who speaks, which goes before the others; set by who knows."""
        self._cname = parameters.cname or producer.track.peer_id
        self._repetitions = Repetitions()
        self._reports_sent: deque[tuple[int, float]] = deque(maxlen=_REPORTS_REMEMBERED)
        self._remote: rtcp.ReportBlock | None = None
        self._loss = RecentLoss()
        self._loss.report(first - 1, 0, now)
        self._rtt_s: float | None = None
        self._octet_rate = Rate()
        self._octet_rate.sample(0, now)

    @property
    def packets(self) -> int:
        """Sent for the first time."""
        return self.lane.packets

    @property
    def octets(self) -> int:
        """Of payload, repetitions not counted."""
        return self.lane.octets

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """What the subscriber sees: the stream's own, and that of RTX."""
        return (self.ssrc,) if self._rtx is None else (self.ssrc, self._rtx.ssrc)

    @property
    def screen(self) -> bool:
        """Whether it shows a screen."""
        return self.producer.track.source == "screen"

    @property
    def waiting(self) -> bool:
        """Whether nothing is forwarded until the next key frame (or, of audio, the next packet)."""
        return self._stream is None

    # --- layers

    def layers(self, now: float) -> tuple[Layer, ...]:
        """What of the track is sent to us now and may be sent on, by the view, ascending in bit rate.

        () for audio, and for a track that nobody looks at.
        """
        return self._choice.allowed(self.producer.layers(now), self._sizes())

    @property
    def current(self) -> LayerId | None:
        """What is being sent; None while nothing is."""
        stream, ladder = self._stream, self.producer.ladder
        if stream is None:
            return None
        spatial = ladder.rungs.index(stream) if stream in ladder.rungs else 0
        return self._named(stream, self._munger.rewrite.limit, spatial)

    @property
    def target(self) -> LayerId | None:
        """What is to be sent, as soon as there is a place to change to it; None for nothing."""
        if self._revision != self.producer.ladder.revision:
            self._reconsider()
        chosen = self._chosen
        return None if chosen is None else self._named(chosen.stream, chosen.limit, chosen.layer.spatial)

    def _named(self, stream: RtpStream, limit: LayerId, rung: int) -> LayerId:
        """The layer of the track that a limit inside a stream lets through, of those that are there."""
        within = [
            layer
            for layer in layers_inside(stream)
            if layer.spatial <= limit.spatial and layer.temporal <= limit.temporal
        ]
        best = max(within, default=LayerId(0, 0))
        return LayerId(rung, best.temporal) if self.producer.simulcast else best

    def set_target(self, target: LayerId | None, now: float) -> None:
        """Send this layer, within what the view allows, or the best below it that is there; None: nothing.

        The change comes with the next key frame, which is asked for, or where the stream lets a temporal layer begin;
        a lower temporal layer and a pause at once. Before any call it is the lowest layer.
        """
        self._choice.aim(target, self.producer.ladder)
        self._reconsider()
        self._want(now)

    @property
    def view(self) -> View:
        """How the subscriber looks at the track."""
        return self._choice.view

    def set_view(self, view: View, now: float) -> None:
        """The subscriber looks at the track otherwise: what it does not want any more is not sent."""
        self._choice.view = view
        self._reconsider()
        self._want(now)

    def _sizes(self) -> tuple[KeyFrame, ...]:
        return spatial_sizes(self.producer.ladder, simulcast=self.producer.simulcast)

    def _reconsider(self) -> None:
        """Choose anew: something of the target, the view or the ladder has changed."""
        producer, before = self.producer, (self._stream, self._goal)
        self._revision = producer.ladder.revision
        chosen = self._chosen = self._choice.chosen(producer.ladder, self._sizes(), simulcast=producer.simulcast)
        if chosen is None:
            self._stream = None
        elif chosen.stream is self._stream:
            self._goal = chosen.limit
        elif self._is_larger(self._stream, chosen.stream):
            self._goal = self._goal._replace(temporal=0)  # to take less already while the key frame is on its way
        if before != (self._stream, self._goal):
            self.lane.settled = False

    def _want(self, now: float) -> None:
        """Ask for the key frame that a change needs."""
        chosen = self._chosen
        if chosen is None or not self.connected:
            return
        stream, limit = self._stream, self._munger.rewrite.limit
        if chosen.stream is not stream or (stream.reader and stream.reader.needs_key_frame(limit, chosen.limit)):
            self.producer.request_key_frame(now, chosen.stream)

    # --- what is sent

    def forward(self, stream: RtpStream, packet: RtpPacket) -> None:
        """A new packet of the track: send it, unless the subscriber must not get it.

        The hot path: once per packet and subscriber. With an engine, what it does in order and without a change is
        done there too, in the same way (`engine/fan.c`).
        """
        if stream is not self._stream:
            self._look_at(stream, packet)
            return
        munger, lane, index = self._munger, self.lane, packet.index
        if index <= lane.highest_in:
            self._forward_late(packet)
            return
        marker_type, payload = self._types.get(packet.marker_type), packet.payload
        if marker_type is None or not payload:
            rewrapped = self._rewrapped(packet)
            if rewrapped is None:  # nothing that the subscriber agreed on, or padding
                munger.skip(index)
                return
            marker_type, payload = rewrapped  # sound: no frames with numbers of their own
        elif packet.layered or self._renumbers:
            self._forward_rewritten(packet, marker_type)
            return
        out = munger.advance(index)
        timestamp = packet.timestamp + munger.rewrite.timestamp & 0xFFFFFFFF
        self._send(self.ssrc, out, self._write(packet, marker_type, out & 0xFFFF, timestamp), payload)
        lane.last = packet
        lane.packets += 1
        lane.octets += len(payload)

    def pass_on(self, stream: RtpStream, packet: RtpPacket) -> None:
        """As `forward`, of a packet that the engine can't forward; tells it how to go on by itself."""
        self.forward(stream, packet)
        lane, transport, followed = self.engine_lane, self._engine_transport, self._stream
        if lane is None or lane.settled or transport is None or followed is None:
            return
        session = transport.engine_session
        if session is not None:
            delta, rewrite = self._munger.delta, self._munger.rewrite
            still = rewrite.limit == self._goal
            lane.settle(followed, session, self._layout, self._types, delta, rewrite, still, self._renumbers)

    def _forward_rewritten(self, packet: RtpPacket, marker_type: int) -> None:
        """A packet in order of a stream with layers, or whose frames have other numbers than the subscriber's."""
        munger, lane, layer = self._munger, self.lane, packet.layer
        rewrite = munger.rewrite
        if layer is not None:
            if rewrite.limit is not self._goal and layer.starts:
                rewrite = self._move_limit(packet, layer)
            if layer.above(rewrite.limit):
                munger.skip(packet.index)
                rewrite = munger.rewrite = self._numbering.left_out(packet, self.lane.last, rewrite)
                self._renumbers = self._renumbers or bool(rewrite.pictures)  # packets that name no layer may follow
                return
            marker_type = rewrite.marker_type(packet, marker_type)
        payload, out = rewrite.payload(packet), munger.advance(packet.index)
        timestamp = packet.timestamp + rewrite.timestamp & 0xFFFFFFFF
        dependency = None if packet.dependency is None else rewrite.dependency(packet)
        self._send(
            self.ssrc, out, self._write(packet, marker_type, out & 0xFFFF, timestamp, None, dependency), payload
        )
        lane.last = packet
        lane.packets += 1
        lane.octets += len(payload)

    def _forward_late(self, packet: RtpPacket) -> None:
        """A packet that newer ones have passed: send it under the number that was left free for it."""
        segment = self._munger.find(packet.index)
        written = None if segment is None else self._written(packet, segment.rewrite)
        if segment is not None and written is not None:
            out = packet.index + segment.delta
            marker_type, payload, timestamp, dependency = written
            header = self._write(packet, marker_type, out & 0xFFFF, timestamp, None, dependency)
            self._send(self.ssrc, out, header, payload)
            self._repetitions.came_late(out, packet.arrival)
            self.lane.packets += 1
            self.lane.octets += len(payload)

    def _written(self, packet: RtpPacket, rewrite: Rewrite) -> tuple[int, bytes, int, bytes | None] | None:
        """What a rewrite makes of a packet: the same each time. None for what the subscriber did not agree on.

        Of one above the limit that is a packet without a payload, which a receiver takes for padding: it was late,
        and a number had been left free for it.
        """
        marker_type = self._types.get(packet.marker_type)
        timestamp = packet.timestamp + rewrite.timestamp & 0xFFFFFFFF
        if marker_type is None:
            rewrapped = self._rewrapped(packet)
            return None if rewrapped is None else (*rewrapped, timestamp, None)
        payload = b"" if rewrite.leaves_out(packet) else rewrite.payload(packet)
        return rewrite.marker_type(packet, marker_type), payload, timestamp, rewrite.dependency(packet)

    def _rewrapped(self, packet: RtpPacket) -> tuple[int, bytes] | None:
        """The header's second byte and the payload of RED that the subscriber cannot have as it comes."""
        return None if self._red is None else self._red.rewritten(packet)

    def _move_limit(self, packet: RtpPacket, layer: PacketLayer) -> Rewrite:
        """The first packet of a frame: the limit moves towards what is to be sent, where the stream allows that."""
        munger, goal = self._munger, self._goal
        rewrite = munger.rewrite
        fresh = self.lane.last is None or packet.timestamp != self.lane.last.timestamp
        limit = goal if packet.key_frame else layer.towards(rewrite.limit, goal, fresh=fresh)
        if limit != rewrite.limit:
            munger.cut(packet.index, rewrite._replace(limit=limit))
        return munger.rewrite

    def pause(self) -> None:
        """Stop in a way that the subscriber sees no gap; the next place to begin ends it."""
        self._stream = None
        self.lane.settled = False

    def follow(self, producer: Producer, parameters: RtpParameters) -> None:
        """Go on with another track in the same stream, at its next place to begin. Called by `Router.follow`.

        `parameters` as at the beginning, for this track: the same encoding. What was sent of the former track is not
        repeated any more: its payload types may mean something else now.

        Raises `IncompatibleCodecs`; nothing is changed then.
        """
        self._read(producer, parameters)
        self._numbering.reserve(self._newest)
        self._munger.forget()
        self.pause()

    def _read(self, producer: Producer, parameters: RtpParameters) -> None:
        """Work out how this producer's packets are to be written for the subscriber."""
        source = producer.track.parameters
        types = payload_types(source, parameters)
        self.producer = producer
        self.parameters = parameters
        self._revision = -1
        """The ladder's when the choice was made."""
        self._types = types | {0x80 | of: 0x80 | to for of, to in types.items()}
        self._red = red_passage(source, parameters)
        rtx = rtx_types(parameters) if self._rtx is not None else {}
        # What is repeated without RTX has to be the same bytes, but no number is used twice: such a stream has none.
        repeats = not rtx and any("nack" in codec.feedback for codec in parameters.codecs)
        departures = None if repeats else self._departures
        writer = HeaderWriter(source, parameters, self.ssrc, producer.sharing, departures)
        self._write, self._layout = writer.write, writer.layout
        self._numbered = writer.numbered
        if self._rtx is not None:
            self._rtx.follow(rtx, HeaderWriter(source, parameters, self._rtx.ssrc, producer.sharing, departures))

    def request_key_frame(self, now: float) -> None:
        """The subscriber needs a key frame."""
        if self._needed is not None:
            self.producer.request_key_frame(now, *self._needed)

    def want_key_frame(self) -> None:
        """The same, with the producer's next `tick`."""
        if self.connected and self._needed is not None:
            self.producer.want_key_frame(*self._needed)

    @property
    def _needed(self) -> tuple[RtpStream, ...] | None:
        """The encoding whose key frame helps, none of them in particular, or None where nothing is to be sent."""
        self._reconsider()
        if self._stream is not None:
            return (self._stream,)
        if self._chosen is not None:
            return (self._chosen.stream,)
        return None if self.producer.ladder.rungs else ()

    def catch_up(self) -> bool:
        """Begin with a key frame that came a moment ago, where there is one: who waits for another sees it later."""
        self._reconsider()
        chosen = self._chosen
        packet = None if chosen is None else chosen.stream.cache.get(chosen.stream.begins)
        if chosen is None or packet is None or chosen.stream.last_arrival - packet.arrival > RECENT_S:
            return False
        self._begin(chosen, packet)
        return self._stream is chosen.stream

    def begins_with(self, producer: Producer, stream: RtpStream) -> bool:
        """Whether of another track it is this encoding that would be sent; any, where nothing would be."""
        sizes = spatial_sizes(producer.ladder, simulcast=producer.simulcast)
        chosen = self._choice.chosen(producer.ladder, sizes, simulcast=producer.simulcast)
        return chosen is None or chosen.stream is stream

    def _look_at(self, stream: RtpStream, packet: RtpPacket) -> None:
        """A packet of an encoding that is not followed: it may be the place to begin."""
        changed = self._revision != self.producer.ladder.revision
        if changed:
            self._reconsider()
        chosen = self._chosen
        if packet.key_frame and chosen is not None and chosen.stream is stream:
            self._begin(chosen, packet)
        if changed:
            self._want(packet.arrival)

    def _begin(self, chosen: Chosen, packet: RtpPacket) -> None:
        """Follow what was chosen from this packet on, a place to begin, unless that was passed already."""
        munger, stream = self._munger, chosen.stream
        passed = munger.source is stream and packet.index <= munger.highest_in
        if passed or (packet.marker_type not in self._types and self._rewrapped(packet) is None):
            return
        self._goal = chosen.limit
        timestamp = self._timeline.begin(stream, packet, self.lane.last)
        rewrite = self._numbering.begin(packet, self._newest)._replace(timestamp=timestamp, limit=chosen.limit)
        if self._is_larger(munger.source, stream):
            self._repetitions.since = munger.highest_out + 1
        munger.follow(stream, packet.index, rewrite)
        self._renumbers = bool(rewrite.pictures or rewrite.tl0s)
        self._stream = stream
        # a place to begin may come late, asked for again, when what follows it is here already
        for index in range(packet.index, stream.highest + 1):
            held = stream.cache.get(index)
            if held is not None:
                self.forward(stream, held)

    def _is_larger(self, one: RtpStream | None, other: RtpStream) -> bool:
        """Whether an encoding of the track is above another."""
        rungs = self.producer.ladder.rungs
        return one is not None and one in rungs and other in rungs and rungs.index(one) > rungs.index(other)

    @property
    def _newest(self) -> tuple[RtpPacket, Rewrite] | None:
        """The newest packet that was sent, and how."""
        segment = self._munger.locate(self._munger.highest_out)
        return None if self.lane.last is None or segment is None else (self.lane.last, segment.rewrite)

    # --- what the subscriber says

    def receive_nack(self, sequence_numbers: Iterable[int], now: float) -> None:
        """Send again what the subscriber misses: over RTX where it knows that, otherwise the very same bytes."""
        repetitions, highest = self._repetitions, self._munger.highest_out
        repetitions.earn(self.packets)
        if self._chosen is not None and self._is_larger(self._stream, self._chosen.stream):
            return  # what the path had no room for would only delay the smaller picture that is about to begin
        for number in sequence_numbers:
            index = unwrap(number, highest)
            if repetitions.needless(index, now, self._rtt_s):
                continue
            if not repetitions.affordable:
                self.resends_refused += 1
                break
            if self._resend(index, now):
                self.resent += 1
                repetitions.repeated(index, now)
            else:
                repetitions.in_vain()

    def receive_report(self, block: rtcp.ReportBlock, now: float) -> None:
        """A report block about our SSRC."""
        self._remote = block
        self._loss.report(block.highest_index, block.packets_lost, now)
        for last_sr, sent in self._reports_sent:
            if last_sr == block.last_sr:
                self._rtt_s = round_trip_s(block, sent, now)

    def probe(self, size: int, now: float) -> int:
        """Send about `size` bytes that the subscriber does not need, over RTX; how many it really was.

        That are the newest packets once more or, before there are any, padding (RFC 4588 section 8.1 allows both):
        receivers drop either, and say in their feedback when they came. 0 where the subscriber does not know RTX.
        """
        rtx = self._rtx
        if rtx is None or not rtx.types or not self.connected:
            return 0
        sent = 0
        newest = self._munger.highest_out
        for index in range(newest, newest - PROBE_PACKETS, -1):
            if sent >= size:
                return sent
            sent += self._resend(index, now)
        last = self.lane.last
        timestamp = 0 if last is None else last.timestamp + self._munger.rewrite.timestamp & 0xFFFFFFFF
        while sent < size:
            sent += rtx.pad(timestamp, now)
        return sent

    def _resend(self, index: int, now: float) -> int:
        """Send what had this index again; the bytes that it took, 0 where that can't be."""
        segment = self._munger.locate(index)
        if segment is None:
            return 0
        packet = segment.source.cache.get(index - segment.delta)
        written = None if packet is None else self._written(packet, segment.rewrite)
        if packet is None or written is None:
            return 0
        marker_type, payload, timestamp, dependency = written
        if self._rtx is not None and marker_type & 0x7F in self._rtx.types:
            return self._rtx.repeat(
                packet,
                index,
                now,
                marker_type=marker_type,
                payload=payload,
                timestamp=timestamp,
                dependency=dependency,
            )
        if self._numbered:  # the same index under other bytes would betray the key stream
            return 0
        header = self._write(packet, marker_type, index & 0xFFFF, timestamp, None, dependency)
        self._send(self.ssrc, index, header, payload)
        return len(header) + len(payload)

    # --- what the subscriber is told

    def report(self, now: float, shift: int = 0) -> None:
        """Send an SR: call it about once a second.

        `shift` is added to the wall clock, in 2**-32 s: a stream that shows one publisher after the other has one.

        The SR has the publisher's wall clock, so that audio and video of one publisher match as they did there. There
        is none before the publisher's own told that clock: a guess would pull the lips apart for a moment.
        """
        stream = self._stream
        if stream is None or stream.sender_report is None:
            return
        known, elapsed = stream.sender_report, now - stream.sender_report_arrival
        report = rtcp.SenderReport(
            ssrc=self.ssrc,
            ntp=known.ntp + int(elapsed * 2**32) + shift & (1 << 64) - 1,
            timestamp=known.timestamp + round(elapsed * stream.clock_rate) + self._munger.rewrite.timestamp,
            packets=self.packets,
            octets=self.octets,
        )
        self._reports_sent.append((report.ntp >> 16 & 0xFFFFFFFF, now))
        self._transport.send_rtcp(rtcp.sender_report(report) + rtcp.source_description(self.ssrc, self._cname))

    def sample(self, now: float) -> None:
        """Note the counter that `stats` makes a rate of: a few times a second."""
        self._octet_rate.sample(self.octets, now)

    def stats(self, now: float) -> ConsumerStats:
        """The track as the subscriber gets it."""
        producer, remote, loss = self.producer, self._remote, self._loss
        picture, frame_rate = self._shown(now)
        return ConsumerStats(
            codec=producer.codec.name,
            bitrate_bps=round(8 * self._octet_rate.per_second(self.octets, now)),
            packets=self.packets,
            lost=max(0, remote.packets_lost) if remote else 0,
            loss_rate=loss.lost / loss.expected if loss.expected else 0.0,
            jitter_ms=remote.jitter * 1000 / producer.codec.clock_rate if remote else 0.0,
            width=picture.width,
            height=picture.height,
            frame_rate=frame_rate,
            expected=loss.expected,
            rtt_ms=None if self._rtt_s is None else self._rtt_s * 1000,
        )

    def _shown(self, now: float) -> tuple[KeyFrame, float]:
        """The size and the frame rate of what is being sent."""
        current, sizes = self.current, self._sizes()
        if current is None or self.producer.track.kind != "video":
            return (sizes[0] if sizes else KeyFrame()), 0.0
        shown = next((layer for layer in self.producer.layers(now) if layer.id == current), None)
        if shown is None:
            return self.producer.picture, self.producer.frame_rate(now)
        return KeyFrame(shown.width, shown.height), shown.frame_rate

    def close(self) -> None:
        """Say BYE."""
        opening = rtcp.receiver_report(rtcp.ReceiverReport(self.ssrc))
        self.closed = True
        self.pause()
        self._transport.send_rtcp(
            opening + rtcp.source_description(self.ssrc, self._cname) + rtcp.goodbye(self.ssrcs)
        )
