"""What a recorder leaves of a call that never was: tracks as it writes them, cut into fragments, with a manifest.

Pictures are of one colour each, sound is a tone, so that what is made of them can be told apart by looking.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from math import sin, tau
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from meet.domain import capture
from meet.domain.capture import CapturedTrack, Manifest

RATE = 48_000
MILLISECOND = Fraction(1, 1000)
CLUSTER = b"\x1f\x43\xb6\x75"
"""The id of a Matroska cluster (RFC 9559 section 5.1.3)."""
ENCODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9", "h264": "libx264", "av1": "libsvtav1", "opus": "libopus"}
FAST = {
    "vp8": {"deadline": "realtime", "cpu-used": "16"},
    "vp9": {"deadline": "realtime", "cpu-used": "8"},
    "h264": {"preset": "ultrafast", "tune": "zerolatency"},
    "av1": {"preset": "12", "svtav1-params": "pred-struct=1:lp=1"},
}


@dataclass
class Take:
    """One run of a recorder."""

    recording_id: str
    number: int = 0
    begins_s: float = 0.0
    duration_s: float = 0.0
    tracks: list[tuple[CapturedTrack, bytes]] = field(default_factory=list)
    levels: list[tuple[float, int, int]] = field(default_factory=list)

    def add(self, user_id: str, source: Any, codec: str, data: bytes, begins_s: float, **other: Any) -> int:
        """One more track; its number."""
        number = len(self.tracks)
        track = CapturedTrack(
            number=number,
            track_id=other.pop("track_id", f"{user_id}-{source}"),
            user_id=user_id,
            username=other.pop("username", user_id.title()),
            kind="audio" if codec == "opus" else "video",
            source=source,
            codec=codec,
            begins_s=begins_s,
            **other,
        )
        self.tracks.append((track, data))
        return number

    def manifest(self) -> Manifest:
        """What the recorder says of it."""
        return Manifest(
            self.recording_id, self.number, self.begins_s, self.duration_s, tuple(track for track, _ in self.tracks)
        )

    def objects(self) -> dict[str, bytes]:
        """All that there is of it in the bucket."""
        there = {capture.manifest_key(self.recording_id, self.number): self.manifest().to_json()}
        for track, data in self.tracks:
            for place, part in enumerate(fragments(data)):
                there[capture.fragment_key(self.recording_id, self.number, track.number, place)] = part
        if self.levels:
            text = str([list(one) for one in self.levels])
            there[capture.levels_key(self.recording_id, self.number, 0)] = text.encode()
        return there


def film(
    seconds: float,
    colour: Any,
    *,
    codec: str = "vp8",
    size: tuple[int, int] = (160, 90),
    begins_s: float = 0.0,
    rate: int = 15,
    key_every: int = 1000,
    picture: Image.Image | None = None,
) -> bytes:
    """A camera that sees one colour, or the one that `colour(at_s)` says, or a picture of this size."""
    paint: Callable[[float], Any] = colour if callable(colour) else lambda at_s: colour

    def frames() -> Iterator[VideoFrame]:
        for number in range(round(seconds * rate)):
            at_s = begins_s + number / rate
            frame = VideoFrame.from_image(picture or Image.new("RGB", size, paint(at_s)))  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = round(at_s * 1000), MILLISECOND
            yield frame

    def prepare(stream: VideoStream) -> None:
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = MILLISECOND
        stream.codec_context.gop_size = key_every

    return _written(codec, rate, prepare, frames())


def voice(
    seconds: float, tone_hz: float = 440, *, begins_s: float = 0.0, loud: Callable[[float], bool] | None = None
) -> bytes:
    """A microphone that hears a tone, all the time or while it is `loud(at_s)`."""

    def frames() -> Iterator[AudioFrame]:
        for number in range(round(seconds * 50)):
            first = round(begins_s * RATE) + number * 960
            heard = loud is None or loud(first / RATE)
            step = tau * tone_hz / RATE
            wave = array("h", (round(8000 * sin(step * n)) if heard else 0 for n in range(first, first + 960)))
            frame = AudioFrame(format="s16", layout="mono", samples=960)
            frame.planes[0].update(wave.tobytes())
            frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            yield frame

    return _written("opus", RATE, lambda _: None, frames())


def fragments(data: bytes) -> list[bytes]:
    """A live Matroska file in its parts: what is before the first cluster, and each cluster."""
    head, *clusters = data.split(CLUSTER)
    return [head, *(CLUSTER + cluster for cluster in clusters)]


def joined(parts: Sequence[bytes]) -> bytes:
    """The inverse of `fragments`."""
    return b"".join(parts)


def ended(track: CapturedTrack, at_s: float) -> CapturedTrack:
    """The same, that ended then."""
    return replace(track, ends_s=at_s)


def _written(codec: str, rate: int, prepare: Callable[[Any], None], frames: Iterable[Any]) -> bytes:
    file = _Forward()
    options = {"live": "1", "cluster_time_limit": "1000", "flush_packets": "1"}
    with av.open(file, "w", format="matroska", options=options) as container:
        other: dict[str, Any] = {"layout": "mono"} if codec == "opus" else {"options": FAST[codec]}
        stream = container.add_stream(ENCODERS[codec], rate=rate, **other)
        assert isinstance(stream, VideoStream | AudioStream)
        prepare(stream)
        for frame in (*frames, None):
            container.mux(stream.encode(frame))
    return file.getvalue()


class _Forward(BytesIO):
    """A file that is written once, from its start to its end."""

    def seekable(self) -> bool:
        return False
