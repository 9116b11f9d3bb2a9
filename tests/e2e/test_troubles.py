"""What goes wrong in the middle of a call: it is said, nothing is lost silently, and there is a way on."""

import json
from collections.abc import Callable

from playwright.sync_api import Route, expect

from .cable import Cable
from .person import PASSWORD, Person

MakePerson = Callable[..., Person]

WATCH_TRACKS = """
  globalThis.captured = [];
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (globalThis.denied) throw new DOMException('denied', 'NotAllowedError');
    const stream = await real(wanted);
    captured.push(...stream.getTracks());
    return stream;
  };"""


def test_back_leaves_the_room_and_closes_the_devices(somebody: MakePerson) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.page.add_init_script(WATCH_TRACKS)
    alice.sign_up()
    address = alice.create_meeting("Back and forth")
    alice.join()
    bob.enter(address)
    expect(alice.tile(bob)).to_be_visible()
    alice.page.go_back()
    expect(alice.page.get_by_role("heading", name="New meeting")).to_be_visible()
    expect(bob.tile(alice)).to_have_count(0, timeout=2000)
    assert alice.page.evaluate("captured.map(({ readyState }) => readyState)") == ["ended", "ended"]
    alice.page.go_forward()
    alice.join()
    expect(bob.tile(alice)).to_be_visible()
    # a reload says goodbye, and the way back is short
    alice.page.reload()
    expect(bob.tile(alice)).to_have_count(0, timeout=2000)
    alice.join()
    bob.sees_and_hears(alice)
    alice.page.close(run_before_unload=True)
    expect(bob.tile(alice)).to_have_count(0, timeout=2000)


def test_a_device_that_goes_away_and_one_that_is_allowed_late(somebody: MakePerson) -> None:
    alice = somebody("alice")
    page = alice.page
    page.add_init_script(WATCH_TRACKS)
    page.add_init_script("globalThis.denied = true")
    alice.sign_up()
    alice.create_meeting("Devices")
    expect(page.get_by_role("alert")).to_contain_text("is blocked. Allow it")
    page.evaluate("denied = false")
    page.get_by_role("button", name="Unmute").click()
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    alice.join()
    page.evaluate("captured[0].stop(); captured[0].dispatchEvent(new Event('ended'))")
    expect(page.get_by_role("alert")).to_contain_text("Your microphone was disconnected.")
    page.get_by_role("button", name="Unmute").click()
    expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_offer_that_is_refused(somebody: MakePerson) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Refused")
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)
    alice.page.evaluate("""() => {
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (text) {
        const frame = JSON.parse(text);
        if (frame.type === 'offer') {
          WebSocket.prototype.send = send;
          frame.sdp.sdp = 'no description';
        }
        return send.call(this, JSON.stringify(frame));
      };
    }""")
    alice.page.get_by_role("button", name="Share screen").click()
    expect(alice.page.get_by_text("The server does not take what your screen sends.")).to_be_visible()
    expect(alice.page.locator(".room[data-state=joined]")).to_be_visible()
    alice.page.get_by_role("button", name="Share screen").click()
    bob.until(lambda now: now.stream(alice.name, "screen").get("framesDecoded", 0) > 3, "sees Alice's screen")
    bob.sees_and_hears(alice)


def test_chat_while_the_connection_is_lost(somebody: MakePerson, cable: Cable) -> None:
    alice, bob = somebody("alice"), somebody("bob", base_url=f"http://127.0.0.1:{cable.port}")
    alice.sign_up()
    address = alice.create_meeting("Lost words")
    alice.join()
    bob.enter(address)
    bob.open_chat()
    # what is written into a socket that is dead already is not lost in silence
    bob.page.evaluate("""() => {
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function (text) {
        if (JSON.parse(text).type !== 'chat') return send.call(this, text);
        WebSocket.prototype.send = send;
      };
    }""")
    bob.say("Into the void")
    cable.cut()
    unsent = bob.page.get_by_text("The connection was lost before this was sent")
    expect(unsent).to_contain_text("Into the void")
    bob.say("Too early")
    expect(bob.page.get_by_text("You are not connected now.")).to_be_visible()
    expect(bob.page.get_by_label("Message")).to_have_value("Too early")
    cable.mend()
    expect(bob.page.locator(".room[data-state=joined]")).to_be_visible(timeout=15_000)
    bob.page.get_by_role("button", name="Try again").click()
    alice.reads("Into the void")
    expect(unsent).to_have_count(0)
    bob.page.get_by_role("button", name="Send", exact=True).click()
    alice.reads("Too early")


LOSE_SOCKET = """() => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) { this.close(); };
  meetCall.chat('the last');
  WebSocket.prototype.send = send;
}"""


