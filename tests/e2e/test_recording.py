"""Two people in Chromium are recorded: both are in the file, for as long as they were, and in step."""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.contract.people import Caller, client, newcomer

from .clapper import clapper
from .claps import Film, apart_s, watch
from .claps import Person as Clapper
from .person import Person

RECORDING = "/api/v1/recording"
SECONDS = 20
COMPOSED_S = 180.0
"""For a machine on which everything else goes on, too; alone it takes a few seconds."""
AIM_S = 0.060
CLAPPERS = [Clapper(200, 40, 40, hertz=1000), Clapper(40, 60, 200, hertz=1700)]


@pytest.fixture(scope="module")
def api(base_url: str) -> Iterator[httpx.Client]:
    with client(base_url) as made:
        yield made


def test_a_call_ends_up_in_a_file(somebody: Callable[..., Person], api: httpx.Client) -> None:
    owner = newcomer(api, "owner")
    alice, bob = somebody("alice"), somebody("bob")
    for person, own in zip((alice, bob), CLAPPERS, strict=True):
        person.context.add_init_script(clapper(own.hertz, own.colour))
    alice.sign_up()
    path = alice.create_meeting("On the record")
    alice.join()
    bob.enter(path)
    alice.sees_and_hears(bob)
    meeting_id = path.split("/")[2]
    owner.call("POST", f"/api/v1/meetings/{meeting_id}/join").raise_for_status()
    meeting = owner.call("GET", f"/api/v1/meetings/{meeting_id}").raise_for_status().json()

    body = {"meeting_id": meeting["meeting_number"], "room_id": meeting["room_id"], "format": "mp4"}
    started = owner.call("POST", f"{RECORDING}/start", json=body)
    assert started.status_code == 200, started.text
    begun = time.monotonic()
    recording_id = started.json()["recording_id"]
    alice.page.wait_for_timeout(1000 * SECONDS)
    ending = time.monotonic()
    owner.call("POST", f"{RECORDING}/stop", json={"recording_id": recording_id}).raise_for_status()

    alice.sees_and_hears(bob)  # the call goes on
    alice.leave()
    bob.leave()

    said = composed(owner, recording_id)
    assert said["status"] == "completed", said
    assert (said["participants"], said["progress"], said["interrupted"]) == (2, 100, False)
    # it begins between the request and its answer, and ends when its media process hears of the stop
    assert ending - begun - 0.5 <= said["duration_s"] <= seconds_between(said["created_at"], said["stopped_at"]) + 1
    whole = owner.call("GET", f"{RECORDING}/download/{recording_id}").raise_for_status()
    assert whole.headers["content-type"] == "video/mp4"
    assert len(whole.content) == said["file_size"]

    film = watch(whole.content, CLAPPERS)
    assert abs(film.duration_s - said["duration_s"]) <= 0.5
    assert (film.width, film.height) == (1280, 720)
    assert film.frames >= 20 * SECONDS
    assert_both_are_seen(film)
    assert all(len(beeps_s) >= SECONDS / 2 for beeps_s in film.beeps_s), film.beeps_s

    assert sorted((track["kind"], track["source"]) for track in said["tracks"]) == [
        ("audio", "microphone"),
        ("audio", "microphone"),
        ("video", "camera"),
        ("video", "camera"),
    ]
    for track in said["tracks"]:
        path = track["download_url"].partition("/api/")[2]
        part = owner.call("GET", f"/api/{path}").raise_for_status()
        assert len(part.content) == track["file_size"]
    assert_in_step(film)


def composed(owner: Caller, recording_id: str) -> dict[str, Any]:
    """The recording once its file is made, or can't be."""
    deadline = time.monotonic() + COMPOSED_S
    while True:
        answer = owner.call("GET", f"{RECORDING}/status/{recording_id}").raise_for_status()
        said: dict[str, Any] = answer.json()
        if said["status"] != "pending":
            return said
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def seconds_between(before: str, after: str) -> float:
    """Of two times of an answer, which have whole seconds."""
    return (datetime.fromisoformat(after) - datetime.fromisoformat(before)).total_seconds()


def assert_both_are_seen(film: Film) -> None:
    first, second = film.tiles
    assert first is not None
    assert second is not None
    assert first.right <= second.left or second.right <= first.left, film.tiles
    assert abs((first.right - first.left) - (second.right - second.left)) <= 4, film.tiles


def assert_in_step(film: Film) -> None:
    """A beep is heard when its flash is seen."""
    late_s = [apart_s(*both) for both in zip(film.flashes_s, film.beeps_s, strict=True)]
    said = [f"{1000 * statistics.median(each):+.0f} ms of {len(each)}" for each in late_s if each]
    print(f"a beep is later than its flash by {said}")
    assert all(len(each) >= SECONDS / 2 for each in late_s), said
    assert all(abs(statistics.median(each)) <= AIM_S for each in late_s), said
