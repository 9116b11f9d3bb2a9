"""What the page says of a room that is recorded, whoever began it, and what becomes of a recorder that is killed."""

import os
import re
import signal
from collections.abc import Callable

import httpx
from playwright.sync_api import expect

from tests.conftest import System
from tests.processes import egress_processes

from .conftest import SCREENSHOTS
from .person import PASSWORD, Person


def test_everybody_sees_that_a_room_is_recorded(system: System, somebody: Callable[..., Person]) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("On the record")
    alice.join()
    expect(alice.page.locator(".leaving")).to_have_count(0)
    before = set(egress_processes(system.process.pid))
    alice.page.get_by_role("button", name="Record", exact=True).click()
    expect(alice.page.locator(".leaving")).to_have_text("Recording", timeout=20_000)
    expect(alice.page.get_by_role("status").get_by_text("Recording.")).to_be_attached()
    bob.enter(address)
    expect(bob.page.locator(".leaving")).to_have_text("Recording")
    bob.screenshot(SCREENSHOTS / "recording.png")

    (recorder,) = set(egress_processes(system.process.pid)) - before
    os.kill(recorder, signal.SIGKILL)
    bob.sees_and_hears(alice)
    with httpx.Client(base_url=f"{system.base_url}/api/v1", timeout=30) as api:
        token = api.post("/auth/login", json={"username": alice.name, "password": PASSWORD}).json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        (number,) = re.findall(r"Number (\d+)", alice.page.locator("header").inner_text())
        (running,) = api.get("/recording/list", params={"meeting_id": number}).json()["recordings"]
        for verb, words in (("pause", "Recording paused"), ("resume", "Recording")):
            answer = api.post(f"/recording/{verb}", json={"recording_id": running["recording_id"]})
            assert answer.status_code == 200, answer.text
            expect(alice.page.locator(".leaving")).to_have_text(words)

    bob.page.get_by_role("button", name="Stop recording").click()
    for person in (alice, bob):
        expect(person.page.locator(".leaving")).to_have_count(0, timeout=20_000)
        expect(person.page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
