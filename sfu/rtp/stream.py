"""One RTP stream as it arrives: one SSRC, its order, its losses and its clock."""

from sfu.rtp.bits import KeyFrame
from sfu.rtp.cache import PacketCache
from sfu.rtp.keyframes import KeyFrameRequests
from sfu.rtp.layers import LayerId
from sfu.rtp.meter import LayerMeter
from sfu.rtp.nack import NackGenerator
from sfu.rtp.packet import RtpPacket
from sfu.rtp.reader import PayloadReader
from sfu.rtp.rtcp import ReportBlock, SenderReport
from sfu.rtp.seq import unwrap
from sfu.rtp.stats import Jitter, Rate, RecentLoss, Reception

MAX_DROPOUT = 3000
"""A number further ahead is a sender that started anew (RFC 3550 appendix A.1)."""
VIDEO_CACHE = 1024
"""Packets kept: 2 s of 5 Mbit/s, about what a decoder waits for a packet, in at most 1.5 MB."""
AUDIO_CACHE = 64
"""More than a second of Opus; later than that nobody wants to hear it."""


class RtpStream:
    """Takes the packets of one SSRC in and tells the new ones from what came already."""

    def __init__(self, ssrc: int, clock_rate: int, *, video: bool, asks_again: bool, rid: str = "") -> None:
        self.ssrc = ssrc
        self.rid = rid
        """Which simulcast encoding this is; empty where there is one alone."""
        self.clock_rate = clock_rate
        self.cache = PacketCache(VIDEO_CACHE if video else AUDIO_CACHE)
        self.nack = NackGenerator() if asks_again else None
        """None where NACK was not negotiated."""
        self.highest = -1
        """The highest index so far; -1 before the first packet."""
        self.timestamp = 0
        """Of the newest frame."""
        self.packets = 0
        self.octets = 0
        """Of payload."""
        self.frames = 0
        """How many timestamps there were."""
        self.new_frame = False
        """Whether the last packet was the first of its timestamp."""
        self.last_arrival = 0.0
        self.silent = False
        """Nothing comes any more while other encodings of the track go on (`sfu.rtp.ladder`)."""
        self.key_frames = KeyFrameRequests()
        self.begins = -1
        """The index at which the newest key frame of video begins; -1 before the first one."""
        self.reader: PayloadReader | None = None
        """What reads its payloads; None for audio, and before the first packet."""
        self.meter = LayerMeter()
        self.inside: tuple[int, frozenset[LayerId]] = (-1, frozenset())
        """The layers inside, and `packets` at that time; kept by `sfu.rtp.measured`."""
        self.started_anew = False
        """The sender went on with other numbers: this stream is over, and the packet just refused opens a new one."""
        self.sender_report: SenderReport | None = None
        """The newest: what relates the stream's clock to the publisher's wall clock."""
        self.sender_report_arrival = 0.0
        self.loss = RecentLoss()
        self._frame_rate = Rate()
        self._jitter = Jitter(clock_rate)
        self._reception = Reception(0)
        self._restart = -1

    @property
    def picture(self) -> KeyFrame:
        """The size of its largest picture, as the last key frame told it."""
        return self.reader.sizes[-1] if self.reader is not None and self.reader.sizes else KeyFrame()

    @property
    def lost(self) -> int:
        """Packets that did not come, since the beginning; a retransmission does not count as coming."""
        return max(0, self._reception.lost(self.highest)) if self.highest >= 0 else 0

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter."""
        return self._jitter.milliseconds

    def accept(self, packet: RtpPacket, now: float, *, recovered: bool = False) -> bool:
        """Take a packet in: True where it is new, its `index` and `arrival` then set, and it is in the cache.

        `recovered` packets came over RTX: they fill gaps and count neither as received nor for the jitter.
        """
        highest = self.highest
        if highest < 0:
            index = packet.sequence_number
            self._reception = Reception(index)
            highest = self.highest = index - 1
            self.loss.report(highest, 0, now)
        else:
            index = unwrap(packet.sequence_number, highest)
        ahead = index - highest
        if ahead > MAX_DROPOUT or ahead <= -self.cache.capacity:
            if not recovered:  # two in a row that are far from the others: RFC 3550 appendix A.1
                self.started_anew = packet.sequence_number == self._restart
                self._restart = packet.sequence_number + 1 & 0xFFFF
            return False
        packet.index = index
        packet.arrival = now
        if not self.cache.add(packet):
            return False
        self.new_frame = False
        if ahead > 0:
            self.highest = index
            if ahead > 1 and self.nack is not None:
                self.nack.gap(highest + 1, index)
            if packet.timestamp != self.timestamp or not self.frames:
                self.timestamp = packet.timestamp
                self.frames += 1
                self.new_frame = True
                if not recovered:
                    self._jitter.add(packet.timestamp, now)
        elif self.nack is not None:
            self.nack.arrived(index, now)
        if not recovered:
            self._reception.received += 1
        self.packets += 1
        self.octets += len(packet.payload)
        self.last_arrival = now
        return True

    def lost_now(self, now: float) -> list[int]:
        """The sequence numbers to ask for at this moment."""
        if self.nack is None:
            return []
        return [index & 0xFFFF for index in self.nack.due(now, self.highest - self.cache.capacity + 1)]

    def gave_up(self) -> bool:
        """Whether a packet that decoding needs was given up since the last call."""
        if self.nack is None or not self.nack.key_frame_needed:
            return False
        self.nack.key_frame_needed = False
        return True

    def frame_rate(self, now: float) -> float:
        """Frames a second."""
        return self._frame_rate.per_second(self.frames, now)

    def sample(self, now: float) -> None:
        """Note the counters that rates are made of: a few times a second."""
        self._frame_rate.sample(self.frames, now)
        self.meter.sample(now)

    def hear(self, report: SenderReport, now: float) -> None:
        """An SR of this stream arrived."""
        self.sender_report, self.sender_report_arrival = report, now

    def report(self, now: float) -> ReportBlock:
        """The report block of this moment; the interval's loss starts anew with it."""
        loss_rate = self._reception.interval_loss(self.highest)
        self.loss.report(self.highest, self._reception.lost(self.highest), now)
        last_sr = delay = 0
        if self.sender_report is not None:
            last_sr = self.sender_report.ntp >> 16 & 0xFFFFFFFF
            delay = max(0, int((now - self.sender_report_arrival) * 65536))
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=min(255, int(loss_rate * 256)),
            packets_lost=self._reception.lost(self.highest),
            highest_index=self.highest,
            jitter=self._jitter.clock_units,
            last_sr=last_sr,
            delay=delay,
        )
