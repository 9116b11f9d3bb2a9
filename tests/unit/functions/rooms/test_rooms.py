"""Every endpoint about live rooms, as a stranger, a participant, the creator and an administrator see it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from functions.rooms import messages as history_route
from functions.rooms.app import app
from meet.clock import iso, new_id, utcnow
from meet.control import Reply
from meet.domain.meeting import Meeting
from meet.domain.message import Message, message_id
from meet.domain.session import MediaState, Session, SessionStatus
from meet.presence import RoomSnapshot, SessionSnapshot
from meet.store import meetings, messages, sessions

NOW = datetime(2025, 10, 5, 12, tzinfo=UTC)
MEDIA = {"audio_enabled": True, "video_enabled": False, "screen_sharing": False}

Headers = dict[str, str]
Bearer = Callable[..., Headers]


@pytest.fixture
def http(http_to: Callable[[Any], Any]) -> Any:
    return http_to(app)


@pytest.fixture
def alice(bearer: Bearer) -> Headers:
    """The creator."""
    return bearer("alice")


@pytest.fixture
def bob(bearer: Bearer) -> Headers:
    """A participant."""
    return bearer("bob")


@pytest.fixture
def people(bearer: Bearer) -> SimpleNamespace:
    """The headers of everybody: creator, participant, stranger, administrator."""
    return SimpleNamespace(
        alice=bearer("alice"), bob=bearer("bob"), stranger=bearer("mallory"), admin=bearer("root", "admin")
    )


@pytest.fixture
def admin(people: SimpleNamespace) -> Headers:
    headers: Headers = people.admin
    return headers


@pytest.fixture
def meeting(environment: object) -> Meeting:
    """A meeting of Alice's in which Bob takes part."""
    made = Meeting(
        meeting_id=new_id(),
        number=meetings.next_number(),
        creator_id="alice",
        title="Team Standup",
        description="",
        start_time=NOW,
        duration_min=30,
        max_participants=10,
        created_at=NOW,
        updated_at=NOW,
    )
    meetings.create(made)
    meetings.take_seat(made.meeting_id, "bob", "Bob", now=utcnow())
    return made


def live_session(user_id: str, **changes: Any) -> SessionSnapshot:
    session = SessionSnapshot(
        session_id=f"session-of-{user_id}",
        user_id=user_id,
        username=user_id.title(),
        participant_id=f"participant-{user_id}",
        connected_at="2025-10-05T12:00:00Z",
        last_activity="2025-10-05T12:25:00Z",
        status="active",
        peer_connections=2,
        media_state=MEDIA,
    )
    return replace(session, **changes)


PEER = {
    "peer_id": "peer-1",
    "user_id": "bob",
    "media_type": "video",
    "status": "connected",
    "tracks": [{"track_id": "t", "kind": "video", "codec": "vp8", "resolution": "1280x720", "bitrate": 1500000}],
    "connected_at": "2025-10-05T12:00:00Z",
    "last_activity": "2025-10-05T12:25:00Z",
}


def live_room(meeting: Meeting, *live: SessionSnapshot, **changes: Any) -> RoomSnapshot:
    room = RoomSnapshot(
        meeting_number=meeting.number,
        meeting_id=meeting.meeting_id,
        node_id="node-1",
        created_at=iso(utcnow() - timedelta(seconds=5400)),
        total_messages=1523,
        sessions=list(live),
        peers=[PEER],
        statistics={"total_peers": 1, "inbound_bandwidth": 1564000, "packet_loss_rate": 0.02},
        quality_metrics={"excellent": 1},
    )
    return replace(room, **changes)


def kept_session(meeting: Meeting, session_id: str, *, at: datetime, **changes: Any) -> Session:
    session = Session(
        session_id=session_id,
        user_id="bob",
        username="Bob",
        participant_id="participant-bob",
        meeting_id=meeting.meeting_id,
        meeting_number=meeting.number,
        connected_at=at,
        last_activity=at,
        peer_connections=2,
        media_state=MediaState(audio_enabled=True),
    )
    session = replace(session, **changes)
    sessions.write([session])
    return session


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- who may


def of_the_room(meeting: Meeting) -> list[str]:
    return [
        f"/api/v1/sessions/room/{meeting.number}",
        f"/api/v1/messages/history/{meeting.number}",
        f"/api/v1/webrtc/room/{meeting.room_id}/peers",
        f"/api/v1/webrtc/room/{meeting.room_id}/stats",
    ]


