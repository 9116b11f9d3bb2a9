"""What a publisher sends twice, or as parity, is of use: RED around sound, and RED with ULPFEC around pictures.

Bob is behind a link that loses packets on their way up. He prefers RED for his microphone, and for his camera he
offers no NACK, so that the server answers with parity instead.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import WebSocketRoute

from .conftest import Far
from .frames import FRAME_RATE, PREPARE
from .person import Person

MakePerson = Callable[..., Person]

PREFER_RED = """
  const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, init) {
    const transceiver = addTransceiver.call(this, track, init);
    if (track.kind === 'audio') {
      const { codecs } = RTCRtpReceiver.getCapabilities('audio');
      const red = codecs.filter(({ mimeType }) => mimeType === 'audio/red');
      const opus = codecs.filter(({ mimeType }) => mimeType === 'audio/opus');
      transceiver.setCodecPreferences([...red, ...opus]);
    }
    return transceiver;
  };
"""
LOSS = 0.05


def without_red(ws: WebSocketRoute) -> None:
    """The page's socket to the server, but its answers take no RED."""

    def taken(text: str | bytes) -> None:
        ws_server.send(rewritten(text, "answer", lambda sdp: re.sub(r"(m=audio.*) 63\b", r"\1", sdp)))

    ws_server = ws.connect_to_server()
    ws.on_message(taken)


def without_nack(ws: WebSocketRoute) -> None:
    """The same, but its offers cannot be asked to send again."""

    def offered(text: str | bytes) -> None:
        ws_server.send(rewritten(text, "offer", lambda sdp: re.sub(r"a=rtcp-fb:\d+ nack\r\n", "", sdp)))

    ws_server = ws.connect_to_server()
    ws.on_message(offered)


def rewritten(text: str | bytes, kind: str, change: Callable[[str], str]) -> str:
    frame: dict[str, Any] = json.loads(text)
    if frame["type"] == kind:
        frame["sdp"] = (
            change(frame["sdp"])
            if isinstance(frame["sdp"], str)
            else {
                **frame["sdp"],
                "sdp": change(frame["sdp"]["sdp"]),
            }
        )
    return json.dumps(frame)


def test_red_and_parity_of_a_publisher_are_of_use(far: Far, somebody: MakePerson) -> None:
    alice, carol = (somebody(name, base_url=far.system.base_url) for name in ("alice", "carol"))
    bob = somebody("bob", base_url=far.base_url, browser=far.browser)
    for person in (alice, bob, carol):
        person.context.add_init_script(PREPARE)
    bob.context.add_init_script(PREFER_RED)
    bob.page.route_web_socket(re.compile("/ws/signaling"), without_nack)
    carol.page.route_web_socket(re.compile("/ws/signaling"), without_red)
    alice.sign_up()
    address = alice.create_meeting("Said twice")
    alice.join()
    bob.enter(address)
    carol.sign_up(address)
    carol.page.get_by_role("button", name="Turn camera off").click()
    carol.join()
    far.link.set_rtt(0.1)
    far.link.up.loss = LOSS
    for person in (alice, carol):
        person.sees_and_hears(bob)
        before = person.measure().stream(bob.name, "camera")["framesDecoded"]
        more = before + 4 * FRAME_RATE
        person.until(lambda now, more=more: now.stream(bob.name, "camera")["framesDecoded"] > more, "goes on seeing")

    (sent,) = bob.page.evaluate("videos('outbound-rtp')")
    assert (sent["nackCount"], sent["retransmittedPacketsSent"]) == (0, 0), "Bob was asked to send again"
    heard = {person: person.measure().stream(bob.name, "microphone") for person in (alice, carol)}
    sizes = {person: each["bytesReceived"] / each["packetsReceived"] for person, each in heard.items()}
    made_up = {person: each["concealedSamples"] / each["totalSamplesReceived"] for person, each in heard.items()}
    print(f"RED: {sizes[alice]:.0f} bytes a packet, {made_up[alice]:.1%} of the sound made up; ", end="")
    print(f"Opus: {sizes[carol]:.0f} bytes, {made_up[carol]:.1%}")
    assert sizes[alice] > 1.5 * sizes[carol], "nothing came twice"
    assert far.link.up.lost > 10
