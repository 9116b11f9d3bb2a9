"""A track as one subscriber gets it: one unbroken stream of its own, repeated where it was lost on the way."""

from collections import deque
from collections.abc import Iterable
from random import Random

from sfu.producer import Producer
from sfu.rtp import rtcp
from sfu.rtp.departures import Departures
from sfu.rtp.extensions import HeaderWriter
from sfu.rtp.matching import payload_types, rtx_types
from sfu.rtp.munger import Munger
from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import RtpParameters, RtpTransport
from sfu.rtp.seq import unwrap
from sfu.rtp.stats import ConsumerStats, Rate, round_trip_s
from sfu.rtp.stream import RtpStream

REPORT_INTERVAL_S = 1.0
RESEND_BURST = 250
"""Repetitions that may be sent at once; then one for every two packets forwarded, whatever the subscriber claims."""
RESEND_SHARE = 0.5
LOOK_COST = 0.1
"""What a number costs of this that can't be repeated: a NACK names four thousand in one datagram."""
RESEND_MIN_INTERVAL_S = 0.01
"""The same packet is not repeated sooner, nor within half a round trip: its first repetition is still on the way."""
_REPORTS_REMEMBERED = 8
PROBE_PACKETS = 64
"""Of the newest packets, those that a probe may repeat: more than one holds."""
PADDING = 255
"""Bytes of a packet that is only padding: the most that its last byte can count (RFC 3550 section 5.1)."""


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
    ) -> None:
        """`parameters` are what the subscriber negotiated; its first encoding has the SSRCs. `departures` are the
        transport's, for its transport-wide numbers.

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
        self.rtx_ssrc = parameters.encodings[0].rtx_ssrc
        self.closed = False
        self.connected = transport.connected
        """Whether the transport sends; kept by the router, which forwards nothing to one that doesn't."""
        self.packets = 0
        """Sent for the first time."""
        self.octets = 0
        """Of payload, repetitions not counted."""
        self.resent = 0
        self.resends_refused = 0
        """NACKs that asked for more than the bounds allow."""
        self._departures = departures
        self._read(producer, parameters)
        self._send = transport.send_rtp
        self._transport = transport
        # a start below 2**15 keeps the rollover counter of a receiver that misses the first packets at 0
        self._munger: Munger[RtpStream] = Munger(rng.randrange(1, 1 << 15))
        self._rtx_index = rng.randrange(1, 1 << 15)
        self._stream: RtpStream | None = None
        """What is followed; None while a place to begin is waited for."""
        self._last: RtpPacket | None = None
        """The newest that was sent."""
        self._cname = parameters.cname or producer.track.peer_id
        self._credit = float(RESEND_BURST)
        self._credited = 0
        self._resent_at: dict[int, float] = {}
        self._reports_sent: deque[tuple[int, float]] = deque(maxlen=_REPORTS_REMEMBERED)
        self._remote: rtcp.ReportBlock | None = None
        self._rtt_s: float | None = None
        self._octet_rate = Rate()
        self._octet_rate.sample(0, now)

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """What the subscriber sees: the stream's own, and that of RTX."""
        return (self.ssrc,) if self.rtx_ssrc is None else (self.ssrc, self.rtx_ssrc)

    @property
    def waiting(self) -> bool:
        """Whether nothing is forwarded until the next key frame (or, of audio, the next packet)."""
        return self._stream is None

    def forward(self, stream: RtpStream, packet: RtpPacket) -> None:
        """A new packet of the track: send it, unless the subscriber must not get it.

        The hot path: once per packet and subscriber.
        """
        if stream is not self._stream:
            self._begin(stream, packet)
            return
        munger, payload = self._munger, packet.payload
        marker_type = self._types.get(packet.marker_type)
        if marker_type is None:  # nothing that the subscriber agreed on
            munger.skip(packet.index)
            return
        if not payload and munger.skip(packet.index):  # padding
            return
        index = munger.map(packet.index)
        if index is None:
            return
        timestamp = packet.timestamp + munger.timestamp_offset & 0xFFFFFFFF
        self._send(self.ssrc, index, self._write(packet, marker_type, index & 0xFFFF, timestamp), payload)
        if packet.index == munger.highest_in:
            self._last = packet
        self.packets += 1
        self.octets += len(payload)

    def pause(self) -> None:
        """Stop in a way that the subscriber sees no gap; the next place to begin ends it."""
        self._stream = None

    def follow(self, producer: Producer, parameters: RtpParameters) -> None:
        """Go on with another track in the same stream, at its next place to begin. Called by `Router.follow`.

        `parameters` as at the beginning, for this track: the same encoding. What was sent of the former track is not
        repeated any more: its payload types may mean something else now.

        Raises `IncompatibleCodecs`; nothing is changed then.
        """
        self._read(producer, parameters)
        self._munger.forget()
        self._stream = None

    def _read(self, producer: Producer, parameters: RtpParameters) -> None:
        """Work out how this producer's packets are to be written for the subscriber."""
        source = producer.track.parameters
        types = payload_types(source, parameters)
        self.producer = producer
        self.parameters = parameters
        self._types = types | {0x80 | of: 0x80 | to for of, to in types.items()}
        self._rtx_types = rtx_types(parameters) if self.rtx_ssrc is not None else {}
        # What is repeated without RTX has to be the same bytes, but no number is used twice: such a stream has none.
        repeats = not self._rtx_types and any("nack" in codec.feedback for codec in parameters.codecs)
        departures = None if repeats else self._departures
        writer = HeaderWriter(source, parameters, self.ssrc, producer.sharing, departures)
        self._write = writer.write
        self._numbered = writer.numbered
        self._rtx_writer = None
        if self.rtx_ssrc is not None:
            self._rtx_writer = HeaderWriter(source, parameters, self.rtx_ssrc, producer.sharing, departures)

    def request_key_frame(self, now: float) -> None:
        """The subscriber needs a key frame."""
        self.producer.request_key_frame(now)

    def _begin(self, stream: RtpStream, packet: RtpPacket) -> None:
        """Follow `stream` from this packet on, if it is a place to begin."""
        self._stream = None
        munger = self._munger
        again = munger.source is stream
        passed = again and packet.index <= munger.highest_in
        if passed or not packet.key_frame or packet.marker_type not in self._types:
            return
        offset = munger.timestamp_offset if again else self._offset(packet, stream.clock_rate)
        munger.follow(stream, packet.index, offset)
        self._stream = stream
        # a place to begin may come late, asked for again, when what follows it is here already
        for index in range(packet.index, stream.highest + 1):
            held = stream.cache.get(index)
            if held is not None:
                self.forward(stream, held)

    def _offset(self, packet: RtpPacket, clock_rate: int) -> int:
        """What makes the timestamps of a new source go on from the old one's, as much later as it arrived."""
        last = self._last
        if last is None:
            return 0
        elapsed = max(1, round((packet.arrival - last.arrival) * clock_rate))
        return last.timestamp + self._munger.timestamp_offset + elapsed - packet.timestamp

    # --- what the subscriber says

    def receive_nack(self, sequence_numbers: Iterable[int], now: float) -> None:
        """Send again what the subscriber misses: over RTX where it knows that, otherwise the very same bytes."""
        self._earn_credit()
        pause = max(RESEND_MIN_INTERVAL_S, (self._rtt_s or 0.0) / 2)
        highest = self._munger.highest_out
        for number in sequence_numbers:
            index = unwrap(number, highest)
            if now - self._resent_at.get(index, float("-inf")) < pause:
                continue
            if self._credit < 1:
                self.resends_refused += 1
                break
            if self._resend(index, now):
                self._credit -= 1
                self.resent += 1
                self._resent_at[index] = now
            else:
                self._credit -= LOOK_COST
        if len(self._resent_at) > 2 * RESEND_BURST:
            self._resent_at = {index: at for index, at in self._resent_at.items() if now - at < pause}

    def receive_report(self, block: rtcp.ReportBlock, now: float) -> None:
        """A report block about our SSRC."""
        self._remote = block
        for last_sr, sent in self._reports_sent:
            if last_sr == block.last_sr:
                self._rtt_s = round_trip_s(block, sent, now)

    def _earn_credit(self) -> None:
        earned = (self.packets - self._credited) * RESEND_SHARE
        self._credit = min(float(RESEND_BURST), self._credit + earned)
        self._credited = self.packets

    def probe(self, size: int, now: float) -> int:
        """Send about `size` bytes that the subscriber does not need, over RTX; how many it really was.

        That are the newest packets once more or, before there are any, padding (RFC 4588 section 8.1 allows both):
        receivers drop either, and say in their feedback when they came. 0 where the subscriber does not know RTX.
        """
        if not self._rtx_types or self._rtx_writer is None or not self.connected:
            return 0
        sent = 0
        newest = self._munger.highest_out
        for index in range(newest, newest - PROBE_PACKETS, -1):
            if sent >= size:
                return sent
            sent += self._resend(index, now)
        while sent < size:
            sent += self._pad(self._rtx_writer, now)
        return sent

    def _pad(self, writer: HeaderWriter, now: float) -> int:
        """A packet of RTX that is nothing but padding; its bytes."""
        last = self._last
        timestamp = 0 if last is None else last.timestamp + self._munger.timestamp_offset & 0xFFFFFFFF
        rtx_index = self._rtx_index
        self._rtx_index += 1
        marker_type = next(iter(self._rtx_types.values()))
        header = writer.write_padding(marker_type, rtx_index & 0xFFFF, timestamp, PADDING, now)
        self._send(writer.ssrc, rtx_index, header, bytes(PADDING - 1) + bytes((PADDING,)))
        return len(header) + PADDING

    def _resend(self, index: int, now: float) -> int:
        """Send what had this index again; the bytes that it took, 0 where that can't be."""
        segment = self._munger.locate(index)
        if segment is None:
            return 0
        packet = segment.source.cache.get(index - segment.delta)
        marker_type = self._types.get(packet.marker_type) if packet is not None else None
        if packet is None or marker_type is None:
            return 0
        timestamp = packet.timestamp + segment.timestamp_offset & 0xFFFFFFFF
        rtx_type = self._rtx_types.get(marker_type & 0x7F)
        if rtx_type is None or self._rtx_writer is None or self.rtx_ssrc is None:
            if self._numbered:  # the same index under other bytes would betray the key stream
                return 0
            header = self._write(packet, marker_type, index & 0xFFFF, timestamp)
            self._send(self.ssrc, index, header, packet.payload)
            return len(header) + len(packet.payload)
        rtx_index = self._rtx_index
        self._rtx_index += 1
        header = self._rtx_writer.write(packet, marker_type & 0x80 | rtx_type, rtx_index & 0xFFFF, timestamp, now)
        self._send(self.rtx_ssrc, rtx_index, header, (index & 0xFFFF).to_bytes(2, "big") + packet.payload)
        return len(header) + 2 + len(packet.payload)

    # --- what the subscriber is told

    def report(self, now: float) -> None:
        """Send an SR, and take the sample that `stats` needs: call it about once a second.

        The SR has the publisher's wall clock, so that audio and video of one publisher match as they did there. There
        is none before the publisher's own told that clock: a guess would pull the lips apart for a moment.
        """
        self._octet_rate.sample(self.octets, now)
        stream = self._stream
        if stream is None or stream.sender_report is None:
            return
        known, elapsed = stream.sender_report, now - stream.sender_report_arrival
        report = rtcp.SenderReport(
            ssrc=self.ssrc,
            ntp=known.ntp + int(elapsed * 2**32),
            timestamp=known.timestamp + round(elapsed * stream.clock_rate) + self._munger.timestamp_offset,
            packets=self.packets,
            octets=self.octets,
        )
        self._reports_sent.append((report.ntp >> 16 & 0xFFFFFFFF, now))
        self._transport.send_rtcp(rtcp.sender_report(report) + rtcp.source_description(self.ssrc, self._cname))

    def stats(self, now: float) -> ConsumerStats:
        """The track as the subscriber gets it."""
        producer, remote = self.producer, self._remote
        return ConsumerStats(
            codec=producer.codec.name,
            bitrate_bps=round(8 * self._octet_rate.per_second(self.octets, now)),
            packets=self.packets,
            lost=max(0, remote.packets_lost) if remote else 0,
            loss_rate=remote.fraction_lost / 256 if remote else 0.0,
            jitter_ms=remote.jitter * 1000 / producer.codec.clock_rate if remote else 0.0,
            width=producer.picture.width,
            height=producer.picture.height,
            frame_rate=0.0 if self.waiting else producer.frame_rate(now),
            rtt_ms=None if self._rtt_s is None else self._rtt_s * 1000,
        )

    def close(self) -> None:
        """Say BYE."""
        opening = rtcp.receiver_report(rtcp.ReceiverReport(self.ssrc))
        self.closed = True
        self._stream = None
        self._transport.send_rtcp(
            opening + rtcp.source_description(self.ssrc, self._cname) + rtcp.goodbye(self.ssrcs)
        )
