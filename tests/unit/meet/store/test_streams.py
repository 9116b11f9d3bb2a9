"""The rows of live streams: one of each target, who may change them, and who is given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.stream import Aired, Picture, Stream, StreamStatus, TransitionError
from meet.errors import Conflict, NotFound
from meet.store import names, streams

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
URL = "rtmp://live.example.com/app/secret-key"


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def new(stream_id: str, **changes: object) -> Stream:
    stream = Stream(stream_id, "m1", 7, "alice", NOW, "hls", "high", Picture.of("high"), held_until=later(45))
    return replace(stream, **changes)  # type: ignore[arg-type]  # of any of its fields


@pytest.fixture
def started(tables: None) -> Stream:
    """A stream that no media process has begun yet."""
    stream = new("s1", stream_type="rtmp", rtmp_url=URL)
    streams.create(stream)
    return stream


def test_what_is_stored_comes_back(started: Stream) -> None:
    assert streams.get("s1") == started
    assert streams.find_many(["s2", "s1"]) == [started]
    assert [streams.find(name) for name in ("s2", "", "x" * 3000)] == [None] * 3
    with pytest.raises(NotFound, match="'s2'"):
        streams.get("s2")


def test_a_meeting_is_streamed_to_each_target_once(started: Stream) -> None:
    with pytest.raises(Conflict) as refused:
        streams.create(replace(started, stream_id="s2"))
    assert refused.value.details == "s1"
    assert streams.find("s2") is None
    streams.create(replace(started, stream_id="s3", rtmp_url=URL + "2"))
    streams.create(replace(started, stream_id="s4", meeting_id="m2"))
    streams.create(new("s5"))
    streams.create(new("s6", stream_type="dash"))


def test_what_ended_leaves_its_target_free(started: Stream) -> None:
    assert streams.stop("s1", at=later(9), total_viewers=3, peak_viewers=2) is not None
    again = replace(started, stream_id="s2")
    streams.create(again)
    assert streams.fail("s2", "The encoder failed", at=later(10)) == again.failed("The encoder failed", at=later(10))
    streams.create(replace(started, stream_id="s3"))


def test_one_whose_process_is_gone_is_no_hindrance(started: Stream) -> None:
    streams.create(replace(started, stream_id="s2", created_at=later(46), held_until=later(90)))
    assert streams.get("s1").status is StreamStatus.FAILED
    assert streams.get("s1").error == streams.LOST
    assert streams.stop("s1", at=later(47), total_viewers=0, peak_viewers=0) is None
    with pytest.raises(Conflict) as refused:  # and what was lost no longer has the name
        streams.create(replace(started, stream_id="s3"))
    assert refused.value.details == "s2"


def test_its_media_process_tells_how_it_goes(started: Stream) -> None:
    streaming = streams.became("s1", StreamStatus.STREAMING, at=later(2), until=later(47))
    assert streaming == started.became(StreamStatus.STREAMING, at=later(2), until=later(47))
    aired = Aired(bitrate_bps=2_400_000, frame_rate=29.97, dropped_frames=1, errors=2)
    streams.renew("s1", aired, until=later(62))
    streams.became("s1", StreamStatus.RECONNECTING, at=later(20), until=later(65))
    streams.became("s1", StreamStatus.STREAMING, at=later(30), until=later(75))
    found = streams.get("s1")
    assert (found.status, found.aired, found.started_at, found.held_until) == (
        StreamStatus.STREAMING,
        aired,
        later(2),
        later(75),
    )
    stopped = streams.stop("s1", at=later(80), total_viewers=152, peak_viewers=45)
    assert stopped == streams.get("s1")
    assert stopped is not None
    assert (stopped.stopped_at, stopped.total_viewers, stopped.peak_viewers) == (later(80), 152, 45)


def test_what_is_over_or_gone_does_not_change(started: Stream) -> None:
    streams.fail("s1", "The server refused it", at=later(3))
    for gone in ("s1", "s2"):
        assert streams.became(gone, StreamStatus.STREAMING, at=later(4), until=later(9)) is None
        assert streams.renew(gone, Aired(), until=later(9)) is None
        assert streams.stop(gone, at=later(4), total_viewers=0, peak_viewers=0) is None
        assert streams.fail(gone, "again", at=later(4)) is None
    assert streams.get("s1").error == "The server refused it"


def test_who_asked_for_it_takes_it_back_unless_it_has_begun(started: Stream) -> None:
    withdrawn = streams.withdraw("s1", "Nobody answered", at=later(3))
    assert withdrawn == started.failed("Nobody answered", at=later(3))
    streams.create(new("s2"))
    streams.became("s2", StreamStatus.STREAMING, at=later(1), until=later(46))
    assert streams.withdraw("s2", "Nobody answered", at=later(3)) is None
    assert streams.get("s2").status is StreamStatus.STREAMING


def test_a_status_that_cannot_follow_is_refused(started: Stream) -> None:
    with pytest.raises(TransitionError):
        streams.became("s1", StreamStatus.RECONNECTING, at=later(1), until=later(9))


def test_what_is_held_again_meanwhile_is_not_given_up(started: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweeper has read a lapsed row; before it writes, the media process renews."""
    find = streams.find

    def slow_find(stream_id: str) -> Stream | None:
        monkeypatch.setattr(streams, "find", find)
        seen = find(stream_id)
        streams.became(stream_id, StreamStatus.STREAMING, at=later(50), until=later(95))
        return seen

    monkeypatch.setattr(streams, "find", slow_find)
    assert streams.fail_lapsed("s1", streams.LOST, at=later(50)) is None
    assert streams.get("s1").status is StreamStatus.STREAMING
    assert names.owner(streams._target(started)) == "s1"


def test_overdue_are_those_of_which_nothing_is_heard(started: Stream) -> None:
    streams.create(new("s2", held_until=later(60)))
    streams.create(new("s3", stream_type="dash", held_until=later(10)))
    streams.stop("s3", at=later(5), total_viewers=0, peak_viewers=0)
    assert [stream.stream_id for stream in streams.overdue(later(45))] == []
    assert [stream.stream_id for stream in streams.overdue(later(61))] == ["s1", "s2"]
    assert [stream.stream_id for stream in streams.overdue(later(61), most=1)] == ["s1"]


def test_lists_by_owner_by_meeting_and_of_all(started: Stream) -> None:
    streams.create(new("s2", owner_id="bob", stream_type="dash"))
    streams.create(new("s3", owner_id="bob", meeting_id="m2", meeting_number=8))
    assert {entry.stream_id for entry in streams.of_owner("bob")} == {"s2", "s3"}
    assert {entry.stream_id for entry in streams.of_meeting("m1")} == {"s1", "s2"}
    assert {entry.stream_id for entry in streams.every()} == {"s1", "s2", "s3"}
    assert streams.of_owner("alice") == [
        streams.Entry("s1", "alice", "m1", 7, NOW, "rtmp", StreamStatus.STARTING),
    ]


def test_the_key_is_in_no_word_about_a_stream(started: Stream) -> None:
    assert "secret-key" not in repr(started)
    assert "secret-key" not in streams._target(started)