def test_everything_needs_a_token(http: Any, meeting: Meeting) -> None:
    for path in [*of_the_room(meeting), "/api/v1/sessions/x", "/api/v1/stats/overview", "/api/v1/stats/rooms"]:
        assert code(http.get(path)) == (401, "MISSING_TOKEN")
    assert code(http.get("/admin/sessions")) == (401, "MISSING_TOKEN")
    assert code(http.post("/admin/cleanup/sessions")) == (401, "MISSING_TOKEN")
    assert code(http.post("/api/v1/webrtc/peer/x/media", json={})) == (401, "MISSING_TOKEN")


def test_a_room_is_for_its_participants_its_creator_and_administrators(
    http: Any, meeting: Meeting, people: SimpleNamespace
) -> None:
    for path in of_the_room(meeting):
        for headers in (people.alice, people.bob, people.admin):
            assert http.get(path, headers=headers).status_code == 200
        assert code(http.get(path, headers=people.stranger)) == (404, "RESOURCE_NOT_FOUND")


def test_a_meeting_that_is_not_there(http: Any, meeting: Meeting, admin: Headers) -> None:
    for path in of_the_room(replace(meeting, number=999)) + of_the_room(replace(meeting, number=0)):
        assert code(http.get(path, headers=admin)) == (404, "RESOURCE_NOT_FOUND")


def test_who_left_may_still_read(http: Any, meeting: Meeting, bob: Headers) -> None:
    meetings.release_seat(meeting.meeting_id, "bob", now=utcnow())
    for path in of_the_room(meeting):
        assert http.get(path, headers=bob).status_code == 200


def test_every_spelling_of_the_meeting(http: Any, meeting: Meeting, bob: Headers) -> None:
    for spelling in (meeting.number, meeting.room_id, meeting.meeting_id):
        for path in ("sessions/room/{}", "messages/history/{}", "webrtc/room/{}/peers", "webrtc/room/{}/stats"):
            assert http.get("/api/v1/" + path.format(spelling), headers=bob).status_code == 200


# --- sessions


def test_sessions_of_a_live_room(http: Any, meeting: Meeting, bob: Headers, node: Any) -> None:
    node.publish(live_room(meeting, live_session("bob"), live_session("carol", status="reconnecting")))
    data = http.get(f"/api/v1/sessions/room/{meeting.number}", headers=bob).json()["data"]
    assert [(s["user_id"], s["status"]) for s in data] == [("bob", "active"), ("carol", "reconnecting")]
    assert data[0] == {
        "session_id": "session-of-bob",
        "user_id": "bob",
        "username": "Bob",
        "participant_id": "participant-bob",
        "connected_at": "2025-10-05T12:00:00Z",
        "last_activity": "2025-10-05T12:25:00Z",
        "status": "active",
        "media_state": MEDIA,
    }


def test_a_room_that_is_not_live_is_empty(http: Any, meeting: Meeting, bob: Headers) -> None:
    assert http.get(f"/api/v1/sessions/room/{meeting.number}", headers=bob).json() == {"data": []}


def test_a_live_session(http: Any, meeting: Meeting, bob: Headers, node: Any) -> None:
    kept_session(meeting, "session-of-bob", at=NOW)
    node.publish(live_room(meeting, live_session("bob")))
    assert http.get("/api/v1/sessions/session-of-bob", headers=bob).json() == {
        "data": {
            "session_id": "session-of-bob",
            "user_id": "bob",
            "username": "Bob",
            "participant_id": "participant-bob",
            "meeting_id": meeting.number,
            "connected_at": "2025-10-05T12:00:00Z",
            "last_activity": "2025-10-05T12:25:00Z",
            "status": "active",
            "peer_connections": 2,
            "media_state": MEDIA,
        }
    }


def test_a_session_too_young_to_be_stored(http: Any, meeting: Meeting, bob: Headers, node: Any) -> None:
    node.publish(live_room(meeting, live_session("bob")))
    assert http.get("/api/v1/sessions/session-of-bob", headers=bob).status_code == 200


def test_a_session_that_no_process_tells_of_is_closed(http: Any, meeting: Meeting, bob: Headers) -> None:
    kept_session(meeting, "old", at=utcnow() - timedelta(seconds=60))
    kept_session(meeting, "new", at=utcnow())
    old, new = (http.get(f"/api/v1/sessions/{which}", headers=bob).json()["data"] for which in ("old", "new"))
    assert (old["status"], old["peer_connections"]) == ("closed", 0)
    assert (new["status"], new["peer_connections"]) == ("active", 2)


