"""A call given to the world: to a real RTMP server, and to hls.js and dash.js in Chromium, all at once."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.bucket import eventually
from tests.conftest import StartSystem, System, unused_port
from tests.contract.people import Caller, client, newcomer
from tests.rtmp_server import RtmpServer

from .clapper import clapper
from .person import Person
from .players import player_page

STREAMING = "/api/v1/streaming"
SIZE = (640, 360)
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def outward(start_system: StartSystem) -> Iterator[System]:
    """A system that may send to this machine."""
    with start_system(MEET_EGRESS_ALLOW="127.0.0.1") as started:
        yield started


@pytest.fixture(scope="module")
def api(outward: System) -> Iterator[httpx.Client]:
    with client(outward.base_url) as made:
        yield made


@pytest.fixture
def rtmp(tmp_path: Path) -> Iterator[RtmpServer]:
    server = RtmpServer(tmp_path, unused_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def players(browser: Browser) -> Iterator[Page]:
    with player_page(browser) as page:
        yield page


def enter(person: Person, caller: Caller) -> dict[str, Any]:
    """A person in a new meeting's room, which `caller` takes part in; what the meeting is."""
    person.context.add_init_script(clapper(1000, "#135"))
    person.sign_up()
    path = person.create_meeting("On air")
    person.join()
    meeting = caller.call("POST", f"/api/v1/meetings/{path.split('/')[2]}/join").raise_for_status()
    assert meeting.status_code == 200
    found: dict[str, Any] = caller.call("GET", f"/api/v1/meetings/{path.split('/')[2]}").raise_for_status().json()
    return found


def start(caller: Caller, meeting: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    body = {"meeting_id": meeting["meeting_number"], "room_id": meeting["room_id"], **wanted}
    answer = caller.call("POST", f"{STREAMING}/start", json=body)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def probed(url: str) -> dict[str, Any]:
    """What ffprobe finds at a URL: streams by their type."""
    path = which("ffprobe")
    assert path, "ffprobe is missing: apt-get install ffmpeg"
    command = [path, "-v", "error", "-show_streams", "-of", "json", "-read_intervals", "%+2", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return {stream["codec_type"]: stream for stream in json.loads(done.stdout)["streams"]}


def test_a_call_is_seen_by_the_world(
    somebody: Callable[..., Person], outward: System, api: httpx.Client, rtmp: RtmpServer, players: Page
) -> None:
    alice, owner = somebody("alice", base_url=outward.base_url), newcomer(api, "owner")
    meeting = enter(alice, owner)
    size = "x".join(map(str, SIZE))
    wanted = {"stream_type": "rtmp", "rtmp_url": rtmp.url("key"), "resolution": size, "bitrate": 800_000}
    stream = start(owner, meeting, **wanted)
    assert stream["status"] == "streaming"

    found = probed(rtmp.url("key"))
    video, audio = found["video"], found["audio"]
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", *SIZE)
    assert (audio["codec_name"], audio["sample_rate"], audio["channels"]) == ("aac", "48000", 2)

    players.evaluate("url => playHls(url)", stream["hls_url"].replace("localhost", "127.0.0.1"))
    players.evaluate("url => playDash(url)", stream["dash_url"].replace("localhost", "127.0.0.1"))
    for name in ("hls", "dash"):
        players.wait_for_function(f"frames('{name}') > 30", timeout=1000 * DEADLINE_S)
        before = players.evaluate(f"frames('{name}')")
        players.wait_for_function(f"frames('{name}') > {before + 30}", timeout=1000 * DEADLINE_S)
        assert tuple(players.evaluate(f"size('{name}')")) == SIZE
    assert players.evaluate("failures") == []

    def status() -> dict[str, Any]:
        answer = owner.call("GET", f"{STREAMING}/status/{stream['stream_id']}").raise_for_status()
        said: dict[str, Any] = answer.json()
        return said

    said = eventually(status, lambda said: said["current_viewers"] == 2 and said["quality_metrics"]["bitrate"] > 0)
    assert said["quality_metrics"]["resolution"] == size
    assert said["quality_metrics"]["fps"] > 0
    assert said["rtmp_url"] == rtmp.url("key")
    listed = owner.call("GET", f"{STREAMING}/list").raise_for_status().json()
    assert [each["stream_id"] for each in listed["streams"]] == [stream["stream_id"]]

    stopped = owner.call("POST", f"{STREAMING}/stop", json={"stream_id": stream["stream_id"]}).raise_for_status()
    assert stopped.json()["status"] == "stopped"
    assert stopped.json()["total_viewers"] == 2
    assert stopped.json()["duration"] > 0
    last = api.get(stream["hls_url"].partition("/api/")[2].join(("/api/", ""))).raise_for_status().text
    own = [line for line in last.splitlines() if line and not line.startswith("#")]
    folder = f"{STREAMING}/hls/{stream['stream_id']}"
    assert "#EXT-X-ENDLIST" in api.get(f"{folder}/{own[0]}").raise_for_status().text, "players are told of the end"
    assert alice.measure().sent, "the call goes on"
