"""What REST does to a live room: ending, deleting and leaving a meeting reach those who are in it."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PASSWORD = "SecurePass123!"
SOON_S = 8.0


@pytest.fixture
def api(base_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as client:
        yield client


def signed_up(api: httpx.Client) -> dict[str, str]:
    """The headers of somebody new."""
    name = f"u{secrets.token_hex(6)}"
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    api.post("/api/v1/auth/register", json=body).raise_for_status()
    answer = api.post("/api/v1/auth/login", json={"username": name, "password": PASSWORD}).raise_for_status()
    api.cookies.clear()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def made(api: httpx.Client, creator: dict[str, str], **changes: Any) -> dict[str, Any]:
    body = {"title": "Standup", "max_participants": 10} | changes
    meeting: dict[str, Any] = api.post("/api/v1/meetings", json=body, headers=creator).raise_for_status().json()
    return meeting


@contextmanager
def in_the_room(
    base_url: str, headers: dict[str, str], meeting: dict[str, Any]
) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    """A socket that has joined, and its `joined` frame."""
    token = headers["Authorization"].removeprefix("Bearer ")
    with connect(f"ws{base_url.removeprefix('http')}/ws/signaling?token={token}", proxy=None) as socket:
        socket.send(json.dumps({"type": "join", "room_id": meeting["room_id"]}))
        yield socket, until(socket, "joined")


def until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of this type."""
    while True:
        frame: dict[str, Any] = json.loads(socket.recv(timeout=SOON_S))
        if frame["type"] == kind:
            return frame


def kicked(socket: ClientConnection) -> tuple[str, int | None]:
    """The reason of a `kicked` frame, and the code that the socket is then closed with."""
    reason = until(socket, "kicked")["reason"]
    with pytest.raises(ConnectionClosed):
        socket.recv(timeout=SOON_S)
    return reason, socket.close_code


def test_deleting_a_meeting_sends_everybody_out(api: httpx.Client, base_url: str) -> None:
    creator, guest = signed_up(api), signed_up(api)
    meeting = made(api, creator)
    with in_the_room(base_url, creator, meeting) as (one, _), in_the_room(base_url, guest, meeting) as (other, _):
        assert api.delete(f"/api/v1/meetings/{meeting['meeting_id']}", headers=creator).status_code == 204
        assert kicked(one) == ("meeting-deleted", 4410)
        assert kicked(other) == ("meeting-deleted", 4410)


def test_ending_a_meeting_sends_everybody_out_for_good(api: httpx.Client, base_url: str) -> None:
    creator, guest = signed_up(api), signed_up(api)
    meeting = made(api, creator)
    url = f"/api/v1/meetings/{meeting['meeting_id']}"
    with in_the_room(base_url, guest, meeting) as (socket, _):
        assert api.get(url, headers=guest).json()["status"] == "in_progress"
        assert api.put(url, json={"status": "ended"}, headers=creator).status_code == 200
        assert kicked(socket) == ("meeting-ended", 4410)
    answer = api.post(f"{url}/join", headers=guest)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "MEETING_ENDED")


def test_leaving_by_rest_leaves_the_room_and_frees_the_seat(api: httpx.Client, base_url: str) -> None:
    creator, guest, third = signed_up(api), signed_up(api), signed_up(api)
    meeting = made(api, creator, max_participants=2)
    url = f"/api/v1/meetings/{meeting['meeting_id']}"
    with in_the_room(base_url, creator, meeting) as (one, _), in_the_room(base_url, guest, meeting) as (other, _):
        assert api.post(f"{url}/join", headers=third).json()["error"]["code"] == "ROOM_FULL"
        assert api.post(f"{url}/leave", headers=guest).status_code == 200
        assert kicked(other) == ("left", 4410)
        assert until(one, "user-left")["room_id"] == meeting["room_id"]
        assert api.post(f"{url}/join", headers=third).status_code == 200
        assert api.get(url, headers=third).json()["current_participants"] == 2


def test_joining_by_rest_and_by_socket_is_one_seat_of_one_participant(api: httpx.Client, base_url: str) -> None:
    guest = signed_up(api)
    meeting = made(api, signed_up(api), max_participants=1)
    url = f"/api/v1/meetings/{meeting['meeting_id']}"
    by_rest = api.post(f"{url}/join", headers=guest).json()
    with in_the_room(base_url, guest, meeting) as (socket, joined):
        assert joined["participant_id"] == by_rest["participant_id"]
        assert api.get(url, headers=guest).json()["current_participants"] == 1
        socket.send(json.dumps({"type": "leave", "room_id": meeting["room_id"]}))
        until(socket, "left")
        deadline = time.monotonic() + SOON_S
        while api.get(url, headers=guest).json()["current_participants"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert api.get(url, headers=guest).json()["current_participants"] == 0


def test_a_member_s_history_has_no_ice_password(api: httpx.Client, base_url: str) -> None:
    creator, guest = signed_up(api), signed_up(api)
    meeting = made(api, creator)
    secret = secrets.token_hex(12)
    with in_the_room(base_url, creator, meeting) as (one, _), in_the_room(base_url, guest, meeting) as (_, joined):
        sdp = f"v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:{secret}\r\na=mid:0\r\n"
        frame = {"type": "offer", "room_id": meeting["room_id"], "target_user_id": joined["user_id"]}
        one.send(json.dumps(frame | {"sdp": {"type": "offer", "sdp": sdp}}))
        deadline = time.monotonic() + SOON_S
        history: list[dict[str, Any]] = []
        while not history and time.monotonic() < deadline:
            url = f"/api/v1/messages/history/{meeting['meeting_number']}"
            answer = api.get(url, headers=guest).raise_for_status()
            history = [message for message in answer.json()["data"] if message["type"] == "offer"]
    assert [message["to_user_id"] for message in history] == [joined["user_id"]]
    assert "a=ice-ufrag:abcd" in answer.text
    assert secret not in answer.text
