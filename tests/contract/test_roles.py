"""Who may what: every operation of the API and every frame of the socket, by every role (decision 43).

The operations come from the OpenAPI description, so that a new endpoint without a row here fails; those that stream
bytes are the edge's and in no description. Each cell gets a meeting of its own, with the creator and a participant in
it, and asks once; a file that is only read is one for all. A cell says the status; 404 hides that something exists,
403 says that it does.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.conftest import System
from tests.data.samples import sample

from .openapi import whole_api
from .people import Caller, client, meeting_of, newcomer

ROLES = ("anonymous", "stranger", "participant", "creator", "administrator")

PUBLIC = (200, 200, 200, 200, 200)
SIGNED_IN = (401, 200, 200, 200, 200)
KNOWS_THE_MEETING = (401, 404, 200, 200, 200)
RUNS_THE_MEETING = (401, 403, 403, 200, 200)
OWNS_THE_JOB = (401, 404, 404, 200, 200)
ADMINISTRATOR = (401, 403, 403, 403, 200)

MATRIX: dict[str, tuple[int, ...]] = {
    "GET /health": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /api/v1/users/health": PUBLIC,
    "GET /api/v1/users/metrics": PUBLIC,
    "GET /api/v1/meetings/health": PUBLIC,
    "GET /api/v1/meetings/metrics": PUBLIC,
    "GET /api/v1/media/health": PUBLIC,
    "GET /api/v1/media/metrics": PUBLIC,
    "GET /api/v1/ai/health": PUBLIC,
    "GET /api/v1/ai/metrics": PUBLIC,
    "GET /ws/signaling/health": PUBLIC,
    "GET /ws/signaling/metrics": PUBLIC,
    "GET /api/v1/csrf-token": PUBLIC,
    "POST /api/v1/auth/register": (201, 201, 201, 201, 201),
    "POST /api/v1/auth/login": PUBLIC,
    "POST /api/v1/auth/refresh": PUBLIC,
    "POST /api/v1/auth/logout": SIGNED_IN,
    "POST /api/v1/auth/ws-ticket": SIGNED_IN,
    "GET /api/v1/users/me": SIGNED_IN,
    "PUT /api/v1/users/me": SIGNED_IN,
    # somebody else's account: the stranger's
    "GET /api/v1/users/{user_id}": SIGNED_IN,
    "PUT /api/v1/users/{user_id}": (401, 200, 403, 403, 200),
    "GET /api/v1/meetings": SIGNED_IN,
    "POST /api/v1/meetings": (401, 201, 201, 201, 201),
    "GET /api/v1/meetings/{meeting_id}": SIGNED_IN,
    "PUT /api/v1/meetings/{meeting_id}": RUNS_THE_MEETING,
    "DELETE /api/v1/meetings/{meeting_id}": (401, 403, 403, 204, 204),
    "POST /api/v1/meetings/{meeting_id}/join": SIGNED_IN,
    "POST /api/v1/meetings/{meeting_id}/leave": (401, 403, 200, 200, 403),
    "GET /api/v1/sessions/{session_id}": KNOWS_THE_MEETING,
    "GET /api/v1/sessions/room/{meeting_id}": KNOWS_THE_MEETING,
    "GET /api/v1/messages/history/{meeting_id}": KNOWS_THE_MEETING,
    "GET /api/v1/stats/overview": SIGNED_IN,
    "GET /api/v1/stats/rooms": SIGNED_IN,
    "POST /admin/cleanup/sessions": ADMINISTRATOR,
    "GET /admin/sessions": ADMINISTRATOR,
    "GET /api/v1/webrtc/room/{room_id}/peers": KNOWS_THE_MEETING,
    "GET /api/v1/webrtc/room/{room_id}/stats": KNOWS_THE_MEETING,
    # a file that the creator has brought into the meeting
    "GET /api/v1/media": SIGNED_IN,
    "GET /api/v1/media/{media_id}": KNOWS_THE_MEETING,
    "GET /api/v1/media/info/{media_id}": KNOWS_THE_MEETING,
    "DELETE /api/v1/media/{media_id}": (401, 404, 403, 200, 200),
    # of such a file
    "POST /api/v1/media/process": KNOWS_THE_MEETING,
    "POST /api/v1/ffmpeg/transcode": KNOWS_THE_MEETING,
    "POST /api/v1/ffmpeg/extract-audio": KNOWS_THE_MEETING,
    "POST /api/v1/ffmpeg/extract-video": KNOWS_THE_MEETING,
    "POST /api/v1/ffmpeg/merge": KNOWS_THE_MEETING,
    "GET /api/v1/recording/health": PUBLIC,
    "GET /api/v1/recording/metrics": PUBLIC,
    # of a room in which nobody is
    "POST /api/v1/recording/start": (401, 404, 409, 409, 409),
    # one that the creator started, and that is over: nothing was said in it
    "POST /api/v1/recording/stop": KNOWS_THE_MEETING,
    "POST /api/v1/recording/pause": (401, 404, 409, 409, 409),
    "POST /api/v1/recording/resume": (401, 404, 409, 409, 409),
    "GET /api/v1/recording/status/{recording_id}": KNOWS_THE_MEETING,
    "GET /api/v1/recording/list": SIGNED_IN,
    "DELETE /api/v1/recording/{recording_id}": (401, 404, 403, 200, 200),
    "GET /api/v1/streaming/health": PUBLIC,
    "GET /api/v1/streaming/metrics": PUBLIC,
    # of a room in which nobody is
    "POST /api/v1/streaming/start": (401, 404, 409, 409, 409),
    # one that the creator started, and that is over
    "POST /api/v1/streaming/stop": KNOWS_THE_MEETING,
    "GET /api/v1/streaming/status/{stream_id}": KNOWS_THE_MEETING,
    "GET /api/v1/streaming/list": SIGNED_IN,
    # the creator's
    "GET /api/v1/ffmpeg/job/{job_id}/status": OWNS_THE_JOB,
    "DELETE /api/v1/ffmpeg/job/{job_id}": OWNS_THE_JOB,
}

EDGE: dict[str, tuple[int, ...]] = {
    "POST /api/v1/media/upload": (401, 201, 201, 201, 201),
    "POST /api/v1/media/uploads": (401, 201, 201, 201, 201),
    # the creator's
    "GET /api/v1/media/uploads/{upload_id}": (401, 404, 404, 200, 404),
    "POST /api/v1/media/uploads/{upload_id}/complete": (401, 404, 404, 409, 404),
    "DELETE /api/v1/media/uploads/{upload_id}": (401, 404, 404, 204, 404),
    "GET /api/v1/media/download/{media_id}": KNOWS_THE_MEETING,
    "GET /api/v1/media/thumbnail/{media_id}": KNOWS_THE_MEETING,
    "POST /api/v1/ffmpeg/thumbnail": KNOWS_THE_MEETING,
    # there is no file of it
    "GET /api/v1/recording/download/{recording_id}": (401, 404, 409, 409, 409),
    "GET /api/v1/recording/download/{recording_id}/tracks/0": (401, 404, 409, 409, 409),
    # who knows a stream's id may watch
    "GET /api/v1/streaming/hls/{stream_id}/playlist.m3u8": PUBLIC,
    "GET /api/v1/streaming/dash/{stream_id}/manifest.mpd": PUBLIC,
}
"""What no function answers: bytes."""

PICTURE = ("picture.png", sample("png"))
VIDEO = ("video.mp4", sample("mp4"))

# Before anybody has joined, whatever the role; after joining, what each frame is answered with.
FRAMES: dict[str, tuple[dict[str, Any], str]] = {
    "chat": ({"message": "hello"}, "chat"),
    "media-state": ({"audio_enabled": True, "video_enabled": False, "screen_sharing": False}, "media-state"),
    "offer": ({"target_user_id": "nobody", "sdp": "v=0\r\n"}, "TARGET_NOT_FOUND"),
    "answer": ({"target_user_id": "nobody", "sdp": "v=0\r\n"}, "TARGET_NOT_FOUND"),
    "ice-candidate": ({"target_user_id": "nobody", "candidate": None}, "TARGET_NOT_FOUND"),
    "ping": ({}, "pong"),
    "leave": ({}, "left"),
}


class Scene:
    """A meeting with its creator and a participant, and whoever else asks."""

    def __init__(self, api: httpx.Client, system: System) -> None:
        self.api = api
        self.socket_url = "ws" + system.base_url.removeprefix("http") + "/ws/signaling"
        self.anonymous = Caller(api)
        self.stranger, self.participant, self.creator = (newcomer(api, role) for role in ROLES[1:4])
        self.administrator = Caller(api, system.admin_username, system.admin_password).sign_in()

    def role(self, name: str) -> Caller:
        caller: Caller = getattr(self, name)
        return caller

    def new_meeting(self) -> dict[str, Any]:
        meeting = meeting_of(self.creator)
        for caller in (self.creator, self.participant):
            caller.call("POST", f"/api/v1/meetings/{meeting['meeting_id']}/join").raise_for_status()
        return meeting

    def ask(self, role: str, operation: str) -> httpx.Response:
        method, path = operation.split(" ")
        caller = self.role(role)
        if path.startswith("/api/v1/auth/") and caller.token:
            caller = Caller(
                self.api, caller.username, caller.password
            ).sign_in()  # what is revoked is not the scene's
        of_room = "{meeting_id}" in path or "{room_id}" in path or "{session_id}" in path
        meeting = self.new_meeting() if of_room else {"meeting_id": "", "room_id": ""}
        session = self.live_session(meeting) if "{session_id}" in path else ""
        ids = {
            "meeting_id": meeting["meeting_id"],
            "room_id": meeting["room_id"],
            "user_id": self.stranger.user_id,
            "session_id": session,
        }
        if path.startswith(("/api/v1/media/", "/api/v1/ffmpeg/")):
            ids["media_id"] = self.new_file(PICTURE) if method == "DELETE" else self.video
        if "{job_id}" in path:
            ids["job_id"] = self.new_job()
        if "{recording_id}" in path:
            is_deleted = method == "DELETE" and role in ("creator", "administrator")
            ids["recording_id"] = self.new_recording() if is_deleted else self.recording
        if "{stream_id}" in path:
            ids["stream_id"] = self.stream
        if "{upload_id}" in path:
            with self.upload() as ids["upload_id"]:
                return caller.call(method, path.format(**ids))
        return caller.call(method, path.format(**ids), **self.body(operation))

    @cached_property
    def video(self) -> str:
        """The id of a file that nobody deletes."""
        return self.new_file(VIDEO)

    def new_file(self, content: tuple[str, bytes]) -> str:
        """The id of a file that the creator has brought into a meeting of theirs."""
        said = {"meeting_id": str(self.new_meeting()["meeting_number"])}
        answer = self.creator.call("POST", "/api/v1/media/upload", files={"file": content}, data=said)
        media_id: str = answer.raise_for_status().json()["media_id"]
        return media_id

    @contextmanager
    def upload(self) -> Iterator[str]:
        """The id of a direct upload of the creator's, of which nothing arrives; they may have three at once."""
        answer = self.creator.call("POST", "/api/v1/media/uploads", json={"filename": "notes.txt", "size": 4})
        upload_id: str = answer.raise_for_status().json()["upload_id"]
        yield upload_id
        self.creator.call("DELETE", f"/api/v1/media/uploads/{upload_id}")

    def new_job(self) -> str:
        """The id of a job of the creator's, which takes a second or two."""
        asked = {"input_media_id": self.video, "output_format": "webm", "resolution": "1080p", "preset": "slow"}
        answer = self.creator.call("POST", "/api/v1/ffmpeg/transcode", json=asked)
        job_id: str = answer.raise_for_status().json()["job_id"]
        return job_id

    @cached_property
    def recording(self) -> str:
        """The id of a recording that nobody deletes."""
        return self.new_recording()

    def new_recording(self) -> str:
        """The id of a recording that the creator has started and stopped."""
        meeting = self.new_meeting()
        room = {"meeting_id": meeting["meeting_number"], "room_id": meeting["room_id"]}
        with connect(f"{self.socket_url}?token={self.creator.token}") as socket:
            exchange(socket, {"type": "join", "room_id": meeting["room_id"]}, "joined")
            answer = self.creator.call("POST", "/api/v1/recording/start", json=room)
            recording_id: str = answer.raise_for_status().json()["recording_id"]
            one = {"recording_id": recording_id}
            while self.creator.call("POST", "/api/v1/recording/stop", json=one).json()["status"] == "pending":
                pass  # each waits for a while
        return recording_id

    @cached_property
    def stream(self) -> str:
        """The id of a stream that the creator has started and stopped."""
        meeting = self.new_meeting()
        small = {"stream_type": "hls", "resolution": "128x128", "bitrate": 100_000}
        room = {"meeting_id": meeting["meeting_number"], "room_id": meeting["room_id"]}
        with connect(f"{self.socket_url}?token={self.creator.token}") as socket:
            exchange(socket, {"type": "join", "room_id": meeting["room_id"]}, "joined")
            answer = self.creator.call("POST", "/api/v1/streaming/start", json=room | small)
            stream_id: str = answer.raise_for_status().json()["stream_id"]
            self.api.get(f"/api/v1/streaming/hls/{stream_id}/playlist.m3u8").raise_for_status()  # it has begun
            self.creator.call("POST", "/api/v1/streaming/stop", json={"stream_id": stream_id}).raise_for_status()
        return stream_id

    def live_session(self, meeting: dict[str, Any]) -> str:
        """The id of a session of the participant, whose socket is closed again."""
        with connect(f"{self.socket_url}?token={self.participant.token}") as socket:
            joined = exchange(socket, {"type": "join", "room_id": meeting["room_id"]}, "joined")
            session: str = joined["session_id"]
            # told by the media process's next snapshot
            end = time.monotonic() + 10
            while self.participant.call("GET", f"/api/v1/sessions/{session}").status_code == 404:
                assert time.monotonic() < end, "the session is not told of"
            return session

    def body(self, operation: str) -> dict[str, Any]:
        name = f"roles-{secrets.token_hex(6)}"
        credentials = {"username": self.creator.username, "password": self.creator.password}
        bodies: dict[str, Callable[[], dict[str, Any]]] = {
            "POST /api/v1/auth/register": lambda: {
                "username": name,
                "email": f"{name}@example.com",
                "password": secrets.token_urlsafe(12),
            },
            "POST /api/v1/auth/login": lambda: credentials,
            "POST /api/v1/auth/refresh": lambda: {
                "refresh_token": self.api.post("/api/v1/auth/login", json=credentials).json()["refresh_token"]
            },
            "PUT /api/v1/users/me": lambda: {"avatar_url": "https://example.com/a.png"},
            "PUT /api/v1/users/{user_id}": lambda: {"avatar_url": "https://example.com/a.png"},
            "POST /api/v1/meetings": lambda: {"title": "Roles", "start_time": "2026-01-01T09:00:00Z", "duration": 5},
            "PUT /api/v1/meetings/{meeting_id}": lambda: {"title": "Changed"},
            "POST /api/v1/media/uploads": lambda: {"filename": "notes.txt", "size": 4},
            "POST /api/v1/ffmpeg/transcode": lambda: {"input_media_id": self.video, "output_format": "webm"},
            "POST /api/v1/ffmpeg/extract-audio": lambda: {"video_media_id": self.video, "audio_format": "mp3"},
            "POST /api/v1/ffmpeg/extract-video": lambda: {"media_id": self.video},
            "POST /api/v1/ffmpeg/merge": lambda: {"media_ids": [self.video, self.video]},
            "POST /api/v1/ffmpeg/thumbnail": lambda: {"media_id": self.video},
            "POST /api/v1/recording/start": lambda: dict.fromkeys(
                ("meeting_id", "room_id"), self.new_meeting()["room_id"]
            ),
            "POST /api/v1/recording/stop": lambda: {"recording_id": self.recording},
            "POST /api/v1/recording/pause": lambda: {"recording_id": self.recording},
            "POST /api/v1/recording/resume": lambda: {"recording_id": self.recording},
            "POST /api/v1/streaming/start": lambda: (
                dict.fromkeys(("meeting_id", "room_id"), self.new_meeting()["room_id"]) | {"stream_type": "hls"}
            ),
            "POST /api/v1/streaming/stop": lambda: {"stream_id": self.stream},
            "POST /api/v1/media/process": lambda: {"media_id": self.video, "operations": ["extract_audio"]},
        }
        if operation == "POST /api/v1/media/upload":
            return {"files": {"file": PICTURE}}
        return {"json": bodies[operation]()} if operation in bodies else {}


