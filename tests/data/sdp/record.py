"""Record this folder's SDPs anew from the Chromium of this machine: `python tests/data/sdp/record.py`.

The page publishes as the meeting page does; the answers and offers that Chromium reacts to are the SFU's own.
"""

import asyncio
import re
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from sfu.ortc import (
    OfferedSection,
    Origin,
    consumer_parameters,
    publish_answer,
    read_publish_offer,
    subscribe_offer,
)
from sfu.rtp.parameters import TrackInfo, TransportParameters

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-accept-this-tab-capture",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-networking",
    "--disable-gpu",
    "--disable-quic",
]
US = TransportParameters("oursUfrag", "ours" * 6, "sha-256 " + ":".join(["AB"] * 32), ())


def track(track_id: str, offer: str, mid: str) -> TrackInfo:
    """A track of an offer in this folder, as another user's."""
    parameters = next(p for p in read_publish_offer(offer).tracks if p.mid == mid)
    source = "microphone" if parameters.kind == "audio" else "camera"
    return TrackInfo(track_id, "alice", "peer", parameters.kind, source, parameters)


def offered(track: TrackInfo, mid: str, ssrc: int) -> OfferedSection:
    """A section that offers a track under a mid."""
    parameters = consumer_parameters(track, mid, ssrc, ssrc + 1)
    if parameters is None:
        raise AssertionError("nothing of the track can be carried")
    return OfferedSection(parameters, track)


async def publish(page: Any) -> str:
    """Record what a publisher offers, from its first offer to the end of its screen share."""
    await page.evaluate("""async () => {
        self.media = await navigator.mediaDevices.getUserMedia({audio: true, video: true});
        const all = {video: true, audio: true, preferCurrentTab: true};
        self.screen = await navigator.mediaDevices.getDisplayMedia(all);
        self.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
        self.add = (track) => pc.addTransceiver(track, {direction: 'sendonly', streams: [media]});
        self.offer = async () => {
            const {sdp} = await pc.createOffer();
            await pc.setLocalDescription({type: 'offer', sdp});
            return sdp;
        };
        self.answer = (sdp) => pc.setRemoteDescription({type: 'answer', sdp});
        media.getTracks().forEach(add);
    }""")
    steps = {
        "publish": "",
        "publish-screen": "screen.getTracks().forEach(add)",
        "publish-screen-paused": "pc.getTransceivers()[2].direction = 'inactive'",
        "publish-screen-stopped": "pc.getTransceivers().slice(2).forEach((t) => t.stop())",
        "publish-screen-again": "screen.getVideoTracks().forEach(add)",
        "publish-ice-restart": "pc.restartIce()",
    }
    origin = Origin(1)
    first = ""
    for name, step in steps.items():
        offer = await page.evaluate(f"async () => {{ {step}; return await offer(); }}")
        save(name, offer)
        await page.evaluate("answer", publish_answer(read_publish_offer(offer), US, origin))
        origin = origin.next
        first = first or offer
    return first


async def others(page: Any) -> None:
    """Record offers that are not what the meeting page makes."""
    simulcast, data, watch = await page.evaluate("""async () => {
        const simulcast = new RTCPeerConnection();
        const sendEncodings = [{rid: 'q', scaleResolutionDownBy: 4}, {rid: 'f'}];
        simulcast.addTransceiver(media.getVideoTracks()[0], {direction: 'sendonly', sendEncodings});
        const data = new RTCPeerConnection();
        data.createDataChannel('chat');
        media.getTracks().forEach((track) => data.addTrack(track, media));
        const watch = new RTCPeerConnection();
        for (const kind of ['video', 'audio']) watch.addTransceiver(kind, {direction: 'recvonly'});
        const offers = await Promise.all([simulcast, data, watch].map((pc) => pc.createOffer()));
        return offers.map(({sdp}) => sdp);
    }""")
    save("simulcast", simulcast)
    save("sendrecv-data", data)
    save("watch", watch)


async def subscribe(page: Any, publication: str) -> None:
    """Record a subscriber's answers: two tracks, then one ended, then another in its place."""
    await page.evaluate("""() => {
        self.receiver = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
        self.receive = async (sdp) => {
            await receiver.setRemoteDescription({type: 'offer', sdp});
            const answer = await receiver.createAnswer();
            await receiver.setLocalDescription(answer);
            return answer.sdp;
        };
    }""")
    audio = offered(track("audio-1", publication, "0"), "0", 1000)
    video = offered(track("video-1", publication, "1"), "1", 2000)
    again = offered(track("video-2", publication, "1"), "1", 3000)
    steps = {
        "subscribe-answer": (audio, video),
        "subscribe-answer-ended": (audio, OfferedSection(video.parameters)),
        "subscribe-answer-reused": (audio, again),
    }
    origin = Origin(2)
    for name, sections in steps.items():
        save(name, await page.evaluate("receive", subscribe_offer(sections, US, origin)))
        origin = origin.next


def save(name: str, sdp: str) -> None:
    """Keep an SDP with its CRLFs, without the addresses of this machine."""
    lines = [
        re.sub(r"(?<=^c=IN IP4 ).*", "192.0.2.1", line) for line in sdp.split("\r\n") if "candidate:" not in line
    ]
    (HERE / f"chromium-{name}.sdp").write_bytes("\r\n".join(lines).encode())


async def main() -> None:
    """Record everything."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        html = "<!doctype html><title>SDP</title>"
        await page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
        await page.goto("http://localhost/")
        publication = await publish(page)
        await others(page)
        await subscribe(page, publication)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
