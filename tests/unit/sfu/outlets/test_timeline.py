from sfu.outlets.timeline import Timeline


def test_it_stands_still_during_pauses() -> None:
    timeline = Timeline(100.0)
    assert timeline.at(103.0) == 3.0
    timeline.pause(104.0)
    timeline.pause(106.0)
    assert (timeline.at(110.0), timeline.paused_at) == (4.0, 104.0)
    timeline.resume(110.0)
    timeline.resume(111.0)
    assert (timeline.at(111.0), timeline.paused_at) == (5.0, None)
