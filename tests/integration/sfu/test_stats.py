"""What a room tells of its media is what Chromium says of the same at the other end, over a way that loses packets.

Both ends are asked ten times a second. The page's counters are read between two of its answers in proportion, and a
rate of ours, of a sliding window, is held against what the page counted in that.
"""

import asyncio
import json
import time
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from statistics import median
from typing import Any

import pytest
from playwright.async_api import async_playwright

from sfu.endpoint import Endpoint
from sfu.rtp.stats import ConsumerStats, TrackStats
from tests.e2e.conftest import FLAGS
from tests.link import Link, need_link

from .test_chromium_sdp import PAGE, Call

SETTLE_S = 5.0
"""Until the page's rates change no more than the encoder makes them, and a few reports have come."""
MEASURE_S = 5.0
LOOK_S = 0.1
PATIENCE_S = 60.0
"""A busy machine holds up a page that reads, decodes and counts; what it tells is then of other seconds than ours."""
WINDOW_S, LAYER_WINDOW_S = 2.0, 1.0
"""Of our rates."""
HEADER_BYTES = 32
"""Of Chromium's RTP packets, with the extensions that are agreed on."""
RTT_S = 0.06
LOSS = 0.03
WITHIN = 0.05
NOISE_S = 0.01
"""What threads that wait for a core add to a round trip here."""

SAMPLER = """() => {
    const told = ['type', 'timestamp', 'kind', 'rid', 'nominated', 'bytesSent', 'retransmittedBytesSent',
        'packetsSent', 'retransmittedPacketsSent', 'framesSent', 'bytesReceived', 'retransmittedBytesReceived',
        'framesDecoded', 'packetsLost', 'jitter', 'currentRoundTripTime'];
    const types = ['outbound-rtp', 'remote-inbound-rtp', 'inbound-rtp', 'candidate-pair'];
    const pick = (entry) => Object.fromEntries(told.filter((key) => key in entry).map((key) => [key, entry[key]]));
    const stats = async (pc) =>
        [...(await pc.getStats()).values()].filter(({type}) => types.includes(type)).map(pick);
    self.samples = [];
    setInterval(async () => {
        const [sent, received] = await Promise.all([stats(publisher), stats(receiver)]);
        samples.push({sent, received});
        samples.splice(0, samples.length - 100);
    }, 100);
}"""
"""Keeps the last ten seconds."""


@dataclass(frozen=True)
class Moment:
    """What we tell at one time."""

    at: float
    """Unix time."""
    sent: dict[str, TrackStats]
    """By kind, of what Alice publishes."""
    received: dict[str, ConsumerStats]
    """By kind, of what Bob is sent."""
    peers: dict[str, dict[str, Any]]
    """By user, as REST answers them."""


class Counter:
    """A figure of the page's over time."""

    def __init__(self, values: list[tuple[float, float]]) -> None:
        """(Unix time, value) in order."""
        assert len(values) > 1
        self._values = values

    def at(self, at: float) -> float:
        """The figure at a time, in proportion between the two answers around it."""
        after = min(max(bisect_left(self._values, (at, 0.0)), 1), len(self._values) - 1)
        (t0, v0), (t1, v1) = self._values[after - 1], self._values[after]
        return v0 + (v1 - v0) * (at - t0) / (t1 - t0)

    def median(self, start: float) -> float:
        """Of what was answered since a time."""
        return median(value for at, value in self._values if at >= start)


class Page:
    """What the page has said of itself."""

    def __init__(self, samples: list[dict[str, list[dict[str, Any]]]]) -> None:
        self._samples = samples

    def counter(self, pc: str, type_: str, key: str, less: str = "", **having: Any) -> Counter:
        """The sum of a figure, less that of another, over the objects of a type that have these values."""
        found: dict[float, float] = {}  # what the other end has reported is of the same time until its next report
        for sample in self._samples:
            objects = [e for e in sample[pc] if e["type"] == type_ and having.items() <= e.items() and key in e]
            if objects:
                value = sum(e[key] - e.get(less, 0) for e in objects)
                found[objects[0]["timestamp"] / 1000] = float(value)
        return Counter(sorted(found.items()))


