"""End-to-end encryption by the page: SFrame as RFC 9605 has it, and meetings for those alone who have the key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import SCREENSHOTS
from .person import Measured, Person

MakePerson = Callable[..., Person]

CLIENT = Path(__file__).parents[2] / "sfu" / "web" / "src" / "client" / "e2ee"

HEADERS = {
    (0, 0): "00",
    (0, 1): "01",
    (0, 255): "08ff",
    (0, 65536): "0a010000",
    (0, 2**64 - 1): "0fffffffffffffffff",
    (1, 0): "10",
    (255, 255): "88ffff",
    (2**64 - 1, 2**64 - 1): "ff" + "ff" * 16,
}
"""(kid, ctr) → bytes: of RFC 9605 appendix C.1."""

SUITES = [
    (
        "AES_128_GCM_SHA256_128",
        "75234edefe07819026751816",
        "9901234567b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb",
    ),
    (
        "AES_256_GCM_SHA512_128",
        "84991c167b8cd23c93708ec7",
        "990123456794f509d36e9beacb0e261d99c7d1e972f1fed787d4049f17ca21353c1cc24d56ceabced279",
    ),
]
"""Suite, salt, ciphertext: of RFC 9605 appendix C.3, where all else is the same."""

HEX = """
  const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
"""


@pytest.fixture
def modules(somebody: MakePerson) -> Page:
    """A page of the system in which the client's modules can be imported as they are written."""
    page = somebody("reader").page
    page.route("**/e2ee/*.js", lambda route: route.fulfill(path=CLIENT / route.request.url.rpartition("/")[2]))
    page.goto(somebody("host").base_url)
    return page


