"""What a recorder leaves in the bucket, and the composition reads: a manifest, fragments, and how loud it was.

    recordings/<recording_id>/<take>/manifest.json            `Manifest`, written anew whenever it changes
    recordings/<recording_id>/<take>/tracks/<n>/<fragment>    fragment 00000000 is the initialisation; together, in
                                                              order, they are one Matroska file
    recordings/<recording_id>/<take>/levels/<n>               JSON: [[t_s, track number, level], …]

A take is what one run of the recorder wrote: one that had to be begun anew, because it died, writes the next take,
and never touches what is there. All times are seconds on the recording's one timeline, which begins with its first
take and has no pauses; the timestamps within the track files count from there too, so a composition needs no clock.
Levels are those of RFC 6464: 0 is the loudest, 127 silence.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

VERSION = 1
RECORDINGS = "recordings/"
"""Before the keys of all recordings' objects."""
MANIFEST = "manifest.json"
SILENCE = 127
"""The level of no sound at all (RFC 6464 section 3)."""


def recording_prefix(recording_id: str) -> str:
    """Of every object of a recording."""
    return f"{RECORDINGS}{recording_id}/"


def take_prefix(recording_id: str, take: int) -> str:
    """Of every object of one take, which are counted from 0."""
    return f"{recording_prefix(recording_id)}{take:04}/"


def manifest_key(recording_id: str, take: int) -> str:
    """Of a take's manifest."""
    return take_prefix(recording_id, take) + MANIFEST


def track_prefix(recording_id: str, take: int, number: int) -> str:
    """Of the fragments of one track."""
    return f"{take_prefix(recording_id, take)}tracks/{number:04}/"


def fragment_key(recording_id: str, take: int, number: int, fragment: int) -> str:
    """Of a fragment; number 0 is the initialisation. Keys sort as fragments do."""
    return f"{track_prefix(recording_id, take, number)}{fragment:08}"


def levels_prefix(recording_id: str, take: int) -> str:
    """Of how loud it was."""
    return f"{take_prefix(recording_id, take)}levels/"


def levels_key(recording_id: str, take: int, number: int) -> str:
    """Of one stretch of it. Keys sort by time."""
    return f"{levels_prefix(recording_id, take)}{number:08}"


@dataclass(frozen=True, slots=True)
class CapturedTrack:
    """One track of a take, in one codec: a publisher that changes it begins another of the same `track_id`."""

    number: int
    """Names its objects within the take."""
    track_id: str
    user_id: str
    username: str
    kind: Literal["audio", "video"]
    source: Literal["microphone", "camera", "screen", "screen-audio"]
    codec: str
    """`opus`, `vp8`, `vp9`, `h264`, `av1`."""
    begins_s: float
    """Of its first frame."""
    ends_s: float | None = None
    """Once it ended; None while it goes on, or where the recorder died: then what its file says counts."""
    rotation: int = 0
    """Of a phone's picture: 0, 90, 180 or 270, the degrees clockwise to turn it by. Its file does not tell."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What there is of one take."""

    recording_id: str
    take: int
    begins_s: float
    duration_s: float
    """On the timeline, as far as the recorder knew when it wrote this."""
    tracks: tuple[CapturedTrack, ...] = ()
    dropped_frames: int = 0
    errors: int = 0
    version: int = VERSION

    def to_json(self) -> bytes:
        """As it stands in the bucket."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """The inverse of `to_json`; keys of a newer version are ignored. `ValueError` where it is no manifest."""
        try:
            values: dict[str, Any] = json.loads(data)
            tracks = tuple(CapturedTrack(**_known(CapturedTrack, track)) for track in values.get("tracks", ()))
            return cls(**_known(cls, values) | {"tracks": tracks})
        except (TypeError, AttributeError) as error:
            raise ValueError(f"this is no manifest: {error}") from error


def _known(shape: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in shape.__dataclass_fields__ if name in values}
