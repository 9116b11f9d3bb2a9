"""Recordings over REST: what is asked of the room's media process, who may do what, and what is answered when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

import functions.recordings.recordings
from functions.recordings import asking
from functions.recordings.app import app
from meet import completion, objects, queue, recordings
from meet.clock import utcnow
from meet.config import settings
from meet.control import Command, Kind, Reply
from meet.domain import capture
from meet.domain.job import Job
from meet.domain.media import Facts
from meet.domain.meeting import Meeting
from meet.domain.recording import Measured, RecordedTrack, Recording, RecordingStatus
from meet.errors import Unavailable
from meet.presence import RoomSnapshot
from meet.store import jobs, meetings, participants
from meet.store import recordings as store
from meet.store.base import transaction

API = "/api/v1/recording"
NOW = datetime(2025, 10, 5, 14, tzinfo=UTC)
ROOM = {"meeting_id": 123, "room_id": "meeting-123"}
MEASURED = Measured(60.5, 3_000_000, 2, 400_000, 900_000, 4, 1)
DONE = Measured(61.0, 3_100_000, 2, 410_000, 900_000, 4, 1)

Headers = dict[str, str]
Bearer = Callable[..., Headers]


@pytest.fixture
def http(http_to: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MEET_S3_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_RECORDING_WAIT_S", "0.05")
    settings.cache_clear()
    objects.ensure_bucket()
    return http_to(app)


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that were queued."""
    queued: list[Job] = []
    monkeypatch.setattr(queue, "send", queued.append)
    return queued


@pytest.fixture
def alice(bearer: Bearer) -> Headers:
    """The meeting's creator."""
    return bearer("alice")


@pytest.fixture
def bob(bearer: Bearer) -> Headers:
    """A participant."""
    return bearer("bob")


@pytest.fixture
def standup(http: Any) -> Meeting:
    """A meeting of Alice's, in which Bob and Carol took part."""
    meeting = Meeting(str(uuid4()), 123, "alice", "Standup", "", NOW, 30, 10, NOW, NOW)
    meetings.create(meeting)
    for user_id in ("bob", "carol"):
        participants.add(meeting.meeting_id, user_id, meeting_created_at=NOW, joined_at=NOW)
    return meeting


def room(**changes: Any) -> RoomSnapshot:
    return replace(RoomSnapshot(123, "m", "node-1", "2025-10-05T14:00:00Z", total_messages=0), **changes)


def obey(command: Command) -> None:
    """As a media process does: it changes the row before it replies."""
    recording_id, now = command.data["recording_id"], utcnow()
    match command.kind:
        case "start-recording":
            assert store.began(recording_id, at=now, until=now + timedelta(seconds=45))
        case "pause-recording":
            store.paused(recording_id)
        case "resume-recording":
            store.resumed(recording_id)
        case "stop-recording":
            recordings.finish(recording_id, at=now, measured=MEASURED)


@pytest.fixture
def live(standup: Meeting, node: Any) -> Any:
    """The media process that holds the meeting's room, in which somebody is."""
    node.obey = obey
    node.publish(room())
    return node


def start(http: Any, headers: Headers, **changes: Any) -> Any:
    body = {key: value for key, value in {**ROOM, **changes}.items() if value is not ...}
    return http.post(f"{API}/start", json=body, headers=headers)


def post(http: Any, verb: str, recording_id: str, headers: Headers) -> Any:
    return http.post(f"{API}/{verb}", json={"recording_id": recording_id}, headers=headers)


def status(http: Any, recording_id: str, headers: Headers) -> Any:
    return http.get(f"{API}/status/{recording_id}", headers=headers)


@pytest.fixture
def running(http: Any, live: Any, bob: Headers) -> str:
    """The id of a recording that Bob has started."""
    answer = start(http, bob)
    assert answer.status_code == 200, answer.text
    live.commands.clear()
    return str(answer.json()["recording_id"])


