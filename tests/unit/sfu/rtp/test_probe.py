import pytest

from sfu.rtp.departures import OVERHEAD, Departures
from sfu.rtp.probe import Probe

SIZE = 1000 - OVERHEAD


def probed(
    *,
    rate_bps: float = 1e6,
    path_bps: float = 1e9,
    count: int = 20,
    lost: set[int] = frozenset(),
    untold: range = range(0),
) -> tuple[float, bool] | None:
    """The result of `count` packets of 1000 bytes at a rate, over a path."""
    departures = Departures()
    departures.add(SIZE, 0.0)
    probe = Probe(departures, rate_bps, 0.0)
    free_at = 0.0
    passages = []
    for n in range(count):
        left = n * 8000 / rate_bps
        number = departures.add(SIZE, left)
        free_at = max(free_at, left) + 8000 / path_bps
        passages.append((number, left, 70 + free_at, 1000))
    probe.end()
    for n, passage in enumerate(passages):
        if n in lost:
            assert probe.lose(passage[0])
        elif n not in untold:
            assert probe.add(passage)
    return probe.result()


def test_a_path_that_carries_more_shows_the_rate_that_was_sent():
    assert probed() == (pytest.approx(1e6), False)


def test_a_path_that_carries_less_shows_its_own_rate():
    assert probed(rate_bps=3e6) == (pytest.approx(3e6), False)
    assert probed(rate_bps=3e6, path_bps=1e6) == (pytest.approx(0.95e6, rel=0.01), True)


def test_packets_lost_by_chance_do_not_change_it():
    assert probed(lost={3, 11}) == (pytest.approx(1e6), False)


def test_many_losses_are_a_limit():
    result = probed(lost={2, 4, 6, 8, 10, 12})
    assert result is not None
    assert result[1]
    assert result[0] < 0.75e6


def test_packets_of_which_nobody_told_do_not_change_it():
    assert probed(untold=range(5, 10)) == (pytest.approx(1e6), False)


def test_too_little_told_is_no_result():
    assert probed(count=4) is None
    assert probed(untold=range(8, 20)) is None
    assert probed(untold=range(20)) is None


def test_packets_that_had_been_held_up_say_nothing():
    departures = Departures()
    probe = Probe(departures, 1e6, 0.0)
    for n in range(20):
        departures.add(SIZE, n * 0.008)
    probe.end()
    for n in range(20):
        probe.add((n + 1, n * 0.008, 70 + n * 0.0001, 1000))
    assert probe.result() is None


def test_what_came_at_one_moment_or_backwards_is_no_result():
    for came in (0.0, -0.01):
        departures = Departures()
        probe = Probe(departures, 1e6, 0.0)
        for _ in range(20):
            departures.add(SIZE, 0.0)
        probe.end()
        for n in range(20):
            probe.add((n + 1, 0.0, 70 + n * came, 1000))
        assert probe.result() is None


def test_it_is_done_with_its_last_packet_or_a_later_one():
    departures = Departures()
    probe = Probe(departures, 1e6, 0.0)
    for _ in range(3):
        departures.add(SIZE, 0.0)
    assert probe.covers(99)  # as long as it lasts
    probe.end()
    assert not probe.covers(4)
    assert probe.add((2, 0.0, 70.0, 1000))
    assert not probe.done
    assert not probe.add((4, 0.0, 70.0, 1000))
    assert probe.done
    assert not probe.lose(0)
