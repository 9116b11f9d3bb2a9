"""Live streams over REST: what is asked of the room's media process, who may see what, and how each ends."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from redis.exceptions import RedisError

from functions.recordings.app import app
from meet import audience, egress_url
from meet.clock import utcnow
from meet.control import Reply
from meet.domain.meeting import Meeting
from meet.domain.stream import Aired, Picture, Stream, StreamStatus
from meet.errors import Unavailable
from meet.presence import RoomSnapshot
from meet.store import meetings, participants, streams

API = "/api/v1/streaming"
NOW = datetime(2025, 10, 5, 14, tzinfo=UTC)
URL = "rtmp://live.example.com/app/stream-key"
ROOM = {"meeting_id": 123, "room_id": "meeting-123"}

Headers = dict[str, str]
Bearer = Callable[..., Headers]


@pytest.fixture
def http(http_to: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    def resolved(host: str, port: int) -> list[str]:
        if host == "nowhere.example.com":
            raise socket.gaierror("no such name")
        return ["10.0.0.7" if host == "inside.example.com" else "93.184.215.14"]

    monkeypatch.setattr(egress_url.checked, "__defaults__", (resolved,))
    return http_to(app)


@pytest.fixture
def standup(http: Any) -> Meeting:
    """A meeting of Alice's, in which Bob took part."""
    meeting = Meeting(str(uuid4()), 123, "alice", "Standup", "", NOW, 30, 10, NOW, NOW)
    meetings.create(meeting)
    participants.add(meeting.meeting_id, "bob", meeting_created_at=NOW, joined_at=NOW)
    return meeting


def room(**changes: Any) -> RoomSnapshot:
    return replace(RoomSnapshot(123, "m", "node-1", "2025-10-05T14:00:00Z", total_messages=0), **changes)


@pytest.fixture
def live(standup: Meeting, node: Any) -> Any:
    """The media process that holds the meeting's room, in which somebody is."""
    node.publish(room())
    return node


def running(meeting: Meeting, **changes: Any) -> Stream:
    """A stream that Bob started, and that runs since a minute."""
    now = utcnow().replace(microsecond=0)
    stream = Stream(
        stream_id=str(uuid4()),
        meeting_id=meeting.meeting_id,
        meeting_number=meeting.number,
        owner_id="bob",
        created_at=now - timedelta(seconds=61),
        stream_type="rtmp",
        picture=Picture.of("medium"),
        rtmp_url=URL,
        held_until=now + timedelta(seconds=45),
    )
    stream = replace(stream, **changes)
    streams.create(stream)
    begun = streams.became(
        stream.stream_id,
        StreamStatus.STREAMING,
        at=now - timedelta(seconds=60),
        until=now + timedelta(seconds=45),
    )
    assert begun is not None
    return begun


def start(http: Any, headers: Headers, **changes: Any) -> Any:
    body = {**ROOM, "stream_type": "rtmp", "rtmp_url": URL, **changes}
    return http.post(f"{API}/start", json={k: v for k, v in body.items() if v is not ...}, headers=headers)