def test_a_sign_in_that_ended_leads_back_to_the_meeting(somebody: MakePerson) -> None:
    alice = somebody("alice")
    page = alice.page
    page.add_init_script(WATCH_TRACKS)
    alice.sign_up()
    alice.create_meeting("Expired")
    alice.join()
    refused = {"error": {"code": "UNAUTHORIZED", "message": "no"}}

    def refuse(route: Route) -> None:
        route.fulfill(status=401, body=json.dumps(refused), content_type="application/json")

    page.route("**/auth/ws-ticket", refuse)
    page.route("**/auth/refresh", refuse)
    page.evaluate(LOSE_SOCKET)
    expect(page.get_by_text("Your sign-in has ended.")).to_be_visible()
    assert page.evaluate("captured.every(({ readyState }) => readyState === 'ended')")
    page.unroute_all()
    page.get_by_label("Username").fill(alice.name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Expired")).to_be_visible()
    alice.join()
    alice.errors.clear()  # the browser logs the 401s itself


def test_a_ticket_that_waits(somebody: MakePerson) -> None:
    alice = somebody("alice")
    alice.sign_up()
    alice.create_meeting("Busy")
    asked: list[float] = []

    def busy(route: Route) -> None:
        asked.append(alice.page.evaluate("performance.now()"))
        if len(asked) > 1:
            return route.continue_()
        body = json.dumps({"error": {"code": "RATE_LIMIT_EXCEEDED", "message": "slow down"}})
        return route.fulfill(status=429, headers={"Retry-After": "2"}, body=body, content_type="application/json")

    alice.join()
    alice.page.route("**/auth/ws-ticket", busy)
    alice.page.evaluate(LOSE_SOCKET)
    expect(alice.page.locator(".room[data-state=lost]")).to_be_visible()
    expect(alice.page.locator(".room[data-state=joined]")).to_be_visible()
    assert 2000 <= asked[1] - asked[0] < 6000
    alice.errors.clear()  # the browser logs the 429 itself


def test_a_room_that_forgot_who_was_there(somebody: MakePerson) -> None:
    """As after the end of a media process: the old session is unknown, and the room is joined anew."""
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Forgotten")
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)
    alice.page.evaluate("""() => {
      const send = WebSocket.prototype.send;
      globalThis.joins = [];
      meetCall.addEventListener('change', () => joins.push(meetCall.state));
      WebSocket.prototype.send = function (text) {
        const frame = JSON.parse(text);
        if (frame.type === 'chat') return this.close();
        if (frame.type === 'resume') frame.session_id = '00000000-0000-4000-8000-000000000000';
        return send.call(this, JSON.stringify(frame));
      };
      meetCall.chat('the last on this socket');
    }""")
    alice.page.wait_for_function("() => joins.includes('lost') && meetCall.state === 'joined'")
    bob.sees_and_hears(alice)
    alice.sees_and_hears(bob)


def test_a_way_to_the_server_that_is_looked_for_anew(somebody: MakePerson) -> None:
    """As where somebody leaves the house and the Wi-Fi with it: the call goes on, on the same connections."""
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Out of the house")
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)
    fragments = """async () => {
      const { publish, subscribe } = await meetCall.stats();
      const transports = [...publish, ...subscribe].filter(({ type }) => type === 'transport');
      return transports.map(({ iceLocalUsernameFragment }) => iceLocalUsernameFragment);
    }"""
    before = bob.page.evaluate(fragments)
    bob.page.evaluate("meetCall.addEventListener('change', () => (globalThis.states ??= []).push(meetCall.state))")
    bob.page.evaluate("meetCall.restart()")
    bob.until(lambda _: not {*bob.page.evaluate(fragments)} & {*before}, "has other ICE credentials both ways")
    bob.sees_and_hears(alice)
    alice.sees_and_hears(bob)
    assert set(bob.page.evaluate("states")) == {"joined"}


def test_sound_that_must_wait_for_a_click(somebody: MakePerson) -> None:
    """A browser that plays nothing before the person does something, as people's browsers do."""
    alice = somebody("alice")
    alice.sign_up()
    address = alice.create_meeting("Silent")
    alice.join()
    alice.page.evaluate("""() => {
      const play = HTMLMediaElement.prototype.play;
      globalThis.refused = 0;
      HTMLMediaElement.prototype.play = function () {
        if (globalThis.allowed) return play.call(this);
        refused += 1;
        return Promise.reject(new DOMException('no gesture yet', 'NotAllowedError'));
      };
    }""")
    somebody("bob").enter(address)
    alice.page.wait_for_function("() => refused > 0")
    alice.page.evaluate("document.querySelector('audio').pause(); globalThis.allowed = true")
    alice.page.get_by_role("heading", name="Silent").click()
    alice.page.wait_for_function("() => !document.querySelector('audio').paused")