def test_who_may_see_a_session(http: Any, meeting: Meeting, people: SimpleNamespace) -> None:
    kept_session(meeting, "one", at=NOW)
    for headers in (people.alice, people.bob, people.admin):
        assert http.get("/api/v1/sessions/one", headers=headers).status_code == 200
    for headers, session_id in [(people.stranger, "one"), (people.admin, "other"), (people.admin, "x" * 3000)]:
        assert code(http.get(f"/api/v1/sessions/{session_id}", headers=headers)) == (404, "RESOURCE_NOT_FOUND")


def test_a_session_outlives_its_meeting_for_its_owner(
    http: Any, meeting: Meeting, alice: Headers, bob: Headers
) -> None:
    kept_session(meeting, "one", at=NOW)
    meetings.delete(meeting)
    assert http.get("/api/v1/sessions/one", headers=bob).status_code == 200
    assert http.get("/api/v1/sessions/one", headers=alice).status_code == 404


# --- history


def said(meeting: Meeting, count: int, text: str = "v=0\r\na=ice-ufrag:u\r\na=ice-pwd:secret\r\n") -> None:
    start = utcnow() - timedelta(minutes=5)
    messages.write(
        Message(
            message_id=message_id(start + timedelta(seconds=i), i),
            type="offer",
            from_user_id="bob",
            to_user_id="carol" if i % 2 else None,
            meeting_number=meeting.number,
            payload={"sdp": text, "index": i},
            created_at=start + timedelta(seconds=i),
        )
        for i in range(count)
    )


def test_history_has_the_latest_messages_oldest_first_and_no_ice_password(
    http: Any, meeting: Meeting, bob: Headers
) -> None:
    said(meeting, 5)
    answer = http.get(f"/api/v1/messages/history/{meeting.number}?limit=3", headers=bob)
    body = answer.json()
    assert [message["payload"]["index"] for message in body["data"]] == [2, 3, 4]
    assert body["truncated"] is False
    first, second, _ = body["data"]
    assert (first["to_user_id"], second["to_user_id"]) == ("", "carol")
    assert (first["from_user_id"], first["type"], first["meeting_id"]) == ("bob", "offer", meeting.number)
    assert first["payload"]["sdp"] == "v=0\r\na=ice-ufrag:u\r\n"
    assert "secret" not in answer.text


def test_history_of_silence(http: Any, meeting: Meeting, bob: Headers) -> None:
    body = http.get(f"/api/v1/messages/history/{meeting.number}", headers=bob).json()
    assert body == {"data": [], "truncated": False}


