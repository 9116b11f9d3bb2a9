"""Firefox and Chromium in one room."""

import time
from collections.abc import Callable
from uuid import uuid4

from tests.conftest import StartSystem

from .firefox import DEADLINE_S, FirefoxPage, firefox
from .person import MEASURE, PASSWORD, Measured, Person

MakePerson = Callable[..., Person]


def test_firefox_and_chromium_meet(somebody: MakePerson, start_system: StartSystem) -> None:
    # Firefox has no loopback candidates: the SFU is met at the machine's own address, which goes over loopback too
    everywhere = "0.0.0.0"  # noqa: S104 - of this machine, for the length of the test
    with start_system(MEET_BIND_HOST=everywhere, MEET_ANNOUNCED_IP="auto") as system:
        _meet(somebody("alice", base_url=system.base_url))


def _meet(alice: Person) -> None:
    alice.sign_up()
    address = alice.create_meeting("Two browsers")
    alice.join()
    name = f"frida-{uuid4().hex[:8]}"
    with firefox() as page:
        page.goto(alice.base_url + address)
        page.click("button", "Create an account")
        page.fill("username", name)
        page.fill("email", f"{name}@example.com")
        page.fill("password", PASSWORD)
        page.click("button", "Sign up")
        page.click("button", "Join now")

        alice.until(lambda now: _flows(now, name), "sees and hears Firefox")
        _until_flows(page, alice.name)


def _flows(now: Measured, username: str) -> bool:
    video, audio = now.stream(username, "camera"), now.stream(username, "microphone")
    return video.get("framesDecoded", 0) > 20 and audio.get("totalAudioEnergy", 0) > 0


def _until_flows(page: FirefoxPage, username: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not _flows(now := Measured(**page.evaluate(MEASURE)), username):
        assert time.monotonic() < end, f"Firefox does not see and hear {username}: {now}"
        page.wait()
