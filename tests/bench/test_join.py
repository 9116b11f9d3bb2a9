"""How long it takes from "Join now" to the first decoded frame of who is there already, in Chromium on one machine.

The joiner's page is loaded and its camera open, as in the mirror before a call. What is timed is what the server has
a part in, and Chromium's own work on two peer connections: a ticket, the socket, the join, the offers, ICE, DTLS, the
key frame that is asked for at once, its decoding, and the frame's way onto the page (`requestVideoFrameCallback`).
"""

import json
import statistics
from collections.abc import Iterator
from contextlib import closing
from shutil import which

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import System
from tests.e2e.conftest import FLAGS
from tests.e2e.person import Person

JOINS = 20
AIM_MS = 400
SMALL = {"width": 640, "height": 480}
"""Windows, since it is software that draws them here."""

# Notes when the button is pressed, and resolves with the milliseconds until a frame of `name` is shown.
WATCH = """(name) => {
  let pressed;
  const note = (event) => {
    if (event.target.closest?.('button')?.textContent === 'Join now') pressed ??= event.timeStamp;
  };
  addEventListener('click', note, true);
  window.firstFrame = new Promise((resolve) => {
    const seen = new WeakSet();
    const look = () => {
      for (const video of document.querySelectorAll(`.tile[aria-label^="${name}"] video`)) {
        if (seen.has(video)) continue;
        seen.add(video);
        video.requestVideoFrameCallback(() => {
          observer.disconnect();
          removeEventListener('click', note, true);
          resolve(performance.now() - pressed);
        });
      }
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, subtree: true });
  });
}"""


@pytest.fixture
def browser() -> Iterator[Browser]:
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


def test_join_to_first_frame(system: System, browser: Browser) -> None:
    took_ms = []
    with (
        closing(Person(browser, system.base_url, "alice", **SMALL)) as alice,
        closing(Person(browser, system.base_url, "bob", **SMALL)) as bob,
    ):
        alice.sign_up()
        address = alice.create_meeting("Who is quick")
        alice.join()
        bob.sign_up(address)
        for _ in range(JOINS):
            button = bob.page.get_by_role("button", name="Join now")
            button.wait_for()
            bob.page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0")
            bob.page.evaluate(WATCH, alice.name)
            button.click()
            took_ms.append(bob.page.evaluate("firstFrame"))
            bob.leave()
            bob.page.goto(bob.base_url + address)
    median = statistics.median(took_ms)
    row = {
        "joins": JOINS,
        "join_to_first_frame_ms": {
            "median": round(median),
            "p90": round(statistics.quantiles(took_ms, n=10)[-1]),
            "least": round(min(took_ms)),
            "most": round(max(took_ms)),
        },
    }
    print(f"\n{json.dumps(row, indent=2)}\naim: a median of at most {AIM_MS} ms")
