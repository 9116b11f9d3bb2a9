"""The tracks of one room and who gets which: RTP and RTCP of every peer in, calls on their transports out.

Theory of operation. A peer (one transport) has producers, consumers, or both. A packet finds its producer by SSRC;
one that was not signalled is learnt from the MID extension (RFC 8843 section 9.2) or, without that, from a payload
type that only one track has. The producer hands each new packet to its consumers; each consumer renumbers it and
calls its transport. What has to be thought about is thought about in `produce` and `consume`.

Nothing here raises on account of what a peer sends: what can't be read is counted in `malformed` and dropped.
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import count
from random import Random, SystemRandom
from types import MappingProxyType

from sfu.consumer import REPORT_INTERVAL_S, Consumer
from sfu.downlink import Downlink, DownlinkStats
from sfu.producer import Forward, Producer
from sfu.protected import ProtectedProducer, brings_parity
from sfu.rtp import rtcp
from sfu.rtp.lane import Lanes
from sfu.rtp.layers import View
from sfu.rtp.packet import PacketError, RtpPacket, parse
from sfu.rtp.parameters import MID_URI, TRANSPORT_CC_URI, RtpParameters, RtpTransport, TrackInfo
from sfu.rtp.twcc import TransportFeedback
from sfu.switch import Switch
from sfu.uplink import Uplink
from sfu.wired import TrackWire, WiredConsumer

REMB_BPS = 5_000_000
"""What one publisher may send in all: 720p with two smaller encodings, a screen and audio, as Chromium would."""
SAMPLE_INTERVAL_S = 0.25
"""How often a consumer's counters are noted: a rate of the last two seconds is then of an eighth more at most."""
REPORTER_SSRC = 1
"""Our reports to publishers come from a source that sends nothing; libwebrtc's receivers say 1 too."""


class _Peer:
    """What comes and goes over one transport."""

    __slots__ = ("by_ssrc", "clock", "consumers", "downlink", "producers", "uplink")

    def __init__(self) -> None:
        self.clock = 0  # ours less its own, in 2**-32 s, by its first report; 0 before that
        self.by_ssrc: dict[int, Producer] = {}
        self.producers: list[Producer] = []
        self.consumers: dict[int, Consumer] = {}  # by SSRC, that of RTX too
        self.downlink: Downlink | None = None  # from the first consumer on
        self.uplink: Uplink | None = None  # where its packets have transport-wide numbers


