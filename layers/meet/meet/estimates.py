"""How long a job will take: by a table, corrected by how long jobs of its kind took of late.

The table has what FFmpeg 5.1 needed of one core for 1280x720 pictures of moving patterns with noise, and is divided
by the two cores that the worker's Lambda has. Measured (2026-11-22) were all presets of H.264, two or three of H.265
and VP9, and the middle one of VP8; the others lie where H.264's do. Real pictures are easier and other machines are
not the same, so each kind of job has a factor in Redis (hash `job-speed`), which follows what jobs took.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from meet.domain.formats import FORMATS, NAMED_HEIGHTS, size_of
from meet.domain.job import Job, JobStatus, Step
from meet.domain.media import MediaFile

if TYPE_CHECKING:
    from redis import Redis

KEY = "job-speed"
CORES = 2
START_S = 0.5
"""Of a process, and of every step."""
TRANSFER_BPS = 400e6
"""Of a Lambda or a laptop from and to the bucket."""

DECODE_S = 0.010
"""Of a core, for a megapixel of H.264."""
ENCODE_S: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "h264": {"ultrafast": 0.014, "fast": 0.089, "medium": 0.103, "slow": 0.23},
        "h265": {"ultrafast": 0.036, "fast": 0.085, "medium": 0.11, "slow": 0.25},
        "vp8": {"ultrafast": 0.04, "fast": 0.18, "medium": 0.25, "slow": 0.5},
        "vp9": {"ultrafast": 0.031, "fast": 0.33, "medium": 0.47, "slow": 0.9},
    }
)
"""Of a core, for a megapixel, by codec and preset."""
SOUND_S = 0.025
"""Of a core, for a second of stereo: decoded, and encoded by the slowest, which is AAC."""
FRAME_RATE = 30
SIZE = (1280, 720)
"""Where a file doesn't say."""
COMPRESSED_SIDE = {"low": 480, "medium": 720}
"""The shorter side of what is compressed, at most."""

COMPOSED_S: Mapping[str, float] = MappingProxyType({"h264": 0.017, "vp9": 0.017})
"""Of a core, for a megapixel of a recording's picture that is painted and encoded, by codec: measured with four
people of 640x360, of whom 720p took 0.73 s a second (2026-11-22, `tests/bench/test_composition.py`)."""
COMPOSED_TILE = 0.25
"""Megapixels of a camera in a call of several."""
REMUXED_SHARE = 0.02
"""Of the length of a recording that is only copied, or has no picture."""
MOST_DECODED = 9
"""People whose cameras are counted: few rooms have more that are switched on."""

LEARNED = 0.2
"""The share of the newest measurement in a factor."""
MOST_FACTOR = 16.0
"""How far off the table may be thought to be; what is further off was stuck on something else."""


