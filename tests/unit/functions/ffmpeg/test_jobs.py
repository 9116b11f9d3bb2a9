"""From the request to the job: what is answered, stored and sent. What is refused is tested where it is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from meet import queue
from meet.domain.job import JobKind, JobStatus
from meet.domain.media import Blob, FileType, MediaStatus
from meet.errors import Unavailable
from meet.store import jobs, media
from tests.unit.functions.conftest import Http

from .conftest import VIDEO, Add, queued

Headers = dict[str, str]
Bearer = Callable[..., Headers]

TRANSCODE = "/api/v1/ffmpeg/transcode"
AUDIO = "/api/v1/ffmpeg/extract-audio"
SILENT = "/api/v1/ffmpeg/extract-video"
MERGE = "/api/v1/ffmpeg/merge"


def refused(answer: Any, status: int = 400) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    assert queued() == []
    details: dict[str, str] = answer.json()["error"].get("details", {})
    return details


def test_the_documents_example(http: Http, add: Add, bearer: Bearer) -> None:
    add("a", meeting_id="m", meeting_number=7)
    body = {
        "input_media_id": "a",
        "output_format": "webm",
        "video_codec": "vp9",
        "audio_codec": "opus",
        "resolution": "1280x720",
        "bitrate": "2000k",
        "preset": "medium",
    }
    answer = http.post(TRANSCODE, headers=bearer("alice"), json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["status"], said["input_media_id"], said["output_format"]) == ("queued", "a", "webm")
    assert isinstance(said["estimated_time"], int)
    assert queued() == [said["job_id"]]
    job = jobs.get(said["job_id"])
    assert (job.kind, job.owner_id, job.inputs, job.status) == (JobKind.TRANSCODE, "alice", ("a",), JobStatus.QUEUED)
    [step] = job.steps
    assert step.operation == "transcode"
    assert step.options == {name: value for name, value in body.items() if name != "input_media_id"}
    output = media.get(step.media_id)
    assert (output.status, output.filename, output.mime_type) == (MediaStatus.PROCESSING, "talk.webm", "video/webm")
    assert (output.owner_id, output.meeting_number, output.job_id) == ("alice", 7, job.job_id)
    assert said["outputs"][0]["url"] == f"https://meet.example.org/api/v1/media/download/{output.media_id}"


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        (
            (AUDIO, {"video_media_id": "a", "audio_format": "mp3", "audio_bitrate": "192k"}),
            ("extract_audio", "talk.mp3"),
        ),
        ((AUDIO, {"media_id": "a"}), ("extract_audio", "talk.mp3")),
        ((SILENT, {"media_id": "a"}), ("extract_video", "talk (video only).mp4")),
        ((SILENT, {"input_media_id": "a"}), ("extract_video", "talk (video only).mp4")),
        ((MERGE, {"media_ids": ["a", "b", "a"], "transition": "fade"}), ("merge", "talk (merged).mp4")),
    ],
)
def test_the_others_say_that_they_process(
    http: Http, add: Add, bearer: Bearer, asked: tuple[str, Any], made: tuple[str, str]
) -> None:
    path, body = asked
    add("a"), add("b", "silent.webm")
    answer = http.post(path, headers=bearer("alice"), json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["status"] == "processing"
    output = media.get(said["output_media_id"])
    assert output.status is MediaStatus.PROCESSING
    [step] = jobs.get(said["job_id"]).steps
    assert (step.operation, output.filename) == made
    assert queued() == [said["job_id"]]


def test_an_id_under_two_names(http: Http, add: Add, bearer: Bearer) -> None:
    add("a"), add("b")
    both = {"media_id": "a", "video_media_id": "a", "output_format": "mp4"}
    assert http.post(TRANSCODE, headers=bearer("alice"), json=both).status_code == 200
    differ = http.post(SILENT, headers=bearer("alice"), json={"media_id": "a", "input_media_id": "b"})
    assert "differ" in differ.json()["error"]["details"]["body"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ((TRANSCODE, {"media_id": "a", "output_format": "webm", "video_codec": "h264"}), "video_codec"),
        ((TRANSCODE, {"media_id": "paper", "output_format": "webm"}), "input_media_id"),
        ((TRANSCODE, {"media_id": "a", "output_format": "mp4", "resolution": "100000x100000"}), "resolution"),
        ((SILENT, {}), "media_id"),
        ((MERGE, {"media_ids": ["a"]}), "media_ids"),
        ((MERGE, {"media_ids": ["a", "paper"]}), "media_ids.1"),
    ],
)
def test_nonsense_is_refused_before_there_is_a_job(
    http: Http, add: Add, bearer: Bearer, asked: tuple[str, Any], field: str
) -> None:
    path, body = asked
    add("a"), add("paper", "pdf")
    assert list(refused(http.post(path, headers=bearer("alice"), json=body))) == [field]


def test_pieces_of_music_are_merged_into_sound(http: Http, add: Add, bearer: Bearer) -> None:
    add("song", "mp3")
    body = {"media_ids": ["song", "song"], "output_format": "m4a", "transition": "dissolve"}
    said = http.post(MERGE, headers=bearer("alice"), json=body).json()
    assert media.get(said["output_media_id"]).file_type is FileType.AUDIO


def test_whose_files_may_be_worked_on(http: Http, add: Add, bearer: Bearer) -> None:
    add("a")
    body = {"media_id": "a"}
    assert http.post(SILENT, json=body).status_code == 401
    refused(http.post(SILENT, headers=bearer("mallory"), json=body), 404)
    refused(http.post(SILENT, headers=bearer("alice"), json={"media_id": "nothing"}), 404)
    assert http.post(SILENT, headers=bearer("root", role="admin"), json=body).status_code == 200


def test_a_file_that_is_not_made_yet_is_asked_for_later(http: Http, add: Add, bearer: Bearer) -> None:
    add("a", status=MediaStatus.PROCESSING, blob=None), add("b", status=MediaStatus.FAILED, blob=None)
    answer = http.post(SILENT, headers=bearer("alice"), json={"media_id": "a"})
    refused(answer, 409)
    assert answer.json()["error"]["code"] == "MEDIA_PROCESSING"
    assert answer.headers["retry-after"] == "5"
    refused(http.post(SILENT, headers=bearer("alice"), json={"media_id": "b"}), 409)


def test_a_job_that_no_worker_could_finish_is_refused(http: Http, add: Add, bearer: Bearer) -> None:
    add("a", facts=type(VIDEO)(36_000.0, 1920, 1080, None, "h264", "aac", 60.0))
    answer = http.post(TRANSCODE, headers=bearer("alice"), json={"media_id": "a", "output_format": "webm"})
    refused(answer)
    assert "a job may take 14400 s" in answer.text


def test_files_that_are_too_much_together_are_refused(http: Http, add: Add, bearer: Bearer) -> None:
    add("a", blob=Blob("a", 2_500_000_000, "e")), add("b", blob=Blob("b", 2_500_000_000, "e"))
    assert http.post(MERGE, headers=bearer("alice"), json={"media_ids": ["a", "a"]}).status_code == 200
    answer = http.post(MERGE, headers=bearer("alice"), json={"media_ids": ["a", "b"]})
    assert answer.status_code == 400
    assert "5000000000 bytes together" in answer.text


def test_a_job_that_could_not_be_queued_is_none(
    http: Http, add: Add, bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(job: Any) -> None:
        sent.append(job.job_id)
        raise Unavailable

    sent: list[str] = []
    monkeypatch.setattr(queue, "send", away)
    add("a")
    answer = http.post(SILENT, headers=bearer("alice"), json={"media_id": "a"})
    assert answer.status_code == 503
    [job_id] = sent
    job = jobs.get(job_id)
    assert job.status is JobStatus.FAILED
    assert media.get(job.steps[0].media_id).status is MediaStatus.FAILED


def test_the_same_request_again_is_the_same_job(http: Http, add: Add, bearer: Bearer) -> None:
    add("a")
    headers = bearer("alice") | {"Idempotency-Key": "once"}
    first, second = (http.post(SILENT, headers=headers, json={"media_id": "a"}) for _ in range(2))
    assert first.json() == second.json()
    assert queued() == [first.json()["job_id"]]
    assert http.post(SILENT, headers=headers, json={"media_id": "b"}).status_code == 409


@pytest.fixture
def job_id(http: Http, add: Add, bearer: Bearer) -> str:
    add("a")
    said = http.post(SILENT, headers=bearer("alice"), json={"media_id": "a"}).json()
    return str(said["job_id"])


def test_how_far_a_job_is(http: Http, bearer: Bearer, job_id: str) -> None:
    url = f"/api/v1/ffmpeg/job/{job_id}/status"
    said = http.get(url, headers=bearer("alice")).json()
    assert (said["status"], said["progress"], said["input_media_id"], said["error"]) == ("queued", 0, "a", None)
    assert [said[name] for name in ("started_at", "completed_at", "processing_time")] == [None] * 3
    held = jobs.claim(job_id, now=jobs.get(job_id).created_at, lease_s=60)
    assert held is not None
    jobs.renew(held, progress=40, until=held.created_at)
    said = http.get(url, headers=bearer("root", role="admin")).json()
    assert (said["status"], said["progress"]) == ("processing", 40)
    jobs.fail(held, "It is broken.")
    said = http.get(url, headers=bearer("alice")).json()
    assert (said["status"], said["error"]) == ("failed", "It is broken.")
    assert isinstance(said["processing_time"], int)


def test_a_job_is_its_owners(http: Http, bearer: Bearer, job_id: str) -> None:
    for path in (f"/api/v1/ffmpeg/job/{job_id}/status", "/api/v1/ffmpeg/job/none/status"):
        assert http.get(path, headers=bearer("mallory")).status_code == 404
    assert http.get(f"/api/v1/ffmpeg/job/{'x' * 3000}/status", headers=bearer("alice")).status_code == 404
    assert http.delete(f"/api/v1/ffmpeg/job/{job_id}", headers=bearer("mallory")).status_code == 404
    assert http.delete(f"/api/v1/ffmpeg/job/{job_id}").status_code == 401
    assert jobs.get(job_id).status is JobStatus.QUEUED


def test_cancelling(http: Http, bearer: Bearer, job_id: str) -> None:
    for _ in range(2):
        answer = http.delete(f"/api/v1/ffmpeg/job/{job_id}", headers=bearer("alice"))
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert media.get(answer.json()["output_media_id"]).status is MediaStatus.FAILED


def test_what_is_over_is_not_cancelled(http: Http, bearer: Bearer, job_id: str) -> None:
    jobs.fail(jobs.get(job_id), "It is broken.")
    answer = http.delete(f"/api/v1/ffmpeg/job/{job_id}", headers=bearer("alice"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "RESOURCE_CONFLICT")
