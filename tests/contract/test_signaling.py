"""The signaling WebSocket of a running system: what shapes can't say (`cases/signaling.json` has those).

Two or three people talk to each other; what arrives is compared in values, in order, and with how sockets close.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conftest import StartSystem, System

from .people import Caller, meeting_of, newcomer

CASES = Path(__file__).parent / "cases" / "signaling.json"
PUBLISHED = (Path(__file__).parents[1] / "data" / "sdp" / "chromium-publish.sdp").read_bytes().decode()
FRAME_S = 10.0
SDP = "v=0\r\no=- 123456789 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-pwd:averysecretpasswordindeed\r\n"


class Peer:
    """Somebody on a socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    def say(self, **frame: Any) -> None:
        self.socket.send(json.dumps(frame))

    def hear(self, kind: str) -> dict[str, Any]:
        """The next frame of this type; `seen` has those before it."""
        self.seen = []
        while True:
            frame: dict[str, Any] = json.loads(self.socket.recv(timeout=FRAME_S))
            if frame["type"] == kind:
                return frame
            self.seen.append(frame)

    def join(self, room: str | int, **more: Any) -> dict[str, Any]:
        self.say(type="join", room_id=room, **more)
        return self.hear("joined")

    def closed_with(self) -> tuple[list[dict[str, Any]], int | None]:
        """What still comes, and how the server closes."""
        frames = []
        try:
            while True:
                frames.append(json.loads(self.socket.recv(timeout=FRAME_S)))
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code if closed.rcvd else None

    def vanish(self) -> None:
        """Lose the connection without a word."""
        self.socket.socket.close()


def answer_to(offer: str | dict[str, str]) -> str:
    """What a client says that takes everything."""
    text = offer if isinstance(offer, str) else offer["sdp"]
    text = re.sub(r"^a=(ssrc|ssrc-group|msid|ice-lite|candidate|end-of-candidates)\b.*\r\n", "", text, flags=re.M)
    text = text.replace("a=sendonly", "a=recvonly").replace("setup:actpass", "setup:active")
    return re.sub(r"fingerprint:.*\r", f"fingerprint:sha-256 {':'.join(['CD'] * 32)}\r", text)


Connect = Callable[..., Peer]


@pytest.fixture
def peer() -> Iterator[Connect]:
    """Opens sockets, with somebody's access token or another; all are closed at the end."""
    with ExitStack() as sockets:

        def open_socket(caller: Caller, token: str | None = None) -> Peer:
            base = str(caller.api.base_url).rstrip("/").removeprefix("http")
            url = f"ws{base}/ws/signaling?token={caller.token if token is None else token}"
            return Peer(sockets.enter_context(connect(url, proxy=None, max_size=None, close_timeout=1)))

        yield open_socket


@pytest.fixture(scope="module")
def api(system: System) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=system.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def alice(api: httpx.Client) -> Caller:
    return newcomer(api, "alice")


@pytest.fixture(scope="module")
def bob(api: httpx.Client) -> Caller:
    return newcomer(api, "bob")


@pytest.fixture
def meeting(alice: Caller) -> dict[str, Any]:
    return meeting_of(alice)


@pytest.fixture
def room(meeting: dict[str, Any]) -> str:
    return str(meeting["room_id"])


def test_the_documents_handshake_between_two(
    peer: Connect, alice: Caller, bob: Caller, meeting: dict[str, Any]
) -> None:
    a, b = peer(alice), peer(bob)
    room, number = meeting["room_id"], meeting["meeting_number"]
    b.join(number)
    here = a.join(room, user_id="somebody-else", user_info={"username": "Alice"})
    assert here["user_id"] == alice.user_id
    assert [p["user_id"] for p in here["participants"]] == [bob.user_id]
    came = b.hear("user-joined")
    assert (came["user_id"], came["user_info"]["username"], came["room_id"]) == (alice.user_id, "Alice", number)
    a.say(type="offer", room_id=room, from_user_id="forged", target_user_id=bob.user_id, sdp=SDP)
    offer = b.hear("offer")
    assert (offer["from_user_id"], offer["sdp"], offer["room_id"]) == (alice.user_id, SDP, number)
    answer = {"type": "answer", "sdp": SDP, "kept": ["as", 1, "t"]}
    b.say(type="answer", room_id=meeting["meeting_id"], target_user_id=alice.user_id, sdp=answer)
    assert a.hear("answer")["sdp"] == answer
    candidate = {"candidate": "candidate:1 1 UDP 2130706431 192.168.1.100 54321 typ host", "sdpMLineIndex": 0}
    a.say(type="ice-candidate", room_id=room, target_user_id=bob.user_id, candidate=candidate)
    assert b.hear("ice-candidate")["candidate"] == candidate
    a.say(type="leave", room_id=room)
    assert a.hear("left")["user_id"] == alice.user_id
    assert b.hear("user-left")["user_id"] == alice.user_id


