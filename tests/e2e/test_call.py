"""The main job: people meet through the page, in real browsers, and see and hear each other through the SFU."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from .cable import Cable
from .conftest import SCREENSHOTS
from .person import Person

MakePerson = Callable[..., Person]

# What four encode and twelve times decode on one machine.
SMALL_CAMERA = """
  const open = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = function ({ video, ...rest }) {
    return open.call(this, { ...rest, video: video && { width: 640, height: 360 } });
  };"""


def test_two_people_meet(somebody: MakePerson) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Two of us")
    alice.join()
    bob.enter(address)

    alice.sees_and_hears(bob)
    bob.sees_and_hears(alice)
    # the fake microphone beeps, so the mark of who speaks comes by itself
    expect(alice.page.locator(f'.tile.speaking[aria-label^="{bob.name}"]')).to_be_visible(timeout=15_000)

    alice.say("Hello from Alice")
    bob.reads("Hello from Alice")
    bob.say("Hello from Bob")
    alice.reads("Hello from Bob")
    alice.screenshot(SCREENSHOTS / "two-with-chat.png")

    bob.page.evaluate("globalThis.told = []")
    bob.page.evaluate("meetCall.data.addEventListener('message', ({ detail }) => told.push(detail))")
    alice.page.wait_for_function("() => meetCall.data.send('by data channel')")
    bob.page.wait_for_function("() => told.length > 0")
    said = bob.page.evaluate("told.map(({ data, userId }) => [data, meetCall.participants.get(userId).username])")
    assert said == [["by data channel", alice.name]]

    bob.leave()
    expect(alice.tile(bob)).to_have_count(0, timeout=2000)
    expect(bob.page.get_by_role("heading", name="New meeting")).to_be_visible()


def test_mute_and_camera_are_seen_by_the_other(somebody: MakePerson) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Mute")
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)

    alice.page.keyboard.press("m")
    expect(bob.tile(alice).get_by_text("muted", exact=True)).to_be_visible()
    alice.page.get_by_role("button", name="Turn camera off").click()
    expect(bob.tile(alice).locator("video")).to_have_count(0)
    alice.page.get_by_role("button", name="Turn camera on").click()
    expect(bob.tile(alice).locator("video")).to_have_count(1)
    alice.page.keyboard.press("m")
    bob.sees_and_hears(alice)


def test_a_shared_screen_is_seen_beside_the_camera(somebody: MakePerson) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Screen")
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)

    alice.page.get_by_role("button", name="Share screen").click()
    bob.until(lambda now: now.stream(alice.name, "screen").get("framesDecoded", 0) > 3, "sees Alice's screen")
    bob.screenshot(SCREENSHOTS / "shared-screen.png")
    bob.sees_and_hears(alice)
    alice.page.get_by_role("button", name="Stop sharing").click()
    expect(bob.page.locator(".tile[data-kind=screen]")).to_have_count(0)


def test_four_people_meet(somebody: MakePerson, media_libraries: Callable[[], set[str]]) -> None:
    people = [somebody(name) for name in ("alice", "bob", "carol", "dave")]
    for person in people:
        person.page.add_init_script(SMALL_CAMERA)
    alice, *others = people
    alice.sign_up()
    address = alice.create_meeting("Four of us")
    alice.join()
    for person in others:
        person.enter(address)
    for person in people:
        for other in people:
            if other is not person:
                person.sees_and_hears(other)
    alice.screenshot(SCREENSHOTS / "four.png")
    # forwarding never decodes: the process that carried all this has not so much as mapped FFmpeg's libraries
    assert media_libraries() == set()


def test_a_lost_socket_comes_back_unseen(somebody: MakePerson, cable: Cable) -> None:
    alice = somebody("alice")
    bob = somebody("bob", base_url=f"http://127.0.0.1:{cable.port}")
    alice.sign_up()
    address = alice.create_meeting("Through a tunnel")
    alice.join()
    bob.enter(address)
    alice.sees_and_hears(bob)
    alice.page.evaluate("""() => {
      globalThis.seen = [];
      meetCall.addEventListener('change', () => seen.push(meetCall.participants.size));
    }""")

    cable.cut()
    expect(bob.page.get_by_text("The connection was lost. Coming back…")).to_be_visible()
    bob.page.wait_for_timeout(10_000)  # what is tested: ten seconds without a socket
    cable.mend()
    expect(bob.page.locator(".room[data-state=joined]")).to_be_visible(timeout=15_000)

    alice.sees_and_hears(bob)
    bob.sees_and_hears(alice)
    bob.say("I am back")
    alice.reads("I am back")
    assert set(alice.page.evaluate("seen")) <= {1}, "Alice saw Bob leave"


SIZES = [("phone", 390, 780), ("tablet", 820, 1100), ("desk", 1440, 900)]


@pytest.mark.parametrize(("name", "width", "height"), SIZES)
def test_the_page_fits_the_screen(somebody: MakePerson, name: str, width: int, height: int) -> None:
    alice, bob = somebody("alice", width=width, height=height), somebody("bob")
    alice.sign_up()
    expect(alice.page.get_by_role("heading", name="New meeting")).to_be_visible()
    alice.screenshot(SCREENSHOTS / f"{name}-home.png")
    address = alice.create_meeting("Fits")
    alice.screenshot(SCREENSHOTS / f"{name}-lobby.png")
    alice.join()
    bob.enter(address)
    alice.sees_and_hears(bob)
    alice.screenshot(SCREENSHOTS / f"{name}-room.png")
    overflow = alice.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, "the page is wider than the screen"
    alice.page.get_by_role("button", name="Leave").focus()
    alice.page.keyboard.press("Enter")
    expect(alice.page.get_by_role("heading", name="New meeting")).to_be_visible()
