"""A recorder as it is run, a process of its own before a real S3: told to stop, killed, and with the bucket away."""

import asyncio
import json
import os
import random
import socket
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import pytest

from meet.domain.capture import CapturedTrack, Manifest, levels_prefix, manifest_key, track_prefix
from sfu.egress.wire import Batch, Deframer, What, message
from sfu.rtp.packet import header
from sfu.rtp.parameters import RtpCodec
from sfu.rtp.rtcp import sender_report
from tests.bucket import Bucket, eventually
from tests.unit.sfu.egress.rooms import decoded, frames_of, packet_times
from tests.unit.sfu.egress.senders import FPS, OPUS, PACKET_S, VIDEO, Sender, track_of

SOAK = bool(os.environ.get("MEET_SOAK"))
KILLS = 20 if SOAK else 2
AT_ONCE = 2
AWAY_S = 30.0 if SOAK else 3.0
MOST_LOST_S = 2.0 if SOAK else 5.0
"""The contract's; of a machine that is busy with other tests no more is asked than that little is lost."""
TICK_S = 0.02
TRACKS = (("alice", OPUS), ("alice", VIDEO["vp8"]), ("bob", OPUS), ("bob", VIDEO["h264"]))


class Child:
    """An egress process, and what it said."""

    def __init__(self, process: asyncio.subprocess.Process, reader: StreamReader, writer: StreamWriter) -> None:
        self.process, self.writer = process, writer
        self.said: list[dict[str, Any]] = []
        self.began = monotonic()
        self._reader = reader
        self._senders = [
            (number, Sender(codec, index=1), frames_of(codec, 160, 120), _step(codec))
            for number, (_, codec) in enumerate(TRACKS)
        ]
        self._sent = [0] * len(TRACKS)

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next message of this kind."""
        deframer = Deframer()
        async with asyncio.timeout(60):
            while not (heard := [one for one in self.said if one["type"] == kind]):
                data = await self._reader.read(1 << 16)
                assert data, f"it ended without {kind}: {self.said}"
                self.said += [one for one in deframer.feed(data) if isinstance(one, dict)]
        return heard[0]

    def configure(self, recording_id: str, take: int = 0, begins_s: float = 0.0) -> None:
        """What a media process says first."""
        self._say(
            "configure",
            kind="recorder",
            recording_id=recording_id,
            take=take,
            begins_s=begins_s,
            begins_at=self.began,
        )
        for number, (peer_id, codec) in enumerate(TRACKS):
            track = track_of(codec, peer_id=peer_id)
            self._say("begin", number=number, track=track.as_dict(), muted=False)

    async def send(self, seconds: float) -> None:
        """What people send in so much real time."""
        until = monotonic() + seconds
        while (now := monotonic()) < until:
            batch = Batch()
            for number, sender, frames, step_s in self._senders:
                while (captured := self.began + self._sent[number] * step_s) <= now:
                    if self._sent[number] % round(1 / step_s) == 0:
                        batch.add(number, What.RTCP, captured, 0, sender_report(sender.report(captured)))
                    for packet in sender.packets(frames(self._sent[number]), captured, captured):
                        what = What.KEY_FRAME if packet.key_frame else What.RTP
                        head = header(
                            packet.marker_type, packet.sequence_number, packet.timestamp, packet.ssrc,
                            packet.profile, packet.extension,
                        )  # fmt: skip
                        batch.add(number, what, captured, packet.index, head, packet.payload)
                    self._sent[number] += 1
            self.writer.write(batch.take())
            await self.writer.drain()
            await asyncio.sleep(TICK_S)

    def sent_s(self, number: int) -> float:
        """How much was sent of a track."""
        return self._sent[number] * self._senders[number][3]

    async def stop(self) -> dict[str, Any]:
        """Tell it to stop; what it says last."""
        self._say("stop", at=monotonic())
        return await self.hear("ended")

    def _say(self, kind: str, /, **values: Any) -> None:
        self.writer.write(message(kind, **values))


def _step(codec: RtpCodec) -> float:
    return PACKET_S if codec is OPUS else 1 / FPS


@asynccontextmanager
async def recorder(env: dict[str, str]) -> AsyncIterator[Child]:
    """A process, which is gone at the end."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sfu.egress", "recorder", str(theirs.fileno()), pass_fds=(theirs.fileno(),), env=env
        )
    reader, writer = await asyncio.open_connection(sock=ours)
    try:
        yield Child(process, reader, writer)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        writer.close()


@pytest.fixture(scope="module")
def env(backend: dict[str, str]) -> dict[str, str]:
    """The environment of an egress process, with a bucket of its own."""
    env = backend | {"MEET_BUCKET": "recorder-test", "MEET_LOG_LEVEL": "ERROR"}
    Bucket(env).s3.create_bucket(Bucket=env["MEET_BUCKET"])
    return env