def test_history_is_told_without_ice_passwords(
    peer: Connect, alice: Caller, bob: Caller, meeting: dict[str, Any]
) -> None:
    a, b = peer(alice), peer(bob)
    room = meeting["room_id"]
    a.join(room), b.join(room)
    a.say(type="chat", room_id=room, message="Hello everyone!")
    chat = b.hear("chat")
    a.say(type="offer", room_id=room, target_user_id=bob.user_id, sdp={"type": "offer", "sdp": SDP})
    b.hear("offer")
    deadline = time.monotonic() + 10
    while True:
        answer = alice.call("GET", f"/api/v1/messages/history/{meeting['meeting_number']}").raise_for_status()
        history = answer.json()["data"]
        if len(history) == 2 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert [(m["type"], m["from_user_id"]) for m in history] == [("chat", alice.user_id), ("offer", alice.user_id)]
    assert history[0]["message_id"] == chat["message_id"]
    assert history[0]["payload"] == {"message": "Hello everyone!"}
    assert "ice-pwd" not in answer.text
    assert history[1]["to_user_id"] == bob.user_id


def test_the_newest_connection_wins(peer: Connect, alice: Caller, bob: Caller, room: str) -> None:
    first, b = peer(alice), peer(bob)
    first.join(room), b.join(room)
    second = peer(alice)
    second.join(room)
    frames, code = first.closed_with()
    assert (frames[-1]["type"], frames[-1]["reason"], code) == ("kicked", "replaced", 4409)
    second.say(type="chat", room_id=room, message="me again")
    b.hear("chat")
    assert [frame["type"] for frame in b.seen] == []


def test_what_is_not_wanted_is_not_offered_until_it_is(peer: Connect, alice: Caller, bob: Caller, room: str) -> None:
    a, b = peer(alice), peer(bob)
    a.join(room), b.join(room)
    a.say(type="offer", room_id=room, sdp=PUBLISHED)
    a.hear("answer")
    offer = b.hear("offer")
    assert sorted(track["source"] for track in offer["tracks"]) == ["camera", "microphone"]
    b.say(type="answer", room_id=room, sdp=answer_to(offer["sdp"]))
    microphone, camera = sorted(offer["tracks"], key=lambda track: track["kind"])
    b.say(type="unsubscribe", room_id=room, track_id=camera["track_id"])
    offer = b.hear("offer")
    assert [track["track_id"] for track in offer["tracks"]] == [microphone["track_id"]]
    b.say(type="answer", room_id=room, sdp=answer_to(offer["sdp"]))
    b.say(type="set-layer", room_id=room, track_id=camera["track_id"], spatial=0)
    b.say(type="subscribe", room_id=room, track_id=camera["track_id"], width=320, height=180)
    offer = b.hear("offer")
    assert [frame["type"] for frame in b.seen if frame["type"] == "error"] == []
    assert len(offer["tracks"]) == 2


def test_a_lost_connection_resumes_unseen_and_misses_no_chat(
    peer: Connect, alice: Caller, bob: Caller, room: str
) -> None:
    a, b = peer(alice), peer(bob)
    before = a.join(room)
    b.join(room)
    a.vanish()
    again = peer(alice)
    b.say(type="chat", room_id=room, message="are you there?")
    b.hear("chat")
    again.say(type="resume", room_id=room, session_id=before["session_id"])
    joined = again.hear("joined")
    assert joined["resumed"] is True
    assert joined["session_id"] != before["session_id"]
    assert joined["participant_id"] == before["participant_id"]
    again.say(type="chat", room_id=room, message="yes")
    assert b.hear("chat")["message"] == "yes"
    assert b.seen == []


