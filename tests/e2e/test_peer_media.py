"""What REST says of a call in real browsers, and what it may do to it (decision 24)."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.conftest import System
from tests.contract.people import Caller, client

from .person import PASSWORD, Person

MakePerson = Callable[..., Person]


@pytest.fixture
def api(base_url: str) -> Iterator[httpx.Client]:
    with client(base_url) as shared:
        yield shared


def caller(api: httpx.Client, person: Person) -> Caller:
    """The person, with a token of their own."""
    return Caller(api, person.name, PASSWORD).sign_in()


def publishing(somebody: Caller, room: str, user_id: str) -> dict[str, Any] | None:
    """The peer over which a user publishes, as the API tells it."""
    peers = somebody.call("GET", f"/api/v1/webrtc/room/{room}/peers").raise_for_status().json()["peers"]
    return next((peer for peer in peers if peer["user_id"] == user_id and peer["tracks"]), None)


def test_the_truth_of_a_call_and_who_may_mute(somebody: MakePerson, api: httpx.Client, system: System) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Peers")
    alice.join()
    bob.enter(address)
    alice.sees_and_hears(bob)
    room = address.split("/")[2]
    creator, participant = caller(api, alice), caller(api, bob)
    administrator = Caller(api, system.admin_username, system.admin_password).sign_in()
    stranger_answer = httpx.get(f"{system.base_url}/api/v1/webrtc/room/{room}/peers")
    assert stranger_answer.status_code == 401

    def measured(_: Any) -> bool:
        peer = publishing(creator, room, participant.user_id)
        tracks = {track["kind"]: track for track in peer["tracks"]} if peer else {}
        video, audio = tracks.get("video", {}), tracks.get("audio", {})
        sizes = {f"{each.get('frameWidth')}x{each.get('frameHeight')}" for each in bob.measure().sent}
        return (
            video.get("codec") in ("vp8", "vp9", "h264", "av1")
            and video.get("resolution") in sizes
            and video.get("bitrate", 0) > 10_000
            and video.get("frame_rate", 0) > 1
            and audio.get("codec") == "opus"
            and audio.get("bitrate", 0) > 1_000
        )

    alice.until(measured, "the API tells Bob's codecs, size, frame rate and bit rate as his browser does")

    def flowing(_: Any) -> bool:
        stats = creator.call("GET", f"/api/v1/webrtc/room/{room}/stats").json()["statistics"]
        return (
            (stats["audio_tracks"], stats["video_tracks"]) == (2, 2)
            and stats["inbound_bandwidth"] > 10_000
            and stats["outbound_bandwidth"] > 10_000
            and 0 <= stats["packet_loss_rate"] < 0.5
            and 0 < stats["average_rtt"] < 2000
        )

    alice.until(flowing, "the room's statistics tell what flows")

    peer = publishing(creator, room, participant.user_id)
    assert peer is not None
    media = f"/api/v1/webrtc/peer/{peer['peer_id']}/media"
    muted = creator.call("POST", media, json={"audio_enabled": False}).raise_for_status().json()
    assert muted["media_state"]["audio_enabled"] is False
    expect(alice.tile(bob).get_by_text("muted", exact=True)).to_be_visible()
    expect(bob.page.get_by_role("alert")).to_contain_text("switched your microphone off")
    expect(bob.page.get_by_role("button", name="Unmute")).to_be_visible()
    for other in (creator, administrator):
        assert other.call("POST", media, json={"audio_enabled": True}).status_code == 403
    bob.page.get_by_role("button", name="Unmute").click()
    expect(alice.tile(bob).get_by_text("muted", exact=True)).to_have_count(0)
    alice.sees_and_hears(bob)
    alice_peer = publishing(creator, room, creator.user_id)
    assert alice_peer is not None
    theirs = f"/api/v1/webrtc/peer/{alice_peer['peer_id']}/media"
    assert participant.call("POST", theirs, json={"audio_enabled": False}).status_code == 403
