from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from functions.meetings.app import app
from meet import control
from meet.clock import utcnow
from meet.domain.meeting import MeetingRef
from meet.domain.recording import Recording
from meet.presence import RoomSnapshot
from meet.store import meetings, recordings
from meet.web.redis import patient_redis

MEETINGS = "/api/v1/meetings"
STANDUP = {
    "title": "Team Standup",
    "description": "Daily standup meeting",
    "start_time": "2025-10-05T14:00:00Z",
    "duration": 30,
    "max_participants": 2,
}

Headers = dict[str, str]
Bearer = Callable[..., Headers]


@pytest.fixture
def http(http_to: Callable[[Any], Any]) -> Any:
    return http_to(app)


@pytest.fixture
def alice(bearer: Bearer) -> Headers:
    return bearer("alice")


@pytest.fixture
def bob(bearer: Bearer) -> Headers:
    return bearer("bob")


@pytest.fixture
def admin(bearer: Bearer) -> Headers:
    return bearer("root", "admin")


@pytest.fixture
def standup(http: Any, alice: Headers) -> dict[str, Any]:
    """A meeting of Alice's."""
    answer = http.post(MEETINGS, json=STANDUP, headers=alice)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def path(meeting: dict[str, Any], *more: str) -> str:
    return "/".join([MEETINGS, meeting["meeting_id"], *more])


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def live(number: int, meeting_id: str) -> RoomSnapshot:
    return RoomSnapshot(number, meeting_id, "node-1", created_at="2025-10-05T14:00:00Z", total_messages=0)


# --- create


def test_create_answers_the_documented_body(http: Any, alice: Headers) -> None:
    answer = http.post(MEETINGS, json=STANDUP, headers=alice)
    body = answer.json()
    assert answer.status_code == 201
    assert body.items() >= (STANDUP | {"creator_id": "alice", "status": "scheduled"}).items()
    assert body["join_url"] == f"https://meet.example.org/meetings/{body['meeting_id']}/join"
    assert body["room_id"] == f"meeting-{body['meeting_number']}"
    assert body["current_participants"] == 0
    assert body["created_at"].endswith("Z")
    assert answer.headers["location"] == f"{MEETINGS}/{body['meeting_id']}"
    assert answer.headers["etag"] == '"1"'


def test_a_title_is_enough(http: Any, alice: Headers) -> None:
    body = http.post(MEETINGS, json={"title": "  Chat "}, headers=alice).json()
    assert (body["title"], body["description"], body["duration"], body["max_participants"]) == ("Chat", "", 60, 100)
    assert body["start_time"] == body["created_at"]


def test_encryption_is_off_until_it_is_asked_for(http: Any, alice: Headers) -> None:
    plain = http.post(MEETINGS, json=STANDUP, headers=alice).json()
    encrypted = http.post(MEETINGS, json=STANDUP | {"require_e2ee": True}, headers=alice).json()
    assert (plain["require_e2ee"], encrypted["require_e2ee"]) == (False, True)
    assert http.get(path(encrypted), headers=alice).json()["require_e2ee"]
    changed = http.put(path(encrypted), json={"require_e2ee": False}, headers=alice)
    assert (changed.status_code, changed.json()["require_e2ee"]) == (200, False)


def test_encryption_is_not_switched_while_somebody_is_there(http: Any, alice: Headers, bob: Headers) -> None:
    meeting = http.post(MEETINGS, json=STANDUP, headers=alice).json()
    http.post(path(meeting, "join"), headers=bob)
    assert code(http.put(path(meeting), json={"require_e2ee": True}, headers=alice)) == (409, "MEETING_IN_USE")
    assert http.put(path(meeting), json={"title": "Retro", "require_e2ee": False}, headers=alice).status_code == 200


def test_numbers_differ(http: Any, alice: Headers) -> None:
    numbers = {http.post(MEETINGS, json=STANDUP, headers=alice).json()["meeting_number"] for _ in range(3)}
    assert len(numbers) == 3


def test_a_malformed_field_is_named(http: Any, alice: Headers) -> None:
    answer = http.post(MEETINGS, json=STANDUP | {"title": "", "duration": "30"}, headers=alice)
    assert code(answer) == (400, "VALIDATION_ERROR")
    assert list(answer.json()["error"]["details"]) == ["title", "duration"]