def compose(recording_id: str, *, fails: str = "") -> Recording:
    """What the worker does."""
    stopped = store.get(recording_id)
    assert stopped.job_id is not None
    job = jobs.claim(stopped.job_id, now=utcnow(), lease_s=60)
    assert job is not None
    if fails:
        assert jobs.fail(job, fails)
        return store.get(recording_id)
    prefix = capture.recording_prefix(recording_id)
    blob = objects.put_bytes(f"{prefix}files/1-x.mp4", b"composed", "video/mp4")
    sound = objects.put_bytes(f"{prefix}files/1-track-0.mkv", b"sound", "video/x-matroska")
    track = RecordedTrack("t0", "bob", "bob", "audio", "microphone", "opus", 0.5, 60.0, sound)
    done = stopped.completed(blob, "video/mp4", Facts(duration_s=60.96), (track,), DONE)
    with transaction() as write:
        store.finish_in(write, done)
    return done


@pytest.fixture
def completed(http: Any, running: str, bob: Headers) -> str:
    """The id of one whose file is there."""
    assert post(http, "stop", running, bob).status_code == 200
    compose(running)
    return running


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_recording_is_started_as_documented(http: Any, live: Any, bob: Headers) -> None:
    answer = start(http, bob, quality="high", layout="speaker", record_screen=False)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    recording_id = told["recording_id"]
    assert told == {
        "recording_id": recording_id,
        "meeting_id": 123,
        "room_id": "meeting-123",
        "status": "recording",
        "format": "mp4",
        "quality": "high",
        "layout": "speaker",
        "record_audio": True,
        "record_video": True,
        "record_screen": False,
        "started_by": "bob",
        "created_at": told["created_at"],
        "started_at": told["started_at"],
        "stopped_at": None,
        "duration": 0,
        "duration_s": 0.0,
        "file_size": 0,
        "estimated_size": 0,
        "participants": 0,
        "interrupted": False,
        "error": None,
        "output_path": f"/recordings/meeting-123/{recording_id}.mp4",
        "file_path": f"/recordings/meeting-123/{recording_id}.mp4",
        "download_url": f"https://meet.example.org{API}/download/{recording_id}",
    }
    assert datetime.fromisoformat(told["started_at"]) <= utcnow()
    [command] = live.commands
    assert (command.kind, command.data) == (
        "start-recording",
        {
            "meeting_number": 123,
            "recording_id": recording_id,
            "quality": "high",
            "audio": True,
            "video": True,
            "screen": False,
        },
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"format": "avi"}, "format"),
        ({"quality": "best"}, "quality"),
        ({"layout": "mosaic"}, "layout"),
        ({"record_audio": "yes"}, "record_audio"),
        ({"record_video": 1}, "record_video"),
        ({"record_screen": None}, "record_screen"),
        ({"meeting_id": ...}, "meeting_id"),
        ({"room_id": ...}, "room_id"),
        ({"room_id": "meeting-124"}, "room_id"),
        ({"meeting_id": "nonsense"}, "meeting_id"),
    ],
)
def test_what_is_no_order_for_a_recording(
    http: Any, live: Any, bob: Headers, changes: dict[str, Any], field: str
) -> None:
    answer = start(http, bob, **changes)
    assert error(answer) == (400, "VALIDATION_ERROR")
    assert {name.split(".")[0] for name in answer.json()["error"]["details"]} == {field}
    assert live.commands == []


def test_a_recording_of_nothing_is_refused(http: Any, live: Any, bob: Headers) -> None:
    answer = start(http, bob, record_audio=False, record_video=False, record_screen=False)
    assert error(answer) == (400, "VALIDATION_ERROR")
    assert live.commands == []


@pytest.mark.parametrize("named", [("123", 123), ("meeting-123", "meeting-123"), (123, "123")])
def test_a_room_has_many_names(http: Any, live: Any, bob: Headers, named: tuple[Any, Any]) -> None:
    assert start(http, bob, meeting_id=named[0], room_id=named[1]).status_code == 200


def test_who_may_record(http: Any, live: Any, bearer: Bearer, bob: Headers) -> None:
    assert error(start(http, {})) == (401, "MISSING_TOKEN")
    assert error(start(http, bearer("mallory"))) == (404, "RESOURCE_NOT_FOUND")
    assert error(start(http, bob, meeting_id=999, room_id="meeting-999")) == (404, "RESOURCE_NOT_FOUND")
    for caller in (bearer("alice"), bearer("carol"), bearer("root", "admin")):
        begun = start(http, caller)
        assert begun.status_code == 200
        assert post(http, "stop", begun.json()["recording_id"], bob).status_code == 200


