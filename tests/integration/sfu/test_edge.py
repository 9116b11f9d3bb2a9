"""The public port of a whole system with two media processes."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from redis import Redis
from websockets.sync.client import ClientConnection, connect

from meet.presence import Presence
from tests.conftest import StartSystem, System
from tests.contract.people import Caller, meeting_of, newcomer

OFFER = (Path(__file__).parents[2] / "data" / "sdp" / "ffmpeg-whip.sdp").read_text()


@pytest.fixture(scope="module")
def wide(start_system: StartSystem) -> Iterator[System]:
    with start_system(MEET_SFU_PROCESSES="2") as system:
        yield system


@pytest.fixture
def api(wide: System) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=wide.base_url, timeout=60) as client:
        yield client


def socket_of(system: System, token: str) -> connect:
    return connect("ws" + system.base_url.removeprefix("http") + f"/ws/signaling?token={token}", open_timeout=30)


def ticket_of(person: Caller) -> str:
    ticket: str = person.call("POST", "/api/v1/auth/ws-ticket").raise_for_status().json()["ticket"]
    return ticket


def until(client: ClientConnection, kind: str) -> dict[str, object]:
    """The next frame of a type."""
    while True:
        frame: dict[str, object] = json.loads(client.recv(30))
        if frame["type"] == kind:
            return frame


@pytest.mark.parametrize("spelling", ["meeting_id", "room_id", "meeting_number"])
def test_all_who_join_a_room_meet_whichever_process_they_came_to(
    wide: System, api: httpx.Client, spelling: str
) -> None:
    """A process is chosen before the room is known, so some of them have to be moved."""
    people = [newcomer(api, f"guest{n}") for n in range(3)]
    meeting = meeting_of(people[0])
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket_of(wide, ticket_of(person))) for person in people]
        for number, client in enumerate(sockets):
            client.send(json.dumps({"type": "join", "room_id": meeting[spelling]}))
            joined = until(client, "joined")
            assert joined["room_id"] == meeting[spelling]
            assert len(joined["participants"]) == number  # type: ignore[arg-type]  # a list of the others
        sockets[2].send(json.dumps({"type": "chat", "room_id": meeting[spelling], "message": "hello"}))
        assert [until(client, "chat")["message"] for client in sockets] == ["hello"] * 3


def test_both_processes_take_clients(wide: System, api: httpx.Client) -> None:
    person = newcomer(api)
    with Redis.from_url(wide.env["MEET_REDIS_URL"]) as redis, ExitStack() as stack:
        presence = Presence(redis)
        assert len(presence.nodes()) == 2
        deadline = time.monotonic() + 30
        while not all(node.clients for node in presence.nodes()):
            assert time.monotonic() < deadline
            client = stack.enter_context(socket_of(wide, ticket_of(person)))
            client.send(json.dumps({"type": "ping"}))
            assert until(client, "pong")


def test_a_whip_session_is_found_in_the_process_of_its_room(wide: System, api: httpx.Client) -> None:
    """A room that nobody is in yet is placed, and what speaks of the session goes where that is."""
    person = newcomer(api)
    sessions = []
    for n in range(4):
        room = meeting_of(person)[("meeting_id", "room_id", "meeting_number")[n % 3]]
        answer = person.call("POST", f"/whip/{room}", content=OFFER, headers={"Content-Type": "application/sdp"})
        assert answer.status_code == 201, answer.text
        sessions.append(answer.headers["location"])
    for location in sessions:
        assert person.call("DELETE", location).status_code == 200
        assert person.call("DELETE", location).status_code == 404


def test_a_ticket_opens_one_socket(wide: System, api: httpx.Client) -> None:
    ticket = ticket_of(newcomer(api))
    with socket_of(wide, ticket) as client:
        client.send(json.dumps({"type": "ping"}))
        assert until(client, "pong")
    with socket_of(wide, ticket) as client:
        assert until(client, "error")["code"] == "UNAUTHORIZED"


def test_the_page_and_the_functions_share_the_port(api: httpx.Client) -> None:
    page = api.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert api.get("/meetings/meeting-1/join").text == page.text
    assert api.get("/api/v1/users/health").json()["service"] == "user-service"
    unknown = api.get("/nothing/here")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
    health = api.get("/ws/signaling/health").json()
    assert health["service"] == "signaling-service"
