"""Real WebRTC clients (aiortc) that send to each other through an Endpoint and a RoomMedia, without signaling."""

import array
import asyncio
import contextlib
import math
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from itertools import pairwise

import aioice.ice
import aiortc
import av
import pytest
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack

from sfu.endpoint import Endpoint
from sfu.media import RoomMedia
from sfu.media_events import MediaEvent, SubscribeOffer
from sfu.plane.choice import PlaneName
from sfu.router import Router

TIMEOUT_S = 20.0
TICK_S = 0.02


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves loopback out, and a test machine may have nothing else."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


class Picture(VideoStreamTrack):
    """A small picture of one brightness, by which a receiver knows whose it is."""

    def __init__(self, luma: int) -> None:
        super().__init__()
        self._luma = luma

    async def recv(self) -> av.VideoFrame:
        """The next frame, in its time."""
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(160, 120, "yuv420p")
        for plane, value in zip(frame.planes, (self._luma, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """A sine of one frequency."""

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self._hertz = hertz
        self._sent = 0
        self._start = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms, in their time."""
        await asyncio.sleep(max(0.0, self._start + self._sent / 48000 - time.monotonic()))
        angle = 2 * math.pi * self._hertz / 48000
        samples = array.array("h", (round(8000 * math.sin(angle * (self._sent + i))) for i in range(960)))
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        frame.planes[0].update(samples.tobytes())
        frame.pts, frame.sample_rate, frame.time_base = self._sent, 48000, Fraction(1, 48000)
        self._sent += 960
        return frame


class Client:
    """A user with two connections, as the meeting page has them."""

    def __init__(self, call: "Call", user_id: str) -> None:
        self.user_id = user_id
        self._call = call
        # Without it aiortc 1.16 has a transport for each kind, and leaves the second video on the one that it closes.
        bundled = aiortc.RTCConfiguration(bundlePolicy=aiortc.RTCBundlePolicy.MAX_BUNDLE)
        self._sending = aiortc.RTCPeerConnection(bundled)
        self._receiving = aiortc.RTCPeerConnection(bundled)
        self._offers: asyncio.Queue[SubscribeOffer] = asyncio.Queue()
        self._tracks: list[dict[str, str]] = []
        self._answering = asyncio.create_task(self._answer())

    async def publish(self, *tracks: MediaStreamTrack) -> None:
        """Send more; each call is a negotiation."""
        for track in tracks:
            self._sending.addTransceiver(track, direction="sendonly")
        await self._sending.setLocalDescription(await self._sending.createOffer())
        offer = self._sending.localDescription.sdp
        answer = self._call.media.publish(self.user_id, offer, {}, time.monotonic())
        await self._sending.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))

    def offered(self, offer: SubscribeOffer) -> None:
        """An offer of the SFU, to be answered in its turn."""
        self._offers.put_nowait(offer)

    def sees(self) -> list[tuple[str, str]]:
        """Whose tracks of which kind this client was told of and took."""
        return sorted((track["user_id"], track["kind"]) for track in self._tracks)

    def track(self, user_id: str, kind: str) -> MediaStreamTrack:
        """The track of somebody."""
        mid = next(t["mid"] for t in self._tracks if (t["user_id"], t["kind"]) == (user_id, kind))
        return next(t.receiver.track for t in self._receiving.getTransceivers() if t.mid == mid)

    async def close(self) -> None:
        """Hang up on both."""
        self._answering.cancel()
        await asyncio.gather(self._answering, return_exceptions=True)
        await self._sending.close()
        await self._receiving.close()

    async def _answer(self) -> None:
        while True:
            offer = await self._offers.get()
            await self._receiving.setRemoteDescription(aiortc.RTCSessionDescription(offer.sdp, "offer"))
            await self._receiving.setLocalDescription(await self._receiving.createAnswer())
            answer = self._receiving.localDescription.sdp
            self._call.media.answered(self.user_id, answer, time.monotonic())
            self._tracks = offer.tracks
            self._call.changed.set()


class Call:
    """A room on a UDP port of its own, and who is in it."""

    def __init__(self, endpoint: Endpoint, stack: AsyncExitStack) -> None:
        self.media = RoomMedia(endpoint.create_transport, self._on_media, router=Router(lanes=endpoint.plane.lanes))
        self.changed = asyncio.Event()
        """Set whenever a client has answered."""
        self._clients: dict[str, Client] = {}
        self._stack = stack

    @classmethod
    @asynccontextmanager
    async def open(cls, plane: PlaneName = "auto") -> AsyncIterator["Call"]:
        """A call until the end of the block."""
        endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), plane=plane)
        try:
            async with AsyncExitStack() as stack:
                call = cls(endpoint, stack)
                ticking = asyncio.create_task(call._tick())
                stack.callback(ticking.cancel)
                yield call
        finally:
            endpoint.close()

    async def join(self, user_id: str) -> Client:
        """Somebody who receives, and may publish."""
        client = Client(self, user_id)
        self._clients[user_id] = client
        self._stack.push_async_callback(client.close)
        self.media.subscribe(user_id, time.monotonic())
        return client

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait for a condition, or fail."""
        async with asyncio.timeout(TIMEOUT_S):
            while not what():
                self.changed.clear()
                await self.changed.wait()

    def _on_media(self, event: MediaEvent) -> None:
        if isinstance(event, SubscribeOffer):
            self._clients[event.user_id].offered(event)

    async def _tick(self) -> None:
        while True:
            self.media.tick(time.monotonic())
            await asyncio.sleep(TICK_S)


async def brightness(track: MediaStreamTrack) -> float:
    """The luma of a decoded frame."""
    async with asyncio.timeout(TIMEOUT_S):
        frame = await track.recv()
    plane = frame.planes[0]
    first_row = bytes(plane)[: plane.width]
    return sum(first_row) / len(first_row)


async def pitch(track: MediaStreamTrack) -> float:
    """The frequency of a second of decoded sound, once there is sound: half its changes of sign."""
    heard = array.array("h")
    channels = 1
    async with asyncio.timeout(TIMEOUT_S):
        while len(heard) < 48000 * channels:
            frame = await track.recv()
            channels = len(frame.layout.channels)
            samples = array.array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples])
            if heard or max(samples) > 1000:
                heard += samples
    left = heard[::channels]
    crossings = sum((before < 0) != (after < 0) for before, after in pairwise(left))
    return crossings / 2 * 48000 / len(left)


