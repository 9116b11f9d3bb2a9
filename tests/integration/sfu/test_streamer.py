"""A streamer as it is run: a process of its own, a real FFmpeg below it, before a real S3 and a real RTMP server."""

import asyncio
import os
import socket
import sys
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from time import monotonic
from typing import Any

import av
import pytest

from meet.domain.stream import MANIFEST, PLAYLIST, stream_prefix
from sfu.egress.playlists import TAKE_SEGMENTS, named
from sfu.egress.wire import Batch, Deframer, What, message
from sfu.rtp.packet import header
from sfu.rtp.parameters import RtpCodec
from tests.bucket import Bucket
from tests.rtmp_server import RtmpServer
from tests.unit.sfu.egress.senders import FPS, OPUS, PACKET_S, VIDEO, Sender, encoded_audio, encoded_video, track_of

KEY = "the-secret-stream-key"
PICTURE = {"width": 320, "height": 180, "bitrate_bps": 300_000, "frame_rate": 15}
WAITS_S = 40.0
Heard = Callable[[list[dict[str, Any]]], bool]


class Child:
    """A streamer of a room with one person in it, who is seen and heard for as long as it runs."""

    def __init__(self, process: asyncio.subprocess.Process, reader: StreamReader, writer: StreamWriter) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self._reader, self._writer = reader, writer
        self._began = monotonic()
        self._senders = ((0, Sender(OPUS, index=1), PACKET_S), (1, Sender(VIDEO["vp8"], index=1), 1 / FPS))
        self._sent = [0, 0]

    def say(self, kind: str, /, **values: Any) -> None:
        """A message of the media process."""
        self._writer.write(message(kind, **values))

    def configure(self, stream_id: str, *, take: int = 0, begins_s: float = 0.0, **more: str) -> None:
        """What a media process says first."""
        values = {"stream_id": stream_id, "take": take, "begins_s": begins_s, "begins_at": self._began}
        self.say("configure", kind="streamer", **values, **PICTURE, **more)
        for number, sender, _ in self._senders:
            self.say("begin", number=number, track=track_of(sender.codec).as_dict(), muted=False)

    async def until(self, heard: Heard) -> None:
        """Until it has said that."""
        deframer = Deframer()
        async with asyncio.timeout(WAITS_S):
            while not heard(self.said):
                data = await self._reader.read(1 << 16)
                assert data, f"it ended: {self.said[-3:]}"
                self.said += [one for one in deframer.feed(data) if isinstance(one, dict)]

    async def until_status(self, status: str) -> dict[str, Any]:
        """Until what it says of itself is this; all that it said."""
        before = len(self.said)
        await self.until(lambda said: any(one.get("status") == status for one in said[before:]))
        return next(one for one in self.said[before:] if one.get("status") == status)

    async def stop(self) -> dict[str, Any]:
        """Tell it to stop; what it says last."""
        self.say("stop", at=monotonic())
        await self.until(lambda said: said[-1]["type"] == "ended")
        assert await self.process.wait() == 0
        return self.said[-1]

    async def talk(self) -> None:
        """What the person sends, in real time and for ever."""
        while not self._writer.is_closing():
            now, batch = monotonic(), Batch()
            for number, sender, step_s in self._senders:
                while (captured := self._began + self._sent[number] * step_s) <= now:
                    self._send(batch, number, sender, captured)
            self._writer.write(batch.take())
            await asyncio.sleep(0.02)

    def _send(self, batch: Batch, number: int, sender: Sender, captured: float) -> None:
        frames = _frames(sender.codec)
        for one in sender.packets(frames[self._sent[number] % len(frames)], captured, captured):
            what = What.KEY_FRAME if one.key_frame else What.RTP
            head = header(one.marker_type, one.sequence_number, one.timestamp, one.ssrc, one.profile, one.extension)
            batch.add(number, what, captured, one.index, head, one.payload)
        self._sent[number] += 1


def _frames(codec: RtpCodec) -> Any:
    return encoded_audio(50) if codec is OPUS else encoded_video("vp8", 60)


@asynccontextmanager
async def streamer(env: dict[str, str], log: Path | None = None) -> AsyncIterator[Child]:
    """A process, which is gone at the end; what it logs goes into `log`."""
    ours, theirs = socket.socketpair()
    with theirs, (log or Path(os.devnull)).open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sfu.egress", "streamer", str(theirs.fileno())),
            pass_fds=(theirs.fileno(),),
            env=env,
            stderr=errors,
        )
    reader, writer = await asyncio.open_connection(sock=ours)
    child = Child(process, reader, writer)
    talking = asyncio.create_task(child.talk())
    try:
        yield child
    finally:
        talking.cancel()
        if process.returncode is None:
            process.kill()
        await process.wait()
        writer.close()
        await asyncio.gather(talking, return_exceptions=True)


@pytest.fixture(scope="module")
def env(backend: dict[str, str]) -> dict[str, str]:
    """The environment of an egress process, with a bucket of its own, and with RTMP let into this machine."""
    env = backend | {"MEET_BUCKET": "streamer-test", "MEET_EGRESS_ALLOW": "127.0.0.1", "PATH": os.environ["PATH"]}
    Bucket(env).s3.create_bucket(Bucket=env["MEET_BUCKET"])
    return env