def test_a_stream_is_started_as_documented(http: Any, bearer: Bearer, live: Any) -> None:
    answer = start(http, bearer("bob"), quality="high")
    assert answer.status_code == 200, answer.text
    stream_id = answer.json()["stream_id"]
    assert answer.json() == {
        "stream_id": stream_id,
        "meeting_id": 123,
        "room_id": "meeting-123",
        "stream_type": "rtmp",
        "status": "starting",  # this test's media process writes nothing
        "rtmp_url": URL,
        "hls_url": f"https://meet.example.org{API}/hls/{stream_id}/playlist.m3u8",
        "dash_url": f"https://meet.example.org{API}/dash/{stream_id}/manifest.mpd",
        "quality": "high",
        "bitrate": 4_500_000,
        "resolution": "1920x1080",
        "started_at": answer.json()["started_at"],
        "viewers": 0,
    }
    [command] = live.commands
    assert (command.kind, command.data) == (
        "start-stream",
        {
            "meeting_number": 123,
            "stream_id": stream_id,
            "stream_type": "rtmp",
            "rtmp_url": URL,
            "width": 1920,
            "height": 1080,
            "bitrate_bps": 4_500_000,
            "frame_rate": 30,
        },
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"stream_type": "srt"}, "stream_type"),
        ({"stream_type": ...}, "stream_type"),
        ({"meeting_id": ...}, "meeting_id"),
        ({"meeting_id": 0}, "meeting_id"),
        ({"meeting_id": True}, "meeting_id"),
        ({"room_id": ...}, "room_id"),
        ({"room_id": "meeting-124"}, "room_id"),
        ({"room_id": str(uuid4())}, "room_id"),
        ({"rtmp_url": ...}, "rtmp_url"),
        ({"rtmp_url": ""}, "rtmp_url"),
        ({"rtmp_url": 7}, "rtmp_url"),
        ({"stream_type": "hls"}, "rtmp_url"),
        ({"rtmp_url": "https://live.example.com/app/key"}, "rtmp_url"),
        ({"rtmp_url": "rtmp://inside.example.com/app/key"}, "rtmp_url"),
        ({"rtmp_url": "rtmp://nowhere.example.com/app/key"}, "rtmp_url"),
        ({"quality": "ultra"}, "quality"),
        ({"bitrate": 99_999}, "bitrate"),
        ({"bitrate": 20_000_001}, "bitrate"),
        ({"bitrate": "2000000"}, "bitrate"),
        ({"resolution": "720p"}, "resolution"),
        ({"resolution": "1921x1080"}, "resolution"),
        ({"resolution": "64x64"}, "resolution"),
        ({"resolution": "3840x2160"}, "resolution"),
        ({"resolution": "1280x720\n"}, "resolution"),
        ({"resolution": "١٢٨٠x720"}, "resolution"),
    ],
)
def test_what_cannot_be_streamed_is_refused_by_name(
    http: Any, bearer: Bearer, live: Any, changes: dict[str, Any], field: str
) -> None:
    answer = start(http, bearer("alice"), **changes)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert set(error["details"]) == {field}
    assert "stream-key" not in answer.text
    assert live.commands == []
    assert streams.every() == []


def test_picture_and_names_may_be_chosen(http: Any, bearer: Bearer, standup: Meeting, live: Any) -> None:
    answer = start(
        http,
        bearer("alice"),
        stream_type="hls",
        rtmp_url=None,
        meeting_id=standup.meeting_id,
        room_id="123",
        bitrate=800_000,
        resolution="640x360",
    )
    assert answer.status_code == 200, answer.text
    assert (answer.json()["bitrate"], answer.json()["resolution"]) == (800_000, "640x360")
    assert answer.json()["rtmp_url"] is None
    assert "rtmp_url" not in live.commands[0].data


def test_strangers_do_not_know_of_the_room(http: Any, bearer: Bearer, live: Any) -> None:
    assert start(http, bearer("mallory")).status_code == 404
    assert start(http, {}).status_code == 401
    assert start(http, bearer("bob"), meeting_id=9, room_id="meeting-9").status_code == 404


def test_what_is_encrypted_end_to_end_is_not_streamed(http: Any, bearer: Bearer, live: Any) -> None:
    meetings.create(
        Meeting(str(uuid4()), 9, "alice", "Secret", "", NOW, 30, 10, NOW, NOW, require_e2ee=True),
    )
    answer = start(http, bearer("alice"), meeting_id=9, room_id="meeting-9")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "MEETING_ENCRYPTED")


