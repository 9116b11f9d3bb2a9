"""A plain sentence for each thing that goes wrong."""

from collections.abc import Callable

from playwright.sync_api import expect

from .conftest import SCREENSHOTS
from .person import Person

MakePerson = Callable[..., Person]


def test_a_full_room(somebody: MakePerson) -> None:
    alice, bob, carol = somebody("alice"), somebody("bob"), somebody("carol")
    alice.sign_up()
    address = alice.create_meeting("Two places", places=2)
    alice.join()
    bob.enter(address)
    carol.sign_up(address)
    carol.page.get_by_role("button", name="Join now").click()
    expect(carol.page.get_by_role("alert")).to_contain_text("This meeting is full.")
    carol.screenshot(SCREENSHOTS / "room-full.png")
    carol.errors.clear()  # the browser logs the 409 itself


def test_no_camera(somebody: MakePerson) -> None:
    alice = somebody("alice")
    alice.page.add_init_script("""
      const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        if (wanted.video) throw new DOMException('none', 'NotFoundError');
        return real(wanted);
      };""")
    alice.sign_up()
    alice.create_meeting("No camera")
    expect(alice.page.get_by_role("alert")).to_contain_text("Your camera was not found.")
    alice.join()


def test_a_meeting_that_is_not_there(somebody: MakePerson) -> None:
    alice = somebody("alice")
    alice.sign_up("/meetings/999999999/join")
    expect(alice.page.get_by_role("alert")).to_contain_text("There is no meeting with this address.")
    alice.errors.clear()  # the browser logs the 404 itself


def test_a_wrong_password(somebody: MakePerson) -> None:
    alice = somebody("alice")
    alice.page.goto(alice.base_url)
    alice.page.get_by_label("Username").fill("nobody-at-all")
    alice.page.get_by_label("Password").fill("wrong-password")
    alice.page.get_by_role("button", name="Sign in").click()
    expect(alice.page.get_by_role("alert")).to_be_visible()
    alice.errors.clear()  # the browser logs the 401 itself


def test_the_same_person_twice(somebody: MakePerson) -> None:
    alice = somebody("alice")
    alice.sign_up()
    alice.create_meeting("Twice")
    alice.join()
    second = alice.context.new_page()
    second.goto(alice.page.url)
    second.get_by_role("button", name="Join now").click()
    expect(second.locator(".room[data-state=joined]")).to_be_visible()
    expect(alice.page.get_by_role("alert")).to_contain_text("from another window")


def test_a_deleted_meeting(somebody: MakePerson) -> None:
    alice = somebody("alice")
    alice.sign_up()
    alice.create_meeting("Deleted")
    alice.join()
    alice.page.evaluate("""async () => {
      const { token } = await (await fetch('/api/v1/csrf-token')).json();
      const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': token };
      const renewed = await fetch('/api/v1/auth/refresh', { method: 'POST', headers, body: '{}' });
      const { access_token } = await renewed.json();
      const id = location.pathname.split('/')[2];
      const Authorization = `Bearer ${access_token}`;
      await fetch(`/api/v1/meetings/${id}`, { method: 'DELETE', headers: { Authorization } });
    }""")
    expect(alice.page.get_by_role("alert")).to_contain_text("The meeting has ended.")
