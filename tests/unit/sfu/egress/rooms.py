"""A room of made senders around a recorder, in made time, and what it left in a bucket of memory."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av

from meet.domain.capture import CapturedTrack, Manifest, levels_prefix, manifest_key, track_prefix
from sfu.egress.fragments import Fragments
from sfu.egress.recorder import Recorder
from sfu.rtp.parameters import RtpCodec, Source

from .senders import FPS, OPUS, PACKET_S, VIDEO, Clocks, Encoded, Sender, encoded_audio, encoded_video, track_of

TICK_S = 0.02
DELAY_S = 0.03
GOP = 30
BEGINS_AT = 1000.0


class Bucket:
    """S3 in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.order: list[str] = []

    def put(self, key: str, data: bytes, mime: str) -> None:
        self.objects[key] = data
        self.order.append(key)

    def manifest(self, take: int = 0) -> Manifest:
        return Manifest.from_json(self.objects[manifest_key("rec", take)])

    def file(self, track: CapturedTrack, take: int = 0, most: int | None = None) -> bytes:
        """A track's file: all of its fragments, or the first so many."""
        prefix = track_prefix("rec", take, track.number)
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        assert [int(key.rpartition("/")[2]) for key in keys] == list(range(len(keys)))
        return b"".join(self.objects[key] for key in keys[:most])

    def levels(self, take: int = 0) -> list[list[float]]:
        keys = sorted(key for key in self.objects if key.startswith(levels_prefix("rec", take)))
        return [row for key in keys for row in json.loads(self.objects[key])]


@contextmanager
def opened(data: bytes) -> Iterator[av.container.InputContainer]:
    with av.open(io.BytesIO(data)) as file:
        yield file


def packet_times(data: bytes) -> list[float]:
    """Of each packet of a file, in seconds."""
    with opened(data) as file:
        return [float(packet.pts * packet.time_base) for packet in file.demux() if packet.pts is not None]


def decoded(data: bytes) -> list[av.VideoFrame | av.AudioFrame]:
    """All that is in a file; raises where anything of it can't be decoded."""
    with opened(data) as file:
        stream = file.streams[0]
        stream.codec_context.options = {"err_detect": "explode"}
        return list(file.decode(stream))


@dataclass
class Published:
    """A track that somebody sends."""

    track_id: str
    sender: Sender
    frames: Callable[[int], Encoded]
    step_s: float
    began: float
    sent: int = 0
    muted: bool = False
    lose: Callable[[int], bool] = lambda _: False
    """Whether the packet of this index is lost."""


@dataclass
class Room:
    """Everything goes by `now`, which `run` moves."""

    bucket: Bucket = field(default_factory=Bucket)
    now: float = BEGINS_AT
    asked: list[str] = field(default_factory=list)
    tracks: dict[str, Published] = field(default_factory=dict)
    take: int = 0
    begins_s: float = 0.0

    def __post_init__(self) -> None:
        self.fragments = Fragments(self.bucket.put, clock=lambda: self.now)
        configuration = {
            "recording_id": "rec",
            "take": self.take,
            "begins_s": self.begins_s,
            "begins_at": self.now,
        }
        self.recorder = Recorder(configuration, self.fragments, self.asked.append)

    def publish(
        self,
        codec: RtpCodec,
        peer_id: str = "alice",
        *,
        clocks: Clocks | None = None,
        source: Source | None = None,
        size: tuple[int, int] = (160, 120),
    ) -> Published:
        """Somebody begins to send; a frame each 1/15 s, a key frame each 2 s, or a packet of audio each 20 ms."""
        track = track_of(codec, peer_id=peer_id, source=source)
        self.recorder.begin(track, self.now)
        sender = Sender(codec, clocks or Clocks())
        published = Published(
            track.track_id, sender, frames_of(codec, *size), PACKET_S if codec is OPUS else 1 / FPS, self.now
        )
        self.tracks[track.track_id] = published
        self.recorder.report(track.track_id, sender.report(self.now), self.now)
        return published

    def leave(self, published: Published) -> None:
        del self.tracks[published.track_id]
        self.recorder.end(published.track_id, self.now)

    def mute(self, published: Published, muted: bool) -> None:
        published.muted = muted
        self.recorder.mute(published.track_id, muted, self.now)

    def run(self, seconds: float) -> None:
        """So much time passes."""
        until = self.now + seconds
        while self.now < until - 1e-6:
            self.now += TICK_S
            for one in self.tracks.values():
                self._send(one)
            self.recorder.tick(self.now)

    def _send(self, one: Published) -> None:
        while (captured := one.began + one.sent * one.step_s) <= self.now - DELAY_S:
            if not one.muted:
                for packet in one.sender.packets(one.frames(one.sent), captured, captured + DELAY_S):
                    if not one.lose(packet.index):
                        self.recorder.rtp(one.track_id, packet, self.now)
            one.sent += 1
            if one.sent % round(1 / one.step_s) == 0:
                self.recorder.report(one.track_id, one.sender.report(self.now), self.now)

    async def uploaded(self) -> None:
        """Everything that was handed over is in the bucket."""
        await self.fragments.idle()

    async def close(self) -> dict[str, Any]:
        return await self.recorder.close(self.now)


def frames_of(codec: RtpCodec, width: int, height: int) -> Callable[[int], Encoded]:
    """The frames of an endless track, by number."""
    frames = encoded_audio(50) if codec is OPUS else encoded_video(codec.name, 2 * GOP, width, height, GOP)
    return lambda number: frames[number % len(frames)]


__all__ = ["OPUS", "VIDEO", "Bucket", "Clocks", "Room", "decoded", "opened", "packet_times"]