@pytest.fixture(scope="module")
def scene(system: System) -> Iterator[Scene]:
    with client(system.base_url) as api:
        yield Scene(api, system)


def described() -> dict[str, str]:
    """Every operation, with the names of its path's parameters as this file calls them."""
    names = {"{roomId}": "{room_id}", "{peerId}": "{peer_id}"}
    operations = {}
    for path, methods in whole_api()["paths"].items():
        known = path
        for theirs, ours in names.items():
            known = known.replace(theirs, ours)
        operations |= {f"{method.upper()} {known}": path for method in methods}
    return operations


def test_every_operation_has_its_row() -> None:
    peer_media = "POST /api/v1/webrtc/peer/{peer_id}/media"  # needs media: tests/e2e/test_peer_media.py
    assert described().keys() == MATRIX.keys() | {peer_media}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("operation", MATRIX | EDGE)
def test_operation(scene: Scene, operation: str, role: str) -> None:
    answer = scene.ask(role, operation)
    assert answer.status_code == (MATRIX | EDGE)[operation][ROLES.index(role)], answer.text


def exchange(socket: Any, frame: dict[str, Any], *kinds: str) -> dict[str, Any]:
    """Send a frame; the next of these kinds, or the next error."""
    socket.send(json.dumps(frame))
    while True:
        got: dict[str, Any] = json.loads(socket.recv(timeout=10))
        if got["type"] in (*kinds, "error"):
            return got


def test_frames_of_nobody(scene: Scene) -> None:
    with connect(f"{scene.socket_url}?token=nonsense") as socket:
        assert json.loads(socket.recv(timeout=10))["code"] == "UNAUTHORIZED"
        with pytest.raises(ConnectionClosedError):
            socket.recv(timeout=10)
        assert socket.close_code == 4401


@pytest.mark.parametrize("role", ROLES[1:])
@pytest.mark.parametrize("kind", FRAMES)
def test_frame(scene: Scene, kind: str, role: str) -> None:
    """Nobody speaks in a room that they have not joined; whoever is signed in may join, and then speak."""
    fields, expected = FRAMES[kind]
    room = scene.new_meeting()["room_id"]
    frame = {"type": kind, "room_id": room, **fields}
    with connect(f"{scene.socket_url}?token={scene.role(role).token}") as socket:
        if kind != "ping":
            assert exchange(socket, frame)["code"] == "INVALID_MESSAGE"
        assert exchange(socket, {"type": "join", "room_id": room}, "joined")["type"] == "joined"
        answer = exchange(socket, frame, expected)
        assert expected in (answer["type"], answer.get("code"))
