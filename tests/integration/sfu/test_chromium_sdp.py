"""Our answers and offers before a real Chromium: it must accept each, and media must flow by what was agreed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from shutil import which
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from sfu.endpoint import Endpoint
from sfu.media import RoomMedia
from sfu.media_events import MediaEvent, SubscribeOffer
from sfu.ortc import read_publish_offer
from sfu.peer import SubscribePeer
from sfu.router import Router
from sfu.rtp.parameters import TrackInfo
from tests.e2e.conftest import FLAGS

TIMEOUT_S = 30.0
FRAME_BYTES = 64 * 1024
"""The most that a client may send in one frame (decision 14)."""

PAGE = """async () => {
    self.media = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 640, height: 360}});
    self.publisher = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    self.receiver = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    self.arrived = [];
    receiver.ontrack = ({track, transceiver, streams}) => {
        arrived.push([transceiver.mid, streams[0].id]);
        // What nobody plays is not decoded.
        if (track.kind === 'audio') Object.assign(new Audio(), {srcObject: new MediaStream([track])}).play();
    };
    self.add = (track, init = {}) =>
        publisher.addTransceiver(track, {direction: 'sendonly', streams: [media], ...init});
    self.offer = async () => {
        await publisher.setLocalDescription();
        return publisher.localDescription.sdp;
    };
    self.answered = (sdp) => publisher.setRemoteDescription({type: 'answer', sdp});
    self.receive = async (sdp) => {
        await receiver.setRemoteDescription({type: 'offer', sdp});
        await receiver.setLocalDescription();
        return receiver.localDescription.sdp;
    };
    self.report = async (pc, type) => {
        const found = [];
        for (const entry of (await pc.getStats()).values()) if (entry.type === type) found.push(entry);
        return found;
    };
    self.progress = async (mid, kind) => {
        const entries = await report(receiver, 'inbound-rtp');
        const codecs = Object.fromEntries((await report(receiver, 'codec')).map(({id, mimeType}) => [id, mimeType]));
        const entry = entries.find((each) => each.mid === mid && each.kind === kind && each.packetsReceived);
        return entry && {
            frames: entry.framesDecoded, width: entry.frameWidth, codec: codecs[entry.codecId],
            energy: entry.totalAudioEnergy,
        };
    };
}"""


class Call:
    """Alice, who publishes from a Chromium's page, and Bob, who receives in the same page."""

    def __init__(self, endpoint: Endpoint, page: Page) -> None:
        self.page = page
        self.media = RoomMedia(endpoint.create_transport, self._on_media)
        self.tracks: list[dict[str, str]] = []
        self._offers: asyncio.Queue[SubscribeOffer] = asyncio.Queue()
        self.media.subscribe("bob", time.monotonic())

    async def publish(self, step: str, sources: dict[str, str] | None = None) -> str:
        """Change something at Alice's, negotiate it; her offer."""
        offer: str = await self.page.evaluate(f"async () => {{ {step}; return await offer(); }}")
        answer = self.media.publish("alice", offer, sources or {}, time.monotonic())
        await self.page.evaluate("answered", answer)
        return offer

    async def pump(self) -> None:
        """Let Bob answer what comes, for as long as the call lasts."""
        while True:
            offer = await self._offers.get()
            answer = await self.page.evaluate("receive", offer.sdp)
            self.media.answered("bob", answer, time.monotonic())
            self.tracks = offer.tracks

    async def tick(self) -> None:
        """Time, for as long as the call lasts."""
        while True:
            self.media.tick(time.monotonic())
            await asyncio.sleep(0.02)

    def alice(self) -> dict[str, Any]:
        """What the room tells of Alice's peer."""
        return next(peer for peer in self.media.report(time.monotonic()).peers if peer["user_id"] == "alice")

    async def shown(self, *sources: str) -> None:
        """Wait until Bob has taken exactly these."""
        await self._until(lambda: sorted(track["source"] for track in self.tracks) == sorted(sources))

    async def flows(self, source: str) -> dict[str, Any]:
        """Wait until more frames of a source are decoded, or more sound is heard: what is known of it."""
        mid = next(track["mid"] for track in self.tracks if track["source"] == source)
        kind = next(track["kind"] for track in self.tracks if track["source"] == source)
        measure = "frames" if kind == "video" else "energy"
        start: float | None = None
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                seen = await self.page.evaluate("([mid, kind]) => progress(mid, kind)", [mid, kind])
                now = (seen or {}).get(measure)
                if now is not None and start is not None and now > start:
                    return dict(seen)
                start = now if start is None else start
                await asyncio.sleep(0.1)

    def _on_media(self, event: MediaEvent) -> None:
        if isinstance(event, SubscribeOffer):
            self._offers.put_nowait(event)

    async def _until(self, what: Any) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not what():  # noqa: ASYNC110 - what it waits for is in another process
                await asyncio.sleep(0.05)


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        flags = [*FLAGS, "--auto-accept-this-tab-capture"]
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        page = await browser.new_page()
        html = "<!doctype html><title>SDP</title>"
        await page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
        await page.goto("http://localhost/")
        await page.evaluate(PAGE)
        yield page
        await browser.close()