@dataclass(frozen=True)
class Comparison:
    """Ours beside the page's, over the time that was measured."""

    moments: list[Moment]
    page: Page

    def ours(self, figure: Callable[[Moment], float]) -> float:
        """The mean of a figure of ours."""
        return sum(figure(moment) for moment in self.moments) / len(self.moments)

    def rate(self, counter: Counter, window_s: float) -> float:
        """The page's counter by the second, on the average of the windows that end at our moments."""
        return self.ours(lambda moment: counter.at(moment.at) - counter.at(moment.at - window_s)) / window_s

    @property
    def since(self) -> float:
        """When it began."""
        return self.moments[0].at


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Call]:
    """Alice and Bob in one Chromium, behind a link that delays and loses."""
    need_link()
    path = which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    with Link(seed=5) as link, link.program(path, tmp_path) as behind:
        link.set_rtt(RTT_S)
        link.up.loss = link.down.loss = LOSS
        endpoint = await Endpoint.open("0.0.0.0", 0, (link.server_address,))  # noqa: S104 - one of the link's ends
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=behind, args=FLAGS)
            page = await browser.new_page()
            html = "<!doctype html><title>Statistics</title>"
            await page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
            await page.goto("http://localhost/")
            await page.evaluate(PAGE)
            one = Call(endpoint, page)
            tasks = [asyncio.create_task(one.pump()), asyncio.create_task(one.tick())]
            yield one
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await browser.close()
        endpoint.close()
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results


def look(call: Call) -> Moment:
    now = time.monotonic()
    users = call.media._users
    [publisher] = users["alice"].publishers.values()
    subscriber = users["bob"].subscriber
    assert subscriber
    return Moment(
        time.time(),
        {producer.track.kind: producer.stats(now) for producer in publisher.producers},
        {consumer.producer.track.kind: consumer.stats(now) for consumer in subscriber.peer.consumers},
        {peer["user_id"]: peer for peer in call.media.report(now).peers},
    )


async def agree(call: Call, *comparisons: Callable[[Comparison], None]) -> None:
    """Hold these against both ends' figures of the same seconds, until they are of some in which both kept up."""
    moments: deque[Moment] = deque(maxlen=round(MEASURE_S / LOOK_S))
    await call.page.evaluate(SAMPLER)
    looking = asyncio.create_task(_look(call, moments))
    end = time.monotonic() + PATIENCE_S
    try:
        await asyncio.sleep(SETTLE_S)
        while True:
            await asyncio.sleep(1)
            ours = list(moments)
            page = Page(json.loads(await call.page.evaluate("JSON.stringify(samples)")))
            try:
                for compare in comparisons:
                    compare(Comparison(ours, page))
            except AssertionError:
                if time.monotonic() > end:
                    raise
            else:
                return
    finally:
        looking.cancel()


async def _look(call: Call, moments: deque[Moment]) -> None:
    while True:
        moments.append(look(call))
        await asyncio.sleep(LOOK_S)


async def test_what_a_room_tells_is_what_chromium_measures(call: Call) -> None:
    # Without RTX, over which Chromium probes with repetitions that its statistics don't tell from what is new.
    await call.publish(
        "const camera = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 480}});"
        "const sender = add(camera.getVideoTracks()[0], {sendEncodings: ["
        "  {rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 60_000},"
        "  {rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 150_000}]});"
        "sender.setCodecPreferences("
        "  RTCRtpSender.getCapabilities('video').codecs.filter(({mimeType}) => mimeType === 'video/VP8'));"
        "add(media.getAudioTracks()[0])"
    )
    await call.shown("camera", "microphone")
    await call.flows("camera")
    await call.flows("microphone")
    await agree(call, rates, layers, losses, times)


def rates(seen: Comparison) -> None:
    """Bit rates and frame rates, in both directions."""
    page = seen.page
    for kind, arrives in (("audio", 1 - LOSS), ("video", 1.0)):  # what is lost of sound is not sent again
        sent = page.counter("sent", "outbound-rtp", "bytesSent", "retransmittedBytesSent", kind=kind)
        told = seen.ours(lambda m: m.sent[kind].bitrate_bps)  # noqa: B023 - called at once
        assert told == near(8 * arrives * seen.rate(sent, WINDOW_S))
        came = page.counter("received", "inbound-rtp", "bytesReceived", "retransmittedBytesReceived", kind=kind)
        told = seen.ours(lambda m: m.received[kind].bitrate_bps)  # noqa: B023 - called at once
        assert told * (1 - LOSS) == near(8 * seen.rate(came, WINDOW_S))
    frames = page.counter("sent", "outbound-rtp", "framesSent", rid=best(seen))
    assert seen.ours(lambda m: m.sent["video"].frame_rate) == near(seen.rate(frames, WINDOW_S))
    decoded = page.counter("received", "inbound-rtp", "framesDecoded", kind="video")
    assert seen.ours(lambda m: m.received["video"].frame_rate) == near(seen.rate(decoded, WINDOW_S))