def test_headers_of_the_rfc(modules: Page) -> None:
    cases = [[str(kid), str(ctr), encoded] for (kid, ctr), encoded in HEADERS.items()]
    seen = modules.evaluate(
        """async (cases) => {"""
        + HEX
        + """
          const { readHeader, writeHeader } = await import('/e2ee/sframe.js');
          return cases.map(([kid, ctr, encoded]) => {
            const read = readHeader(bytes(encoded + '00'));
            const cut = readHeader(bytes(encoded).subarray(0, -1));
            return [`${read.kid}`, `${read.ctr}`, hex(writeHeader(BigInt(kid), BigInt(ctr))), read.size, cut];
          });
        }""",
        cases,
    )
    assert seen == [[kid, ctr, encoded, len(encoded) // 2, None] for kid, ctr, encoded in cases]


@pytest.mark.parametrize(("suite", "salt", "ciphertext"), SUITES, ids=["aes-128", "aes-256"])
def test_frames_of_the_rfc(modules: Page, suite: str, salt: str, ciphertext: str) -> None:
    seen = modules.evaluate(
        """async ([suite, ciphertext]) => {"""
        + HEX
        + """
          const sframe = await import('/e2ee/sframe.js');
          const key = await sframe.deriveKey(sframe[suite], bytes('000102030405060708090a0b0c0d0e0f'), 0x123n);
          const metadata = bytes('4945544620534672616d65205747');
          const plaintext = bytes('64726166742d696574662d736672616d652d656e63');
          const sealed = await sframe.seal(key, 0x4567n, metadata, plaintext);
          const open = (text, told) => {
            const frame = bytes(text);
            return sframe.open(key, sframe.readHeader(frame), told, frame).then(hex, () => 'refused');
          };
          const changed = ciphertext.slice(0, -1) + '0';
          return [hex(key.salt), hex(sealed), await open(ciphertext, metadata), await open(changed, metadata),
            await open(ciphertext, metadata.subarray(1))];
        }""",
        [suite, ciphertext],
    )
    assert seen == [salt, ciphertext, "64726166742d696574662d736672616d652d656e63", "refused", "refused"]


def test_no_two_frames_have_the_same_nonce_whoever_joins_again(modules: Page) -> None:
    seen = modules.evaluate("""async () => {
      const { KeyRing } = await import('/e2ee/keys.js');
      const { openFrame, sealFrame } = await import('/e2ee/frames.js');
      const { readHeader } = await import('/e2ee/sframe.js');
      const rings = ['a passphrase', 'a passphrase', 'another'].map((passphrase) => new KeyRing(passphrase, 'room'));
      for (const ring of rings) ring.begin('alice');
      const frame = new Uint8Array(100).fill(7);
      const sent = [];
      for (const ring of [rings[0], rings[0], rings[1]])
        sent.push(new Uint8Array(await sealFrame(await ring.next(), 'video', 'key', frame.buffer)));
      const headers = sent.map((bytes) => readHeader(bytes.subarray(10)));
      const opened = async (ring, user, bytes) => {
        const data = await openFrame((kid) => ring.of(user, kid), bytes.buffer);
        return data && new Uint8Array(data).join() === frame.join();
      };
      const short = await sealFrame(await rings[0].next(), 'audio', undefined, new Uint8Array([1]).buffer);
      return {
        counters: headers.map(({ ctr }) => Number(ctr)),
        kids: new Set(headers.map(({ kid }) => kid)).size,
        clear: sent.map((bytes) => bytes.slice(0, 10).every((byte) => byte === 7)),
        hidden: sent.map((bytes) => !bytes.slice(10, -1).join().includes('7,7,7,7')),
        opened: await Promise.all(sent.map((bytes) => opened(rings[1], 'alice', bytes))),
        wrong: await opened(rings[2], 'alice', sent[0]),
        other: await opened(rings[1], 'bob', sent[0]),
        plain: await opened(rings[1], 'alice', frame),
        short: new Uint8Array(await openFrame((kid) => rings[0].of('alice', kid), short)).join(),
        empty: await openFrame(() => null, new ArrayBuffer(0)),
      };
    }""")
    assert seen == {
        "counters": [0, 1, 0],
        "kids": 2,
        "clear": [True, True, True],
        "hidden": [True, True, True],
        "opened": [True, True, True],
        "wrong": None,
        "other": None,
        "plain": None,
        "short": "1",
        "empty": None,
    }


def test_only_those_with_the_passphrase_see_and_hear(somebody: MakePerson) -> None:
    alice, bob, carol = somebody("alice"), somebody("bob"), somebody("carol")
    # Bob's browser has Chromium's older way to the frames alone
    bob.page.add_init_script("delete globalThis.RTCRtpScriptTransform")
    alice.sign_up()
    alice.page.get_by_label("End-to-end encrypted").check()
    address = alice.create_meeting("Between us")
    assert "#key=" in address
    requested: list[str] = []
    bob.page.on("request", lambda request: requested.append(request.url + (request.post_data or "")))
    alice.join()
    bob.enter(address)
    bob.sees_and_hears(alice)
    alice.sees_and_hears(bob)
    passphrase = address.partition("#key=")[2]
    assert not [url for url in requested if passphrase in url.partition("#")[0]], "the passphrase was sent"

    # who has the link without its end is asked, and who guesses wrong gets what the SFU forwards, which is noise
    carol.sign_up(address.partition("#")[0])
    expect(carol.page.get_by_role("button", name="Join now")).to_be_disabled()
    carol.page.get_by_label("Passphrase").fill("a guess")
    carol.screenshot(SCREENSHOTS / "encrypted-lobby.png")
    carol.join()
    note = carol.tile(alice).get_by_text("Encrypted with another passphrase")
    expect(note).to_be_visible(timeout=15_000)
    carol.screenshot(SCREENSHOTS / "encrypted-with-another.png")

    def arrives(now: Measured) -> bool:
        received = [now.stream(alice.name, source) for source in ("camera", "microphone")]
        return all(stream.get("packetsReceived", 0) > 20 for stream in received)

    seen = carol.until(arrives, "packets of Alice arrive at Carol")
    assert seen.stream(alice.name, "camera").get("framesDecoded", 0) == 0
    assert seen.stream(alice.name, "microphone").get("totalAudioEnergy", 0) == 0
    expect(bob.tile(carol).get_by_text("Encrypted with another passphrase")).to_be_visible()
    bob.sees_and_hears(alice)


def test_a_meeting_that_requires_it_takes_nobody_without(somebody: MakePerson) -> None:
    """Also where the page was not told before it joined: nothing is sent unencrypted."""
    alice = somebody("alice")
    page = alice.page

    def forget(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"require_e2ee": False})

    alice.sign_up()
    page.get_by_label("End-to-end encrypted").check()
    address = alice.create_meeting("Not without")
    page.route("**/api/v1/meetings/*", forget)
    page.goto(alice.base_url + address.partition("#")[0])
    page.reload()
    page.get_by_role("button", name="Join now").click()
    expect(page.get_by_role("alert")).to_contain_text("its passphrase is needed")
    expect(page.get_by_label("Passphrase")).to_be_visible()
