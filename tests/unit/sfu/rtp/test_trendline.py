from random import Random

from sfu.rtp.trendline import Trendline

PACE_S = 0.02


def run(
    trendline: Trendline, seconds: float, growth: float, *, start: float = 0.0, jitter_s: float = 0.0
) -> set[str]:
    """Packets every 20 ms whose way gets longer by `growth` seconds a second; what the usage was meanwhile."""
    rng = Random(5)
    seen = set()
    for n in range(round(seconds / PACE_S)):
        left = start + n * PACE_S
        trendline.add([(0, left, 50 + left + growth * n * PACE_S + rng.uniform(0, jitter_s), 1000)])
        seen.add(trendline.usage)
    return seen


def test_an_even_path_is_used_normally():
    assert run(Trendline(), 10, 0.0) == {"normal"}


def test_jitter_without_a_trend_is_no_overuse():
    assert "overusing" not in run(Trendline(), 10, 0.0, jitter_s=0.01)


def test_a_queue_that_grows_is_found_within_half_a_second():
    trendline = Trendline()
    run(trendline, 5, 0.0)
    assert "overusing" in run(trendline, 0.5, 0.5, start=5)


def test_a_queue_that_drains_is_underuse_and_then_normal():
    trendline = Trendline()
    run(trendline, 5, 0.0)
    run(trendline, 1, 0.5, start=5)
    assert "underusing" in run(trendline, 1, -0.4, start=6)
    run(trendline, 2, 0.0, start=7)
    assert trendline.usage == "normal"


def test_packets_that_left_or_came_together_are_one_group():
    trendline = Trendline()
    for frame in range(100):  # ten packets at once, spread over 8 ms by the path: no queue grows
        for n in range(10):
            trendline.add([(0, frame * 0.04, 9 + frame * 0.04 + n * 0.0008, 1000)])
    assert trendline.usage == "normal"


def test_what_lies_across_a_probe_is_not_compared():
    trendline = Trendline()
    run(trendline, 5, 0.0)
    for step in range(30):  # each comparison would be of 20 ms more
        trendline.skip()
        trendline.add([(0, 5 + step, 55 + 1.02 * step, 1000)])
        trendline.add([(0, 5.02 + step, 55.02 + 1.02 * step, 1000)])
        trendline.add([(0, 5.04 + step, 55.04 + 1.02 * step, 1000)])
    assert trendline.usage == "normal"


def test_a_clock_that_is_set_starts_it_anew():
    for leap in (3600.0, -3600.0):
        trendline = Trendline()
        run(trendline, 5, 0.0)
        seen = set()
        for n in range(100):
            left = 5 + n * PACE_S
            trendline.add([(0, left, 50 + left + leap, 1000)])
            seen.add(trendline.usage)
        assert seen == {"normal"}


def test_the_threshold_follows_a_flow_that_makes_delay_swing(monkeypatch):
    """What competes by loss (TCP) fills the queue and lets it drain: that must not cost us each time."""

    def overuses() -> int:
        trendline, count = Trendline(), 0
        for n in range(2000):
            left = n * PACE_S
            trendline.add([(0, left, 50 + left + 0.03 * abs(n % 50 / 25 - 1), 1000)])
            count += trendline.usage == "overusing"
        return count

    adapted = overuses()
    monkeypatch.setattr("sfu.rtp.trendline.RISE", 0.0)
    assert adapted < 0.9 * overuses()