def best(seen: Comparison) -> str:
    """The rid of the best encoding that Chromium sends: where its estimate is low, it leaves the other out."""
    frames = seen.page.counter("sent", "outbound-rtp", "framesSent", rid="h")
    return "h" if seen.rate(frames, LAYER_WINDOW_S) > 1 else "q"


def layers(seen: Comparison) -> None:
    """Each encoding as its highest layer, which has all of it."""
    sizes = {"q": (160, 120), "h": (320, 240)}
    for spatial, rid in enumerate("qh" if best(seen) == "h" else "q"):
        highest = [
            max((layer for layer in moment.sent["video"].layers if layer.id.spatial == spatial), key=lambda x: x.id)
            for moment in seen.moments
            if any(layer.id.spatial == spatial for layer in moment.sent["video"].layers)
        ]
        assert len(highest) == len(seen.moments)
        assert {(layer.width, layer.height) for layer in highest} == {sizes[rid]}
        sent = seen.page.counter("sent", "outbound-rtp", "bytesSent", "retransmittedBytesSent", rid=rid)
        packets = seen.page.counter("sent", "outbound-rtp", "packetsSent", "retransmittedPacketsSent", rid=rid)
        carried = seen.rate(sent, LAYER_WINDOW_S) + HEADER_BYTES * seen.rate(packets, LAYER_WINDOW_S)
        assert sum(layer.bitrate_bps for layer in highest) / len(highest) == near(8 * carried)
        frames = seen.page.counter("sent", "outbound-rtp", "framesSent", rid=rid)
        told = sum(layer.frame_rate for layer in highest) / len(highest)
        assert told == near(seen.rate(frames, LAYER_WINDOW_S))


def losses(seen: Comparison) -> None:
    """Packets, and those of them that were lost, by who receives: the other end hears of it with the next report."""
    page, last = seen.page, seen.moments[-1]
    for kind, report_s in (("audio", 7.5), ("video", 2.5)):  # libwebrtc's intervals, half as long again
        lost = page.counter("received", "inbound-rtp", "packetsLost", kind=kind)
        assert lost.at(last.at - report_s) - 1 <= last.received[kind].lost <= lost.at(last.at) + 1
        heard = page.counter("sent", "remote-inbound-rtp", "packetsLost", kind=kind)
        first = seen.moments[0].sent[kind].lost
        assert first - 1 <= heard.at(last.at)
        assert heard.at(seen.since) - 1 <= last.sent[kind].lost
        packets = page.counter("sent", "outbound-rtp", "packetsSent", "retransmittedPacketsSent", kind=kind)
        assert last.sent[kind].packets + last.sent[kind].lost == near(packets.at(last.at))
    rates = [stats.loss_rate for stats in (*last.sent.values(), *last.received.values())]
    assert 0 < sum(rates) / len(rates) < LOSS * 3


def times(seen: Comparison) -> None:
    """Round trips and jitter. Of a machine that is busy, both ends see more than the link makes, at other moments."""
    page, since = seen.page, seen.since
    for user, pc in (("alice", "sent"), ("bob", "received")):
        told_s = median(moment.peers[user]["rtt"] for moment in seen.moments) / 1000
        checks_s = page.counter(pc, "candidate-pair", "currentRoundTripTime", nominated=True).median(since)
        assert told_s == pytest.approx(checks_s, rel=WITHIN, abs=NOISE_S)
    for kind, streams in (("audio", 1), ("video", 2)):  # the page's figures of both encodings are added up
        heard_s = page.counter("sent", "remote-inbound-rtp", "jitter", kind=kind).median(since) / streams
        told_s = median(moment.sent[kind].jitter_ms for moment in seen.moments) / 1000
        assert told_s == pytest.approx(heard_s, rel=1.0, abs=NOISE_S)
        seen_s = page.counter("received", "inbound-rtp", "jitter", kind=kind).median(since)
        told_s = median(moment.received[kind].jitter_ms for moment in seen.moments) / 1000
        assert told_s == pytest.approx(seen_s, rel=1.0, abs=NOISE_S)


def near(value: float) -> Any:
    """Within what is promised."""
    return pytest.approx(value, rel=WITHIN)
