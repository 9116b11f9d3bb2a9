import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.aimd import LEAST_BPS, MOST_BPS
from sfu.rtp.departures import OVERHEAD, Departures
from sfu.rtp.estimator import SILENCE_S, START_BPS, Estimator
from sfu.rtp.rtcp import ReportBlock
from sfu.rtp.twcc import TransportFeedback


class Path:
    """Packets of 1000 bytes in order over a path with a queue that knows no end; feedback every 100 ms."""

    def __init__(self) -> None:
        self.departures = Departures()
        self.estimator = Estimator(self.departures)
        self.now = 10.0
        self._free_at = 0.0
        self._left_s = 0.0

    def run(self, seconds: float, sending_bps: float, path_bps: float, *, loss_every: int = 0) -> float:
        """The estimate after that time."""
        until = self.now + seconds
        waiting: list[tuple[int, float | None]] = []
        while self.now < until:
            self.now += 8000 / sending_bps
            number = self.departures.add(1000 - OVERHEAD, self.now)
            self._free_at = max(self._free_at, self.now) + 8000 / path_bps
            lost = loss_every and number % loss_every == 0
            waiting.append((number, None if lost else self._free_at + 500))
            if self.now - self._left_s > 0.1:
                self._left_s = self.now
                base = waiting[0][0]
                came = tuple((number - base, round(at * 4000)) for number, at in waiting if at is not None)
                self.estimator.hear(TransportFeedback(1, 2, base, len(waiting), 0, came), self.now + 0.02)
                waiting = []
        return self.estimator.bitrate_bps


def test_it_begins_with_a_guess():
    estimator = Estimator(Departures())
    assert estimator.bitrate_bps == START_BPS
    assert not estimator.informed
    assert not estimator.hears_arrivals


def test_what_arrives_without_a_queue_is_carried():
    path = Path()
    assert path.run(3, 1e6, 5e6) > 1e6
    assert path.estimator.informed
    assert path.estimator.queue_s < 0.005
    assert path.estimator.rtt_s < 0.1


def test_a_path_that_falls_is_known_within_a_second():
    path = Path()
    path.run(5, 1e6, 2e6)
    assert path.run(1, 1e6, 300e3) < 300e3
    assert path.estimator.queue_s > 0.3
    assert path.estimator.decreased_at > 15


def test_half_of_the_packets_lost_bounds_it():
    path = Path()
    before = path.run(5, 1e6, 2e6)
    assert path.run(2, 1e6, 2e6, loss_every=2) < 0.7 * before
    assert path.estimator.loss == pytest.approx(0.5, abs=0.05)


def test_one_lost_in_twenty_does_not():
    path = Path()
    before = path.run(5, 1e6, 2e6)
    assert path.run(5, 1e6, 2e6, loss_every=20) >= 0.95 * before


def test_in_silence_it_fades_while_packets_leave():
    path = Path()
    before = path.run(3, 1e6, 2e6)
    path.estimator.tick(path.now + SILENCE_S - 0.1)
    assert path.estimator.bitrate_bps == before
    for n in range(3):
        path.departures.add(100, path.now)
        path.estimator.tick(path.now + SILENCE_S + 0.1 + n / 2)
    assert path.estimator.bitrate_bps == pytest.approx(0.8**2 * before)
    path.estimator.tick(path.now + SILENCE_S + 10)
    path.estimator.tick(path.now + SILENCE_S + 20)  # nothing left since
    assert path.estimator.bitrate_bps == pytest.approx(0.8**2 * before)


def test_a_probe_raises_it_and_a_limited_one_sets_it():
    path = Path()
    path.run(3, 1e6, 5e6)
    path.estimator.probed(3e6, limited=False)
    assert path.estimator.bitrate_bps == 3e6
    path.estimator.probed(2e6, limited=False)
    assert path.estimator.bitrate_bps == 3e6
    path.estimator.probed(2e6, limited=True)
    assert path.estimator.bitrate_bps == 2e6


def test_remb_takes_its_place_or_bounds_it():
    estimator = Estimator(Departures())
    estimator.hear_remb(700_000)
    assert estimator.informed
    assert estimator.bitrate_bps == 700_000
    estimator.hear_remb(1 << 60)
    assert estimator.bitrate_bps == MOST_BPS
    estimator.hear_remb(0)
    assert estimator.bitrate_bps == LEAST_BPS
    path = Path()
    path.run(3, 1e6, 5e6)
    path.estimator.hear_remb(400_000)
    assert path.estimator.bitrate_bps == 400_000


def report(highest: int, lost: int, ssrc: int = 1) -> ReportBlock:
    return ReportBlock(ssrc, 0, lost, highest, 0, 0, 0)


def test_reports_bound_it_by_loss_where_nothing_else_is_known():
    estimator = Estimator(Departures())
    for n in range(1, 6):
        estimator.hear_report(report(100 * n, 30 * n), 1_000_000, float(n))
    assert estimator.informed
    assert estimator.loss == pytest.approx(0.3)
    assert estimator.bitrate_bps < 900_000


def test_reports_are_not_needed_beside_feedback():
    path = Path()
    before = path.run(3, 1e6, 2e6)
    for n in range(1, 9):
        path.estimator.hear_report(report(100 * n, 90 * n), 1_000_000, path.now + n)
    assert path.estimator.bitrate_bps == before


def test_reports_that_contradict_themselves_are_nothing():
    estimator = Estimator(Departures())
    for n, (highest, lost) in enumerate(
        [(1000, 0), (10, 9999), (2**32 - 1, -5), (0, 0), (60, -(2**23)), (160, 2**23)]
    ):
        estimator.hear_report(report(highest, lost), 1_000_000, float(n))
    assert LEAST_BPS <= estimator.bitrate_bps <= MOST_BPS
    assert 0 <= estimator.loss <= 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 65535),
            st.integers(1, 3000),
            st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 1 << 32)), max_size=30),
            st.floats(0, 2),
        ),
        max_size=20,
    )
)
def test_no_feedback_brings_it_out_of_its_bounds(said):
    departures = Departures()
    estimator = Estimator(departures)
    now = 0.0
    for base, count, received, later in said:
        for n in range(40):
            departures.add(1000, now + n / 100)
        now += later
        came = tuple(sorted({offset: ticks for offset, ticks in received if offset < count}.items()))
        estimator.hear(TransportFeedback(1, 2, base, count, 0, came), now)
        estimator.tick(now)
        assert LEAST_BPS <= estimator.bitrate_bps <= MOST_BPS
        assert 0 <= estimator.loss <= 1
        assert estimator.queue_s >= 0


def test_a_busy_receiver_is_no_congestion():
    """Most packets of each feedback are late by more and more, and one is not: nothing is queued."""
    path = Path()
    path.run(4, 1e6, 5e6)
    before, numbers = path.estimator.bitrate_bps, path.departures
    for n in range(40):
        now = path.now + n / 10
        first = numbers.next
        came = [(0, round((500 + now) * 4000))]
        for k in range(1, 10):
            came.append((k, round((500 + now + k / 100 + k * n * 0.001) * 4000)))
        for k in range(10):
            numbers.add(1000, now + k / 100)
        path.estimator.hear(TransportFeedback(1, 2, first & 0xFFFF, 10, 0, tuple(came)), now + 0.2)
        if path.estimator._trendline.usage == "overusing":
            break
    assert path.estimator._trendline.usage == "overusing"
    assert path.estimator.decreased_at == float("-inf")
    assert path.estimator.bitrate_bps >= 0.9 * before