@pytest.mark.parametrize("whose", ["alice", "bob"])
def test_a_session_that_is_not_ones_own_or_is_over_is_not_found(
    peer: Connect, alice: Caller, bob: Caller, room: str, whose: str
) -> None:
    a = peer(alice)
    session = a.join(room)["session_id"]
    if whose == "alice":
        a.say(type="leave", room_id=room)
        a.hear("left")
    other = peer(alice if whose == "alice" else bob)
    other.say(type="resume", room_id=room, session_id=session)
    assert other.hear("error")["code"] == "SESSION_NOT_FOUND"
    assert other.join(room)["resumed"] is False


def test_deleting_the_meeting_kicks_everybody(
    peer: Connect, alice: Caller, bob: Caller, meeting: dict[str, Any]
) -> None:
    a, b = peer(alice), peer(bob)
    a.join(meeting["room_id"]), b.join(meeting["room_id"])
    alice.call("DELETE", f"/api/v1/meetings/{meeting['meeting_id']}").raise_for_status()
    for out in (a, b):
        frames, code = out.closed_with()
        assert (frames[-1]["type"], frames[-1]["reason"], code) == ("kicked", "meeting-deleted", 4410)
    late = peer(bob)
    late.say(type="join", room_id=meeting["room_id"])
    assert late.hear("error")["code"] == "INVALID_ROOM"


def test_leaving_by_rest_leaves_the_room(peer: Connect, alice: Caller, bob: Caller, meeting: dict[str, Any]) -> None:
    a, b = peer(alice), peer(bob)
    a.join(meeting["room_id"]), b.join(meeting["room_id"])
    bob.call("POST", f"/api/v1/meetings/{meeting['meeting_id']}/leave").raise_for_status()
    assert a.hear("user-left")["user_id"] == bob.user_id
    assert b.closed_with()[1] == 4410
    deadline = time.monotonic() + 10
    while seats_of(alice, meeting) != 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert seats_of(alice, meeting) == 1


def test_the_socket_takes_and_gives_back_the_seat(
    peer: Connect, alice: Caller, bob: Caller, meeting: dict[str, Any]
) -> None:
    b = peer(bob)
    b.join(meeting["room_id"])
    assert seats_of(alice, meeting) == 1
    assert alice.call("GET", f"/api/v1/meetings/{meeting['meeting_id']}").json()["status"] == "in_progress"
    b.say(type="leave", room_id=meeting["room_id"])
    b.hear("left")
    deadline = time.monotonic() + 10
    while seats_of(alice, meeting) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert seats_of(alice, meeting) == 0


def test_a_meeting_for_one_admits_one(peer: Connect, alice: Caller, bob: Caller) -> None:
    room = meeting_of(alice, max_participants=1)["room_id"]
    a, b = peer(alice), peer(bob)
    a.join(room)
    b.say(type="join", room_id=room)
    assert b.hear("error")["code"] == "ROOM_FULL"
    a.say(type="leave", room_id=room)
    a.hear("left")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        b.say(type="join", room_id=room)
        if json.loads(b.socket.recv(timeout=FRAME_S))["type"] == "joined":
            return
        time.sleep(0.1)
    pytest.fail("the seat was not given back")


def test_64_kb_is_the_limit_and_the_socket_stays_open(peer: Connect, alice: Caller, room: str) -> None:
    a = peer(alice)
    a.join(room)
    for text in ("x" * 65_537, "x" * 900_000, "no json", '{"type":', "[]", "[" * 50_000, '{"type":"dance"}', ""):
        a.socket.send(text)
        assert a.hear("error")["code"] == "INVALID_MESSAGE"
    a.socket.send(b"\x00\x01")
    assert a.hear("error")["code"] == "INVALID_MESSAGE"
    longest = {"type": "ice-candidate", "room_id": room, "candidate": {"candidate": ""}}
    longest["candidate"]["candidate"] = "x" * (65_536 - len(json.dumps(longest)))
    a.say(**longest)
    a.say(type="chat", room_id=room, message="still here")
    a.hear("chat")
    assert a.seen == []


