"""What FFmpeg is to do for a recording: pure functions to arguments.

encoded(plan, wanted, "file")     from what the painter writes into its standard input
copied(files, "file")             the tracks as they are, bit by bit, side by side in one WebM
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meet.domain import formats as names
from meet.domain.recording import Quality, Wanted

from .commands import audio_arguments
from .compose.plan import FRAME_RATE, Plan
from .formats import INDEX_FIRST, KIN_OF_MP4, MUXERS, VIDEO_CODECS
from .inputs import GLOBAL, REPORTING, Command

PAINTED = ("-f", "nut", "-protocol_whitelist", "pipe", "-i", "pipe:0")

PRESETS: Mapping[str, tuple[str, ...]] = {
    "h264": ("-preset", "veryfast"),
    "vp9": ("-deadline", "realtime", "-cpu-used", "8"),
}
"""Faces before still walls: what slower presets save of the bytes isn't worth three times the computing."""
KEY_FRAMES = ("-g", str(4 * FRAME_RATE))
"""So that a player that jumps into the middle has something to show soon."""


def encoded(plan: Plan, wanted: Wanted, output: str) -> Command:
    """Encode what is painted, in the codecs that a file of the wanted format gets."""
    made = names.FORMATS[wanted.format]
    arguments = [*GLOBAL, *REPORTING, *PAINTED]
    if plan.frames:
        arguments += ["-map", "0:v:0", *_video(made.video[0], wanted.quality)]
    if plan.samples:
        arguments += ["-map", "0:a:0", *audio_arguments(made.audio[0], wanted.quality, None)]
    return _ended(arguments, wanted.format, output, plan.duration_s)


def copied(files: Sequence[str], duration_s: float, output: str) -> Command:
    """Put tracks side by side in a WebM, without encoding; they stay where they are on the timeline."""
    arguments = [*GLOBAL, *REPORTING, "-copyts"]
    for file in files:
        arguments += ["-protocol_whitelist", "file", "-format_whitelist", "matroska", "-f", "matroska"]
        arguments += ["-i", f"file:{file}"]
    for place in range(len(files)):
        arguments += ["-map", f"{place}:0"]
    return _ended([*arguments, "-c", "copy"], "webm", output, duration_s)


def _video(codec: str, quality: Quality) -> list[str]:
    one = VIDEO_CODECS[codec]
    unbounded = ["-b:v", "0"] if codec == "vp9" else []
    return ["-c:v", one.encoder, *PRESETS[codec], *one.flags, "-crf", str(one.crf[quality]), *unbounded, *KEY_FRAMES]


def _ended(arguments: list[str], format: str, output: str, duration_s: float) -> Command:
    file = f"{output}.{format}"
    index = INDEX_FIRST if format in KIN_OF_MP4 else ()
    return Command((*arguments, *index, "-f", MUXERS[format], "-y", f"file:{file}"), file, duration_s)
