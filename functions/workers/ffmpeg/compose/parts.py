"""The parts of a recording: what belongs together, how long it is, when who is seen, what can be copied. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from meet.domain.capture import CapturedTrack
from meet.domain.recording import HEIGHTS, Measured, Wanted

from .capture import Captured, Piece
from .lines import Found, Line
from .plan import Film, Plan, Voice
from .scenes import Span, scenes
from .speakers import turns

ALONE_S = 2.0
"""A track that is copied may begin so much after the recording does, and end so much before."""
OUT_S = 2.0
"""Who sends nothing for less than this was there all the time."""
COPIED = ("vp8", "vp9", "av1")
"""Codecs of pictures that WebM carries."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of one track, and whose it is."""

    track: CapturedTrack
    found: Found


def lines_of(pieces: Sequence[Piece]) -> tuple[list[Line], list[CapturedTrack]]:
    """What belongs together: the pieces of a track in one codec and one rotation, over all takes; and whose it is."""
    together: dict[tuple[str, str, int], list[Piece]] = defaultdict(list)
    for piece in sorted(pieces, key=lambda one: (one.take, one.track.begins_s, one.track.number)):
        together[piece.track.track_id, piece.track.codec, piece.track.rotation].append(piece)
    lines = [
        Line(tuple(piece.file for piece in line), f"track-{number}", rotation)
        for number, ((_, _, rotation), line) in enumerate(together.items())
    ]
    return lines, [line[-1].track for line in together.values()]


def duration_of(captured: Captured, parts: Iterable[Part]) -> float:
    """How long the recording is: as long as its recorder said, or as its tracks have it where it died."""
    said = (manifest.duration_s for manifest in captured.manifests)
    return max([0.0, *said, *(part.found.ends_s for part in parts)])


def is_copied(parts: Sequence[Part], wanted: Wanted, duration_s: float) -> bool:
    """Whether these are the whole file as they are: WebM, of one person, with one picture and one sound at most,
    which are there from the beginning to the end."""
    if wanted.format != "webm" or len({part.track.user_id for part in parts}) != 1:
        return False
    pictures = [part for part in parts if part.track.kind == "video"]
    if len(pictures) != int(is_pictured(wanted)) or len(parts) - len(pictures) > 1:
        return False
    return all(
        part.track.codec in COPIED
        and not part.track.rotation
        and len(part.found.stretches) == 1
        and part.found.begins_s <= ALONE_S
        and part.found.ends_s >= duration_s - ALONE_S
        for part in pictures
    )


def plan_of(wanted: Wanted, captured: Captured, parts: Sequence[Part], duration_s: float) -> Plan:
    """What is to be painted and mixed."""
    voices = [part for part in parts if part.track.kind == "audio"]
    sound = tuple(Voice(part.found.file, part.found.begins_s, part.found.ends_s) for part in voices)
    if not is_pictured(wanted):
        return Plan(duration_s, voices=sound)
    height = HEIGHTS[wanted.quality]
    size = round(height * 16 / 9 / 2) * 2, height
    pictures = [part for part in parts if part.track.kind == "video"]
    seen = scenes(_spans(parts, pictures), turns(captured.levels), duration_s, wanted.layout, size)
    films = tuple(Film(part.found.file, part.found.key_frames_s) for part in pictures)
    # Who has another name now had it last in the newest manifest.
    names = {track.user_id: track.username for manifest in captured.manifests for track in manifest.tracks}
    return Plan(duration_s, *size, tuple(seen), films, sound, names)


def measure(before: Measured, captured: Captured, parts: Sequence[Part], duration_s: float) -> Measured:
    """What is true of all of it; what its media process told last may be of a moment before it died."""
    size = sum(piece.size for piece in captured.pieces)
    average_bps = round(8 * size / duration_s) if duration_s else 0
    return replace(
        before,
        duration_s=round(duration_s, 3),
        size=size,
        participants=len({part.track.user_id for part in parts}),
        average_bitrate_bps=average_bps,
        peak_bitrate_bps=max(before.peak_bitrate_bps, average_bps),
        dropped_frames=max(before.dropped_frames, sum(one.dropped_frames for one in captured.manifests)),
        errors=max(before.errors, sum(one.errors for one in captured.manifests)),
    )


def _spans(parts: Sequence[Part], pictures: Sequence[Part]) -> list[Span]:
    """When each picture is on, and when people are there: as long as they send anything, or could."""
    spans = []
    there: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for part in parts:
        ends_s = max(part.found.ends_s, part.track.ends_s or 0.0)
        there[part.track.user_id].append((part.found.begins_s, ends_s))
    for user_id, times in there.items():
        spans += [Span(user_id, begins_s, ends_s) for begins_s, ends_s in _merged(times)]
    for place, part in enumerate(pictures):
        found, source = part.found, part.track.source
        shown: Literal["camera", "screen"] = "screen" if source == "screen" else "camera"
        # A screen on which nothing moves sends nothing, and is there all the same.
        on = (
            [(found.begins_s, found.ends_s)]
            if shown == "screen"
            else [(one.begins_s, one.ends_s) for one in found.stretches]
        )
        spans += [Span(part.track.user_id, begins_s, ends_s, shown, place) for begins_s, ends_s in on]
    return spans


def _merged(times: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The union, without short gaps."""
    merged: list[tuple[float, float]] = []
    for begins_s, ends_s in sorted(times):
        if merged and begins_s - merged[-1][1] < OUT_S:
            merged[-1] = merged[-1][0], max(merged[-1][1], ends_s)
        else:
            merged.append((begins_s, ends_s))
    return merged


def is_wanted(track: CapturedTrack, wanted: Wanted) -> bool:
    """Whether a track is of what was asked for."""
    match track.source:
        case "microphone":
            return wanted.audio
        case "camera":
            return wanted.video
        case "screen":
            return wanted.screen
        case _:
            return wanted.screen and wanted.audio


def is_pictured(wanted: Wanted) -> bool:
    """Whether there is anything to be seen in the file."""
    return wanted.video or wanted.screen