def test_a_flood_is_told_and_closed(peer: Connect, alice: Caller, room: str) -> None:
    a = peer(alice)
    a.join(room)
    try:
        for _ in range(5_000):
            a.say(type="pong")
    except ConnectionClosed:
        pass
    frames, code = a.closed_with()
    assert code == 4429
    assert frames[-1]["code"] == "RATE_LIMIT_EXCEEDED"


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_a_bad_token_is_told_in_a_frame_and_closed(peer: Connect, alice: Caller, token: str) -> None:
    frames, code = peer(alice, token).closed_with()
    assert ([frame["code"] for frame in frames], code) == (["UNAUTHORIZED"], 4401)


def test_a_ticket_works_once(peer: Connect, alice: Caller) -> None:
    ticket = alice.call("POST", "/api/v1/auth/ws-ticket").raise_for_status().json()["ticket"]
    first = peer(alice, ticket)
    first.say(type="ping")
    first.hear("pong")
    assert peer(alice, ticket).closed_with()[1] == 4401


def test_signing_out_ends_the_socket(peer: Connect, api: httpx.Client, bob: Caller, room: str) -> None:
    carol, b = newcomer(api, "carol"), peer(bob)
    c = peer(carol)
    b.join(room), c.join(room)
    carol.call("POST", "/api/v1/auth/logout").raise_for_status()
    frames, code = c.closed_with()
    assert (frames[-1]["code"], code) == ("UNAUTHORIZED", 4401)
    assert b.hear("user-left")["user_id"] == carol.user_id
    assert peer(carol).closed_with()[1] == 4401


def test_the_heartbeat_and_the_ghosts_on_a_quicker_clock(peer: Connect, start_system: StartSystem) -> None:
    quick = {"MEET_PING_INTERVAL_S": "1", "MEET_PING_TIMEOUT_S": "3", "MEET_RESUME_S": "2"}
    with start_system(**quick) as system, httpx.Client(base_url=system.base_url, trust_env=False) as api:
        alice, bob = newcomer(api, "alice"), newcomer(api, "bob")
        room = meeting_of(alice)["room_id"]
        a, b = peer(alice), peer(bob)
        a.join(room), b.join(room)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # alice answers, bob doesn't
            frame = json.loads(a.socket.recv(timeout=FRAME_S))
            if frame["type"] == "ping":
                assert set(frame) == {"type", "timestamp"}
                a.say(type="pong")
            elif frame["type"] == "user-left":
                assert frame["user_id"] == bob.user_id
                break
        else:
            pytest.fail("a silent client is still in the room")
        frames, code = b.closed_with()
        assert code == 4408
        assert {frame["type"] for frame in frames} == {"ping"}


def seats_of(caller: Caller, meeting: dict[str, Any]) -> int:
    answer = caller.call("GET", f"/api/v1/meetings/{meeting['meeting_id']}").raise_for_status()
    return int(answer.json()["current_participants"])


@pytest.mark.parametrize(
    "kind",
    [
        *("join", "offer", "answer", "ice-candidate", "media-state", "chat", "leave", "ping", "pong", "resume"),
        *("subscribe", "unsubscribe", "set-layer"),
    ],
)
def test_every_frame_of_a_client_has_a_case(kind: str) -> None:
    assert any(
        frame["type"] == kind
        for case in json.loads(CASES.read_text())
        for step in (case, *case.get("setup", ()))
        for frame in step.get("frames", ())
    )


@pytest.mark.parametrize(
    "kind",
    ["joined", "left", "user-joined", "user-left", "offer", "answer", "ice-candidate", "error", "pong", "kicked"],
)
def test_every_frame_of_the_server_has_a_case(kind: str) -> None:
    assert any(case["until"] == kind for case in json.loads(CASES.read_text()))
