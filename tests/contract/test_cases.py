"""The contract, case by case: every file of `cases/` against a running system.

A case is one request and what it must answer:

    {"name": "join", "as": "user", "method": "POST", "path": "/api/v1/meetings/{meeting}/join", "headers"?, "json"?,
     "setup"?: [{"as", "method", "path", "headers"?, "json"?, "save"?: {"meeting": "meeting_id"}}, ...],
     "status": 200, "shape": {"joined_at": "iso8601", "ice_servers[].urls": "array"}, "text"?, "eventually"?: true,
     "headed"?: {"content-type": "application/json"}}

or what is sent on somebody's WebSocket, and the frame that must then arrive there:

    {"name": "chat", "as": "user", "frames": [{"type": "chat", "room_id": "{room}", "message": "hello"}],
     "until": "chat", "shape": {"message_id": "string"}, "setup"?: [...]}

or, in a setup, `{"as": "user", "publishes": "{room}"}`: somebody is in a room and has a microphone on until the case
ends; or `{"scene": "recorded"}`, a setup of `scenes.json` that is played once for all cases and left as it is. Who
only joins is sent out of a room after 90 s of silence, and a scene may last longer: who is to stay there publishes.

In the place of `json` may stand a form with a file, `"file": {"name": "video.mp4", "sample": "mp4", "fields"?: {}}`:
its content is a sample of `tests.data.samples`, or a `text`; or `content`, which is sent as it is.

A step of a setup may be either; a WebSocket is opened when its owner first needs it and stays open until the case
ends. `as` is one of `PEOPLE`. `{name}` in a path, a header, the JSON, a frame or a shape is what a step saved under
that name; a string that is nothing else keeps the value's type. `{unique}` is a word of this run of this case alone.
A key of a shape is a path into the answer; `list[].key` speaks of each entry, of which there must be one at least. A
value is one of `TYPES`, or several of them: `string|null`. An answer may have more keys than its shape; a 204 has no
body at all. `text` stands somewhere in the body, `headed` are headers with their whole values. Of a case or a step,
`has` are values in the body, `{"status": "completed"}`, and `eventually` asks again for a few seconds: what the tier
publishes takes one to be seen.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.data.samples import sample

from .publisher import publishing

CASES = Path(__file__).parent / "cases"
SCENES = Path(__file__).parent / "scenes.json"
PEOPLE = ("anonymous", "user", "stranger", "creator", "admin")
PASSWORD = "SecurePass123!"
EVENTUALLY_S = 60.0
"""Whoever waits for long has failed: a machine that is busy with other tests composes a recording in half of it."""
FRAME_S = 6.0

ERROR = {"error.code": "string", "error.message": "string", "error.timestamp": "iso8601"}

DOCUMENTED = """
    GET    /api/v1/csrf-token
    POST   /api/v1/auth/register
    POST   /api/v1/auth/login
    POST   /api/v1/auth/logout
    POST   /api/v1/auth/refresh
    POST   /api/v1/auth/ws-ticket
    GET    /api/v1/users/me
    GET    /api/v1/users/{user_id}
    PUT    /api/v1/users/{user_id}
    POST   /api/v1/meetings
    GET    /api/v1/meetings
    GET    /api/v1/meetings/{meeting_id}
    PUT    /api/v1/meetings/{meeting_id}
    DELETE /api/v1/meetings/{meeting_id}
    POST   /api/v1/meetings/{meeting_id}/join
    POST   /api/v1/meetings/{meeting_id}/leave
    GET    /api/v1/sessions/{session_id}
    GET    /api/v1/sessions/room/{meeting_id}
    GET    /api/v1/messages/history/{meeting_id}
    GET    /api/v1/stats/overview
    GET    /api/v1/stats/rooms
    POST   /admin/cleanup/sessions
    GET    /admin/sessions
    GET    /api/v1/webrtc/room/{room_id}/peers
    GET    /api/v1/webrtc/room/{room_id}/stats
    POST   /api/v1/webrtc/peer/{peer_id}/media
    GET    /health
    GET    /metrics
    GET    /api/v1/users/health
    GET    /api/v1/users/metrics
    GET    /api/v1/meetings/health
    GET    /api/v1/meetings/metrics
    GET    /ws/signaling/health
    GET    /ws/signaling/metrics
    GET    /api/v1/media/health
    GET    /api/v1/media/metrics
    POST   /api/v1/media/upload
    POST   /api/v1/media/uploads
    GET    /api/v1/media/uploads/{upload_id}
    POST   /api/v1/media/uploads/{upload_id}/complete
    DELETE /api/v1/media/uploads/{upload_id}
    GET    /api/v1/media
    GET    /api/v1/media/info/{media_id}
    GET    /api/v1/media/{media_id}
    GET    /api/v1/media/download/{media_id}
    HEAD   /api/v1/media/download/{media_id}
    GET    /api/v1/media/thumbnail/{media_id}
    DELETE /api/v1/media/{media_id}
    POST   /api/v1/media/process
    POST   /api/v1/ffmpeg/transcode
    POST   /api/v1/ffmpeg/extract-audio
    POST   /api/v1/ffmpeg/extract-video
    POST   /api/v1/ffmpeg/merge
    POST   /api/v1/ffmpeg/thumbnail
    GET    /api/v1/ffmpeg/job/{job_id}/status
    DELETE /api/v1/ffmpeg/job/{job_id}
    POST   /api/v1/recording/start
    POST   /api/v1/recording/stop
    POST   /api/v1/recording/pause
    POST   /api/v1/recording/resume
    GET    /api/v1/recording/status/{recording_id}
    GET    /api/v1/recording/list
    GET    /api/v1/recording/download/{recording_id}
    HEAD   /api/v1/recording/download/{recording_id}
    GET    /api/v1/recording/download/{recording_id}/tracks/{number}
    DELETE /api/v1/recording/{recording_id}
    GET    /api/v1/recording/health
    GET    /api/v1/recording/metrics
    POST   /api/v1/streaming/start
    POST   /api/v1/streaming/stop
    GET    /api/v1/streaming/status/{stream_id}
    GET    /api/v1/streaming/list
    GET    /api/v1/streaming/hls/{stream_id}/playlist.m3u8
    GET    /api/v1/streaming/dash/{stream_id}/manifest.mpd
    GET    /api/v1/streaming/health
    GET    /api/v1/streaming/metrics
    GET    /api/v1/ai/health
    GET    /api/v1/ai/metrics
