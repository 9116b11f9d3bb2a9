"""One trace of a file's way through the system, from a daemon of X-Ray's kind that takes every segment."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from meet import ffmpeg
from tests.bucket import eventually
from tests.collectors import Daemon, daemon
from tests.conftest import StartSystem

ROOT = "1-5759e988-bd862e3fe1be46a994272793"


@pytest.fixture(scope="module")
def traced(start_system: StartSystem) -> Iterator[tuple[str, Daemon]]:
    with daemon() as there, start_system(MEET_TRACING="xray", MEET_TRACING_ENDPOINT=there.address) as system:
        yield system.base_url, there


@pytest.fixture
def http(traced: tuple[str, Daemon]) -> Iterator[httpx.Client]:
    """Somebody who is signed in and says the same trace header with each request."""
    base_url, _ = traced
    headers = {"X-Amzn-Trace-Id": f"Root={ROOT};Sampled=1"}
    with httpx.Client(base_url=base_url, timeout=30) as client:
        person = {"username": "tracy", "email": "tracy@example.com", "password": "a-long-password-1"}
        assert client.post("/api/v1/auth/register", json=person).status_code == 201
        login = {name: person[name] for name in ("username", "password")}
        client.headers["Authorization"] = (
            f"Bearer {client.post('/api/v1/auth/login', json=login).json()['access_token']}"
        )
        client.headers.update(headers)
        yield client


def parts(segment: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A segment and all that is within it."""
    yield segment
    for each in segment.get("subsegments", ()):
        yield from parts(each)


def calls(segment: dict[str, Any]) -> set[tuple[str, str]]:
    """Which services of AWS were asked within a segment, and for what."""
    return {
        (part["name"].lower(), part["aws"]["operation"])
        for part in parts(segment)
        if "operation" in part.get("aws", {})
    }


def test_a_file_that_is_uploaded_transcoded_and_downloaded_is_one_trace(
    traced: tuple[str, Daemon], http: httpx.Client, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    source = ("-f", "lavfi", "-i", "testsrc=size=160x120:rate=10:duration=1")
    subprocess.run([ffmpeg.find(), "-v", "error", *source, "-pix_fmt", "yuv420p", clip], check=True)
    uploaded = http.post("/api/v1/media/upload", files={"file": ("clip.mp4", clip.read_bytes())}).json()
    order = {"input_media_id": uploaded["media_id"], "output_format": "webm", "video_codec": "vp8"}
    job = http.post("/api/v1/ffmpeg/transcode", json=order).json()
    done = eventually(
        lambda: http.get(f"/api/v1/ffmpeg/job/{job['job_id']}/status").json(),
        lambda job: job["status"] == "completed",
    )
    assert http.get(f"/api/v1/media/download/{done['output_media_id']}").status_code == 200

    def ours() -> list[dict[str, Any]]:
        return [segment for segment in traced[1].collect() if segment["trace_id"] == ROOT]

    segments = eventually(
        ours, lambda found: {"edge", "media-service", "ffmpeg-worker"} <= {one["name"] for one in found}
    )
    by_id = {part["id"]: part for segment in segments for part in parts(segment)}
    worker = next(segment for segment in segments if segment["name"] == "ffmpeg-worker")
    assert {("s3", "PutObject"), ("dynamodb", "TransactWriteItems")} <= calls(worker)
    function = next(segment for segment in segments if ("sqs", "SendMessage") in calls(segment))
    assert function["name"] == "media-service"
    assert worker["parent_id"] in {part["id"] for part in parts(function)}
    assert by_id[function["parent_id"]]["name"] == "edge"
    asked = set().union(*(calls(segment) for segment in segments if segment["name"] == "edge"))
    assert ("dynamodb", "PutItem") in asked