class Shelves:
    """What of a stream is in the bucket."""

    def __init__(self, env: dict[str, str], stream_id: str) -> None:
        self._bucket = Bucket(env)
        self._prefix = stream_prefix(stream_id)

    def object(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._bucket.s3.get_object(Bucket=self._bucket.name, Key=self._prefix + name)
        return found

    def read(self, name: str) -> bytes:
        data: bytes = self.object(name)["Body"].read()
        return data

    def text(self, name: str) -> str:
        return self.read(name).decode()

    def film(self, playlist: str) -> bytes:
        """What a player of a media playlist puts together."""
        lines = self.text(playlist).splitlines()
        start = next(line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP"))
        return b"".join(map(self.read, [start, *(line for line in lines if line and not line.startswith("#"))]))


def decoded(film: bytes) -> list[Any]:
    with av.open(BytesIO(film)) as container:
        return list(container.decode(container.streams[0]))


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


async def test_hls_and_dash_of_the_same_segments(env: dict[str, str]) -> None:
    shelves = Shelves(env, "watched")
    async with streamer(env) as child:
        child.configure("watched")
        await child.until_status("streaming")
        for name in (PLAYLIST, MANIFEST):  # whatever a player is told of is there
            for one in named(name, shelves.text(name)):
                assert shelves.read(one)
        processes = [child.process.pid, *children_of(child.process.pid)]
        assert [os.sched_getscheduler(pid) for pid in processes] == [os.SCHED_IDLE] * 2
        await child.until(lambda said: sum(one.get("frame_rate", 0) > 5 for one in said) >= 4)
        ended = await child.stop()
    assert ended["status"] == "stopped"
    assert ended["error"] is None
    assert ended["errors"] == 0
    assert 20_000 < ended["bitrate_bps"] < 2 * PICTURE["bitrate_bps"]
    assert named("media_0.m3u8", shelves.text("media_0.m3u8")) <= named(MANIFEST, shelves.text(MANIFEST))
    assert "#EXT-X-ENDLIST" in shelves.text("media_0.m3u8")
    assert 'type="static"' in shelves.text(MANIFEST)
    pictures, sounds = decoded(shelves.film("media_0.m3u8")), decoded(shelves.film("media_1.m3u8"))
    assert {(one.width, one.height) for one in pictures} == {(320, 180)}
    assert len(pictures) >= 2 * PICTURE["frame_rate"]
    assert len({bytes(one.planes[0]) for one in pictures[-20:]}) > 5, "the camera moves"
    assert max(abs(one.to_ndarray()).max() for one in sounds) > 0.1, "and the tone is heard"
    segment = next(one for one in named("media_0.m3u8", shelves.text("media_0.m3u8")) if one.endswith(".m4s"))
    assert shelves.object(segment)["ContentType"] == "video/iso.segment"
    assert "immutable" in shelves.object(segment)["CacheControl"]
    assert shelves.object(PLAYLIST)["ContentType"] == "application/vnd.apple.mpegurl"
    assert shelves.object(MANIFEST)["CacheControl"] == "public, max-age=1"


async def test_rtmp_is_played_from_a_real_server(
    env: dict[str, str], rtmp_server: RtmpServer, tmp_path: Path
) -> None:
    log = tmp_path / "child.log"
    async with streamer(env, log) as child:
        child.configure("pushed", take=1, begins_s=100.0, rtmp_url=rtmp_server.url(KEY))
        await child.until_status("streaming")
        kinds = await asyncio.to_thread(played, rtmp_server.url(KEY))
        assert kinds["video"] > 10
        assert kinds["audio"] > 10
        rtmp_server.stop()
        reconnecting = await child.until_status("reconnecting")
        assert reconnecting["error"] is None
        rtmp_server.start()
        await child.until_status("streaming")
        kinds = await asyncio.to_thread(played, rtmp_server.url(KEY))
        assert kinds["video"] > 10
        assert not any(KEY in arguments_of(pid) for pid in (child.process.pid, *children_of(child.process.pid)))
        await child.stop()
    assert "a stream does not go" in log.read_text()
    assert KEY not in log.read_text()
    shelves = Shelves(env, "pushed")  # it can be watched here, too, where a take before this one left off
    assert named(PLAYLIST, shelves.text(PLAYLIST)) == {"media_0.m3u8", "media_1.m3u8"}
    assert int(shelves.text("media_0.m3u8").partition("SEQUENCE:")[2].split()[0]) > TAKE_SEGMENTS
    assert '<Period id="1" start="PT100.000S">' in shelves.text(MANIFEST)


def played(url: str) -> Counter[str]:
    """What a player of RTMP decodes in some seconds."""
    kinds: Counter[str] = Counter()
    with av.open(url, timeout=20.0) as container:
        for packet in container.demux():
            kinds[packet.stream.type] += len(packet.decode())
            if kinds["video"] > 20 and kinds["audio"] > 20:
                break
    return kinds
