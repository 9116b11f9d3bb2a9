"""Who gets which layer when a subscriber's link falls to 300 kbit/s and recovers: two who watch one camera."""

import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .camera import busy_camera
from .conftest import Far
from .person import Measured, Person
from .timeline import Sample, Timeline, changes, picture, reversals

MakePerson = Callable[..., Person]

PICTURE = Path("out/layers.png")
WIDE_BPS, NARROW_BPS = 10_000_000, 300_000
HEIGHTS = (135, 270, 540)
"""Of the three layers of 960x540, the smallest picture of which Chromium sends three."""
HIGH = len(HEIGHTS) - 1
DOWN_WITHIN_S, UP_WITHIN_S, FLAP_S = 3.0, 10.0, 5.0
DEADLINE_S = 40.0


@pytest.mark.skipif(not os.environ.get("MEET_SOAK"), reason="three browsers want a machine for themselves: make soak")
def test_a_throttled_subscriber_keeps_sound_and_a_small_picture_and_comes_back(
    far: Far, browser: Browser, somebody: MakePerson
) -> None:
    link = far.link
    link.set_rtt(0.04)
    link.down.rate_bps = WIDE_BPS
    # small windows, since it is software that draws them; a tile of more than 480 pixels is filled by the high layer
    alice = somebody("alice", base_url=far.system.base_url, width=320, height=480)
    bob = somebody("bob", base_url=far.system.base_url, width=640, height=480)
    carol = somebody("carol", base_url=far.base_url, browser=far.browser, width=640, height=480)
    alice.context.add_init_script(busy_camera(960, 540, 15))
    alice.sign_up()
    address = alice.create_meeting("A narrow link")
    alice.join()
    for watcher in (bob, carol):
        watcher.sign_up(address)
        watcher.page.get_by_role("button", name="Turn camera off").click()
        watcher.join()
        tile = watcher.tile(alice)
        tile.hover()
        tile.get_by_role("button", name="Enlarge").click()
        expect(tile.locator("video")).to_be_visible()
    bobs_view, carols_view = Timeline(bob, alice), Timeline(carol, alice)

    def wait_for_high(watcher: Person, what: str) -> None:
        before = watcher.measure().stream(alice.name, "camera").get("framesDecoded", 0)

        def high(now: Measured) -> bool:
            stream = now.stream(alice.name, "camera")
            return layer_of(watcher, alice) == HIGH and stream.get("framesDecoded", 0) > before + 3

        watcher.until(high, what)

    for watcher in (bob, carol):
        wait_for_high(watcher, "is sent the high layer")
    began = time.time()
    carol.page.wait_for_timeout(3000)
    narrowed = time.time()
    link.down.rate_bps = NARROW_BPS
    carol.page.wait_for_timeout(10_000)
    widened = time.time()
    link.down.rate_bps = WIDE_BPS
    wait_for_high(carol, "is sent the high layer again")
    carol.page.wait_for_timeout(4000)

    lines = {"Bob, near the server": bobs_view.samples(), "Carol, behind the link": carols_view.samples()}
    picture(
        browser,
        PICTURE,
        title="One camera in three layers, two who watch",
        capacity=[(began, WIDE_BPS), (narrowed, NARROW_BPS), (widened, WIDE_BPS)],
        heights=HEIGHTS,
        lines=lines,
    )
    bobs, carols = ([each for each in samples if each.at >= began] for samples in lines.values())
    print("layers of Carol:", [(round(at - began, 1), layer) for at, layer in changes(carols)])
    narrow = [each for each in carols if narrowed + DOWN_WITHIN_S <= each.at < widened]
    assert {each.layer for each in narrow} == {0}, "more than the low layer is sent over the narrow link, or nothing"
    assert longest_stop(narrow) < 1.0, "the picture stands still"
    assert share_made_up(narrow) < 0.1, "the sound is broken"
    back = next(each.at for each in carols if each.at > widened and each.layer == HIGH)
    assert back - widened <= UP_WITHIN_S
    turns = reversals(carols)
    assert not [1 for first, third in zip(turns, turns[2:], strict=False) if third - first < FLAP_S], "it flaps"
    assert {each.layer for each in bobs} == {HIGH}, "Bob's picture suffers from Carol's link"


def layer_of(watcher: Person, sender: Person) -> int | None:
    """The spatial layer of somebody's camera that the server says it sends."""
    layer: int | None = watcher.page.evaluate(
        "name => [...meetCall.participants.values()].find((each) => each.username === name)"
        "?.layers.camera?.current?.spatial ?? null",
        sender.name,
    )
    return layer


def longest_stop(samples: list[Sample]) -> float:
    """Seconds without a new frame."""
    moved = [samples[0], *(now for before, now in pairwise(samples) if now.frames > before.frames), samples[-1]]
    return max(now.at - before.at for before, now in pairwise(moved))


def share_made_up(samples: list[Sample]) -> float:
    """Of the sound that was played."""
    heard = samples[-1].heard - samples[0].heard
    return (samples[-1].concealed - samples[0].concealed) / max(1, heard)
