"""Each gets what they look at: small tiles the small picture, the large tile the large one, a hidden page nothing."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from .conftest import SCREENSHOTS
from .person import Measured, Person
from .test_accessibility import CROWD

MakePerson = Callable[..., Person]

SHOW = """(state) => {
  Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""

TALK = """
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (!wanted.audio) return real(wanted);
    const context = new AudioContext();
    const buffer = new AudioBuffer({ length: context.sampleRate / 2, sampleRate: context.sampleRate });
    buffer.getChannelData(0).forEach((_, at, sound) => {
      sound[at] = (at < 0.8 * sound.length ? 0.5 : 0.002) * Math.sin(at / 20);  // a quiet room is not silent
    });
    const voice = new AudioBufferSourceNode(context, { buffer, loop: true });
    const microphone = new MediaStreamAudioDestinationNode(context);
    voice.connect(microphone);
    voice.start();
    return microphone.stream;
  };"""
"""A microphone into which somebody speaks, two syllables a second; the browser's own beeps, which is no speech."""


def sizes(person: Person) -> dict[str, int]:
    """The width of what somebody's camera sends now, by rid; a loaded machine makes all of them smaller."""
    sent = [each for each in person.measure().sent if each.get("rid") and each.get("framesPerSecond")]
    return {each["rid"]: each["frameWidth"] for each in sent}


def test_each_gets_what_they_look_at(somebody: MakePerson) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    alice.sign_up()
    address = alice.create_meeting("Large and small")
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)

    def three_sizes(_: Measured) -> bool:
        now = sizes(alice)
        return now.keys() == {"q", "h", "f"} and (now["h"], now["f"]) == (2 * now["q"], 4 * now["q"])

    alice.until(three_sizes, "sends three sizes, each twice the one before")

    def receives(rid: str) -> Callable[[Measured], Any]:
        return lambda now: now.stream(alice.name, "camera")["frameWidth"] == sizes(alice).get(rid)

    # sixteen people: a tile of a few hundred pixels is filled by the smallest picture
    bob.page.evaluate(CROWD, 16)
    bob.until(receives("q"), "is sent the small picture for a small tile")
    tile = bob.tile(alice)
    tile.hover()
    tile.get_by_role("button", name="Enlarge").click()
    bob.until(receives("f"), "is sent the large picture for a large tile")
    tile.get_by_role("button", name="Details of").click()
    expect(tile.locator(".details")).to_contain_text("VP8")
    expect(tile.locator(".details")).to_contain_text("layer S2")
    bob.screenshot(SCREENSHOTS / "enlarged.png")

    bob.page.evaluate(SHOW, "hidden")
    heard = {"camera": -1, "microphone": -1}

    def only_sound(now: Measured) -> bool:
        before = dict(heard)
        heard.update({source: now.stream(alice.name, source)["packetsReceived"] for source in heard})
        return heard["camera"] == before["camera"] and heard["microphone"] > before["microphone"]

    bob.until(only_sound, "is sent no picture while the page is hidden, but the sound")
    decoded = bob.measure().stream(alice.name, "camera")["framesDecoded"]
    bob.page.evaluate(SHOW, "visible")
    bob.until(lambda now: now.stream(alice.name, "camera")["framesDecoded"] > decoded, "is sent pictures again")


def test_who_leads_the_talk_is_marked_and_comes_into_view(somebody: MakePerson) -> None:
    alice, bob = somebody("alice", width=390, height=500), somebody("bob")
    for person in (alice, bob):
        person.page.add_init_script(TALK)
    alice.sign_up()
    address = alice.create_meeting("Who speaks")
    alice.join()
    bob.enter(address)
    bob.page.keyboard.press("m")
    expect(bob.page.locator(f'.tile.active[aria-label^="{alice.name}"]')).to_be_visible(timeout=15_000)
    expect(alice.page.locator(f'.tile.active[aria-label^="{alice.name}"]')).to_be_visible()

    # of sixty, most are out of view; who begins to speak is not for long
    alice.page.evaluate(CROWD, 60)
    alice.page.evaluate("""() => {
      const [stage] = document.getElementsByClassName('stage');
      stage.scrollTo(0, stage.scrollHeight);
    }""")
    expect(alice.tile(bob)).not_to_be_in_viewport()
    alice.page.keyboard.press("m")
    bob.page.keyboard.press("m")
    expect(alice.page.locator(f'.tile.active[aria-label^="{bob.name}"]')).to_be_in_viewport(timeout=15_000)
    alice.screenshot(SCREENSHOTS / "who-speaks-of-sixty.png")
