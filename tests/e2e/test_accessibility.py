"""The page by keyboard, by screen reader, on a narrow phone and at 200 %: axe-core's rules, and what no rule sees."""

import json
from collections.abc import Callable
from importlib.resources import files

import pytest
from playwright.sync_api import Page, expect

from .conftest import SCREENSHOTS
from .person import Person

MakePerson = Callable[..., Person]

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
"""axe-core, as a package of PyPI ships it: a machine without Node has it too."""

CHECK = """async () => {
  const { violations } = await axe.run();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`) }));
}"""

CROWD = """(count) => {
  for (let number = meetCall.participants.size + 1; number < count; number++) {
    const username = ['Zoë 👩🏽‍💻 ', 'محمد بن سلمان ', 'Long'.repeat(50)][number % 3] + number;
    const state = { audio: true, video: true, screen: false, speaking: number % 7 === 0 };
    const received = { media: {}, layers: {}, quality: {}, sealed: {} };
    meetCall.participants.set(`fake-${number}`, { userId: `fake-${number}`, username, ...received, ...state });
  }
  meetCall.dispatchEvent(new CustomEvent('change'));
}"""

LONG_TITLE = "🎉 Besprechung" + "sehrlang" * 23


def barriers(page: Page) -> str:
    """The serious and critical violations that axe-core finds, as text; empty is well."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate(CHECK)
    return json.dumps(found, indent=1) if found else ""


def cut_off(page: Page) -> list[str]:
    """What cannot be seen for lying outside the window: the page itself, or buttons and fields."""
    found: list[str] = page.evaluate("""() => {
      const out = [...document.querySelectorAll('button, input, h1')].filter((element) => {
        const { left, right, width } = element.getBoundingClientRect();
        return width > 0 && (left < 0 || right > innerWidth + 0.5);
      }).map((element) => element.outerHTML);
      if (document.documentElement.scrollWidth > innerWidth) out.push('the page');
      return out;
    }""")
    return found


def test_no_screen_has_a_barrier(somebody: MakePerson) -> None:
    alice = somebody("alice", width=320, height=640)
    page = alice.page
    page.goto(alice.base_url)
    expect(page.get_by_label("Username")).to_be_focused()
    assert barriers(page) == ""
    alice.sign_up()
    expect(page.get_by_role("heading", name="New meeting")).to_be_focused()
    assert barriers(page) == ""
    assert cut_off(page) == []
    alice.create_meeting(LONG_TITLE)
    expect(page.get_by_role("heading", name=LONG_TITLE)).to_be_focused()
    assert (barriers(page), cut_off(page)) == ("", [])
    alice.join()
    expect(page.get_by_role("heading", name=LONG_TITLE)).to_be_focused()
    page.evaluate("meetCall.dispatchEvent(new CustomEvent('muted', { detail: { source: 'microphone' } }))")
    expect(page.get_by_role("alert")).to_contain_text("switched your microphone off")
    page.evaluate("meetCall.state = 'lost'; meetCall.dispatchEvent(new CustomEvent('change'))")
    expect(page.get_by_text("Coming back…")).to_be_visible()
    assert (barriers(page), cut_off(page)) == ("", [])
    alice.screenshot(SCREENSHOTS / "narrow-notices.png")
    page.evaluate("meetCall.state = 'joined'; meetCall.dispatchEvent(new CustomEvent('change'))")
    alice.say("One <b>word</b> https://example.com " + "w" * 1000)
    for number in range(20):
        alice.say(f"Line {number}")
    expect(page.locator("#chat").get_by_text("Line 19")).to_be_in_viewport()
    box = page.locator("#chat").bounding_box()
    assert box is not None
    assert box["width"] == 320, "the chat has the whole width of a phone"
    assert page.locator("#chat li").locator("a, b").count() == 0, "what people write is text"
    assert (barriers(page), cut_off(page)) == ("", [])
    alice.screenshot(SCREENSHOTS / "narrow-chat.png")


def test_a_call_by_keyboard_alone(somebody: MakePerson) -> None:
    alice = somebody("alice")
    page = alice.page
    alice.sign_up()
    alice.create_meeting("By keyboard")
    names = ["Mute", "Turn camera off", "Back", "Join now"]
    expect(page.get_by_role("button", name="Turn camera off")).to_be_visible()
    for name in names:
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "focus is seen"
    page.keyboard.press("Enter")
    expect(page.locator(".room[data-state=joined]")).to_be_visible()
    for name in ["Copy link", "Mute", "Turn camera off", "Share screen", "Chat"]:
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("mcvs, typed")
    page.keyboard.press("Enter")
    alice.reads("mcvs, typed")
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Chat")).to_be_focused()
    page.keyboard.press("c")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    page.keyboard.press("Escape")
    for name in ["Record", "Leave"]:
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New meeting")).to_be_focused()


# 640 × 360 is 1280 × 720 at 200 %
@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 780), (640, 360), (1100, 700)])
def test_any_number_fits(somebody: MakePerson, width: int, height: int) -> None:
    alice = somebody("alice", width=width, height=height)
    page = alice.page
    page.emulate_media(reduced_motion="reduce")
    alice.sign_up()
    alice.create_meeting(LONG_TITLE)
    alice.join()
    for count in (2, 5, 9, 16, 30):
        page.evaluate(CROWD, count)
        expect(page.locator(".tile")).to_have_count(count)
        page.wait_for_function("() => document.querySelector('.grid').scrollWidth <= innerWidth")
        assert cut_off(page) == []
        boxes = page.evaluate("""() => [...document.querySelectorAll('.tile')].map((tile) => {
          tile.scrollIntoView();
          const { left, right, top, bottom } = tile.getBoundingClientRect();
          const stage = tile.closest('.stage').getBoundingClientRect();
          return left >= 0 && right <= innerWidth && top >= stage.top - 1 && bottom <= stage.bottom + 1;
        })""")
        assert all(boxes), f"{boxes.count(False)} of {count} tiles are cut"
    assert page.evaluate("document.getAnimations().length") == 0
    assert barriers(page) == ""
    alice.screenshot(SCREENSHOTS / f"crowd-{width}.png")
