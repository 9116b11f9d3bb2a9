import pytest

from sfu.egress.feed import Feed
from sfu.egress.wire import Entry, What, WireError
from sfu.rtp import rtcp
from sfu.rtp.packet import header

from .sinks import Ledger, track

RTP = header(96, 5, 1000, 7) + b"payload"


def begin(feed: Feed, number: int = 1, track_id: str = "t1", *, muted: bool = False) -> None:
    feed.receive({"type": "begin", "number": number, "track": track(track_id).as_dict(), "muted": muted}, 0.0)


def test_a_track_goes_through_its_life() -> None:
    sink = Ledger()
    feed = Feed(sink)
    begin(feed, muted=True)
    feed.receive((Entry(1, What.KEY_FRAME, 1.5, 70000, RTP),), 2.0)
    feed.receive({"type": "mute", "track_id": "t1", "muted": False}, 2.0)
    feed.receive({"type": "rename", "user_id": "alice", "username": "Alicia"}, 2.0)
    feed.receive({"type": "pause", "at": 2.5}, 3.0)
    feed.receive({"type": "resume", "at": 3.5}, 4.0)
    feed.receive({"type": "end", "track_id": "t1"}, 4.0)
    assert sink.told == [
        ("begin", track()),
        ("mute", "t1", True),
        ("mute", "t1", False),
        ("rename", "alice", "Alicia"),
        ("pause", 2.5),
        ("resume", 3.5),
        ("end", "t1"),
    ]
    [(track_id, packet)] = sink.packets
    assert (track_id, packet.index, packet.arrival, packet.payload) == ("t1", 70000, 1.5, b"payload")


def test_the_publishers_clocks_are_told() -> None:
    sink = Ledger()
    feed = Feed(sink)
    begin(feed)
    report = rtcp.SenderReport(7, 5 << 32, 1000, 3, 300)
    compound = rtcp.sender_report(report) + rtcp.source_description(7, "alice") + rtcp.goodbye([7])
    feed.receive((Entry(1, What.RTCP, 1.0, 0, compound),), 1.0)
    assert sink.reports == [("t1", report)]


def test_what_comes_of_no_track_or_cannot_be_read_is_left_out() -> None:
    sink = Ledger()
    feed = Feed(sink)
    begin(feed)
    begin(feed, 2, "t2")
    feed.receive({"type": "end", "track_id": "t1"}, 1.0)
    feed.receive(
        (
            Entry(1, What.RTP, 1.0, 5, RTP),
            Entry(2, What.RTP, 1.0, 5, b"short"),
            Entry(2, What.RTCP, 1.0, 0, b"short"),
            Entry(2, What.RTP, 1.0, 6, RTP),
        ),
        1.0,
    )
    assert [(track_id, packet.index) for track_id, packet in sink.packets] == [("t2", 6)]


def test_enough_is_enough() -> None:
    feed = Feed(Ledger())
    assert not feed.stopped
    feed.receive({"type": "stop", "at": 1.0}, 1.0)
    assert feed.stopped


def test_a_message_that_is_unknown_is_an_error() -> None:
    with pytest.raises(WireError, match="dance"):
        Feed(Ledger()).receive({"type": "dance"}, 0.0)