class Left:
    """What a take left in the bucket."""

    def __init__(self, env: dict[str, str], recording_id: str, take: int = 0) -> None:
        self._bucket = Bucket(env)
        self._id, self._take = recording_id, take
        self.manifest = Manifest.from_json(self.read(manifest_key(recording_id, take)))

    def read(self, key: str) -> bytes:
        body: bytes = self._bucket.s3.get_object(Bucket=self._bucket.name, Key=key)["Body"].read()
        return body

    def file(self, track: CapturedTrack) -> bytes:
        """A track's file; none of its fragments is missing."""
        prefix = track_prefix(self._id, self._take, track.number)
        keys = sorted(key for key in self._bucket.keys() if key.startswith(prefix))  # noqa: SIM118 - no mapping
        assert [int(key.removeprefix(prefix)) for key in keys] == list(range(len(keys)))
        return b"".join(map(self.read, keys))

    def levels(self) -> list[list[float]]:
        prefix = levels_prefix(self._id, self._take)
        keys = sorted(key for key in self._bucket.keys() if key.startswith(prefix))  # noqa: SIM118
        return [row for key in keys for row in json.loads(self.read(key))]


def wait_for_every_track(env: dict[str, str], recording_id: str) -> None:
    """Return when there is something to lose of each: more than the beginning of its file."""
    firsts = {f"{track_prefix(recording_id, 0, number)}{1:08}" for number in range(len(TRACKS))}
    eventually(Bucket(env).keys, firsts.issubset)


async def test_a_recorder_that_is_killed_at_any_moment_loses_two_seconds_at_most(env: dict[str, str]) -> None:
    rng = random.Random()

    async def killed(recording_id: str) -> float:
        async with recorder(env) as child:
            child.configure(recording_id)
            await child.hear("ready")
            begun = asyncio.create_task(asyncio.to_thread(wait_for_every_track, env, recording_id))
            while not begun.done():
                await child.send(0.2)
            await begun
            await child.send(rng.uniform(0, 2))
            child.process.kill()
            await child.process.wait()
        left = Left(env, recording_id)
        assert len(left.manifest.tracks) == len(TRACKS)
        files = [left.file(track) for track in left.manifest.tracks]
        assert all(map(decoded, files))
        return max(child.sent_s(number) - packet_times(data)[-1] for number, data in enumerate(files))

    lost: list[float] = []
    for first in range(0, KILLS, AT_ONCE):
        lost += await asyncio.gather(*(killed(f"killed-{number}") for number in range(first, first + AT_ONCE)))
    print(f"lost by {KILLS} kills: {max(lost):.2f} s at most, {sum(lost) / len(lost):.2f} s on average")
    assert max(lost) <= MOST_LOST_S


async def test_while_the_bucket_is_away_nothing_is_lost(env: dict[str, str]) -> None:
    async with Way(urlsplit(env["MEET_S3_ENDPOINT_URL"]).port or 80) as way:
        through = env | {"MEET_S3_ENDPOINT_URL": f"http://127.0.0.1:{way.port}"}
        async with recorder(through) as child:
            child.configure("away", take=2, begins_s=40.0)
            await child.hear("ready")
            await child.send(1.0)
            await way.close()
            await child.send(AWAY_S)
            await way.open()
            await child.send(1.0)
            ended = await child.stop()
            assert await child.process.wait() == 0
    position = 40.0 + AWAY_S + 2.0
    left = Left(env, "away", take=2)
    files = [left.file(track) for track in left.manifest.tracks]
    for (_, codec), track, data in zip(TRACKS, left.manifest.tracks, files, strict=True):
        times = packet_times(data)
        assert 40.0 <= times[0] < 42.0
        assert times[-1] > position - 0.5
        assert max(after - before for before, after in pairwise(times)) < 3 * _step(codec)
        assert len(decoded(data)) == len(times)
        assert track.ends_s == pytest.approx(left.manifest.duration_s)
    assert ended["error"] is None
    assert ended["size"] == sum(map(len, files))
    assert ended["participants"] == 2
    assert ended["errors"] == ended["dropped_frames"] == 0
    assert {number for _, number, _ in left.levels()} == {0, 2}


class Way:
    """The way to a server of this machine, which can be closed: connections break, and new ones are refused."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._to = port
        self._server: asyncio.Server | None = None
        self._writers: set[StreamWriter] = set()

    async def __aenter__(self) -> "Way":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, there_writer}
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        self._writers -= {writer, there_writer}


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