class Speeds:
    """The factors, as all workers have measured them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def factors(self, kinds: Sequence[str]) -> list[float]:
        """By how much jobs of these kinds take longer than the table says; 1 for one that was never measured."""
        # redis-py's annotations are of its async clients as well
        found = cast("list[bytes | None]", self._redis.hmget(KEY, list(kinds)))
        return [2 ** float(value) if value else 1.0 for value in found]

    def learn(self, job: Job, inputs: Sequence[MediaFile]) -> None:
        """Take a job that is over into account: one that was made, of one step, by the first worker that took it.

        Two workers that learn at the same moment may learn one of the two, which is as good.
        """
        if job.status is not JobStatus.COMPLETED or job.attempt != 1 or len(job.steps) != 1:
            return
        if job.started_at is None or job.completed_at is None:
            return
        took_s = max(0.05, (job.completed_at - job.started_at).total_seconds())
        ratio = min(max(took_s / by_the_table_s(job.steps[0], inputs), 1 / MOST_FACTOR), MOST_FACTOR)
        kind = kind_of(job.steps[0])
        before = cast("bytes | None", self._redis.hget(KEY, kind))
        after = math.log2(ratio) if before is None else (1 - LEARNED) * float(before) + LEARNED * math.log2(ratio)
        self._redis.hset(KEY, kind, f"{after:.4f}")


def kind_of(step: Step) -> str:
    """What has one speed: an operation, and where it encodes pictures, their codec."""
    codec = _video_codec(step)
    return f"{step.operation}:{codec}" if codec else step.operation


def by_the_table_s(step: Step, inputs: Sequence[MediaFile]) -> float:
    """Seconds that the table gives a step; at least `START_S`."""
    if step.operation == "compose":
        return START_S + _composed_s(step.options)
    moved_s = 8 * sum(file.blob.size for file in inputs if file.blob) / TRANSFER_BPS
    return START_S + moved_s + sum(_work_s(step, file) for file in inputs) / CORES


def estimate_s(steps: Sequence[Step], inputs: Sequence[MediaFile], factors: Sequence[float]) -> int:
    """Whole seconds that these steps will take, at least 1; a factor for each."""
    taken_s = sum(by_the_table_s(step, inputs) * factor for step, factor in zip(steps, factors, strict=True))
    return max(1, math.ceil(taken_s))


def _work_s(step: Step, file: MediaFile) -> float:
    """Seconds of one core for one input."""
    if step.operation == "thumbnail":
        return DECODE_S * _megapixels(file) * 2
    duration_s = file.facts.duration_s or 0.0
    if step.operation == "extract_video":
        return 0.0  # it is copied
    sound_s = SOUND_S * duration_s
    codec = _video_codec(step)
    if codec is None or file.facts.width is None:
        return sound_s
    rate = min(file.facts.frame_rate or FRAME_RATE, 120)
    decoded = duration_s * rate * _megapixels(file)
    wished = step.options.get("frame_rate") or rate
    encoded = duration_s * wished * _made_megapixels(step, file)
    preset = step.options.get("preset", "medium")
    return sound_s + DECODE_S * decoded + ENCODE_S[codec][preset] * encoded


def _composed_s(options: Mapping[str, Any]) -> float:
    """Seconds for a recording, by the options of `meet.orders.compose`."""
    duration_s: float = options["duration_s"]
    moved_s: float = 8 * 2 * options["size"] / TRANSFER_BPS
    participants: int = options["participants"]
    sound_s = SOUND_S * duration_s * participants
    if not options["pictured"]:
        return moved_s + sound_s / CORES + REMUXED_SHARE * duration_s
    drawn: float = COMPOSED_S[FORMATS[options["output_format"]].video[0]] * options["width"] * options["height"] / 1e6
    decoded: float = DECODE_S * min(participants, MOST_DECODED) * COMPOSED_TILE
    return moved_s + (sound_s + duration_s * FRAME_RATE * (drawn + decoded)) / CORES


def _video_codec(step: Step) -> str | None:
    if step.operation == "compose":
        carried = FORMATS[step.options["output_format"]].video
        return carried[0] if step.options["pictured"] else None
    if step.operation not in ("transcode", "compress", "merge"):
        return None
    carried = FORMATS[step.options["output_format"]].video
    return step.options.get("video_codec") or (carried[0] if carried else None)


def _megapixels(file: MediaFile) -> float:
    width, height = file.facts.width or SIZE[0], file.facts.height or SIZE[1]
    return width * height / 1e6


def _made_megapixels(step: Step, file: MediaFile) -> float:
    """Of the picture that is made of this one."""
    before = _megapixels(file)
    shorter = min(file.facts.width or SIZE[0], file.facts.height or SIZE[1])
    if step.operation == "compress":
        side = COMPRESSED_SIDE.get(step.options.get("quality", "medium"), shorter)
        return before * min(1.0, (side / shorter) ** 2)
    resolution = step.options.get("resolution")
    if resolution is None:
        return before
    size = size_of(resolution)
    return size[0] * size[1] / 1e6 if size else before * (NAMED_HEIGHTS[resolution.lower()] / shorter) ** 2