@pytest.fixture
async def call(page: Page) -> AsyncIterator[Call]:
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",))
    call = Call(endpoint, page)
    tasks = [asyncio.create_task(call.pump()), asyncio.create_task(call.tick())]
    yield call
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    endpoint.close()
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def test_a_call_from_the_first_offer_to_an_ice_restart(call: Call) -> None:
    await call.publish("publisher.createDataChannel('chat'); media.getTracks().forEach((track) => add(track))")
    await call.shown("microphone", "camera")
    assert (await call.flows("camera"))["codec"] == "video/VP8"
    await call.flows("microphone")
    groups = await call.page.evaluate("arrived")
    assert sorted(groups) == [["0", "alice"], ["1", "alice"]]

    display = "navigator.mediaDevices.getDisplayMedia({video: true, preferCurrentTab: true})"
    share = f"self.screen = await {display}; self.share = add(screen.getTracks()[0])"
    first = {"3": "screen"}
    await call.publish(share, first)
    await call.shown("microphone", "camera", "screen")
    # A tab that does not change is captured once and then rarely.
    await call.page.evaluate("() => setInterval(() => document.body.append(Math.random()), 100)")
    await call.flows("screen")
    told = {track["source"]: track for track in call.alice()["tracks"]}
    assert told["camera"]["resolution"] == "640x360"
    assert told["camera"]["frame_rate"] > 1
    assert told["screen"]["resolution"]

    mid = next(track["mid"] for track in call.tracks if track["source"] == "screen")
    await call.publish("share.stop()", first)
    await call.shown("microphone", "camera")
    again = {"4": "screen"}
    await call.publish("self.share = add(screen.getTracks()[0].clone())", again)
    await call.shown("microphone", "camera", "screen")
    assert next(track["mid"] for track in call.tracks if track["source"] == "screen") == mid
    await call.flows("screen")
    assert (await call.page.evaluate("arrived")).count([mid, "alice"]) == 2

    before = await call.publish("", again)
    after = await call.publish("publisher.restartIce()", again)
    assert read_publish_offer(before).remote != read_publish_offer(after).remote
    await call.flows("camera")
    await call.flows("microphone")
    assert await call.page.evaluate("publisher.connectionState") == "connected"


@pytest.mark.parametrize("codec", ["VP8", "VP9", "H264", "AV1"])
async def test_every_codec_passes_through(call: Call, codec: str) -> None:
    await call.publish(
        "const sender = add(media.getVideoTracks()[0]);"
        "const {codecs} = RTCRtpSender.getCapabilities('video');"
        f"const first = codecs.filter(({{mimeType}}) => mimeType === 'video/{codec}');"
        "sender.setCodecPreferences([...first, ...codecs.filter((codec) => !first.includes(codec))]);"
    )
    await call.shown("camera")
    assert (await call.flows("camera"))["codec"] == f"video/{codec}"
    told = call.alice()["tracks"][0]
    assert (told["codec"], told["resolution"]) == (codec.lower(), "640x360")


