"""A person at a browser: does with the page what a person does, and measures what they see and hear."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import Browser, Page, expect

PASSWORD = "Correct-Horse-9"
DEADLINE_S = 40.0

# What both connections measured, by the participant and the source that a track belongs to.
MEASURE = """async () => {
  const { publish, subscribe } = await meetCall.stats();
  const owner = new Map();
  for (const { userId, username, media } of meetCall.participants.values())
    for (const [source, track] of Object.entries(media)) owner.set(track.id, { userId, username, source });
  const received = subscribe
    .filter((report) => report.type === 'inbound-rtp' && owner.has(report.trackIdentifier))
    .map((report) => ({ ...owner.get(report.trackIdentifier), ...report }));
  const sent = publish.filter((report) => report.type === 'outbound-rtp');
  return { received, sent };
}"""


@dataclass(frozen=True)
class Measured:
    """What a person receives and sends at one moment: statistics objects of the browser."""

    received: list[dict[str, Any]]
    sent: list[dict[str, Any]]

    def stream(self, username: str, source: str) -> dict[str, Any]:
        """The received stream of somebody's camera, microphone or screen; empty where there is none."""
        found = (each for each in self.received if each["username"] == username and each["source"] == source)
        return next(found, {})


class Person:
    """One browser profile with its own cookies, at one address of the system."""

    def __init__(self, browser: Browser, base_url: str, name: str, *, width: int = 1100, height: int = 700) -> None:
        self.name = f"{name}-{uuid4().hex[:8]}"
        self.base_url = base_url
        self.context = browser.new_context(viewport={"width": width, "height": height})
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)

    def sign_up(self, path: str = "/") -> None:
        """Open the page and make an account."""
        self.page.goto(self.base_url + path)
        self.page.get_by_role("button", name="Create an account").click()
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Email").fill(f"{self.name}@example.com")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign up").click()

    def create_meeting(self, title: str, *, places: int = 10) -> str:
        """Create a meeting from the home page; answers the path of its join URL."""
        self.page.get_by_label("Title").fill(title)
        self.page.get_by_label("Places").fill(str(places))
        self.page.get_by_role("button", name="Create and join").click()
        expect(self.page.get_by_role("heading", name=title)).to_be_visible()
        return self.page.url.removeprefix(self.base_url)

    def join(self) -> None:
        """From the mirror into the room."""
        self.page.get_by_role("button", name="Join now").click()
        expect(self.page.locator(".room[data-state=joined]")).to_be_visible(timeout=15_000)

    def enter(self, path: str) -> None:
        """Follow an invitation as somebody new."""
        self.sign_up(path)
        self.join()

    def say(self, text: str) -> None:
        """Write to the chat, opening it where it is closed."""
        self.open_chat()
        self.page.get_by_label("Message").fill(text)
        self.page.get_by_role("button", name="Send").click()

    def open_chat(self) -> None:
        """Show the chat."""
        button = self.page.get_by_role("button", name="Chat")
        if button.get_attribute("aria-expanded") != "true":
            button.click()

    def reads(self, text: str) -> None:
        """See a message."""
        self.open_chat()
        expect(self.page.locator("#chat").get_by_text(text)).to_be_visible()

    def tile(self, other: Person) -> Any:
        """The camera tile of somebody."""
        return self.page.locator(f'.tile[data-kind=camera][aria-label^="{other.name}"]')

    def measure(self) -> Measured:
        """The browser's statistics now."""
        return Measured(**self.page.evaluate(MEASURE))

    def until(self, holds: Callable[[Measured], object], what: str) -> Measured:
        """Measure again and again until `holds`; fails with the last measure after `DEADLINE_S`."""
        end = time.monotonic() + DEADLINE_S
        while True:
            now = self.measure()
            if holds(now):
                return now
            if time.monotonic() > end:
                raise AssertionError(f"{self.name}: not within {DEADLINE_S:.0f} s: {what}\n{now}")
            self.page.wait_for_timeout(200)

    def sees_and_hears(self, other: Person) -> None:
        """Pictures of the other are decoded, one after the other, in the size that is sent; their sound is heard."""

        def flows(now: Measured) -> bool:
            video, audio = now.stream(other.name, "camera"), now.stream(other.name, "microphone")
            return video.get("framesDecoded", 0) > 5 and audio.get("totalAudioEnergy", 0) > 0

        first = self.until(flows, f"sees and hears {other.name}")
        before = first.stream(other.name, "camera")["framesDecoded"]
        energy = first.stream(other.name, "microphone")["totalAudioEnergy"]

        def rises(now: Measured) -> bool:
            video, audio = now.stream(other.name, "camera"), now.stream(other.name, "microphone")
            return video["framesDecoded"] > before + 10 and audio["totalAudioEnergy"] > energy

        self.until(rises, f"goes on seeing and hearing {other.name}")

        def same_size(now: Measured) -> bool:
            sent = [each for each in other.measure().sent if each["kind"] == "video" and "frameWidth" in each]
            video = now.stream(other.name, "camera")
            return any((each["frameWidth"], each["frameHeight"]) == _size(video) for each in sent)

        self.until(same_size, f"sees {other.name} in the size that is sent")

    def screenshot(self, path: Path) -> None:
        """What the page looks like now."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)

    def leave(self) -> None:
        """Press Leave."""
        self.page.get_by_role("button", name="Leave").click()

    def close(self) -> None:
        """Close the browser window."""
        self.context.close()


def _size(stream: dict[str, Any]) -> tuple[int, int]:
    return stream.get("frameWidth", 0), stream.get("frameHeight", 0)