def test_a_body_that_is_no_object(http: Any, alice: Headers) -> None:
    for body in ("", "[]", "null", "7", "{", '"x"'):
        answer = http.post(MEETINGS, content=body, headers=alice | {"Content-Type": "application/json"})
        assert code(answer) == (400, "VALIDATION_ERROR")


def test_an_idempotency_key_makes_one_meeting(http: Any, alice: Headers) -> None:
    keyed = alice | {"Idempotency-Key": "once"}
    first, second = (http.post(MEETINGS, json=STANDUP, headers=keyed) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert http.get(MEETINGS, headers=alice).json()["pagination"]["total"] == 1


# --- read


def test_whoever_is_signed_in_reads_it_in_each_spelling(http: Any, standup: dict[str, Any], bob: Headers) -> None:
    for spelling in (standup["meeting_id"], standup["meeting_number"], standup["room_id"]):
        answer = http.get(f"{MEETINGS}/{spelling}", headers=bob)
        assert (answer.status_code, answer.json()) == (200, standup)
        assert answer.headers["etag"] == '"1"'


def test_a_meeting_that_is_not_there(http: Any, bob: Headers) -> None:
    for meeting_id in ("999", "meeting-999", str(uuid4()), "nonsense", "٣", "1" * 900):
        for method, more in [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/join"), ("POST", "/leave")]:
            body = {} if method == "PUT" else None
            answer = http.request(method, f"{MEETINGS}/{meeting_id}{more}", json=body, headers=bob)
            assert code(answer) == (404, "RESOURCE_NOT_FOUND")


def test_everything_needs_a_token(http: Any, standup: dict[str, Any]) -> None:
    for method, url in [
        ("POST", MEETINGS),
        ("GET", MEETINGS),
        ("GET", path(standup)),
        ("PUT", path(standup)),
        ("DELETE", path(standup)),
        ("POST", path(standup, "join")),
        ("POST", path(standup, "leave")),
    ]:
        assert code(http.request(method, url)) == (401, "MISSING_TOKEN")


def test_health_is_no_meeting(http: Any) -> None:
    answer = http.get(f"{MEETINGS}/health")
    assert answer.status_code == 200
    assert answer.json().items() >= {"service": "meeting-service", "status": "ok"}.items()


# --- list


def test_a_meeting_that_is_recorded_says_so(http: Any, standup: dict[str, Any], alice: Headers, bob: Headers) -> None:
    now = utcnow()
    until = now + timedelta(seconds=45)
    other = http.post(MEETINGS, json=STANDUP, headers=alice).json()
    recording = Recording("r1", standup["meeting_id"], standup["meeting_number"], "bob", now, held_until=until)
    recordings.create(recording)
    assert http.get(path(standup), headers=bob).json()["is_recording"]
    assert not http.get(path(other), headers=bob).json()["is_recording"]
    listed = http.get(MEETINGS, headers=alice).json()["meetings"]
    assert {one["meeting_id"]: one["is_recording"] for one in listed} == {
        standup["meeting_id"]: True,
        other["meeting_id"]: False,
    }
    assert recordings.fail("r1", "No.", at=now)
    assert not http.get(path(standup), headers=bob).json()["is_recording"]


def test_the_list_has_mine_newest_first(http: Any, alice: Headers, bob: Headers) -> None:
    assert http.get(MEETINGS, headers=alice).json() == {
        "meetings": [],
        "pagination": {"page": 1, "page_size": 20, "total": 0, "pages": 0},
    }
    titles = ["one", "two", "three"]
    made = [http.post(MEETINGS, json={"title": title}, headers=alice).json() for title in titles]
    http.post(MEETINGS, json={"title": "Bob's"}, headers=bob)
    http.post(path(made[0], "join"), headers=bob)

    def listed(headers: Headers, query: str = "") -> tuple[list[str], dict[str, int]]:
        body = http.get(MEETINGS + query, headers=headers).json()
        return [meeting["title"] for meeting in body["meetings"]], body["pagination"]

    assert listed(alice) == (["three", "two", "one"], {"page": 1, "page_size": 20, "total": 3, "pages": 1})
    assert listed(bob)[0] == ["Bob's", "one"]
    assert listed(alice, "?page=2&page_size=2") == (["one"], {"page": 2, "page_size": 2, "total": 3, "pages": 2})
    assert listed(alice, "?status=in_progress")[0] == ["one"]
    assert listed(alice, "?status=scheduled&page_size=1")[1]["pages"] == 2
    assert listed(alice, "?status=")[1]["total"] == 3


def test_a_malformed_query(http: Any, alice: Headers) -> None:
    for query in ("page=0", "page=x", "page_size=101", "page_size=0", "status=begun"):
        assert code(http.get(f"{MEETINGS}?{query}", headers=alice)) == (400, "VALIDATION_ERROR")


# --- update


def test_update_changes_what_is_said(http: Any, standup: dict[str, Any], alice: Headers) -> None:
    answer = http.put(path(standup), json={"title": "Updated Team Standup", "duration": 45}, headers=alice)
    expected = standup | {"title": "Updated Team Standup", "duration": 45, "updated_at": answer.json()["updated_at"]}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert answer.headers["etag"] == '"2"'
    assert http.get(path(standup), headers=alice).json() == expected


def test_update_of_nothing_changes_nothing(http: Any, standup: dict[str, Any], alice: Headers) -> None:
    answer = http.put(path(standup), json={"title": None, "unheard_of": 1}, headers=alice)
    assert (answer.json(), answer.headers["etag"]) == (standup, '"1"')


def test_update_is_for_the_creator_and_administrators(
    http: Any, standup: dict[str, Any], bob: Headers, admin: Headers
) -> None:
    assert code(http.put(path(standup), json={"title": "Bob's"}, headers=bob)) == (403, "INSUFFICIENT_PERMISSIONS")
    assert http.put(path(standup), json={"title": "Root's"}, headers=admin).json()["title"] == "Root's"


def test_an_update_of_another_version_is_refused(http: Any, standup: dict[str, Any], alice: Headers) -> None:
    first = alice | {"If-Match": '"1"'}
    assert http.put(path(standup), json={"duration": 45}, headers=first).status_code == 200
    assert code(http.put(path(standup), json={"duration": 50}, headers=first)) == (412, "PRECONDITION_FAILED")
    assert http.get(path(standup), headers=alice).json()["duration"] == 45


def test_status_follows_the_table(http: Any, standup: dict[str, Any], alice: Headers) -> None:
    def to(status: str) -> Any:
        return http.put(path(standup), json={"status": status}, headers=alice)

    assert to("scheduled").json()["status"] == "scheduled"
    assert to("in_progress").json()["status"] == "in_progress"
    assert code(to("scheduled")) == (409, "RESOURCE_CONFLICT")
    assert to("ended").json()["status"] == "ended"
    assert to("ended").status_code == 200
    assert code(to("in_progress")) == (409, "RESOURCE_CONFLICT")
    assert code(to("over")) == (400, "VALIDATION_ERROR")


def test_ending_closes_the_room(http: Any, standup: dict[str, Any], alice: Headers, bob: Headers, node: Any) -> None:
    http.post(path(standup, "join"), headers=bob)
    node.publish(live(standup["meeting_number"], standup["meeting_id"]))
    body = http.put(path(standup), json={"status": "ended"}, headers=alice).json()
    assert (body["status"], body["current_participants"]) == ("ended", 0)
    (command,) = node.commands
    assert command.kind == "close-room"
    assert command.data == {"meeting_number": standup["meeting_number"], "reason": "meeting-ended"}
    assert code(http.post(path(standup, "join"), headers=bob)) == (409, "MEETING_ENDED")


# --- delete


def test_delete_takes_the_meeting_and_its_number(
    http: Any, standup: dict[str, Any], alice: Headers, bob: Headers
) -> None:
    assert code(http.delete(path(standup), headers=bob)) == (403, "INSUFFICIENT_PERMISSIONS")
    answer = http.delete(path(standup), headers=alice)
    assert (answer.status_code, answer.content) == (204, b"")
    for spelling in (standup["meeting_id"], standup["meeting_number"]):
        assert http.get(f"{MEETINGS}/{spelling}", headers=alice).status_code == 404
    assert http.delete(path(standup), headers=alice).status_code == 404
    assert http.get(MEETINGS, headers=alice).json()["meetings"] == []


def test_an_administrator_may_delete(http: Any, standup: dict[str, Any], admin: Headers) -> None:
    assert http.delete(path(standup), headers=admin).status_code == 204


def test_delete_closes_the_room(http: Any, standup: dict[str, Any], alice: Headers, node: Any) -> None:
    node.publish(live(standup["meeting_number"], standup["meeting_id"]))
    assert http.delete(path(standup), headers=alice).status_code == 204
    (command,) = node.commands
    assert (command.kind, command.data["reason"]) == ("close-room", "meeting-deleted")


def test_delete_holds_though_the_node_says_nothing(
    http: Any,
    standup: dict[str, Any],
    alice: Headers,
    node: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node.publish(live(standup["meeting_number"], standup["meeting_id"]))
    node.stop()
    patient = control.call
    monkeypatch.setattr(control, "call", lambda *asked, timeout_s: patient(*asked, timeout_s=timeout_s / 500))
    assert http.delete(path(standup), headers=alice).status_code == 204
    assert meetings.find(MeetingRef(uuid=standup["meeting_id"])) is None
    # What it was asked is still there for a node that is only slow.
    assert patient_redis().llen("control:node-1") == 1


# --- join and leave


def test_join_answers_the_documented_body(http: Any, standup: dict[str, Any], bob: Headers) -> None:
    answer = http.post(path(standup, "join"), headers=bob)
    body = answer.json()
    assert answer.status_code == 200
    assert body["meeting_id"] == standup["meeting_id"]
    assert body["signaling_url"] == "wss://meet.example.org/ws/signaling"
    assert body["ice_servers"] == [{"urls": ["stun:stun.l.google.com:19302"]}]
    assert (body["meeting_number"], body["room_id"]) == (standup["meeting_number"], standup["room_id"])
    assert http.post(path(standup, "join"), headers=bob).json() == body
    after = http.get(path(standup), headers=bob).json()
    assert (after["status"], after["current_participants"]) == ("in_progress", 1)


def test_join_with_turn(http: Any, standup: dict[str, Any], bob: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_TURN_URLS", "turn:turn.example.org")
    monkeypatch.setenv("MEET_TURN_SECRET", "north")
    from meet.config import settings

    settings.cache_clear()
    turn = http.post(path(standup, "join"), headers=bob).json()["ice_servers"][1]
    assert turn["urls"] == ["turn:turn.example.org"]
    assert turn["username"].endswith(":bob")
    assert turn["credential"]


def test_a_full_room(http: Any, standup: dict[str, Any], bearer: Bearer) -> None:
    first, second, third = (bearer(name) for name in ("first", "second", "third"))
    assert http.post(path(standup, "join"), headers=first).status_code == 200
    assert http.post(path(standup, "join"), headers=second).status_code == 200
    assert code(http.post(path(standup, "join"), headers=third)) == (409, "ROOM_FULL")
    assert http.post(path(standup, "join"), headers=second).status_code == 200
    assert http.post(path(standup, "leave"), headers=first).status_code == 200
    assert http.post(path(standup, "join"), headers=third).status_code == 200


def test_leave_tells_how_long_it_was(http: Any, standup: dict[str, Any], bob: Headers) -> None:
    meetings.take_seat(standup["meeting_id"], "bob", "bob", now=utcnow() - timedelta(seconds=1800), lease_s=3600)
    answer = http.post(path(standup, "leave"), headers=bob)
    assert answer.status_code == 200
    assert answer.json()["message"] == "Left meeting successfully"
    assert 1800 <= answer.json()["duration"] <= 1805
    again = http.post(path(standup, "leave"), headers=bob)
    assert (again.status_code, again.json()["duration"]) == (200, 0)


def test_leave_is_for_participants(http: Any, standup: dict[str, Any], alice: Headers, bob: Headers) -> None:
    for headers in (alice, bob):
        answer = http.post(path(standup, "leave"), headers=headers)
        assert code(answer) == (403, "INSUFFICIENT_PERMISSIONS")


def test_leave_takes_one_out_of_the_room(http: Any, standup: dict[str, Any], bob: Headers, node: Any) -> None:
    http.post(path(standup, "join"), headers=bob)
    node.publish(live(standup["meeting_number"], standup["meeting_id"]))
    assert http.post(path(standup, "leave"), headers=bob).status_code == 200
    (command,) = node.commands
    assert command.kind == "remove-participant"
    assert command.data == {"meeting_number": standup["meeting_number"], "user_id": "bob", "reason": "left"}
    assert http.get(path(standup), headers=bob).json()["current_participants"] == 0
