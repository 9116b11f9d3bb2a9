from itertools import groupby
from math import exp

import pytest

from tests.way import LEAST_QUEUE, Way


def arrivals(way: Way[int], until: float) -> list[tuple[float, int]]:
    """When what comes out, each at the moment that the way itself names."""
    found = []
    while (at := way.next_at()) is not None and at <= until:
        found += [(at, packet) for packet in way.take(at)]
    return found


def test_a_packet_takes_the_delay():
    way: Way[int] = Way()
    way.delay_s = 0.025
    way.put(1, 1000, 5.0)
    assert list(way.take(5.024)) == []
    assert list(way.take(5.025)) == [1]
    assert way.next_at() is None


def test_jitter_keeps_the_order_unless_told_otherwise():
    for reorder in (False, True):
        way: Way[int] = Way(seed=3)
        way.delay_s, way.jitter_s, way.reorder = 0.01, 0.03, reorder
        for number in range(200):
            way.put(number, 100, number * 0.001)
        came = arrivals(way, 1.0)
        assert ([number for _, number in came] == sorted(number for _, number in came)) is not reorder
        late = [at - number * 0.001 for at, number in came]
        assert min(late) >= 0.01
        assert 0.038 < max(late) <= 0.04 + 1e-9
        assert not reorder or min(late) < 0.012


@pytest.mark.parametrize("step", [0.01, 0.05])
def test_the_share_that_is_lost_and_for_how_long(step: float):
    for burst_s in (0.0, 0.04):
        way: Way[int] = Way(seed=1)
        way.loss, way.burst_s = 0.1, burst_s
        for number in range(100_000):
            way.put(number, 100, number * step)
        came = set(way.take(5000.0))
        assert way.lost == 100_000 - len(came) == pytest.approx(10_000, rel=0.1)
        runs = [len(list(run)) for lost, run in groupby(number not in came for number in range(100_000)) if lost]
        # seen every `step`, a time that ends at random looks longer by up to a step
        expected = 1 / 0.9 if not burst_s else 1 / (0.9 * (1 - exp(-step / (0.9 * burst_s))))
        assert sum(runs) / len(runs) == pytest.approx(expected, rel=0.05)


def test_the_same_seed_loses_the_same_packets():
    def survivors(seed: int) -> list[int]:
        way: Way[int] = Way(seed)
        way.loss = 0.5
        for number in range(100):
            way.put(number, 100, 0.0)
        return list(way.take(0.0))

    assert survivors(5) == survivors(5) != survivors(6)


def test_a_bottleneck_spaces_packets_and_drops_what_its_queue_cannot_hold():
    way: Way[int] = Way()
    way.rate_bps, way.queue_s = 1_000_000, 0.1
    for number in range(20):
        way.put(number, 1250, 0.0)
    came = arrivals(way, 1.0)
    assert came == [(pytest.approx(0.01 * (number + 1)), number) for number in range(10)]
    assert (way.offered, way.dropped, way.delivered, way.delivered_bytes) == (20, 10, 10, 12_500)
    way.put(20, 1250, 2.0)
    assert arrivals(way, 3.0) == [(pytest.approx(2.01), 20)]


def test_a_slow_bottleneck_holds_a_few_packets_whatever_the_time():
    way: Way[int] = Way()
    way.rate_bps, way.queue_s = 100_000, 0.001
    for number in range(10):
        way.put(number, 1500, 0.0)
    assert way.offered - way.dropped == LEAST_QUEUE // 1500


def test_the_rate_may_change_while_packets_wait():
    way: Way[int] = Way()
    way.rate_bps, way.queue_s = 100_000, 10
    for number in range(4):
        way.put(number, 1250, 0.0)
    assert list(way.take(0.1)) == [0]
    way.rate_bps = 1_000_000
    assert arrivals(way, 1.0) == [(pytest.approx(0.2), 1), (pytest.approx(0.21), 2), (pytest.approx(0.22), 3)]
    way.rate_bps = None
    way.put(4, 1250, 1.0)
    assert arrivals(way, 1.0) == [(1.0, 4)]


def test_a_way_can_be_mended():
    way: Way[int] = Way()
    way.delay_s, way.jitter_s, way.loss, way.burst_s, way.rate_bps, way.queue_s = 1, 1, 1, 1, 1000, 0
    way.mend()
    for number in range(100):
        way.put(number, 1500, 1.0)
    assert list(way.take(1.0)) == list(range(100))
