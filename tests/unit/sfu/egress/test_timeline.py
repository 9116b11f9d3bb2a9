"""Where what was captured belongs, when there are pauses."""

import pytest

from sfu.egress.timeline import Timeline


def test_it_begins_where_it_is_said_to() -> None:
    timeline = Timeline(30.0, 1000.0)
    assert timeline.position(1002.5) == 32.5
    assert timeline.place(1001.0) == 31.0
    assert timeline.place(999.0) == 29.0


def test_it_stands_still_while_it_is_paused() -> None:
    timeline = Timeline(0.0, 0.0)
    timeline.pause(10.0)
    timeline.pause(12.0)
    assert timeline.paused
    assert timeline.position(15.0) == 10.0
    timeline.resume(16.0)
    timeline.resume(17.0)
    assert not timeline.paused
    assert timeline.position(20.0) == 14.0


@pytest.mark.parametrize(
    ("at", "place"),
    [(9.9, 9.9), (10.0, None), (15.9, None), (16.0, 10.0), (20.0, 14.0), (31.0, None), (41.0, 25.0), (60.0, None)],
)
def test_what_was_captured_in_a_pause_belongs_nowhere(at: float, place: float | None) -> None:
    timeline = Timeline(0.0, 0.0)
    for paused, resumed in ((10.0, 16.0), (30.0, 40.0)):
        timeline.pause(paused)
        timeline.resume(resumed)
    timeline.pause(50.0)
    assert timeline.place(at) == place
