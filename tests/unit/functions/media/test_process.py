"""Which operations make what of a file, and one job of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from functions.media.app import app
from functions.media.process import formats_of, order_of
from functions.media.schemas import AudioFormat, Operation, PictureFormat, ProcessBody, VideoFormat
from meet import queue
from meet.domain.formats import AUDIO_FORMATS, PICTURE_FORMATS, VIDEO_FORMATS
from meet.domain.job import JobKind
from meet.domain.media import Blob, Facts, FileType, MediaFile, MediaStatus
from meet.errors import Invalid
from meet.queue import Queue
from meet.store import jobs, media
from tests.unit.functions.conftest import Http

PATH = "/api/v1/media/process"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VIDEO = MediaFile(
    "a",
    "alice",
    "talk.mp4",
    FileType.VIDEO,
    "video/mp4",
    NOW,
    blob=Blob("media/a/x", 1_000_000, "e"),
    facts=Facts(10.0, 1280, 720, 2_000_000, "h264", "aac", 30.0),
)
PAPER = MediaFile(
    "p", "alice", "paper.pdf", FileType.DOCUMENT, "application/pdf", NOW, blob=Blob("media/p/x", 9, "e")
)

Headers = dict[str, str]


@pytest.fixture
def http(http_to: Callable[[Any], Http]) -> Iterator[Http]:
    queue._connect.cache_clear()
    queue.ensure_queues()
    yield http_to(app)
    queue._connect.cache_clear()


def test_the_documents_example(http: Http, bearer: Callable[..., Headers]) -> None:
    media.create(VIDEO)
    body = {"media_id": "a", "operations": ["extract_audio", "generate_thumbnail"], "output_format": "mp3"}
    answer = http.post(PATH, headers=bearer("alice"), json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["status"], said["message"]) == ("processing", "Processing started")
    assert [output["operation"] for output in said["outputs"]] == body["operations"]
    files = [media.get(output["media_id"]) for output in said["outputs"]]
    assert [file.filename for file in files] == ["talk.mp3", "talk (thumbnail).jpg"]
    assert {file.status for file in files} == {MediaStatus.PROCESSING}
    job = jobs.get(said["job_id"])
    assert (job.kind, job.inputs) == (JobKind.PROCESS, ("a",))
    [message] = queue.receive(Queue.FFMPEG, wait_s=0)
    assert queue.job_id_of(message.body) == job.job_id


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"media_id": "p", "operations": ["compress"]}, "media_id"),
        ({"media_id": "a", "operations": ["extract_video"], "output_format": "mp3"}, "output_format"),
        ({"media_id": "a", "operations": ["convert_format"]}, "output_format"),
        ({"media_id": "a", "operations": []}, "operations"),
        ({"media_id": "a"}, "operations"),
    ],
)
def test_nonsense_is_refused_before_there_is_a_job(
    http: Http, bearer: Callable[..., Headers], body: dict[str, Any], field: str
) -> None:
    media.create(VIDEO), media.create(PAPER)
    answer = http.post(PATH, headers=bearer("alice"), json=body)
    assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, [field]), answer.text
    assert queue.receive(Queue.FFMPEG, wait_s=0) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"operations": "compress"}, "operations"),
        ({"operations": ["compress", "compress"]}, "operations"),
        ({"operations": ["delete_everything"]}, "operations.0"),
        ({"output_format": "exe"}, "output_format"),
        ({"quality": "best"}, "quality"),
        ({"media_id": 7}, "media_id"),
    ],
)
def test_a_body_that_is_none(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ProcessBody.model_validate({"media_id": "a", "operations": ["compress"]} | changes)
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [field]


@pytest.mark.parametrize(
    ("operation", "wished", "name"),
    [
        ("extract_audio", None, "talk.mp3"),
        ("extract_audio", "flac", "talk.flac"),
        ("extract_audio", "webm", "talk.mp3"),
        ("extract_video", "mp3", "talk (video only).mp4"),
        ("generate_thumbnail", "mp3", "talk (thumbnail).jpg"),
        ("generate_thumbnail", "webp", "talk (thumbnail).webp"),
        ("compress", "mp3", "talk (compressed).mp4"),
        ("compress", "webm", "talk (compressed).webm"),
        ("convert_format", "webm", "talk.webm"),
        ("convert_format", "mp3", "talk.mp3"),
    ],
)
def test_the_format_goes_to_those_that_can_make_it(operation: Operation, wished: str | None, name: str) -> None:
    assert order_of(operation, VIDEO, wished, None).name == name


@pytest.mark.parametrize("operation", ["extract_audio", "compress", "convert_format"])
def test_the_quality_goes_along(operation: Operation) -> None:
    assert order_of(operation, VIDEO, "mp4", "low").options["quality"] == "low"


def test_converting_needs_a_format() -> None:
    with pytest.raises(Invalid):
        order_of("convert_format", VIDEO, "jpg", None)


def test_the_formats_of_a_body_are_those_that_are_made() -> None:
    assert get_args(VideoFormat) == VIDEO_FORMATS
    assert get_args(AudioFormat) == AUDIO_FORMATS
    assert get_args(PictureFormat) == tuple(PICTURE_FORMATS)
    assert {name for each in get_args(Operation) for name in formats_of(each, VIDEO)} == {
        *VIDEO_FORMATS,
        *AUDIO_FORMATS,
        *PICTURE_FORMATS,
    }