async def drain(track: MediaStreamTrack) -> None:
    """Take frames until there was none for a second."""
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(track.recv(), 1.0)


LUMA = {"alice": 60, "bob": 180}
HERTZ = {"alice": 440.0, "bob": 1000.0}


async def everybody(call: Call) -> dict[str, Client]:
    """Alice and Bob, who send and receive."""
    clients = {user_id: await call.join(user_id) for user_id in LUMA}
    for user_id, client in clients.items():
        await client.publish(Tone(HERTZ[user_id]), Picture(LUMA[user_id]))
    await call.until(lambda: all(len(client.sees()) == 2 for client in clients.values()))
    return clients


@pytest.mark.parametrize("plane", ["python", "engine"])
async def test_two_people_see_and_hear_each_other(plane: PlaneName) -> None:
    async with Call.open(plane) as call:
        clients = await everybody(call)
        for me, other in (("alice", "bob"), ("bob", "alice")):
            assert clients[me].sees() == [(other, "audio"), (other, "video")]
            assert await brightness(clients[me].track(other, "video")) == pytest.approx(LUMA[other], abs=12)
            assert await pitch(clients[me].track(other, "audio")) == pytest.approx(HERTZ[other], abs=10)
        now = time.monotonic()
        told = {peer["user_id"]: peer for peer in call.media.report(now).peers}
        audio, video = told["alice"]["tracks"]
        assert told["alice"]["status"] == "connected"
        assert (audio["codec"], video["codec"], video["resolution"]) == ("opus", "vp8", "160x120")
        assert audio["bitrate"] > 0
        assert video["frame_rate"] > 5
        statistics = call.media.report(now).statistics
        assert (statistics["active_peers"], statistics["total_tracks"]) == (2, 4)
        assert statistics["inbound_bandwidth"] > 0
        assert statistics["outbound_bandwidth"] > 0
        assert sum(call.media.report(now).quality_metrics.values()) == 2


async def test_who_comes_later_sees_what_is_there_already() -> None:
    async with Call.open() as call:
        await everybody(call)
        carol = await call.join("carol")
        await call.until(lambda: len(carol.sees()) == 4)
        for user_id, luma in LUMA.items():
            assert await brightness(carol.track(user_id, "video")) == pytest.approx(luma, abs=12)


async def test_a_track_added_later_arrives() -> None:
    async with Call.open() as call:
        alice, bob = await call.join("alice"), await call.join("bob")
        await alice.publish(Tone(440.0))
        await call.until(lambda: bob.sees() == [("alice", "audio")])
        await alice.publish(Picture(60))
        await call.until(lambda: len(bob.sees()) == 2)
        assert await brightness(bob.track("alice", "video")) == pytest.approx(60, abs=12)
        assert await pitch(bob.track("alice", "audio")) == pytest.approx(440.0, abs=10)


async def test_one_leaves_and_the_others_go_on() -> None:
    async with Call.open() as call:
        clients = await everybody(call)
        carol = await call.join("carol")
        await carol.publish(Picture(120))
        await call.until(lambda: len(carol.sees()) == 4 and len(clients["bob"].sees()) == 3)
        call.media.leave("alice", time.monotonic())
        await call.until(lambda: carol.sees() == [("bob", "audio"), ("bob", "video")])
        await call.until(lambda: clients["bob"].sees() == [("carol", "video")])
        assert await brightness(carol.track("bob", "video")) == pytest.approx(180, abs=12)
        assert await brightness(clients["bob"].track("carol", "video")) == pytest.approx(120, abs=12)
        assert {peer["user_id"] for peer in call.media.report(time.monotonic()).peers} == {"bob", "carol"}


async def test_what_is_switched_off_stops_and_comes_back() -> None:
    async with Call.open() as call:
        clients = await everybody(call)
        picture = clients["bob"].track("alice", "video")
        await brightness(picture)
        call.media.set_media_state("alice", video_enabled=False)
        await asyncio.wait_for(drain(picture), TIMEOUT_S)
        call.media.set_media_state("alice", video_enabled=True)
        assert await brightness(picture) == pytest.approx(60, abs=12)


def test_the_media_process_does_not_need_a_decoder() -> None:
    """Clients above decode in this process, so what the SFU imports is looked at in another."""
    program = "import sys; import sfu.endpoint, sfu.media; print('av' in sys.modules, 'aiortc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