async def test_of_a_simulcast_offer_every_stream_is_sent(call: Call) -> None:
    encodings = "{sendEncodings: [{rid: 'q', scaleResolutionDownBy: 2}, {rid: 'f'}]}"
    offer = await call.publish(f"add(media.getVideoTracks()[0], {encodings})")
    assert "a=simulcast:send q;f" in offer
    await call.shown("camera")
    assert (await call.flows("camera"))["width"] in (320, 640)
    sent = await call.page.evaluate("report(publisher, 'outbound-rtp')")
    assert sorted(entry["rid"] for entry in sent if entry["active"]) == ["f", "q"]
    (before,) = call.alice()["tracks"]
    await call.publish("add(media.getAudioTracks()[0])")
    await call.shown("camera", "microphone")
    assert call.alice()["tracks"][0]["track_id"] == before["track_id"]
    await call.flows("microphone")
    await call.flows("camera")


async def test_a_codec_changed_while_sending_is_offered_anew(call: Call) -> None:
    await call.publish("self.camera = add(media.getVideoTracks()[0])")
    await call.shown("camera")
    assert (await call.flows("camera"))["codec"] == "video/VP8"
    (first,) = call.tracks
    await call.page.evaluate("""async () => {
        const parameters = camera.sender.getParameters();
        const {codecs} = RTCRtpSender.getCapabilities('video');
        parameters.encodings[0].codec = codecs.find(({mimeType}) => mimeType === 'video/VP9');
        await camera.sender.setParameters(parameters);
    }""")
    await call._until(lambda: call.tracks and call.tracks[0]["track_id"] != first["track_id"])
    assert (await call.flows("camera"))["codec"] == "video/VP9"


async def test_a_publisher_learns_what_its_path_carries(call: Call) -> None:
    """Answered with transport-wide numbers but without their feedback, Chromium's estimate falls to 40 kbit/s."""
    await call.publish(
        "const camera = await navigator.mediaDevices.getUserMedia({video: {width: 1280, height: 720}});"
        "add(camera.getVideoTracks()[0], {sendEncodings: [{maxBitrate: 2_500_000}]})"
    )
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            pairs = await call.page.evaluate("report(publisher, 'candidate-pair')")
            estimates = [pair.get("availableOutgoingBitrate", 0) for pair in pairs if pair.get("nominated")]
            if estimates and estimates[0] > 1_500_000:
                break
            await asyncio.sleep(0.1)


async def test_a_subscriber_of_simulcast_rises_to_the_full_picture(call: Call) -> None:
    """Chromium's own feedback shows that its path carries more; what is sent to find that out costs it no frame."""
    encodings = "{sendEncodings: [{rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 100_000}, {rid: 'f'}]}"
    await call.publish(f"add(media.getVideoTracks()[0], {encodings})")
    await call.shown("camera")
    widths = [(await call.flows("camera"))["width"]]
    async with asyncio.timeout(TIMEOUT_S):
        while widths[-1] != 640:
            widths.append((await call.flows("camera"))["width"])
    assert widths[0] == 160
    (received,) = await call.page.evaluate("report(receiver, 'inbound-rtp')")
    assert received["retransmittedPacketsReceived"] > 0
    assert received["framesDropped"] == 0


async def test_an_answer_in_a_full_room_fits_into_a_frame(page: Page) -> None:
    """Bob is offered all that an answer can hold, then as much more as Chromium's first answer showed room for."""
    offer = await page.evaluate("async () => { media.getTracks().forEach((track) => add(track)); return offer(); }")
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",))
    try:
        router = Router()
        bob = SubscribePeer("bob", router, endpoint.create_transport)
        transport = endpoint.create_transport(print, print, print)
        tracks = []
        for number in range(100):
            for parameters in read_publish_offer(offer).tracks:
                source = "microphone" if parameters.kind == "audio" else "camera"
                name = f"{parameters.kind}-{number}"
                tracks.append(TrackInfo(name, f"user-{number}", name, parameters.kind, source, parameters))
                router.produce(tracks[-1], transport, 0.0)
        counts = []
        while (sdp := bob.offer(tracks)) is not None:
            answer = await page.evaluate("receive", sdp)
            frame = {"type": "answer", "pc": "subscribe", "room_id": "meeting-123", "target_user_id": "sfu"}
            assert len(json.dumps({**frame, "sdp": {"type": "answer", "sdp": answer}})) < FRAME_BYTES
            bob.answered(answer, 0.0)
            counts.append(len(bob.tracks))
        assert counts == sorted(set(counts))
        assert counts[-1] > 60
    finally:
        endpoint.close()