"""
"""The endpoints of the document, and of the decisions on it, that are there so far."""


def is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_time(value: object) -> bool:
    """RFC 3339 with a zone, as every timestamp of the document has one."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


TYPES: dict[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": is_integer,
    "number": lambda value: is_integer(value) or isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
    "iso8601": is_time,
}

Case = dict[str, Any]


def load_cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(CASES.glob("*.json"))
        for case in json.loads(path.read_text())
    ]


def values_at(body: object, path: str) -> list[object]:
    """What stands at `a.b[].c`; `LookupError` that names the step that isn't there."""
    found: list[object] = [body]
    for step in re.findall(r"[^.\[\]]+|\[\]", path):
        if step == "[]":
            if not all(isinstance(value, list) for value in found):
                raise LookupError(f"{path}: not an array")
            found = [inner for value in found if isinstance(value, list) for inner in value]
            if not found:
                raise LookupError(f"{path}: the array is empty")
            continue
        below: list[object] = []
        for value in found:
            if isinstance(value, dict) and step in value:
                below.append(value[step])
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                below.append(value[int(step)])
            else:
                raise LookupError(f"{path}: there is no {step!r}")
        found = below
    return found


def differences(body: object, shape: dict[str, str]) -> list[str]:
    """What of a shape an answer hasn't."""
    found = []
    for path, types in shape.items():
        try:
            values = values_at(body, path)
        except LookupError as error:
            found.append(str(error.args[0]))
            continue
        for value in values:
            if not any(TYPES[name](value) for name in types.split("|")):
                found.append(f"{path}: {value!r} is not of type {types}")
    return found


def others(body: object, values: dict[str, object]) -> list[str]:
    """Which values of an answer are others than these; `LookupError` for one that isn't there."""
    return [
        f"{path}: {found!r} in place of {value!r}"
        for path, value in values.items()
        for found in values_at(body, path)
        if found != value
    ]


def filled(template: Any, saved: dict[str, object]) -> Any:
    """A path, headers or JSON with its `{name}`s replaced; `KeyError` for one that nobody saved."""
    if isinstance(template, dict):
        return {filled(key, saved): filled(value, saved) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, saved) for value in template]
    if not isinstance(template, str):
        return template
    if whole := re.fullmatch(r"\{(\w+)\}", template):
        return saved[whole[1]]
    return re.sub(r"\{(\w+)\}", lambda name: str(saved[name[1]]), template)


