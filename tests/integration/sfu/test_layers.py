"""Simulcast and SVC of a real Chromium, received by the same Chromium: each layer is shown, and the next one too."""

import asyncio
import time
from collections.abc import AsyncIterator
from shutil import which
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from sfu.consumer import Consumer
from sfu.endpoint import Endpoint
from sfu.ortc import read_publish_offer
from sfu.peer import PublishPeer, SubscribePeer
from sfu.router import Router
from sfu.rtp.layers import HIGHEST, LayerId, View
from tests.e2e.conftest import FLAGS

TIMEOUT_S = 40.0

PAGE = """async ([codec, encodings]) => {
    self.media = await navigator.mediaDevices.getUserMedia({video: {width: 960, height: 540}});
    self.publisher = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    self.receiver = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    receiver.ontrack = ({track}) => {
        const video = Object.assign(document.createElement('video'), {muted: true, autoplay: true});
        video.srcObject = new MediaStream([track]);
        document.body.append(video);
    };
    const [track] = media.getVideoTracks();
    const transceiver = publisher.addTransceiver(track, {direction: 'sendonly', sendEncodings: encodings});
    const {codecs} = RTCRtpSender.getCapabilities('video');
    const wanted = [`video/${codec}`, 'video/rtx'];
    transceiver.setCodecPreferences(wanted.flatMap((each) => codecs.filter(({mimeType}) => mimeType === each)));
    // a loaded machine is to have fewer frames, not smaller ones
    await transceiver.sender.setParameters(
        {...transceiver.sender.getParameters(), degradationPreference: 'maintain-resolution'});
    await publisher.setLocalDescription();
    return publisher.localDescription.sdp;
}"""
RECEIVE = """async (sdp) => {
    await receiver.setRemoteDescription({type: 'offer', sdp});
    await receiver.setLocalDescription();
    return receiver.localDescription.sdp;
}"""
SEEN = """async () => {
    for (const entry of (await receiver.getStats()).values()) if (entry.type === 'inbound-rtp') return entry;
    return {};
}"""
SIMULCAST = [{"rid": rid, "scaleResolutionDownBy": scale} for rid, scale in (("f", 1), ("h", 2), ("q", 4))]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = await browser.new_page()
        await page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
        await page.goto("http://localhost/")
        yield page
        await browser.close()


async def shows(page: Page, width: int) -> dict[str, Any]:
    """Wait until the receiver decodes pictures of this width, three of them."""
    since = None
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            seen: dict[str, Any] = await page.evaluate(SEEN)
            if seen.get("frameWidth") != width:
                since = None
            elif since is None:
                since = seen["framesDecoded"]
            elif seen["framesDecoded"] >= since + 3:
                return seen
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("codec", "encodings"),
    [
        ("VP8", SIMULCAST),  # in the order in which Firefox's pages list them
        ("VP9", [{"scalabilityMode": "L3T3_KEY"}]),
        ("AV1", [{"scalabilityMode": "L2T2"}]),
    ],
)
async def test_every_spatial_layer_is_shown(page: Page, codec: str, encodings: list[dict[str, Any]]) -> None:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",))
    router = Router()

    async def tick() -> None:
        while True:
            router.tick(time.monotonic())
            await asyncio.sleep(0.02)

    ticking = asyncio.create_task(tick())
    alice = PublishPeer("alice", router, endpoint.create_transport)
    bob = SubscribePeer("bob", router, endpoint.create_transport)
    offer = await page.evaluate(PAGE, [codec, encodings])
    answer, changes = alice.negotiate(read_publish_offer(offer), {}, time.monotonic())
    await page.evaluate("(sdp) => publisher.setRemoteDescription({type: 'answer', sdp})", answer)
    sdp = bob.offer(changes.begun)
    assert sdp
    bob.answered(await page.evaluate(RECEIVE, sdp), time.monotonic())
    consumer: Consumer
    (consumer,) = bob.consumers
    # of less than 960 x 540 libwebrtc sends no third encoding
    widths = [480, 960] if encodings[0].get("scalabilityMode") == "L2T2" else [240, 480, 960]
    decoded = 0
    for spatial in (0, len(widths) - 1, 0):
        consumer.set_view(View(cap=LayerId(spatial, HIGHEST)), time.monotonic())
        seen = await shows(page, widths[spatial])
        assert seen["framesDecoded"] > decoded
        decoded = seen["framesDecoded"]
        assert consumer.current
        assert consumer.current.spatial == spatial
    assert consumer.producer.malformed == 0
    ticking.cancel()
    endpoint.close()
