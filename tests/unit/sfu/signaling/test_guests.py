"""Participants with connections that have no socket: by WHIP, by WHEP."""

from typing import Any

import pytest

from meet.domain.session import Session
from sfu.rtp.parameters import RtpParameters, TrackInfo
from sfu.signaling.connection import CLOSE_REMOVED
from sfu.signaling.effects import Departed, Effect, Hangup, Keep, Send, StartMedia, StopMedia
from sfu.signaling.messages import Chat, IceCandidate, Refused
from sfu.signaling.participant import Newcomer
from sfu.signaling.room import Room

T = 1_700_000_000.0
UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
CAMERA = TrackInfo("t1", "ann", "ann-peer", "video", "camera", RtpParameters("0", "video", ()))


def newcomer(name: str) -> Newcomer:
    """`ann-whip` is Ann's connection of that name."""
    user_id = name.partition("-")[0]
    return Newcomer(name, user_id, f"{user_id}@account", f"{user_id}-p", "meeting-123", T)


def told(effects: list[Effect], session_id: str) -> list[str]:
    return [e.frame["type"] for e in effects if isinstance(e, Send) and e.session_id == session_id]


def written(effects: list[Effect]) -> list[tuple[str, str]]:
    return [
        (e.record.session_id, e.record.status)
        for e in effects
        if isinstance(e, Keep) and isinstance(e.record, Session)
    ]


def there(room: Room) -> list[str]:
    return [session.session_id for session in room.sessions()]


@pytest.fixture
def room() -> Room:
    """Bob is there by his page."""
    made = Room(meeting_id=UUID, number=123, created_at=T, capacity=2)
    made.join(newcomer("bob-page"), T)
    return made


def test_who_comes_by_http_alone_is_a_participant_like_any_other(room: Room) -> None:
    effects = room.attach(newcomer("ann-whip"), T)
    assert told(effects, "bob-page") == ["user-joined"]
    assert told(effects, "ann-whip") == []
    assert written(effects) == [("ann-whip", "active")]
    assert room.has("ann")
    assert there(room) == ["bob-page", "ann-whip"]
    assert room.record(T).participant_count == 2
    with pytest.raises(Refused, match="full"):
        room.attach(newcomer("eve-whip"), T)
    room.track_published(CAMERA, T)
    assert room.sessions()[1].media_state.video_enabled
    [welcome] = [
        e for e in room.join(newcomer("bob-page2"), T) if isinstance(e, Send) and e.frame["type"] == "joined"
    ]
    assert [(p["user_id"], p["media_state"]["video_enabled"]) for p in welcome.frame["participants"]] == [
        ("ann", True)
    ]


def test_the_last_connection_takes_the_participant_along(room: Room) -> None:
    room.attach(newcomer("ann-whip"), T)
    room.attach(newcomer("ann-whep"), T)
    first = room.detach("ann-whip", T)
    assert (told(first, "bob-page"), written(first)) == ([], [("ann-whip", "closed")])
    last = room.detach("ann-whep", T)
    assert told(last, "bob-page") == ["user-left"]
    assert Departed("ann") in last
    assert written(last) == [("ann-whep", "closed")]
    assert room.detach("ann-whep", T) == []


def test_a_page_comes_beside_it_and_replaces_nothing(room: Room) -> None:
    room.attach(newcomer("ann-whip"), T)
    effects = room.join(newcomer("ann-page"), T)
    assert told(effects, "ann-page") == ["joined"]
    assert told(effects, "bob-page") == []
    assert not any(isinstance(effect, Hangup) for effect in effects)
    assert any(isinstance(effect, StartMedia) for effect in effects)
    assert there(room) == ["bob-page", "ann-page", "ann-whip"]
    assert written(room.detach("ann-whip", T)) == [("ann-whip", "closed")]
    assert room.has("ann")


def test_a_connection_comes_beside_a_page(room: Room) -> None:
    effects = room.attach(newcomer("bob-whip"), T)
    assert [type(effect) for effect in effects] == [Keep]
    assert there(room) == ["bob-page", "bob-whip"]


@pytest.mark.parametrize("way", ["leave", "lose"])
def test_a_page_that_goes_leaves_the_others_here(room: Room, way: str) -> None:
    room.attach(newcomer("ann-whip"), T)
    room.join(newcomer("ann-page"), T)
    if way == "leave":
        effects = room.leave("ann-page", T)
        assert told(effects, "ann-page") == ["left"]
    else:
        room.lose("ann-page", T)
        effects = room.tick(T + 31)
    assert told(effects, "bob-page") == []
    assert StopMedia("ann") in effects
    assert ("ann-page", "closed") in written(effects)
    assert there(room) == ["bob-page", "ann-whip"]
    assert room.tick(T + 100) == []
    assert Departed("ann") in room.detach("ann-whip", T)


def test_it_can_not_be_resumed_as_a_page(room: Room) -> None:
    room.attach(newcomer("ann-whip"), T)
    with pytest.raises(Refused, match="no such session"):
        room.resume("ann-whip", newcomer("ann-page"), T)


def test_nothing_is_said_to_it_and_nothing_waits(room: Room) -> None:
    room.attach(newcomer("ann-whip"), T)
    said = Chat(room_id="meeting-123", message="hello")
    assert told(room.receive("bob-page", said, T), "bob-page") == ["chat"]
    to_ann: dict[str, Any] = {"room_id": "meeting-123", "candidate": {}, "target_user_id": "ann", "pc": None}
    [refused] = room.receive("bob-page", IceCandidate(**to_ann), T)
    assert isinstance(refused, Send)
    assert refused.frame["code"] == "TARGET_NOT_FOUND"
    joined = room.join(newcomer("ann-page"), T)
    assert told(joined, "ann-page") == ["joined"]


@pytest.mark.parametrize("page", [False, True])
def test_who_is_removed_loses_everything(room: Room, *, page: bool) -> None:
    room.attach(newcomer("ann-whip"), T)
    if page:
        room.join(newcomer("ann-page"), T)
    effects = room.remove("ann", "removed", T)
    assert [e.code for e in effects if isinstance(e, Hangup)] == [CLOSE_REMOVED] * page
    assert Departed("ann") in effects
    assert told(effects, "bob-page") == ["user-left"]
    assert written(effects) == [("ann-page", "closed"), ("ann-whip", "closed")][1 - page :]
    assert there(room) == ["bob-page"]
    assert room.detach("ann-whip", T) == []


def test_a_closed_room_has_nobody(room: Room) -> None:
    room.attach(newcomer("ann-whip"), T)
    effects = room.close("meeting-deleted", T)
    assert [e.user_id for e in effects if isinstance(e, Departed)] == ["bob", "ann"]
    assert room.is_empty