def test_an_encrypted_meeting_is_not_recorded(http: Any, standup: Meeting, live: Any, bob: Headers) -> None:
    meetings.update(standup.meeting_id, lambda meeting: meeting.updated(at=utcnow(), require_e2ee=True))
    assert error(start(http, bob)) == (409, "MEETING_ENCRYPTED")


def test_an_empty_room_is_not_recorded(http: Any, standup: Meeting, node: Any, bob: Headers) -> None:
    assert error(start(http, bob)) == (409, "ROOM_EMPTY")
    assert store.every() == []
    node.publish(room())
    node.reply = Reply("not-found")
    assert error(start(http, bob)) == (409, "ROOM_EMPTY")
    [entry] = store.every()
    assert entry.status is RecordingStatus.FAILED
    assert store.running(standup.meeting_id) is None


def test_the_second_start_is_told_of_the_first(http: Any, running: str, bearer: Bearer) -> None:
    answer = start(http, bearer("carol"))
    assert error(answer) == (409, "RECORDING_IN_PROGRESS")
    assert answer.json()["error"]["details"] == running
    assert len(store.every()) == 1


def test_one_whose_media_process_is_gone_is_no_hindrance(
    http: Any, running: str, live: Any, bob: Headers, sent: list[Job]
) -> None:
    assert store.renew(running, MEASURED, until=utcnow() - timedelta(seconds=1))
    answer = start(http, bob)
    assert answer.status_code == 200
    assert answer.json()["recording_id"] != running
    left = store.get(running)
    assert (left.status, left.interrupted, left.job_id) == ("pending", True, sent[0].job_id)


def test_a_media_process_that_refuses(http: Any, standup: Meeting, live: Any, bob: Headers) -> None:
    live.obey = lambda _: None
    live.reply = Reply("refused", {"reason": "This machine has as many recordings as it can take"})
    answer = start(http, bob)
    assert error(answer) == (503, "SERVICE_UNAVAILABLE")
    assert "as many" in answer.json()["error"]["message"]
    [entry] = store.every()
    assert "as many" in str(store.get(entry.recording_id).error)
    assert store.running(standup.meeting_id) is None


