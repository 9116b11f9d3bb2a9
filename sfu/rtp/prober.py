"""When to find out whether a path carries more, and how much to send for that.

A better layer costs two or three times as much as the one below, and what is not sent can't be measured. So before a
layer is raised, padding fills the gap between what leaves and what would leave: for a tenth of a second, and not
above 1.5 times the estimate, so that on a path which is full everything is late by a twentieth of a second. From what
came of one probe the next goes further.
"""

from sfu.rtp.aimd import LEAST_BPS
from sfu.rtp.departures import Departures
from sfu.rtp.estimator import Estimator
from sfu.rtp.probe import Probe

PROBE_S = 0.1
PROBE_OCTETS = 6000
"""Half a dozen packets: fewer say little about a rate (libwebrtc sends at least five). A slow probe lasts longer."""
SURPLUS = 1.05
"""A probe is sent in lumps and may show a little less than it was."""
STEP = 1.5
FIRST_STEP = 3.0
"""Before anything met the limit of the path (libwebrtc's first probes go to 3 and 6 times its start)."""
STEP_S = 0.02
"""What is sent at once stands for so much time: the interval of ticks."""
RETRY_S = (2.0, 4.0)
"""After the first probe that found nothing, and after more of them. At 300 kbit/s they take 4 % of the path."""
CALM_S = 2.0
"""Not so soon after the path was found overused: its queue has to drain, or the probe measures that."""
ANSWER_S = 1.0
"""Besides a round trip, the time after which no feedback about a probe is expected any more."""
PROOF_S = 5.0
"""How long what was shown is believed, if nothing shows it again."""
GAIN = 1.1
"""A probe that shows so much more than was known is a success, and the next follows at once."""


class Prober:
    """Begins probes of one transport and takes their results to its estimator."""

    def __init__(self, departures: Departures, estimator: Estimator) -> None:
        self._departures = departures
        self._estimator = estimator
        self._probe: Probe | None = None
        self._ends_at = 0.0
        self._next_at = 0.0
        self._failures = 0
        self._limited = False
        self._known_bps = 0.0
        self._shown_bps = 0.0
        self._shown_at = float("-inf")

    def proven_bps(self, now: float) -> float:
        """What the path has lately been seen to carry."""
        arrived = self._estimator.arrived_bps
        return max(arrived, self._shown_bps) if now - self._shown_at < PROOF_S else arrived

    def tick(self, goal_bps: float | None, now: float) -> int:
        """How many bytes to send beyond what leaves anyway; `goal_bps` is the rate that would be of use, if any."""
        probe = self._probe
        if probe is None:
            if goal_bps is None or now < self._next_at or now - self._estimator.decreased_at < CALM_S:
                return 0
            probe = self._begin(goal_bps, now)
        if probe.last is None:
            if now < self._ends_at:
                return max(0, round(probe.rate_bps * (now - probe.began + STEP_S) / 8) - probe.octets)
            probe.end()
            self._ends_at = now + ANSWER_S + self._estimator.rtt_s
        elif probe.done or now >= self._ends_at:
            self._probe = None
            self._estimator.probing(None)
            self._judge(probe, now)
        return 0

    def _begin(self, goal_bps: float, now: float) -> Probe:
        known = self._known_bps = self._estimator.bitrate_bps
        step = STEP if self._limited or self._estimator.decreased_at > float("-inf") else FIRST_STEP
        probe = self._probe = Probe(self._departures, max(LEAST_BPS, min(SURPLUS * goal_bps, step * known)), now)
        self._ends_at = now + max(PROBE_S, 8 * PROBE_OCTETS / probe.rate_bps)
        self._estimator.probing(probe)
        return probe

    def _judge(self, probe: Probe, now: float) -> None:
        result = probe.result()
        self._next_at = now + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        if result is None:
            return
        bps, limited = result
        self._estimator.probed(bps, limited=limited)
        self._shown_bps, self._shown_at = bps, now
        self._limited = self._limited or limited
        if bps >= GAIN * self._known_bps:
            self._failures = 0
            self._next_at = now
        else:
            self._failures += 1
