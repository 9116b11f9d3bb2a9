"""What is told of files, to whom, and what is left when one is deleted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from functions.media.app import app
from meet import objects
from meet.clock import utcnow
from meet.domain.media import Blob, Facts, FileType, MediaFile, MediaStatus
from meet.domain.meeting import Meeting
from meet.errors import Unavailable
from meet.store import media, meetings, participants

MEDIA = "/api/v1/media"
NOW = datetime(2025, 10, 5, 14, 30, tzinfo=UTC)

Headers = dict[str, str]
Bearer = Callable[..., Headers]


@pytest.fixture
def http(http_to: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MEET_S3_ENDPOINT_URL", "")
    objects.ensure_bucket()
    return http_to(app)


@pytest.fixture
def standup(http: Any) -> Meeting:
    """A meeting of Alice's, in which Bob took part."""
    meeting = Meeting(str(uuid4()), 123, "alice", "Standup", "", NOW, 30, 10, NOW, NOW)
    meetings.create(meeting)
    participants.add(meeting.meeting_id, "bob", meeting_created_at=NOW, joined_at=NOW)
    return meeting


def stored(owner_id: str, meeting: Meeting | None = None, **changes: Any) -> MediaFile:
    """A video with its bytes in the bucket."""
    media_id = str(uuid4())
    key = objects.upload_key(media_id)
    file = MediaFile(
        media_id=media_id,
        owner_id=owner_id,
        filename="video.mp4",
        file_type=FileType.VIDEO,
        mime_type="video/mp4",
        uploaded_at=NOW,
        blob=objects.put_bytes(key, b"moov", "video/mp4"),
        thumbnail=objects.put_bytes(objects.thumbnail_key(key), b"jpeg", "image/jpeg"),
        facts=Facts(1799.6, 1920, 1080, 2_500_000, "h264", "aac", 29.97),
        meeting_id=meeting.meeting_id if meeting else None,
        meeting_number=meeting.number if meeting else None,
        description="Meeting recording",
    )
    file = replace(file, **changes)
    media.create(file)
    return file