def test_a_media_process_that_says_nothing(
    http: Any, standup: Meeting, live: Any, bob: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it reads the command after all, there is nothing to begin."""
    live.stop()
    monkeypatch.setattr(asking.ask, "__kwdefaults__", {"timeout_s": 0.05})
    assert error(start(http, bob)) == (503, "SERVICE_UNAVAILABLE")
    [entry] = store.every()
    now = utcnow()
    assert store.began(entry.recording_id, at=now, until=now + timedelta(seconds=45)) is None
    assert store.running(standup.meeting_id) is None


def test_a_media_process_that_is_only_slow_to_say_so(
    http: Any, live: Any, bob: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin_and_be_silent(_: int, kind: Kind, **data: Any) -> None:
        obey(Command(kind, data))
        raise Unavailable

    monkeypatch.setattr(functions.recordings.recordings, "ask", begin_and_be_silent)
    answer = start(http, bob)
    assert (answer.status_code, answer.json()["status"]) == (200, "recording")


def test_it_is_paused_and_resumed(http: Any, running: str, live: Any, bearer: Bearer, bob: Headers) -> None:
    for _ in range(2):
        assert post(http, "pause", running, bob).json()["status"] == "paused"
    assert status(http, running, bob).json()["status"] == "paused"
    for _ in range(2):
        assert post(http, "resume", running, bob).json()["status"] == "recording"
    assert [command.kind for command in live.commands] == ["pause-recording"] * 2 + ["resume-recording"] * 2
    for verb in ("pause", "resume", "stop"):
        assert error(post(http, verb, running, bearer("mallory"))) == (404, "RESOURCE_NOT_FOUND")
        assert error(post(http, verb, "never-there", bob)) == (404, "RESOURCE_NOT_FOUND")
        assert error(http.post(f"{API}/{verb}", json={}, headers=bob)) == (400, "VALIDATION_ERROR")


def test_what_is_over_is_neither_paused_nor_resumed(http: Any, completed: str, bob: Headers) -> None:
    for verb in ("pause", "resume"):
        assert error(post(http, verb, completed, bob)) == (409, "RECORDING_OVER")


def test_a_stop_that_is_quick_has_the_file(
    http: Any, running: str, redis: Redis, bob: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEET_RECORDING_WAIT_S", "20")
    settings.cache_clear()

    def work(job: Job) -> None:
        compose(running)
        completion.announce(redis, job.job_id)

    monkeypatch.setattr(queue, "send", work)
    told = post(http, "stop", running, bob).json()
    assert (told["status"], told["progress"], told["file_size"]) == ("completed", 100, len(b"composed"))
    assert (told["duration"], told["duration_s"]) == (61, 60.96)
    assert datetime.fromisoformat(told["stopped_at"]) >= datetime.fromisoformat(told["started_at"])
    assert told["file_path"] == f"/recordings/meeting-123/{running}.mp4"
    assert told["download_url"] == f"https://meet.example.org{API}/download/{running}"
    [track] = told["tracks"]
    assert track == {
        "track_id": "t0",
        "user_id": "bob",
        "username": "bob",
        "kind": "audio",
        "source": "microphone",
        "codec": "opus",
        "begins_s": 0.5,
        "duration_s": 60.0,
        "file_size": 5,
        "mime_type": "video/x-matroska",
        "download_url": f"https://meet.example.org{API}/download/{running}/tracks/0",
    }


def test_a_stop_whose_file_takes_longer_is_pending(http: Any, running: str, bob: Headers, sent: list[Job]) -> None:
    for _ in range(2):
        told = post(http, "stop", running, bob).json()
        assert (told["status"], told["progress"], told["file_size"]) == ("pending", 0, MEASURED.size)
    assert len({job.job_id for job in sent}) == 1
    job = jobs.claim(sent[0].job_id, now=utcnow(), lease_s=60)
    assert job is not None
    assert jobs.renew(job, progress=40, until=utcnow() + timedelta(seconds=60))
    assert status(http, running, bob).json()["progress"] == 40


def test_a_stop_that_comes_again_finds_what_became_of_it(http: Any, completed: str, bob: Headers) -> None:
    assert post(http, "stop", completed, bob).json()["status"] == "completed"


def test_a_stop_whose_media_process_is_gone(
    http: Any, running: str, live: Any, bob: Headers, sent: list[Job]
) -> None:
    live.obey = lambda _: None
    live.reply = Reply("not-found")
    told = post(http, "stop", running, bob).json()
    assert (told["status"], told["interrupted"]) == ("pending", True)
    assert len(sent) == 1


def test_what_is_about_to_begin_is_not_stopped(http: Any, standup: Meeting, live: Any, bob: Headers) -> None:
    live.obey = lambda _: None
    live.reply = Reply("not-found")
    now = utcnow()
    store.create(Recording("r1", standup.meeting_id, 123, "bob", now, held_until=now + timedelta(seconds=45)))
    assert error(post(http, "stop", "r1", bob)) == (409, "RECORDING_STARTING")
    assert store.get("r1").is_live


def test_a_stop_that_nobody_answers_changes_nothing(
    http: Any, running: str, live: Any, bob: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.stop()
    monkeypatch.setattr(functions.recordings.recordings, "LEAST_STOP_S", 0.05)
    assert error(post(http, "stop", running, bob)) == (503, "SERVICE_UNAVAILABLE")
    assert store.get(running).is_live


def test_the_status_of_what_goes_on_is_what_its_room_publishes(
    http: Any, running: str, live: Any, bob: Headers
) -> None:
    """But its status is the row's: a second ago it was published as it was a second ago."""
    assert post(http, "pause", running, bob).status_code == 200
    published = {"kind": "recording", "id": running, "status": "recording", "stats": asdict(MEASURED)}
    live.publish(room(egress=[{"kind": "stream", "id": "other", "status": "streaming", "stats": {}}, published]))
    told = status(http, running, bob).json()
    assert (told["status"], told["duration"], told["duration_s"]) == ("paused", 60, 60.5)
    assert (told["file_size"], told["participants"]) == (3_000_000, 2)
    assert told["quality_metrics"] == {
        "average_bitrate": 400_000,
        "peak_bitrate": 900_000,
        "dropped_frames": 4,
        "encoding_errors": 1,
    }
    assert http.get(f"{API}/health").json()["active_recordings"] == 1


def test_why_there_is_no_file_is_said(http: Any, running: str, bob: Headers) -> None:
    post(http, "stop", running, bob)
    compose(running, fails="Nothing was sent while it was recorded.")
    told = status(http, running, bob).json()
    assert (told["status"], told["error"]) == ("failed", "Nothing was sent while it was recorded.")
    assert told["tracks"] == []


def test_a_list_is_of_what_one_may_know_of(http: Any, completed: str, live: Any, bearer: Bearer) -> None:
    other = start(http, bearer("carol")).json()["recording_id"]

    def ids(headers: Headers, query: str = "") -> list[str]:
        answer = http.get(f"{API}/list{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [one["recording_id"] for one in answer.json()["recordings"]]

    everybody = [other, completed]
    for caller in (bearer("alice"), bearer("bob"), bearer("root", "admin")):
        assert ids(caller) == everybody
    assert ids(bearer("mallory")) == ids(bearer("mallory"), "?meeting_id=123") == []
    bob = bearer("bob")
    assert ids(bob, "?status=completed") == [completed]
    assert ids(bob, "?status=failed") == []
    assert ids(bob, "?meeting_id=meeting-123&status=recording") == [other]
    assert ids(bob, "?meeting_id=124") == []
    assert ids(bob, "?page_size=1&page=2") == [completed]
    page = http.get(f"{API}/list?page_size=1", headers=bob).json()["pagination"]
    assert page == {"page": 1, "page_size": 1, "total": 2, "pages": 2}
    for query in ("?status=done", "?page=0", "?page_size=101", "?meeting_id=x"):
        assert error(http.get(f"{API}/list{query}", headers=bob)) == (400, "VALIDATION_ERROR")
    assert error(http.get(f"{API}/list")) == (401, "MISSING_TOKEN")


def test_the_recordings_of_a_deleted_meeting_are_their_owners(
    http: Any, completed: str, standup: Meeting, bearer: Bearer
) -> None:
    meetings.delete(standup)
    assert status(http, completed, bearer("bob")).status_code == 200
    assert error(status(http, completed, bearer("alice"))) == (404, "RESOURCE_NOT_FOUND")
    answer = http.get(f"{API}/list?meeting_id=123", headers=bearer("bob")).json()
    assert [one["recording_id"] for one in answer["recordings"]] == [completed]


def test_a_deleted_one_leaves_nothing(http: Any, completed: str, bearer: Bearer) -> None:
    url = f"{API}/{completed}"
    assert error(http.delete(url, headers=bearer("mallory"))) == (404, "RESOURCE_NOT_FOUND")
    assert error(http.delete(url, headers=bearer("carol"))) == (403, "INSUFFICIENT_PERMISSIONS")
    answer = http.delete(url, headers=bearer("alice"))
    assert answer.status_code == 200
    assert answer.json() == {"message": "Recording deleted successfully", "recording_id": completed}
    assert list(objects.every("")) == []
    assert error(http.delete(url, headers=bearer("alice"))) == (404, "RESOURCE_NOT_FOUND")
    assert error(status(http, completed, bearer("bob"))) == (404, "RESOURCE_NOT_FOUND")


def test_what_goes_on_is_not_deleted(http: Any, running: str, bob: Headers) -> None:
    assert error(http.delete(f"{API}/{running}", headers=bob)) == (409, "RECORDING_IN_PROGRESS")
    assert store.get(running).is_live


def test_who_deletes_what_is_being_made_cancels_its_job(
    http: Any, running: str, bob: Headers, sent: list[Job]
) -> None:
    post(http, "stop", running, bob)
    job = jobs.claim(sent[0].job_id, now=utcnow(), lease_s=60)
    assert job is not None
    assert http.delete(f"{API}/{running}", headers=bob).status_code == 200
    assert store.find(running) is None
    assert jobs.get(job.job_id).status == "cancelled"


def test_objects_that_can_not_be_deleted_now_are_left_to_the_sweeper(
    http: Any, completed: str, bob: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(objects, "delete_many", away)
    assert http.delete(f"{API}/{completed}", headers=bob).status_code == 200
    assert store.find(completed) is None


def test_metrics_are_the_services(http: Any, bob: Headers) -> None:
    http.get(f"{API}/list", headers=bob)
    answer = http.get(f"{API}/metrics")
    assert answer.status_code == 200
    assert 'endpoint="/api/v1/recording/list",method="GET",service="media-service"' in answer.text