class Router:
    """The producers and consumers of one room."""

    def __init__(
        self,
        *,
        cname: str = "meet",
        remb_bps: int = REMB_BPS,
        rng: Random | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        """`cname` names us in RTCP to publishers; `rng` is for tests that want to know what comes out; `lanes` are of
        the engine that forwards, if there is one (`sfu.plane.base.Plane.lanes`)."""
        self.malformed = 0
        """Packets that could not be read."""
        self.unknown = 0
        """Packets of no track that we know."""
        self._cname = cname
        self._remb_bps = remb_bps
        self._rng = rng or SystemRandom()
        self._lanes = lanes
        self._peers: dict[str, _Peer] = {}
        self._producers: dict[str, Producer] = {}
        self._consumers: dict[str, list[Consumer]] = {}
        self._switches: dict[str, list[Switch]] = {}
        """Who waits for a place to begin on a track; by that track."""
        self._reports: list[tuple[float, int, Consumer]] = []  # a heap of who is due when
        self._order = count()
        self._sample_at = float("-inf")

    @property
    def producers(self) -> Mapping[str, Producer]:
        """By track id."""
        return MappingProxyType(self._producers)

    def consumers(self, track_id: str) -> tuple[Consumer, ...]:
        """Who gets a track; nobody for one that is unknown."""
        return tuple(self._consumers.get(track_id, ()))

    def downlink(self, peer_id: str) -> DownlinkStats | None:
        """What is known of the path to a subscribing peer; None for one that never subscribed."""
        peer = self._peers.get(peer_id)
        return peer.downlink.stats() if peer is not None and peer.downlink is not None else None

    # --- setting up

    def produce(self, track: TrackInfo, transport: RtpTransport, now: float) -> Producer:
        """A peer publishes a track; `track.parameters` say what will arrive. ValueError for a track id in use."""
        if track.track_id in self._producers:
            raise ValueError(f"track {track.track_id} is published already")
        make = ProtectedProducer if brings_parity(track.parameters) else Producer
        producer = make(track, transport, reporter=(REPORTER_SSRC, self._cname), remb_bps=self._remb_bps, now=now)
        self._producers[track.track_id] = producer
        self._consumers[track.track_id] = []
        peer = self._peers.setdefault(track.peer_id, _Peer())
        peer.producers.append(producer)
        for ssrc in producer.ssrcs:
            peer.by_ssrc[ssrc] = producer
        numbers = track.parameters.extension_id(TRANSPORT_CC_URI)
        if numbers is not None and peer.uplink is None:  # one id for the whole bundle (RFC 9143 section 9)
            peer.uplink = Uplink(transport, numbers, (REPORTER_SSRC, self._cname))
        return producer

    def close_producer(self, track_id: str, now: float) -> tuple[Consumer, ...]:
        """A track ends, and with it its consumers, which are returned; a track that is unknown has none.

        A consumer that outlives its track stays, without one.
        """
        producer = self._producers.get(track_id)
        if producer is None:
            return ()
        self._switches.pop(track_id, None)
        closed = tuple(consumer for consumer in self._consumers[track_id] if not consumer.outlives_track)
        for consumer in closed:
            self.close_consumer(consumer, now)
        for consumer in self._consumers[track_id]:
            consumer.pause()
        producer.forward = ()
        del self._producers[track_id], self._consumers[track_id]
        peer = self._peers[producer.track.peer_id]
        peer.producers.remove(producer)
        peer.by_ssrc = {ssrc: owner for ssrc, owner in peer.by_ssrc.items() if owner is not producer}
        self._forget_if_idle(producer.track.peer_id)
        return closed

    def consume(
        self, track_id: str, parameters: RtpParameters, transport: RtpTransport, now: float, *, peer_id: str
    ) -> Consumer:
        """The peer `peer_id` gets a track, of video from the next key frame on, which is asked for, or from one that
        just came; nothing before its transport is connected.

        `parameters` are what it negotiated; their first encoding has the SSRCs that it will see, which were never
        used on its transport before: packet indices begin anew with a consumer. Raises KeyError for a track that
        is unknown, `IncompatibleCodecs` (a ValueError) where it understands none of the track's codecs, ValueError
        for an SSRC that is missing or in use.
        """
        producer = self._producers[track_id]
        peer = self._peers.get(peer_id) or _Peer()
        downlink = peer.downlink or Downlink(transport)
        consumer = Consumer(
            producer,
            peer_id,
            parameters,
            transport,
            rng=self._rng,
            now=now,
            departures=downlink.departures,
            lanes=self._lanes,
        )
        if any(ssrc in peer.consumers for ssrc in consumer.ssrcs):
            raise ValueError("this SSRC is in use")
        peer.downlink = downlink
        if parameters.kind == "video":
            downlink.add_video(consumer)
        else:
            downlink.add_audio(consumer)
        self._add(consumer, peer, now)
        return consumer

    def wire(
        self, track_id: str, parameters: RtpParameters, wire: TrackWire, view: View, now: float, *, peer_id: str
    ) -> WiredConsumer:
        """The egress process `peer_id` gets a track, hushed or not, as `consume` has it: of its layers the best that
        `view` allows, at once.

        Raises KeyError for a track that is unknown.
        """
        producer = self._producers[track_id]
        consumer = WiredConsumer(producer, peer_id, parameters, wire, view, rng=self._rng, now=now)
        self._add(consumer, self._peers.get(peer_id) or _Peer(), now)
        return consumer

    def _add(self, consumer: Consumer, peer: _Peer, now: float) -> None:
        producer = consumer.producer
        self._peers[consumer.peer_id] = peer
        for ssrc in consumer.ssrcs:
            peer.consumers[ssrc] = consumer
        self._consumers[producer.track.track_id].append(consumer)
        self._connect(producer)
        self._report_later(consumer, now)
        if not (consumer.connected and consumer.catch_up()):
            consumer.request_key_frame(now)  # not connected yet: it is there when DTLS is done

    def follow(self, consumer: Consumer, track_id: str, parameters: RtpParameters, now: float) -> None:
        """Give a consumer another track, in the same stream: from that one's next key frame on, which is asked for.

        Until then it goes on with the one it has. `parameters` as for `consume`, with the encoding that it had;
        another call before the change takes the place of this one, and the present track's own name calls it off.
        Raises KeyError for a track that is unknown, `IncompatibleCodecs` as `consume` does.
        """
        producer = self._producers[track_id]
        switch = Switch(consumer, producer, parameters, self._switch)
        self._call_off(consumer)
        if consumer in self._consumers[track_id]:
            return
        self._switches.setdefault(track_id, []).append(switch)
        self._connect(producer)
        if consumer.connected:
            producer.request_key_frame(now)

    def _switch(self, switch: Switch) -> None:
        consumer, producer = switch.consumer, switch.producer
        self._call_off(consumer)
        self._let_go(consumer)
        consumer.follow(producer, switch.parameters)
        self._consumers[producer.track.track_id].append(consumer)
        self._connect(producer)

    def _waiting(self, consumer: Consumer) -> list[Switch]:
        return [switch for switches in self._switches.values() for switch in switches if switch.consumer is consumer]

    def _call_off(self, consumer: Consumer) -> None:
        """Wait for no other track any more."""
        for switch in self._waiting(consumer):
            track_id = switch.producer.track.track_id
            self._switches[track_id].remove(switch)
            if not self._switches[track_id]:
                del self._switches[track_id]
            self._connect(switch.producer)

    def _let_go(self, consumer: Consumer) -> None:
        """Forward its track to a consumer no more."""
        consumers = self._consumers.get(consumer.producer.track.track_id, [])
        if consumer in consumers:
            consumers.remove(consumer)
            self._connect(consumer.producer)

    def close_consumer(self, consumer: Consumer, now: float) -> None:
        """A subscriber gets a track no more; closing twice does nothing."""
        if consumer.closed:
            return
        self._call_off(consumer)
        self._let_go(consumer)
        peer = self._peers[consumer.peer_id]
        for ssrc in consumer.ssrcs:
            if peer.consumers.get(ssrc) is consumer:
                del peer.consumers[ssrc]
        if peer.downlink is not None:
            peer.downlink.remove(consumer)
        consumer.close()
        self._forget_if_idle(consumer.peer_id)

    def connected(self, peer_id: str, connected: bool) -> None:
        """A peer's transport sends, or does so no more: call it whenever that changes.

        What a subscriber can't be sent is neither numbered nor counted. So its statistics are true, and its stream
        goes on without a gap, which after 2**15 packets would mislead a receiver about the rollover counter.
        """
        peer = self._peers.get(peer_id)
        for consumer in set(peer.consumers.values()) if peer else ():
            if consumer.connected == connected:
                continue
            consumer.connected = connected
            consumer.pause()
            if consumer.producer.track.track_id in self._producers:
                self._connect(consumer.producer)
            if connected and not consumer.catch_up():
                consumer.want_key_frame()
            for switch in self._waiting(consumer):
                self._connect(switch.producer)
                if connected:
                    switch.producer.want_key_frame()
        self._forget_if_idle(peer_id)

    def mute(self, track_id: str, muted: bool) -> None:
        """Stop forwarding a track, or go on, in which case video starts with a key frame. KeyError if unknown."""
        producer = self._producers[track_id]
        if producer.muted == muted:
            return
        producer.muted = muted
        for consumer in self._consumers[track_id]:
            consumer.pause()
            if not muted:
                consumer.want_key_frame()

    def listen(self, track_id: str, listener: Forward) -> None:
        """Let somebody hear every new packet of a track that isn't muted, hushed or not. KeyError if unknown."""
        producer = self._producers[track_id]
        producer.listener = listener
        self._connect(producer)

    def hush(self, track_id: str, hushed: bool) -> None:
        """Forward a track only to who insists, or to all again. KeyError if unknown.

        Of audio alone: it goes on with any packet, so nobody is asked for anything.
        """
        producer = self._producers[track_id]
        if producer.hushed == hushed:
            return
        producer.hushed = hushed
        for consumer in self._consumers[track_id]:
            if not consumer.insists:
                consumer.pause()
        self._connect(producer)

    def insist(self, consumer: Consumer, insists: bool) -> None:
        """Let a subscriber have its track though it be hushed, or no more."""
        if consumer.insists == insists:
            return
        consumer.insists = insists
        producer = consumer.producer
        if producer.hushed and producer.track.track_id in self._producers:
            consumer.pause()
            self._connect(producer)

    # --- what arrives

    def receive_rtp(self, peer_id: str, data: bytes, now: float) -> None:
        """A decrypted RTP packet of a peer."""
        peer = self._peers.get(peer_id)
        if peer is None:
            self.unknown += 1
            return
        try:
            packet = parse(data)
        except PacketError:
            self.malformed += 1
            return
        if peer.uplink is not None:
            peer.uplink.receive(packet, now)
        producer = peer.by_ssrc.get(packet.ssrc)
        if producer is None:
            producer = self._learn(peer, packet)
            if producer is None:
                self.unknown += 1
                return
        producer.receive_rtp(packet, now)

    def receive_rtcp(self, peer_id: str, data: bytes, now: float) -> None:
        """A decrypted compound RTCP packet of a peer. It can only speak of the peer's own producers and consumers."""
        peer = self._peers.get(peer_id)
        if peer is None:
            self.unknown += 1
            return
        try:
            packets = rtcp.parse(data)
        except PacketError:
            self.malformed += 1
            return
        for packet in packets:
            self._hear(peer, packet, now)

    def tick(self, now: float) -> None:
        """What time brings: call it every 20 ms or so."""
        for producer in self._producers.values():
            producer.tick(now)
        for peer in self._peers.values():
            if peer.uplink is not None:
                peer.uplink.tick(now)
            if peer.downlink is not None:
                peer.downlink.tick(now)
        if now >= self._sample_at:
            self._sample_at = now + SAMPLE_INTERVAL_S
            for consumers in self._consumers.values():
                for consumer in consumers:
                    consumer.sample(now)
        reports = self._reports
        while reports and reports[0][0] <= now:
            consumer = heappop(reports)[2]
            if not consumer.closed:
                consumer.report(now, self._shift(consumer))
                self._report_later(consumer, now)

    def _shift(self, consumer: Consumer) -> int:
        """What makes one wall clock, ours, of those of the publishers that a stream shows one after the other.

        Else sound and picture of two people would be held back for as long as their clocks are apart.
        """
        publisher = self._peers.get(consumer.producer.track.peer_id) if consumer.outlives_track else None
        return publisher.clock if publisher else 0

    def _report_later(self, consumer: Consumer, now: float) -> None:
        """Half to one and a half intervals from now, so that reports don't fall into step (RFC 3550 section 6.2)."""
        due = now + REPORT_INTERVAL_S * (0.5 + self._rng.random())
        heappush(self._reports, (due, next(self._order), consumer))

    def _hear(self, peer: _Peer, packet: rtcp.RtcpPacket, now: float) -> None:
        match packet:
            case rtcp.SenderReport() | rtcp.ReceiverReport():
                if isinstance(packet, rtcp.SenderReport) and packet.ssrc in peer.by_ssrc:
                    peer.by_ssrc[packet.ssrc].receive_report(packet, now)
                    peer.clock = peer.clock or int(now * 2**32) - packet.ntp
                for block in packet.reports:
                    consumer = peer.consumers.get(block.ssrc)
                    if consumer is not None and block.ssrc == consumer.ssrc:
                        consumer.receive_report(block, now)
                        if peer.downlink is not None:
                            peer.downlink.hear_report(block, now)
            case TransportFeedback():
                if peer.downlink is not None:
                    peer.downlink.hear(packet, now)
            case rtcp.DelaySinceReference():
                if packet.ssrc in peer.by_ssrc:
                    peer.by_ssrc[packet.ssrc].receive_delay(packet, now)
            case rtcp.Remb():
                if peer.downlink is not None:
                    peer.downlink.hear_remb(packet.bitrate_bps)
            case rtcp.Nack():
                consumer = peer.consumers.get(packet.media_ssrc)
                if consumer is not None and packet.media_ssrc == consumer.ssrc:
                    consumer.receive_nack(packet.sequence_numbers, now)
            case rtcp.PictureLoss():
                self._key_frame_wanted(peer, packet.media_ssrc, now)
            case rtcp.FullIntraRequest():
                for ssrc, _ in packet.commands:
                    self._key_frame_wanted(peer, ssrc, now)

    def _key_frame_wanted(self, peer: _Peer, ssrc: int, now: float) -> None:
        consumer = peer.consumers.get(ssrc)
        if consumer is not None:
            consumer.request_key_frame(now)

    def _learn(self, peer: _Peer, packet: RtpPacket) -> Producer | None:
        """Whose packet this is, by MID (RFC 8843 section 9.2) or else by payload type; its SSRC is then known."""
        candidates = [producer for producer in peer.producers if producer.takes(packet.payload_type)]
        named = [producer for producer in candidates if self._mid(producer, packet) is not None]
        if named:
            candidates = [
                producer
                for producer in named
                if self._mid(producer, packet) == producer.track.parameters.mid.encode()
            ]
        if len(candidates) != 1 or not candidates[0].learn(packet):
            return None
        peer.by_ssrc[packet.ssrc] = candidates[0]
        return candidates[0]

    @staticmethod
    def _mid(producer: Producer, packet: RtpPacket) -> bytes | None:
        element_id = producer.track.parameters.extension_id(MID_URI)
        return None if element_id is None else packet.elements.get(element_id)

    def _connect(self, producer: Producer) -> None:
        track_id = producer.track.track_id
        consumers = self._consumers[track_id]
        waiting = self._switches.get(track_id, ())
        producer.forward = (
            *((producer.listener,) if producer.listener else ()),
            *self._forwards([c for c in consumers if c.connected and (c.insists or not producer.hushed)]),
            *(switch.forward for switch in waiting if switch.consumer.connected),
        )

    def _forwards(self, consumers: list[Consumer]) -> tuple[Forward, ...]:
        """What forwards to each: themselves, or the engine to all that have a lane of it."""
        engine = [(c.engine_lane, c.pass_on) for c in consumers if c.engine_lane is not None]
        if self._lanes is None or not engine:
            return tuple(consumer.forward for consumer in consumers)
        lanes, functions = zip(*engine, strict=True)
        return (self._lanes.fan(lanes, functions), *(c.forward for c in consumers if c.engine_lane is None))

    def _forget_if_idle(self, peer_id: str) -> None:
        """A connected subscriber's transport-wide numbers go on, though it has nothing at the moment."""
        peer = self._peers.get(peer_id)
        if peer is None or peer.producers or peer.consumers:
            return
        if peer.downlink is None or not peer.downlink.connected:
            del self._peers[peer_id]
