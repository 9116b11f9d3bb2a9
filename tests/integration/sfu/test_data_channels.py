"""Data channels through the SFU, between connections of a real Chromium."""

import time
from collections.abc import AsyncIterator
from shutil import which
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from sfu.endpoint import Endpoint
from sfu.media import RoomMedia
from tests.e2e.conftest import FLAGS

TIMEOUT_S = 15.0

PAGE = """() => {
    self.people = {};
    // A person with one connection and no media, as the publish connection of the meeting page has its channels.
    self.meet = async (name) => {
        const pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
        const person = people[name] = {pc, heard: [], channels: {}, theirs: []};
        pc.ondatachannel = ({channel}) => {
            channel.binaryType = 'arraybuffer';
            const said = {label: channel.label, protocol: channel.protocol, ordered: channel.ordered,
                          retransmits: channel.maxRetransmits, state: channel.readyState};
            person.theirs.push(said);
            channel.onmessage = ({data}) => {
                const what = typeof data === 'string' ? data : data.byteLength;
                person.heard.push([channel.label, channel.protocol, what]);
            };
            channel.onclose = () => { said.state = 'closed'; };
        };
        person.open = (label, options) => {
            const channel = person.channels[label] = pc.createDataChannel(label, options);
            return new Promise((done) => { channel.onopen = () => done(); });
        };
        person.ready = person.open('chat', {});
        await pc.setLocalDescription();
        return pc.localDescription.sdp;
    };
    self.answered = async (name, sdp) => {
        await people[name].pc.setRemoteDescription({type: 'answer', sdp});
        await people[name].ready;
    };
}"""


class Room:
    """A room of the SFU, and the page in which its people are."""

    def __init__(self, endpoint: Endpoint, page: Page) -> None:
        self.page = page
        self.media = RoomMedia(endpoint.create_transport, lambda event: None)

    async def enter(self, name: str) -> None:
        """Somebody connects, with a channel `chat` that is open."""
        offer = await self.page.evaluate("meet", name)
        answer = self.media.publish(name, offer, {}, time.monotonic())
        await self.page.evaluate("([name, sdp]) => answered(name, sdp)", [name, answer])

    async def say(self, name: str, script: str) -> None:
        """Run a script with `chat`, the person's channel, and `me`."""
        await self.page.evaluate(
            f"async (name) => {{ const me = people[name], chat = me.channels.chat; {script} }}", name
        )

    async def heard(self, name: str, count: int) -> list[list[Any]]:
        """What somebody has heard, once that is so much."""
        await self.page.wait_for_function(
            "([name, count]) => people[name].heard.length >= count", arg=[name, count], timeout=TIMEOUT_S * 1000
        )
        heard: list[list[Any]] = await self.page.evaluate("(name) => people[name].heard", name)
        return heard

    async def channels(self, name: str, holds: str) -> list[dict[str, Any]]:
        """The channels that were opened to somebody, once `holds` of them."""
        await self.page.wait_for_function(
            f"(name) => {{ const theirs = people[name].theirs; return {holds}; }}", arg=name, timeout=TIMEOUT_S * 1000
        )
        theirs: list[dict[str, Any]] = await self.page.evaluate("(name) => people[name].theirs", name)
        return theirs


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = await browser.new_page()
        await page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
        await page.goto("http://localhost/")
        await page.evaluate(PAGE)
        yield Room(endpoint, page)
        await browser.close()
    endpoint.close()


async def test_what_one_says_reaches_the_others(room: Room) -> None:
    await room.enter("alice")
    await room.enter("bob")
    await room.say(
        "alice", "chat.send('hello'); chat.send(new Uint8Array(5)); chat.send(''); chat.send(new Uint8Array(0))"
    )
    chat = ["chat", "alice"]
    assert await room.heard("bob", 4) == [[*chat, "hello"], [*chat, 5], [*chat, ""], [*chat, 0]]
    await room.say("bob", "chat.send('hello yourself')")
    assert await room.heard("alice", 1) == [["chat", "bob", "hello yourself"]]

    # in order, and a large one
    await room.say("alice", "for (let n = 0; n < 1000; n++) chat.send(String(n)); chat.send(new Uint8Array(262144))")
    assert [what for _, _, what in await room.heard("bob", 1005)][4:] == [*map(str, range(1000)), 262144]

    # somebody who comes later hears what is said then, from everybody
    await room.enter("carol")
    await room.say("alice", "chat.send('welcome')")
    await room.say("bob", "chat.send('welcome')")
    assert sorted(await room.heard("carol", 2)) == [["chat", "alice", "welcome"], ["chat", "bob", "welcome"]]
    assert (await room.heard("bob", 1006))[-1] == ["chat", "alice", "welcome"]

    # channels keep their names and what they promise
    await room.say("carol", "await me.open('cursor', {ordered: false, maxRetransmits: 0, protocol: 'xy'})")
    await room.say("carol", "me.channels.cursor.send('1,2')")
    assert (await room.heard("bob", 1007))[-1] == ["cursor", "carol xy", "1,2"]
    cursor = (await room.channels("bob", "theirs.length === 2"))[-1]
    assert (cursor["ordered"], cursor["retransmits"]) == (False, 0)

    # and end with the sender's, or with the sender
    await room.say("carol", "me.channels.cursor.close()")
    await room.channels("bob", "theirs.some(({label, state}) => label === 'cursor' && state === 'closed')")
    room.media.leave("alice", time.monotonic())
    for name in ("bob", "carol"):
        await room.channels(name, "theirs.some(({protocol, state}) => protocol === 'alice' && state === 'closed')")
    await room.say("bob", "chat.send('still here')")
    assert (await room.heard("carol", 3))[-1] == ["chat", "bob", "still here"]