class System(Protocol):
    """What the `system` fixture gives."""

    base_url: str
    admin_username: str
    admin_password: str


class World:
    """The running system and the people who use it, each signed up at first sight."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.base_url = system.base_url
        self.client = httpx.Client(base_url=system.base_url, timeout=30, trust_env=False)
        self.headers = cache(self._sign_in)
        self.scene = cache(self._play)
        self.sockets = ExitStack()

    def _sign_in(self, person: str) -> dict[str, str]:
        if person == "anonymous":
            return {}
        name, password = f"{person}-{secrets.token_hex(6)}", PASSWORD
        if person == "admin":
            name, password = self._system.admin_username, self._system.admin_password
        else:
            new = {"username": name, "email": f"{name}@example.com", "password": password}
            self.client.post("/api/v1/auth/register", json=new).raise_for_status()
        answer = self.client.post("/api/v1/auth/login", json={"username": name, "password": password})
        self.client.cookies.clear()
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}

    def _play(self, name: str) -> dict[str, object]:
        """What the steps of a scene save; whoever they bring into a room stays there."""
        stage = Stage(self, self.sockets)
        for step in json.loads(SCENES.read_text())[name]:
            stage.prepare(step)
        return stage.saved

    def ask(self, step: Case, saved: dict[str, object]) -> httpx.Response:
        """Make the request of a step or a case."""
        assert step["as"] in PEOPLE
        given = step.get("file", {})
        content = given["text"].encode() if "text" in given else sample(given["sample"]) if given else b""
        answer = self.client.request(
            step["method"],
            filled(step["path"], saved),
            headers=self.headers(step["as"]) | filled(step.get("headers", {}), saved),
            json=filled(step["json"], saved) if "json" in step else None,
            content=step.get("content"),
            files={"file": (given["name"], content)} if given else None,
            data={name: str(value) for name, value in filled(given.get("fields", {}), saved).items()},
        )
        self.client.cookies.clear()  # people don't share a browser
        return answer


@pytest.fixture(scope="session")
def world(system: System) -> Iterator[World]:
    made = World(system)
    with made.client, made.sockets:
        yield made


class Stage:
    """One case being played: what was saved, and whose sockets are open."""

    def __init__(self, world: World, sockets: ExitStack) -> None:
        self._world = world
        self._sockets = sockets
        self._socket_of = cache(self._connect)
        self.saved: dict[str, object] = {"unique": f"u{secrets.token_hex(6)}"}

    def _connect(self, person: str) -> ClientConnection:
        token = self._world.headers(person).get("Authorization", "Bearer none").removeprefix("Bearer ")
        url = f"ws{self._world.base_url.removeprefix('http')}/ws/signaling?token={token}"
        return self._sockets.enter_context(connect(url, proxy=None))

    def talk(self, step: Case) -> Any:
        """Send a step's frames on its person's socket; the frame that it waits for, or None."""
        socket = self._socket_of(step["as"])
        for frame in step["frames"]:
            socket.send(json.dumps(filled(frame, self.saved)))
        seen: list[Any] = []
        deadline = time.monotonic() + FRAME_S
        while "until" in step:
            try:
                seen.append(json.loads(socket.recv(timeout=max(0.0, deadline - time.monotonic()))))
            except TimeoutError:
                pytest.fail(f"no frame {step['until']!r} came to {step['as']}, but {seen}")
            if seen[-1]["type"] == step["until"]:
                return seen[-1]
        return None

    def prepare(self, step: Case) -> None:
        """Play a step of a setup, which must go well, and save what it says."""
        if "scene" in step:
            self.saved |= self._world.scene(step["scene"])
            return
        if "publishes" in step:
            room_id = filled(step["publishes"], self.saved)
            headers = self._world.headers(step["as"])
            self._sockets.enter_context(publishing(self._world.base_url, headers, room_id))
            return
        deadline = time.monotonic() + EVENTUALLY_S * step.get("eventually", False)
        while True:
            body = self.talk(step) if "frames" in step else self._success(step)
            try:
                if other := others(body, filled(step.get("has", {}), self.saved)):
                    raise LookupError("; ".join(other))
                for name, path in step.get("save", {}).items():
                    [self.saved[name]] = values_at(body, path)
            except LookupError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def _success(self, step: Case) -> Any:
        answer = self._world.ask(step, self.saved)
        assert answer.is_success, f"{step['method']} {step['path']}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None

    def complaints(self, case: Case) -> list[str]:
        """Make the case's request; what of its answer is not as it must be."""
        if "frames" in case:
            return differences(self.talk(case), case["shape"])
        answer = self._world.ask(case, self.saved)
        if answer.status_code != case["status"]:
            return [f"status {answer.status_code} in place of {case['status']}: {answer.text}"]
        said = [] if answer.headers.get("x-request-id") else ["there is no X-Request-Id"]
        if "text" in case and case["text"] not in answer.text:
            said.append(f"{case['text']!r} is not in {answer.text}")
        for name, value in filled(case.get("headed", {}), self.saved).items():
            if answer.headers.get(name) != str(value):
                said.append(f"the header {name} is {answer.headers.get(name)!r} in place of {value!r}")
        if answer.status_code == 204 and answer.content:
            said.append(f"a 204 with a body: {answer.text}")
        envelope = ERROR if answer.is_error and "problem" not in answer.headers["content-type"] else {}
        shape = filled(case["shape"], self.saved) | envelope
        wanted = filled(case.get("has", {}), self.saved)
        said += differences(answer.json(), shape) if shape else []
        return said + (others(answer.json(), wanted) if wanted and not said else [])