def test_nobody_in_the_room(http: Any, bearer: Bearer, standup: Meeting, node: Any) -> None:
    answer = start(http, bearer("alice"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ROOM_EMPTY")
    assert streams.every() == []
    node.publish(room())
    node.reply = Reply("not-found")  # the last one left at that moment
    assert start(http, bearer("alice")).json()["error"]["code"] == "ROOM_EMPTY"
    [left] = streams.every()
    assert left.status is StreamStatus.FAILED


def test_the_second_start_of_the_same_is_told_of_the_first(http: Any, bearer: Bearer, live: Any) -> None:
    first = start(http, bearer("bob")).json()["stream_id"]
    answer = start(http, bearer("alice"))
    assert (answer.status_code, answer.json()["error"]["details"]) == (409, first)
    assert start(http, bearer("alice"), stream_type="dash", rtmp_url=...).status_code == 200
    assert start(http, bearer("alice"), rtmp_url=URL + "-2").status_code == 200


def test_a_media_process_that_refuses_says_why(http: Any, bearer: Bearer, live: Any) -> None:
    live.reply = Reply("refused", {"reason": "8 recordings and streams are running already"})
    answer = start(http, bearer("alice"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.json()["error"]["message"] == "8 recordings and streams are running already"
    live.reply = Reply("ok")
    assert start(http, bearer("alice")).status_code == 200


@pytest.mark.parametrize("began", [True, False])
def test_a_media_process_that_is_slow_is_no_failure(
    http: Any, bearer: Bearer, live: Any, monkeypatch: pytest.MonkeyPatch, began: bool
) -> None:
    def slow(meeting_number: int, kind: str, **data: Any) -> None:
        if began:
            until = utcnow() + timedelta(seconds=45)
            streams.became(data["stream_id"], StreamStatus.STREAMING, at=utcnow(), until=until)
        raise Unavailable("The room's media process did not answer in time.")

    monkeypatch.setattr("functions.recordings.streams.ask_room", slow)
    answer = start(http, bearer("alice"))
    assert (answer.status_code, answer.json()["status"]) == (200, "streaming" if began else "starting")


def test_where_redis_is_away_there_is_no_stream(
    http: Any, bearer: Bearer, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(meeting_number: int, kind: str, **data: Any) -> None:
        raise RedisError("it is away")

    monkeypatch.setattr("functions.recordings.streams.ask_room", away)
    assert start(http, bearer("alice")).status_code == 503
    [left] = streams.every()
    assert left.status is StreamStatus.FAILED


def test_a_stream_is_stopped_as_documented(
    http: Any, bearer: Bearer, redis: Redis, standup: Meeting, live: Any
) -> None:
    stream = running(standup)
    redis.zadd(f"viewers:{stream.stream_id}", {"a": utcnow().timestamp()})
    redis.pfadd(f"watched:{stream.stream_id}", "a", "b", "c")
    redis.set(f"peak:{stream.stream_id}", 2)
    answer = http.post(f"{API}/stop", json={"stream_id": stream.stream_id}, headers=bearer("alice"))
    assert answer.status_code == 200, answer.text
    assert live.commands[0].kind == "stop-stream"
    assert live.commands[0].data == {"meeting_number": 123, "stream_id": stream.stream_id}
    said = answer.json()
    assert 60 <= said.pop("duration") <= 75
    assert said == {
        "stream_id": stream.stream_id,
        "meeting_id": 123,
        "status": "stopped",
        "started_at": said["started_at"],
        "stopped_at": said["stopped_at"],
        "total_viewers": 3,
        "peak_viewers": 2,
        "error": None,
    }
    again = http.post(f"{API}/stop", json={"stream_id": stream.stream_id}, headers=bearer("alice"))
    assert again.json() == answer.json()
    assert len(live.commands) == 1


@pytest.mark.parametrize("what", ["gone", "unknown"])
def test_a_stream_whose_media_process_is_gone_is_stopped_all_the_same(
    http: Any, bearer: Bearer, standup: Meeting, node: Any, what: str
) -> None:
    if what == "unknown":
        node.publish(room())
        node.reply = Reply("not-found")
    stream = running(standup)
    answer = http.post(f"{API}/stop", json={"stream_id": stream.stream_id}, headers=bearer("bob"))
    assert (answer.status_code, answer.json()["status"]) == (200, "stopped")
    assert streams.get(stream.stream_id).status is StreamStatus.STOPPED


def test_a_media_process_that_is_slow_to_end_it_was_told_all_the_same(
    http: Any, bearer: Bearer, standup: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(meeting_number: int, kind: str, **data: Any) -> None:
        raise Unavailable("The room's media process did not answer in time.")

    monkeypatch.setattr("functions.recordings.streams.ask", slow)
    stream = running(standup)
    answer = http.post(f"{API}/stop", json={"stream_id": stream.stream_id}, headers=bearer("bob"))
    assert (answer.status_code, answer.json()["status"]) == (200, "stopped")


def test_one_that_failed_says_so_when_it_is_stopped(http: Any, bearer: Bearer, standup: Meeting) -> None:
    stream = running(standup)
    streams.fail(stream.stream_id, "The server was away for 2 minutes", at=utcnow())
    answer = http.post(f"{API}/stop", json={"stream_id": stream.stream_id}, headers=bearer("bob"))
    assert answer.json()["status"] == "failed"
    assert answer.json()["error"] == "The server was away for 2 minutes"


def test_the_status_is_what_the_room_says_now(
    http: Any, bearer: Bearer, redis: Redis, standup: Meeting, live: Any
) -> None:
    stream = running(standup)
    streams.renew(stream.stream_id, Aired(1, 1.0, 1, 1), until=utcnow() + timedelta(seconds=45))
    said = {
        "kind": "stream",
        "id": stream.stream_id,
        "status": "reconnecting",
        "stats": {"bitrate_bps": 2_400_000, "frame_rate": 29.97, "dropped_frames": 5, "errors": 0, "newer": "?"},
    }
    live.publish(room(egress=[{"kind": "recording", "id": "r"}, said]))
    redis.zadd(f"viewers:{stream.stream_id}", {"a": utcnow().timestamp(), "b": 0})
    answer = http.get(f"{API}/status/{stream.stream_id}", headers=bearer("bob")).json()
    assert answer["status"] == "reconnecting"
    assert answer["quality_metrics"] == {
        "bitrate": 2_400_000,
        "frame_rate": 30,
        "fps": 29.97,
        "resolution": "1280x720",
        "dropped_frames": 5,
        "encoding_errors": 0,
    }
    assert 60 <= answer["duration"] <= 75
    assert answer["current_viewers"] == 1
    health = http.get(f"{API}/health")
    assert health.json()["active_streams"] == 1


def test_the_stream_key_is_the_owners_alone(http: Any, bearer: Bearer, standup: Meeting) -> None:
    stream = running(standup)
    path = f"{API}/status/{stream.stream_id}"
    assert http.get(path, headers=bearer("bob")).json()["rtmp_url"] == URL
    for caller in (bearer("alice"), bearer("root", "admin")):
        assert http.get(path, headers=caller).json()["rtmp_url"] == "rtmp://live.example.com/app/***"
    for caller in (bearer("bob"), bearer("root", "admin")):
        listed = http.get(f"{API}/list", headers=caller)
        assert listed.json()["streams"][0]["rtmp_url"] == "rtmp://live.example.com/app/***"
        assert "stream-key" not in listed.text


@pytest.mark.parametrize("stream_id", ["nonsense", "x" * 3000, str(uuid4())])
def test_what_is_no_stream(http: Any, bearer: Bearer, stream_id: str) -> None:
    assert http.get(f"{API}/status/{stream_id}", headers=bearer("bob")).status_code == 404
    answer = http.post(f"{API}/stop", json={"stream_id": stream_id}, headers=bearer("bob"))
    assert answer.status_code == (400 if len(stream_id) > 128 else 404)


def test_strangers_see_no_streams(http: Any, bearer: Bearer, standup: Meeting) -> None:
    stream = running(standup)
    for path in (f"{API}/status/{stream.stream_id}", f"{API}/status/nonsense"):
        assert http.get(path, headers=bearer("mallory")).status_code == 404
    body = {"stream_id": stream.stream_id}
    assert http.post(f"{API}/stop", json=body, headers=bearer("mallory")).status_code == 404
    assert http.get(f"{API}/list", headers=bearer("mallory")).json()["streams"] == []


def test_the_list_has_what_goes_on_unless_it_is_asked_for_more(http: Any, bearer: Bearer, standup: Meeting) -> None:
    over = running(standup)
    streams.stop(over.stream_id, at=utcnow(), total_viewers=9, peak_viewers=4)
    first = running(standup)
    second = running(standup, stream_type="hls", rtmp_url=None, owner_id="alice", created_at=utcnow())

    def listed(**query: Any) -> list[str]:
        answer = http.get(f"{API}/list", params=query, headers=bearer("bob"))
        assert answer.status_code == 200, answer.text
        return [stream["stream_id"] for stream in answer.json()["streams"]]

    assert listed() == [second.stream_id, first.stream_id]
    assert listed(status="streaming") == [second.stream_id, first.stream_id]
    assert listed(status="stopped") == [over.stream_id]
    assert listed(stream_type="rtmp") == [first.stream_id]
    assert listed(user_id="alice") == [second.stream_id]
    assert listed(meeting_id="meeting-123", page_size=1, page=2) == [first.stream_id]
    assert listed(meeting_id="meeting-9") == []
    assert http.get(f"{API}/list?status=paused", headers=bearer("bob")).status_code == 400


def test_an_empty_list_is_as_documented(http: Any, bearer: Bearer) -> None:
    answer = http.get(f"{API}/list", headers=bearer("bob")).json()
    assert answer == {
        "filters": {"status": "", "stream_type": "", "user_id": "", "meeting_id": ""},
        "message": "Streams retrieved successfully",
        "pagination": {"page": 1, "page_size": 20, "total": 0, "pages": 0},
        "streams": [],
    }


def test_viewers_are_of_the_last_moments(http: Any, bearer: Bearer, redis: Redis, standup: Meeting) -> None:
    stream = running(standup)
    redis.zadd(f"viewers:{stream.stream_id}", {"gone": utcnow().timestamp() - audience.WINDOW_S - 1})
    answer = http.get(f"{API}/status/{stream.stream_id}", headers=bearer("bob")).json()
    assert answer["current_viewers"] == 0


def test_metrics_are_those_of_the_service(http: Any) -> None:
    answer = http.get(f"{API}/metrics")
    assert answer.status_code == 200
    assert "http_requests_total" in answer.text