def test_history_that_would_not_fit_loses_its_oldest(
    http: Any, meeting: Meeting, bob: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(meeting, 5, text="x" * 1000)
    monkeypatch.setattr(history_route, "MOST_BYTES", 3000)
    body = http.get(f"/api/v1/messages/history/{meeting.number}", headers=bob).json()
    assert [message["payload"]["index"] for message in body["data"]] == [3, 4]
    assert body["truncated"] is True


def test_history_limits(http: Any, meeting: Meeting, bob: Headers) -> None:
    for limit in ("0", "1001", "x", "-1"):
        answer = http.get(f"/api/v1/messages/history/{meeting.number}?limit={limit}", headers=bob)
        assert code(answer) == (400, "VALIDATION_ERROR")
    assert http.get(f"/api/v1/messages/history/{meeting.number}?limit=1000", headers=bob).status_code == 200


# --- statistics


def test_overview_has_totals_for_everybody_and_rooms_for_those_who_may(
    http: Any, meeting: Meeting, node: Any, people: SimpleNamespace
) -> None:
    room = live_room(meeting, live_session("bob"), live_session("carol"))
    node.publish(room)
    details = {meeting.room_id: {"participant_count": 2, "created_at": room.created_at}}
    totals = {"active_sessions": 2, "connected_clients": 0, "active_rooms": 1}
    for headers in (people.alice, people.bob, people.admin):
        assert http.get("/api/v1/stats/overview", headers=headers).json() == totals | {"room_details": details}
    assert http.get("/api/v1/stats/overview", headers=people.stranger).json() == totals | {"room_details": {}}


def test_overview_of_nothing(http: Any, bob: Headers) -> None:
    assert http.get("/api/v1/stats/overview", headers=bob).json() == {
        "active_sessions": 0,
        "connected_clients": 0,
        "active_rooms": 0,
        "room_details": {},
    }


def test_room_statistics(http: Any, meeting: Meeting, node: Any, people: SimpleNamespace) -> None:
    room = live_room(meeting, live_session("bob"), live_session("carol", status="reconnecting"))
    node.publish(room)
    data = http.get("/api/v1/stats/rooms", headers=people.bob).json()["data"]
    duration = data[meeting.room_id].pop("duration")
    assert 5400 <= duration <= 5405
    assert data == {
        meeting.room_id: {
            "room_id": meeting.room_id,
            "participant_count": 2,
            "created_at": room.created_at,
            "total_messages": 1523,
            "active_connections": 1,
        }
    }
    assert http.get("/api/v1/stats/rooms", headers=people.stranger).json() == {"data": {}}


# --- administration


def test_administration_is_for_administrators(http: Any, meeting: Meeting, alice: Headers) -> None:
    assert code(http.get("/admin/sessions", headers=alice)) == (403, "INSUFFICIENT_PERMISSIONS")
    assert code(http.post("/admin/cleanup/sessions", headers=alice)) == (403, "INSUFFICIENT_PERMISSIONS")


def test_all_sessions(http: Any, meeting: Meeting, admin: Headers, node: Any) -> None:
    kept_session(meeting, "one", at=NOW, status=SessionStatus.CLOSED)
    kept_session(meeting, "session-of-bob", at=NOW + timedelta(days=1))
    node.publish(live_room(meeting, live_session("bob", connected_at="2025-10-06T12:00:00Z")))
    body = http.get("/admin/sessions", headers=admin).json()
    assert [(s["session_id"], s["status"]) for s in body["data"]] == [("one", "closed"), ("session-of-bob", "active")]
    assert body["data"][0]["meeting_id"] == meeting.number
    assert (body["total"], body["active"], body["inactive"]) == (2, 1, 1)
    second = http.get("/admin/sessions?page=2&page_size=1", headers=admin).json()
    assert [s["session_id"] for s in second["data"]] == ["session-of-bob"]
    assert (second["total"], second["active"], second["inactive"]) == (2, 1, 1)


def test_cleanup_forgets_what_is_over(http: Any, meeting: Meeting, admin: Headers) -> None:
    kept_session(meeting, "closed", at=utcnow(), status=SessionStatus.CLOSED)
    kept_session(meeting, "dead", at=utcnow() - timedelta(hours=1))
    kept_session(meeting, "alive", at=utcnow())
    body = http.post("/admin/cleanup/sessions", headers=admin).json()
    assert (body["message"], body["cleaned_sessions"]) == ("Cleanup completed", 2)
    assert body["timestamp"].endswith("Z")
    assert [session.session_id for session in sessions.every()] == ["alive"]
    assert http.post("/admin/cleanup/sessions", headers=admin).json()["cleaned_sessions"] == 0


# --- peers


def test_peers_of_a_live_room(http: Any, meeting: Meeting, bob: Headers, node: Any) -> None:
    node.publish(live_room(meeting, live_session("bob")))
    body = http.get(f"/api/v1/webrtc/room/{meeting.number}/peers", headers=bob).json()
    assert body == {"room_id": meeting.room_id, "peers": [PEER], "total_peers": 1}


def test_statistics_of_a_live_room(http: Any, meeting: Meeting, bob: Headers, node: Any) -> None:
    room = live_room(meeting, live_session("bob"))
    node.publish(room)
    answer = http.get(f"/api/v1/webrtc/room/{meeting.number}/stats", headers=bob)
    body = answer.json()
    assert (body["room_id"], body["meeting_id"]) == (meeting.room_id, meeting.number)
    assert body["created_at"] == room.created_at
    assert 5400 <= body["duration"] <= 5405
    assert (body["is_recording"], body["recording_id"]) == (False, "")
    assert body["statistics"].items() >= {"total_peers": 1, "inbound_bandwidth": 1564000, "average_rtt": 0}.items()
    assert body["statistics"]["packet_loss_rate"] == 0.02
    assert body["quality_metrics"] == {"excellent": 1, "good": 0, "fair": 0, "poor": 0}
    assert '"total_peers":1,' in answer.text  # an integer, not 1.0


def test_peers_and_statistics_of_a_room_that_is_not_live(http: Any, meeting: Meeting, bob: Headers) -> None:
    assert http.get(f"/api/v1/webrtc/room/{meeting.number}/peers", headers=bob).json() == {
        "room_id": meeting.room_id,
        "peers": [],
        "total_peers": 0,
    }
    body = http.get(f"/api/v1/webrtc/room/{meeting.number}/stats", headers=bob).json()
    assert (body["duration"], set(body["statistics"].values()), len(body["statistics"])) == (0, {0}, 12)
    assert body["created_at"] == "2025-10-05T12:00:00Z"


MUTED = {"audio_enabled": False, "video_enabled": True, "screen_sharing": False, "video_quality": "medium"}


def test_everybody_switches_for_themselves(http: Any, meeting: Meeting, bob: Headers, node: Any) -> None:
    node.publish(live_room(meeting, live_session("bob")))
    node.reply = Reply("ok", {"user_id": "bob", "media_state": MUTED})
    asked = {"audio_enabled": False, "video_enabled": True, "video_quality": "medium"}
    answer = http.post("/api/v1/webrtc/peer/peer-1/media", json=asked, headers=bob)
    body = answer.json()
    assert answer.status_code == 200
    assert body.pop("updated_at").endswith("Z")
    assert body == {"peer_id": "peer-1", "user_id": "bob", "media_state": MUTED}
    (command,) = node.commands
    assert command.kind == "set-media-state"
    assert command.data == {"meeting_number": meeting.number, "peer_id": "peer-1", **asked}


def test_the_creator_and_administrators_mute_and_never_unmute(
    http: Any, meeting: Meeting, alice: Headers, admin: Headers, node: Any
) -> None:
    node.publish(live_room(meeting, live_session("bob")))
    node.reply = Reply("ok", {"user_id": "bob", "media_state": MUTED})
    for headers in (alice, admin):
        muted = http.post("/api/v1/webrtc/peer/peer-1/media", json={"audio_enabled": False}, headers=headers)
        assert muted.status_code == 200
        for switch in ("audio_enabled", "video_enabled", "screen_sharing"):
            asked = {"audio_enabled": False} | {switch: True}
            answer = http.post("/api/v1/webrtc/peer/peer-1/media", json=asked, headers=headers)
            assert code(answer) == (403, "INSUFFICIENT_PERMISSIONS")
    assert len(node.commands) == 2


def test_others_may_not_mute(http: Any, meeting: Meeting, bearer: Bearer, node: Any, people: SimpleNamespace) -> None:
    node.publish(live_room(meeting, live_session("bob")))
    meetings.take_seat(meeting.meeting_id, "carol", "Carol", now=utcnow())
    off = {"audio_enabled": False}
    url = "/api/v1/webrtc/peer/peer-1/media"
    assert code(http.post(url, json=off, headers=bearer("carol"))) == (403, "INSUFFICIENT_PERMISSIONS")
    assert code(http.post(url, json=off, headers=people.stranger)) == (404, "RESOURCE_NOT_FOUND")
    missing = http.post("/api/v1/webrtc/peer/peer-2/media", json=off, headers=people.admin)
    assert code(missing) == (404, "RESOURCE_NOT_FOUND")
    assert node.commands == []


def test_a_peer_that_went_meanwhile(http: Any, meeting: Meeting, bob: Headers, node: Any) -> None:
    node.publish(live_room(meeting, live_session("bob")))
    node.reply = Reply("not-found")
    answer = http.post("/api/v1/webrtc/peer/peer-1/media", json={}, headers=bob)
    assert code(answer) == (404, "RESOURCE_NOT_FOUND")
    node.reply = Reply("refused")
    answer = http.post("/api/v1/webrtc/peer/peer-1/media", json={}, headers=bob)
    assert code(answer) == (409, "RESOURCE_CONFLICT")


def test_a_malformed_media_state(http: Any, meeting: Meeting, bob: Headers) -> None:
    for asked in ({"audio_enabled": "yes"}, {"video_enabled": 1}, {"video_quality": "best"}):
        answer = http.post("/api/v1/webrtc/peer/peer-1/media", json=asked, headers=bob)
        assert code(answer) == (400, "VALIDATION_ERROR")
        assert list(answer.json()["error"]["details"]) == list(asked)


def test_health_tells_what_is_live(http: Any, meeting: Meeting, node: Any) -> None:
    node.publish(live_room(meeting, live_session("bob")))
    body = http.get("/ws/signaling/health").json()
    expected = {"active_rooms": 1, "active_sessions": 1, "service": "signaling-service", "status": "ok"}
    assert body.items() >= expected.items()