@pytest.mark.parametrize("case", load_cases())
def test_case(world: World, case: Case) -> None:
    with ExitStack() as sockets:
        stage = Stage(world, sockets)
        for step in case.get("setup", ()):
            stage.prepare(step)
        deadline = time.monotonic() + EVENTUALLY_S * case.get("eventually", False)
        while (said := stage.complaints(case)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert said == []


@pytest.mark.parametrize("endpoint", [line.strip() for line in DOCUMENTED.strip().splitlines()])
def test_every_documented_endpoint_has_a_case_that_succeeds(endpoint: str) -> None:
    method, template = endpoint.split()
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)) + r"(\?.*)?"
    literal = {line.split()[1] for line in DOCUMENTED.strip().splitlines() if "{" not in line}
    cases = [parameter.values[0] for parameter in load_cases()]
    succeeding = [
        case
        for case in cases
        if case.get("method") == method
        and case["status"] < 300
        and re.fullmatch(pattern, case["path"])
        and (template in literal or case["path"].partition("?")[0] not in literal)
    ]
    assert succeeding, f"no case in {CASES} asks {endpoint}"


@pytest.mark.parametrize(
    ("body", "shape", "said"),
    [
        ({"a": 1}, {"a": "integer"}, []),
        ({"a": True}, {"a": "integer"}, ["a: True is not of type integer"]),
        ({"a": 1.0}, {"a": "integer"}, ["a: 1.0 is not of type integer"]),
        ({"a": 1}, {"a": "number"}, []),
        ({"a": None}, {"a": "string|null"}, []),
        ({"a": "2025-10-05T12:00:00Z"}, {"a": "iso8601"}, []),
        ({"a": "2025-10-05T12:00:00"}, {"a": "iso8601"}, ["a: '2025-10-05T12:00:00' is not of type iso8601"]),
        ({"a": {"b": []}}, {"a.b": "array", "a.c": "string"}, ["a.c: there is no 'c'"]),
        ({"a": [{"b": "x"}, {}]}, {"a[].b": "string"}, ["a[].b: there is no 'b'"]),
        ({"a": []}, {"a[].b": "string"}, ["a[].b: the array is empty"]),
        ({"a": ["x", 1]}, {"a[]": "string"}, ["a[]: 1 is not of type string"]),
        ([{"a": 1}], {"[].a": "integer"}, []),
    ],
)
def test_differences_are_named(body: object, shape: dict[str, str], said: list[str]) -> None:
    assert differences(body, shape) == said


def test_values_that_are_others_are_named() -> None:
    body = {"a": [{"b": 1}, {"b": 2}], "c": "x"}
    assert others(body, {"c": "x", "a[].b": 1}) == ["a[].b: 2 in place of 1"]
    with pytest.raises(LookupError):
        others(body, {"d": None})


def test_what_was_saved_is_filled_in() -> None:
    saved: dict[str, object] = {"id": 7, "name": "x"}
    assert filled({"a": ["{id}", "m-{id}-{name}", 1]}, saved) == {"a": [7, "m-7-x", 1]}
    with pytest.raises(KeyError):
        filled("/{nobody}", saved)
