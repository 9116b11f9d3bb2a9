"""WHIP (RFC 9725) and WHEP against a running system: what others see of it, and what a client must not get away with.

`cases/whip.json` has what needs no SDP; what comes of lost connections is in the unit tests, by the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import System

from .people import Caller, client, meeting_of, newcomer
from .test_signaling import Peer, seats_of

DATA = Path(__file__).parents[1] / "data" / "sdp"
OFFERS = {"whip": (DATA / "ffmpeg-whip.sdp").read_text(), "whep": (DATA / "chromium-watch.sdp").read_text()}
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\n"


@pytest.fixture(scope="module")
def api(system: System) -> Iterator[httpx.Client]:
    with client(system.base_url) as made:
        yield made


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
def seen(alice: Caller, bob: Caller, meeting: dict[str, Any]) -> Iterator[Peer]:
    """What Bob, who is in the room by a page, is told."""
    base = str(bob.api.base_url).rstrip("/").removeprefix("http")
    with connect(f"ws{base}/ws/signaling?token={bob.token}", proxy=None) as socket:
        peer = Peer(socket)
        peer.join(meeting["room_id"])
        yield peer


def begin(caller: Caller, room: object, protocol: str = "whip", offer: str | None = None) -> httpx.Response:
    return caller.call("POST", f"/{protocol}/{room}", headers=SDP, content=offer or OFFERS[protocol])


def session(caller: Caller, room: object, protocol: str = "whip") -> str:
    answer = begin(caller, room, protocol)
    assert answer.status_code == 201, answer.text
    location: str = answer.headers["location"]
    return location


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("spelling", ["meeting_id", "meeting_number", "room_id"])
@pytest.mark.parametrize("protocol", ["whip", "whep"])
def test_a_session_from_its_offer_to_its_end(
    alice: Caller, meeting: dict[str, Any], spelling: str, protocol: str
) -> None:
    answer = begin(alice, meeting[spelling], protocol)
    assert answer.status_code == 201, answer.text
    assert answer.headers["content-type"] == "application/sdp"
    assert answer.headers["etag"].startswith('"')
    assert 'rel="ice-server"' in answer.headers["link"]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"Location", "ETag", "Link"} <= set(answer.headers["access-control-expose-headers"].split(", "))
    assert ("a=recvonly" if protocol == "whip" else "a=sendonly") in answer.text
    assert "a=ice-lite" in answer.text
    url = answer.headers["location"]
    trickle = {**FRAGMENT, "If-Match": answer.headers["etag"]}
    assert alice.call("PATCH", url, headers=trickle, content=CANDIDATE).status_code == 204
    assert seats_of(alice, meeting) == 1
    assert alice.call("DELETE", url).status_code == 200
    assert code(alice.call("DELETE", url)) == (404, "RESOURCE_NOT_FOUND")


def test_others_see_a_participant_with_tracks(alice: Caller, meeting: dict[str, Any], seen: Peer) -> None:
    url = session(alice, meeting["room_id"])
    joined = seen.hear("user-joined")
    assert (joined["user_id"], joined["user_info"]["username"]) == (alice.user_id, alice.username)
    assert [seen.hear("track-published")["source"] for _ in range(2)] == ["microphone", "camera"]
    alice.call("DELETE", url).raise_for_status()
    assert [seen.hear("track-unpublished")["source"] for _ in range(2)] == ["microphone", "camera"]
    assert seen.hear("user-left")["user_id"] == alice.user_id


def test_two_at_once_are_one_participant(alice: Caller, meeting: dict[str, Any], seen: Peer) -> None:
    with ThreadPoolExecutor(2) as both:
        urls = list(both.map(lambda _: session(alice, meeting["room_id"]), range(2)))
    assert len(set(urls)) == 2
    assert seats_of(alice, meeting) == 2
    seen.hear("user-joined")
    for url in urls:
        alice.call("DELETE", url).raise_for_status()
    seen.hear("user-left")
    kinds = [frame["type"] for frame in seen.seen]
    assert not {"user-joined", "user-left"} & set(kinds)
    assert kinds.count("track-unpublished") == 4


def test_a_session_is_its_owners(alice: Caller, bob: Caller, meeting: dict[str, Any]) -> None:
    url = session(alice, meeting["room_id"])
    restart = f"a=ice-ufrag:stolen\r\na=ice-pwd:{'s' * 24}\r\n"
    stolen = bob.call("PATCH", url, headers={**FRAGMENT, "If-Match": "*"}, content=restart)
    assert code(stolen) == (403, "INSUFFICIENT_PERMISSIONS")
    assert code(bob.call("DELETE", url)) == (403, "INSUFFICIENT_PERMISSIONS")
    assert code(Caller(alice.api).call("DELETE", url)) == (401, "MISSING_TOKEN")
    assert alice.call("DELETE", url).status_code == 200


def test_a_former_ice_session_is_over(alice: Caller, meeting: dict[str, Any]) -> None:
    begun = begin(alice, meeting["room_id"])
    url, first = begun.headers["location"], begun.headers["etag"]
    restart = f"a=ice-ufrag:fresh\r\na=ice-pwd:{'f' * 24}\r\n{CANDIDATE}"
    anew = alice.call("PATCH", url, headers={**FRAGMENT, "If-Match": "*"}, content=restart)
    assert (anew.status_code, anew.headers["content-type"]) == (200, FRAGMENT["Content-Type"])
    assert anew.headers["etag"] != first
    assert "a=ice-ufrag:" in anew.text
    assert "a=candidate:" in anew.text
    late = alice.call("PATCH", url, headers={**FRAGMENT, "If-Match": first}, content=CANDIDATE)
    assert code(late) == (412, "PRECONDITION_FAILED")
    blind = alice.call("PATCH", url, headers=FRAGMENT, content=CANDIDATE)
    assert code(blind) == (428, "PRECONDITION_REQUIRED")
    alice.call("DELETE", url, headers={"If-Match": first}).raise_for_status()  # which a DELETE doesn't ask about


@pytest.mark.parametrize(
    ("protocol", "offer"),
    [
        ("whip", "garbage"),
        ("whip", OFFERS["whip"].replace("a=sendonly", "a=recvonly")),
        ("whip", OFFERS["whip"] + OFFERS["whip"][OFFERS["whip"].index("m=video") :].replace("a=mid:1", "a=mid:2")),
        ("whip", (DATA / "chromium-sendrecv-data.sdp").read_text()),
        ("whep", OFFERS["whip"]),
        ("whep", OFFERS["whep"].replace("a=recvonly", "a=inactive")),
        ("whep", OFFERS["whep"] + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:9\r\n"),
    ],
)
def test_an_offer_that_can_not_be_used_leaves_nothing(
    alice: Caller, meeting: dict[str, Any], protocol: str, offer: str
) -> None:
    assert code(begin(alice, meeting["room_id"], protocol, offer)) == (422, "UNPROCESSABLE_CONTENT")
    assert seats_of(alice, meeting) == 0


@pytest.mark.parametrize("protocol", ["whip", "whep"])
def test_who_offers_both_ways_gets_one(alice: Caller, meeting: dict[str, Any], protocol: str) -> None:
    both = OFFERS[protocol].replace("a=sendonly", "a=sendrecv").replace("a=recvonly", "a=sendrecv")
    answer = begin(alice, meeting["room_id"], protocol, both)
    assert answer.status_code == 201
    assert ("a=recvonly" if protocol == "whip" else "a=sendonly") in answer.text
    assert "a=sendrecv" not in answer.text
    alice.call("DELETE", answer.headers["location"]).raise_for_status()


def test_a_meeting_for_one_admits_one(alice: Caller, bob: Caller) -> None:
    room = meeting_of(alice, max_participants=1)["room_id"]
    url = session(alice, room)
    assert code(begin(bob, room)) == (409, "ROOM_FULL")
    assert session(alice, room, "whep")
    alice.call("DELETE", url).raise_for_status()
    assert code(begin(bob, room)) == (409, "ROOM_FULL")  # the player is still there


def test_an_encrypted_meeting_takes_nobody_who_does_not_encrypt(alice: Caller) -> None:
    room = meeting_of(alice, require_e2ee=True)["room_id"]
    assert code(begin(alice, room)) == (409, "MEETING_ENCRYPTED")


def test_leaving_by_rest_ends_it(alice: Caller, meeting: dict[str, Any], seen: Peer) -> None:
    url = session(alice, meeting["room_id"])
    alice.call("POST", f"/api/v1/meetings/{meeting['meeting_id']}/leave").raise_for_status()
    assert seen.hear("user-left")["user_id"] == alice.user_id
    assert alice.call("DELETE", url).status_code == 404


def test_the_end_of_the_meeting_ends_it(alice: Caller, meeting: dict[str, Any], seen: Peer) -> None:
    url = session(alice, meeting["room_id"])
    alice.call("DELETE", f"/api/v1/meetings/{meeting['meeting_id']}").raise_for_status()
    seen.closed_with()
    assert alice.call("DELETE", url).status_code == 404
    assert begin(alice, meeting["meeting_id"]).status_code == 404


def test_signing_out_ends_it(api: httpx.Client, meeting: dict[str, Any], seen: Peer) -> None:
    carol = newcomer(api, "carol")
    session(carol, meeting["room_id"])
    carol.call("POST", "/api/v1/auth/logout").raise_for_status()
    assert seen.hear("user-left")["user_id"] == carol.user_id
    assert code(begin(carol, meeting["room_id"])) == (401, "INVALID_TOKEN")
