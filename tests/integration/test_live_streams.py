"""HLS and DASH through the public port from a real bucket, with segments as an encoder leaves them there."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import httpx
import pytest

from meet import ffmpeg, objects
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.stream import MANIFEST, PLAYLIST, Picture, Stream, StreamStatus, stream_prefix
from meet.store import streams
from tests.bucket import eventually
from tests.conftest import System
from tests.contract.people import Caller, client, meeting_of, newcomer

SECONDS = 4
FRAMES = SECONDS * 30
STREAMING = "/api/v1/streaming"


@pytest.fixture(scope="module")
def api(system: System) -> Iterator[httpx.Client]:
    with client(system.base_url) as made:
        yield made


@pytest.fixture(scope="module")
def owner(api: httpx.Client) -> Caller:
    return newcomer(api, "owner")


@pytest.fixture(scope="module")
def meeting(owner: Caller) -> dict[str, Any]:
    return meeting_of(owner)


@pytest.fixture(autouse=True)
def as_the_system(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process speaks to the system's own tables and bucket."""
    for name, value in system.env.items():
        if name.startswith(("MEET_", "AWS_")):
            monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What FFmpeg makes of a test picture and a tone: four seconds of CMAF for both protocols, by name."""
    folder = tmp_path_factory.mktemp("cmaf")
    command = [
        *(ffmpeg.find(), "-hide_banner", "-loglevel", "error"),
        *("-f", "lavfi", "-i", f"testsrc=size=320x180:rate=30:duration={SECONDS}"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-pix_fmt", "yuv420p", "-c:a", "aac"),
        *("-f", "dash", "-seg_duration", "1", "-use_timeline", "1", "-use_template", "1"),
        *("-hls_playlist", "1", "-hls_master_name", PLAYLIST),
        *("-init_seg_name", "0-init-$RepresentationID$.mp4", "-media_seg_name", "0-$RepresentationID$-$Number$.m4s"),
        MANIFEST,
    ]
    subprocess.run(command, cwd=folder, check=True, env={"PATH": os.defpath})
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def begun(meeting: dict[str, Any], owner: Caller) -> Stream:
    """A stream that nothing is to be seen of yet."""
    now = utcnow()
    stream = Stream(
        stream_id=new_id(),
        meeting_id=meeting["meeting_id"],
        meeting_number=meeting["meeting_number"],
        owner_id=owner.user_id,
        created_at=now,
        stream_type="rtmp",
        picture=Picture(320, 180, 400_000),
        rtmp_url=f"rtmp://live.example.com/app/{uuid4()}",  # each another, so that many can be there
        held_until=now + timedelta(seconds=45),
    )
    streams.create(stream)
    return stream


def put(stream: Stream, segments: dict[str, bytes]) -> None:
    for name, data in segments.items():
        objects.put_bytes(stream_prefix(stream.stream_id) + name, data, "application/octet-stream")


@pytest.fixture
def stream(meeting: dict[str, Any], owner: Caller, segments: dict[str, bytes]) -> Stream:
    """A stream with all of its segments."""
    stream = begun(meeting, owner)
    put(stream, segments)
    streams.became(stream.stream_id, StreamStatus.STREAMING, at=utcnow(), until=utcnow() + timedelta(seconds=45))
    return stream


def status(owner: Caller, stream: Stream) -> dict[str, Any]:
    answer = owner.call("GET", f"{STREAMING}/status/{stream.stream_id}")
    said: dict[str, Any] = answer.raise_for_status().json()
    return said


def test_a_player_plays_hls(system: System, owner: Caller, stream: Stream) -> None:
    """By FFmpeg's own demuxer, which follows the playlists and fetches every segment."""
    url = status(owner, stream)["hls_url"].replace(settings().base_url, system.base_url)
    with av.open(url) as played:
        pictures = sum(1 for _ in played.decode(video=0))
    with av.open(url) as played:
        sound_s = sum(frame.samples / frame.sample_rate for frame in played.decode(audio=0))
    assert pictures == FRAMES
    assert abs(sound_s - SECONDS) < 0.1


def test_all_that_a_manifest_names_is_there(api: httpx.Client, stream: Stream, segments: dict[str, bytes]) -> None:
    folder = f"{STREAMING}/dash/{stream.stream_id}"
    manifest = api.get(f"{folder}/{MANIFEST}").raise_for_status().text
    names = {name for name in segments if name.endswith((".m4s", ".mp4"))}
    assert {"0-init-0.mp4", "0-init-1.mp4"} <= names
    assert 'media="0-$RepresentationID$-$Number$.m4s"' in manifest
    for name in sorted(names):
        answer = api.get(f"{folder}/{name}", headers={"Origin": "https://elsewhere.example"})
        assert (answer.status_code, answer.content) == (200, segments[name]), name
        assert answer.headers["access-control-allow-origin"] == "*"
    where = re.search("<Location>(.+)</Location>", manifest)
    assert where
    again = api.get(f"{folder}/{where[1]}").raise_for_status().text
    assert where[0] in again, "the player stays the same"


def test_players_are_counted(api: httpx.Client, owner: Caller, stream: Stream) -> None:
    assert status(owner, stream)["current_viewers"] == 0
    folder = f"{STREAMING}/hls/{stream.stream_id}"
    for _ in range(3):
        first = api.get(f"{folder}/{PLAYLIST}").raise_for_status().text
        own = [line for line in first.splitlines() if line and not line.startswith("#")]
        for name in own:
            api.get(f"{folder}/{name}").raise_for_status()
    said = eventually(lambda: status(owner, stream), lambda said: said["current_viewers"] == 3)
    assert (said["total_viewers"], said["peak_viewers"]) == (3, 3)
    stopped = owner.call("POST", f"{STREAMING}/stop", json={"stream_id": stream.stream_id}).raise_for_status().json()
    assert (stopped["status"], stopped["total_viewers"], stopped["peak_viewers"]) == ("stopped", 3, 3)
    assert streams.get(stream.stream_id).total_viewers == 3


def test_an_early_player_waits(
    api: httpx.Client, meeting: dict[str, Any], owner: Caller, segments: dict[str, bytes]
) -> None:
    stream = begun(meeting, owner)
    urls = [f"{STREAMING}/hls/{stream.stream_id}/{PLAYLIST}", f"{STREAMING}/dash/{stream.stream_id}/{MANIFEST}"]
    with ThreadPoolExecutor() as threads:
        asking = [threads.submit(api.get, url) for url in urls]
        while not all(each.running() for each in asking):
            time.sleep(0.01)
        put(stream, segments)
        assert [each.result().status_code for each in asking] == [200, 200]


def test_a_stream_that_never_was(api: httpx.Client) -> None:
    started = time.monotonic()
    answer = api.get(f"{STREAMING}/hls/{new_id()}/{PLAYLIST}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert time.monotonic() - started < 5, "nobody waits for it"