def listed(http: Any, headers: Headers, **query: Any) -> list[str]:
    answer = http.get(MEDIA, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return [file["media_id"] for file in answer.json()["data"]["media_files"]]


@pytest.mark.parametrize("path", ["/info/", "/"])
def test_a_file_is_answered_as_documented(http: Any, bearer: Bearer, standup: Meeting, path: str) -> None:
    file = stored("alice", standup)
    media.touched(file.media_id, 15, NOW + timedelta(hours=2))
    answer = http.get(MEDIA + path + file.media_id, headers=bearer("alice"))
    assert answer.json() == {
        "media_id": file.media_id,
        "status": "ready",
        "filename": "video.mp4",
        "file_type": "video",
        "size": 4,
        "mime_type": "video/mp4",
        "duration": 1800,
        "duration_s": 1799.6,
        "resolution": "1920x1080",
        "width": 1920,
        "height": 1080,
        "bitrate": 2_500_000,
        "codec": "h264",
        "audio_codec": "aac",
        "frame_rate": 30,
        "fps": 29.97,
        "meeting_id": 123,
        "description": "Meeting recording",
        "url": f"https://meet.example.org/api/v1/media/download/{file.media_id}",
        "thumbnail_url": f"https://meet.example.org/api/v1/media/thumbnail/{file.media_id}",
        "job_id": None,
        "uploaded_at": "2025-10-05T14:30:00Z",
        "uploaded_by": "alice",
        "download_count": 15,
        "last_accessed": "2025-10-05T16:30:00Z",
    }


def test_a_file_that_a_job_makes_has_no_size_yet(http: Any, bearer: Bearer) -> None:
    file = stored("alice", status=MediaStatus.PROCESSING, blob=None, thumbnail=None, facts=Facts(), job_id="the-job")
    body = http.get(f"{MEDIA}/{file.media_id}", headers=bearer("alice")).json()
    assert (body["status"], body["job_id"]) == ("processing", "the-job")
    assert {body[name] for name in ("size", "duration", "resolution", "codec", "thumbnail_url")} == {None}


@pytest.mark.parametrize(
    ("who", "answers"),
    [
        ("owner", (200, 200)),
        ("alice", (200, 200)),  # made the meeting
        ("bob", (200, 403)),  # takes part in it
        ("mallory", (404, 404)),
        ("admin", (200, 200)),
    ],
)
def test_who_may_read_and_delete(
    http: Any, bearer: Bearer, standup: Meeting, who: str, answers: tuple[int, int]
) -> None:
    """The answers to GET and to DELETE; lists go by the first."""
    read, deleted = answers
    file = stored("owner", standup)
    headers = bearer(who, "admin" if who == "admin" else "user")
    assert http.get(f"{MEDIA}/info/{file.media_id}", headers=headers).status_code == read
    assert listed(http, headers, meeting_id="meeting-123") == ([file.media_id] if read == 200 else [])
    assert listed(http, headers) == ([file.media_id] if read == 200 else [])
    answer = http.delete(f"{MEDIA}/{file.media_id}", headers=headers)
    assert answer.status_code == deleted
    assert (media.find(file.media_id) is None) == (deleted == 200)


def test_without_a_meeting_a_file_is_its_owners(http: Any, bearer: Bearer, standup: Meeting) -> None:
    file = stored("owner")
    assert http.get(f"{MEDIA}/{file.media_id}", headers=bearer("alice")).status_code == 404
    assert listed(http, bearer("alice")) == []


def test_when_its_meeting_is_deleted_a_file_is_its_owners(http: Any, bearer: Bearer, standup: Meeting) -> None:
    file = stored("bob", standup)
    meetings.delete(standup)
    for name in (standup.meeting_id, "123"):
        assert listed(http, bearer("bob"), meeting_id=name) == [file.media_id]
        assert listed(http, bearer("alice"), meeting_id=name) == []
        assert listed(http, bearer("root", "admin"), meeting_id=name) == [file.media_id]
    assert http.get(f"{MEDIA}/{file.media_id}", headers=bearer("alice")).status_code == 404
    assert http.get(f"{MEDIA}/{file.media_id}", headers=bearer("bob")).status_code == 200


def test_a_stranger_is_told_what_nobody_is_told(http: Any, bearer: Bearer) -> None:
    hidden = http.get(f"{MEDIA}/info/{stored('owner').media_id}", headers=bearer("mallory")).json()
    absent = http.get(f"{MEDIA}/info/{uuid4()}", headers=bearer("mallory")).json()
    for body in (hidden, absent):
        assert body["error"].pop("timestamp")
    assert hidden == absent == {"error": {"code": "RESOURCE_NOT_FOUND", "message": "Media file not found"}}


def test_a_deleted_file_leaves_no_object(http: Any, bearer: Bearer) -> None:
    file, other = stored("alice"), stored("alice")
    answer = http.delete(f"{MEDIA}/{file.media_id}", headers=bearer("alice"))
    assert answer.json() == {"message": "Media file deleted successfully", "media_id": file.media_id}
    assert {found.key for found in objects.every()} == set(media.keys_of(other))
    assert http.delete(f"{MEDIA}/{file.media_id}", headers=bearer("alice")).status_code == 404


def test_a_file_is_deleted_even_while_the_bucket_is_away(
    http: Any, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise Unavailable

    file = stored("alice")
    monkeypatch.setattr(objects, "delete_many", away)
    assert http.delete(f"{MEDIA}/{file.media_id}", headers=bearer("alice")).status_code == 200
    assert http.get(f"{MEDIA}/{file.media_id}", headers=bearer("alice")).status_code == 404


def test_an_empty_list_is_answered_as_documented(http: Any, bearer: Bearer) -> None:
    assert http.get(MEDIA, headers=bearer("alice")).json() == {
        "data": {"media_files": [], "page": 1, "page_size": 20, "total": 0},
        "filters": {"file_type": "", "meeting_id": "", "user_id": ""},
        "message": "Media list retrieved successfully",
        "offset": 0,
    }


def test_lists_are_filtered(http: Any, bearer: Bearer, standup: Meeting) -> None:
    video, sound = stored("alice", standup), stored("bob", standup, file_type=FileType.AUDIO)
    alone = stored("bob", uploaded_at=utcnow())
    bob = bearer("bob")
    assert set(listed(http, bob)) == {video.media_id, sound.media_id, alone.media_id}
    assert listed(http, bob, file_type="audio") == [sound.media_id]
    assert listed(http, bob, user_id="alice") == [video.media_id]
    assert listed(http, bob, user_id="bob", meeting_id=standup.meeting_id) == [sound.media_id]
    assert listed(http, bob, user_id="bob", file_type="video") == [alone.media_id]
    assert listed(http, bob, user_id="nobody") == []
    assert set(listed(http, bearer("root", "admin"), user_id="bob")) == {sound.media_id, alone.media_id}
    answer = http.get(MEDIA, params={"meeting_id": "123", "file_type": "audio"}, headers=bob).json()
    assert answer["filters"] == {"file_type": "audio", "meeting_id": "123", "user_id": ""}


def test_pages_go_from_the_newest_to_the_oldest(http: Any, bearer: Bearer) -> None:
    files = [stored("alice", uploaded_at=NOW + timedelta(seconds=second)).media_id for second in range(5)]
    alice = bearer("alice")
    assert [listed(http, alice, page=page, page_size=2) for page in (1, 2, 3, 4)] == [
        files[:2:-1],
        files[2:0:-1],
        files[:1],
        [],
    ]
    second = http.get(MEDIA, params={"page": 2, "page_size": 2}, headers=alice).json()
    assert (second["offset"], second["data"]["total"]) == (2, 5)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"meeting_id": "standup"}, "meeting_id"),
        ({"file_type": "movie"}, "file_type"),
        ({"page_size": 101}, "page_size"),
        ({"page": 0}, "page"),
        ({"user_id": "x" * 129}, "user_id"),
    ],
)
def test_a_malformed_filter_is_named(http: Any, bearer: Bearer, query: dict[str, Any], field: str) -> None:
    answer = http.get(MEDIA, params=query, headers=bearer("alice"))
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == [field]


def test_signed_out(http: Any) -> None:
    for method, path in (("GET", ""), ("GET", "/x"), ("GET", "/info/x"), ("DELETE", "/x")):
        assert http.request(method, MEDIA + path).status_code == 401


def test_health_is_no_file(http: Any) -> None:
    assert http.get(f"{MEDIA}/health").json()["service"] == "media-service"


def test_a_blob_alone_has_one_key() -> None:
    file = MediaFile("x", "o", "n", FileType.DOCUMENT, "text/plain", NOW, blob=Blob("k", 1, "e"))
    assert media.keys_of(file) == ["k"]
