"""What the path to one subscriber carries, estimated at the sending end.

Theory of operation. With transport-wide feedback: groups of packets that arrive further and further apart mean a
queue that grows (`trendline`), which moves the estimate down to less than what arrived (`aimd`). Without a queue it
rises, slowly and never far above what arrives; what is sent for nothing else (`probe`) finds out at once. Without
transport-wide feedback REMB, the receiver's own estimate, takes its place; where there is none of that either, only
loss is known. In each case a path that loses many packets bounds the estimate (`loss`).
"""

from sfu.rtp.acknowledged import Acknowledged
from sfu.rtp.aimd import LEAST_BPS, MOST_BPS, RateControl
from sfu.rtp.departures import Departures, Passage
from sfu.rtp.loss import LossBound
from sfu.rtp.probe import Probe
from sfu.rtp.rtcp import ReportBlock
from sfu.rtp.trendline import LEAP_S, Trendline
from sfu.rtp.twcc import TransportFeedback

START_BPS = 300_000
"""Before anything is known (libwebrtc's default)."""
SILENCE_S, FADE_S, FADE = 3.0, 1.0, 0.8
"""Without feedback for 3 s, though packets leave, nobody knows what arrives: with each second more, a fifth of the
estimate goes (libwebrtc's `RttBasedBackoff`)."""
STANDING_S = 0.02
"""Where the quickest packet of a feedback took no longer than so much above the shortest way, nothing is queued: the
others were late for another reason, as radio or a busy receiver makes them. The estimate then only waits."""
FIRST_RTT_S = 0.1
BASE_S = 10.0
"""How long the shortest way of a packet is remembered: routes change, and clocks run apart."""


class Estimator:
    """The estimate of one transport. Times are seconds of our clock."""

    def __init__(self, departures: Departures) -> None:
        self.rtt_s = FIRST_RTT_S
        """To the receiver and back, as the last feedback shows it: too long by what it waited for its turn."""
        self.queue_s = 0.0
        """How much longer than the shortest the way is now: what is queued on the path."""
        self._departures = departures
        self._rate = RateControl(START_BPS)
        self._loss = LossBound()
        self._trendline = Trendline()
        self._arrived = Acknowledged()
        self._probe: Probe | None = None
        self._heard_at: float | None = None
        self._faded_at = float("-inf")
        self._left_before = 0
        self._remb_bps: int | None = None
        self._reported: dict[int, tuple[int, int]] = {}
        self._shortest_s = [float("inf"), float("inf")]
        """The shortest way in this time of `BASE_S`, and in the one before."""
        self._shortest_since = 0.0
        self._way_s = 0.0

    @property
    def hears_arrivals(self) -> bool:
        """Whether the receiver sends transport-wide feedback."""
        return self._heard_at is not None

    @property
    def informed(self) -> bool:
        """Whether anything was measured yet."""
        return self._arrived.bitrate_bps is not None or self._remb_bps is not None or bool(self._reported)

    @property
    def bitrate_bps(self) -> float:
        """The estimate, of all that leaves, with UDP and IP headers."""
        bps = self._rate.bitrate_bps if self.hears_arrivals or not self.informed else float(MOST_BPS)
        if self._remb_bps is not None:
            bps = min(bps, self._remb_bps)
        return max(LEAST_BPS, min(bps, self._loss.bitrate_bps))

    @property
    def arrived_bps(self) -> float:
        """What arrived over the last half second in which anything did; 0 where that is not known."""
        return self._arrived.bitrate_bps or 0.0

    @property
    def decreased_at(self) -> float:
        """When the path was last found overused."""
        return self._rate.decreased_at

    @property
    def loss(self) -> float:
        """The share of packets that was lost lately, 0 to 1."""
        return self._loss.share

    def probing(self, probe: Probe | None) -> None:
        """A probe begins, or is over: what comes of its packets is its own result, and not taken for congestion."""
        self._probe = probe

    def probed(self, bps: float, *, limited: bool) -> None:
        """A probe showed that the path carries this and, where `limited`, no more."""
        if limited or bps > self._rate.bitrate_bps:
            self._rate.set(bps)
        if not limited:
            self._loss.allow(bps)

    def hear(self, feedback: TransportFeedback, now: float) -> None:
        """Transport-wide feedback."""
        fate = self._departures.told(feedback)
        self._heard_at = now
        self._left_before = self._departures.next
        probe = self._probe
        lost = sum(probe is None or not probe.lose(number) for number in fate.lost) - fate.late
        self._loss.add(len(fate.came) + lost, lost)
        if not fate.came:
            return
        octets = sum([size for _, _, _, size in fate.came])
        self._arrived.add(max([came for _, _, came, _ in fate.came]), octets + fate.untold)
        self._measure_queue(min([came - left for _, left, came, _ in fate.came]), now)
        if probe is None:
            self._trendline.add(fate.came)
        else:
            self._compare_beside(probe, fate.came)
        self.rtt_s = max(0.0, now - fate.came[-1][1])
        usage, arrived = self._trendline.usage, self._arrived
        if usage == "overusing" and self.queue_s < STANDING_S:
            usage = "underusing"
        carried = arrived.burst_bps if usage == "overusing" else arrived.bitrate_bps
        self._rate.update(usage, carried, self.rtt_s, now)
        self._loss.update(self.bitrate_bps, self.arrived_bps, self.rtt_s, now, alone=False)

    def hear_remb(self, bps: int) -> None:
        """REMB: the most that the receiver wants in all."""
        self._remb_bps = bps

    def hear_report(self, block: ReportBlock, sending_bps: float, now: float) -> None:
        """A receiver report about one of our streams. Where nobody tells arrivals, its loss bounds the estimate, from
        `sending_bps` on, which is what leaves in all."""
        if self.hears_arrivals:
            return
        highest, lost = self._reported.get(block.ssrc, (block.highest_index, block.packets_lost))
        self._reported[block.ssrc] = (block.highest_index, block.packets_lost)
        sent = block.highest_index - highest
        if 0 < sent < 1 << 16:
            self._loss.add(sent, min(max(block.packets_lost - lost, 0), sent))
            self._loss.update(sending_bps, 0.0, self.rtt_s, now, alone=True)

    def tick(self, now: float) -> None:
        """What time brings: silence. Call it a few times a second."""
        if self._heard_at is None or now < max(self._heard_at + SILENCE_S, self._faded_at + FADE_S):
            return
        self._faded_at = now
        if self._departures.next > self._left_before:
            self._rate.set(FADE * self._rate.bitrate_bps)
        self._left_before = self._departures.next

    def _compare_beside(self, probe: Probe, passages: list[Passage]) -> None:
        """Take the packets of a probe for what it measures, and the others for how the path is used."""
        for passage in passages:
            if probe.add(passage):
                self._trendline.skip()
            else:
                self._trendline.add((passage,))

    def _measure_queue(self, way_s: float, now: float) -> None:
        shortest = self._shortest_s
        if now - self._shortest_since >= BASE_S:
            shortest[:] = float("inf"), shortest[0]
            self._shortest_since = now
        if abs(way_s - self._way_s) > LEAP_S:
            shortest[:] = way_s, way_s
        self._way_s = way_s
        shortest[0] = min(shortest[0], way_s)
        self.queue_s = way_s - min(shortest)
