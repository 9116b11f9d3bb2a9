from sfu.rtp.departures import OVERHEAD, Departures
from sfu.rtp.estimator import START_BPS, Estimator
from sfu.rtp.prober import CALM_S, FIRST_STEP, PROOF_S, RETRY_S, STEP, Prober
from sfu.rtp.twcc import TransportFeedback

TICK_S = 0.02
PACKET = 1000 - OVERHEAD


class Path:
    """A prober whose packets arrive at `path_bps`, told at once."""

    def __init__(self, path_bps: float = 1e9) -> None:
        self.path_bps = path_bps
        self.departures = Departures()
        self.estimator = Estimator(self.departures)
        self.prober = Prober(self.departures, self.estimator)
        self.now = 100.0
        self.sent: list[tuple[float, int]] = []
        self.silent = False
        self._free_at = 0.0

    def run(self, seconds: float, goal_bps: float | None) -> float:
        """The bits a second that the prober asked for, over this time."""
        before = sum(size for _, size in self.sent)
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            wanted = self.prober.tick(goal_bps, self.now)
            while wanted > 0:
                self._send()
                wanted -= 1000
        return 8 * (sum(size for _, size in self.sent) - before) / seconds

    def _send(self) -> None:
        number = self.departures.add(PACKET, self.now)
        self.sent.append((self.now, 1000))
        self._free_at = max(self._free_at, self.now) + 8000 / self.path_bps
        if not self.silent:
            came = ((0, round(self._free_at * 4000)),)
            self.estimator.hear(TransportFeedback(1, 2, number, 1, 0, came), self.now)

    @property
    def bursts(self) -> list[float]:
        """When probes began."""
        times = [at for at, _ in self.sent]
        return [at for n, at in enumerate(times) if n == 0 or at - times[n - 1] > 0.15]


def test_without_a_goal_nothing_is_sent():
    assert Path().run(5, None) == 0


def test_a_goal_is_reached_in_steps_and_then_left_alone():
    path = Path()
    path.run(0.3, 4e6)
    assert START_BPS < path.estimator.bitrate_bps <= 1.1 * FIRST_STEP * START_BPS
    path.run(2, 4e6)
    assert path.estimator.bitrate_bps > 3.5e6
    assert path.prober.proven_bps(path.now) > 3.5e6
    assert path.run(2, None) == 0


def test_what_was_shown_is_believed_for_a_while():
    path = Path()
    path.run(3, 3e6)
    path.run(PROOF_S + 1, None)
    assert path.prober.proven_bps(path.now) == 0 or path.estimator.arrived_bps > 0
    assert path.prober.proven_bps(path.now) == path.estimator.arrived_bps


def test_a_path_that_is_full_is_probed_rarely_and_gently():
    path = Path(path_bps=400e3)
    path.run(3, 3e6)
    assert path.estimator.bitrate_bps < 450e3
    began = len(path.bursts)
    assert path.run(40, 3e6) < 0.06 * 400e3
    pauses = [b - a for a, b in zip(path.bursts[began:], path.bursts[began + 1 :], strict=False)]
    assert all(RETRY_S[1] <= pause < RETRY_S[1] + 1 for pause in pauses)
    longest = 0.12 * STEP * 450e3 / 8
    assert all(
        sum(size for at, size in path.sent if 0 <= at - start < 0.5) < longest + 2000 for start in path.bursts[began:]
    )


def test_not_while_a_queue_drains():
    path = Path()
    path.estimator._rate.decreased_at = path.now
    assert path.run(CALM_S - 0.1, 3e6) == 0
    assert path.run(1, 3e6) > 0


def test_a_probe_that_nobody_answers_is_given_up_and_tried_again_later():
    path = Path()
    path.silent = True
    path.run(20, 3e6)
    assert len(path.bursts) <= 8
    assert path.estimator.bitrate_bps <= START_BPS
    path.silent = False
    path.run(6, 3e6)
    assert path.estimator.bitrate_bps > 2.5e6


def test_where_nothing_can_be_sent_a_probe_ends_by_itself():
    path = Path()
    for _ in range(500):
        path.now += TICK_S
        assert path.prober.tick(1e6, path.now) >= 0
    assert path.estimator.bitrate_bps == START_BPS


def test_media_counts_towards_the_rate_of_a_probe():
    path = Path()
    path.departures.add(PACKET, path.now)
    path.prober.tick(1e6, path.now)
    asked = path.prober.tick(1e6, path.now + TICK_S)
    path.departures.add(2 * asked, path.now + TICK_S)
    assert path.prober.tick(1e6, path.now + TICK_S) == 0
