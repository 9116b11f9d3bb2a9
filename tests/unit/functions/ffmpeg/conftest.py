"""Files to work on, and the queues that jobs are sent to (moto's SQS)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.ffmpeg.app import app
from meet import queue
from meet.domain.media import Blob, Facts, FileType, MediaFile
from meet.queue import Queue
from meet.store import media
from tests.unit.functions.conftest import Http

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
VIDEO = Facts(10.0, 1280, 720, 2_000_000, "h264", "aac", 30.0)
KINDS: dict[str, tuple[str, FileType, Facts]] = {
    "mp4": ("video/mp4", FileType.VIDEO, VIDEO),
    "silent.webm": ("video/webm", FileType.VIDEO, Facts(5.0, 640, 360, 900_000, "vp9", None, 25.0)),
    "mp3": ("audio/mpeg", FileType.AUDIO, Facts(duration_s=60.0, bitrate_bps=128_000, audio_codec="mp3")),
    "jpg": ("image/jpeg", FileType.IMAGE, Facts(width=640, height=480, codec="mjpeg")),
    "pdf": ("application/pdf", FileType.DOCUMENT, Facts()),
}

Add = Callable[..., MediaFile]


@pytest.fixture
def http(environment: object) -> Iterator[Http]:
    """The function, and queues."""
    queue._connect.cache_clear()
    queue.ensure_queues()
    yield Http(app)
    queue._connect.cache_clear()


@pytest.fixture
def add(environment: object) -> Add:
    """`add("a", "mp4", owner_id="bob")`: a file of that kind, by its id."""

    def put(media_id: str, kind: str = "mp4", **changes: Any) -> MediaFile:
        mime_type, file_type, facts = KINDS[kind]
        extension = kind.rpartition(".")[2]
        values: dict[str, Any] = {
            "owner_id": "alice",
            "filename": f"talk.{extension}",
            "file_type": file_type,
            "mime_type": mime_type,
            "uploaded_at": NOW,
            "blob": Blob(f"media/{media_id}/x", 1_000_000, "e"),
            "facts": facts,
        }
        file = MediaFile(media_id=media_id, **(values | changes))
        media.create(file)
        return file

    return put


def queued() -> list[str]:
    """The jobs that wait, of both queues."""
    return [
        queue.job_id_of(message.body)
        for which in Queue
        for message in queue.receive(which, most=10, wait_s=0, visibility_s=0)
    ]
