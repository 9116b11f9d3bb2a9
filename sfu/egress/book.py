"""What there is of a take: its manifest, its fragments, and how much that is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from meet.domain.capture import CapturedTrack, Manifest, fragment_key, levels_key, manifest_key
from meet.domain.recording import Measured
from sfu.egress.sink import Track

MANIFEST_S = 2.0
"""How often it is written while nothing changes but the time."""
MATROSKA = "video/x-matroska"
JSON = "application/json"


class Lanes(Protocol):
    """Where objects go: `sfu.egress.fragments.Fragments`."""

    def add(self, lane: str, key: str, data: bytes, mime: str, *, replaces: bool = False) -> None:
        """Those of one lane in order; `replaces` what still waits of the same key."""


class Book:
    """Keeps a take's objects, and counts them."""

    def __init__(self, lanes: Lanes, recording_id: str, take: int, begins_s: float) -> None:
        self.dropped_frames: Callable[[], int] = lambda: 0
        """Counted by who makes frames whole."""
        self.errors = 0
        """Frames that could not be written."""
        self.size = 0
        """Bytes of all fragments."""
        self._lanes = lanes
        self._recording_id, self._take, self._begins_s = recording_id, take, begins_s
        self._tracks: dict[int, CapturedTrack] = {}
        self._fragments: dict[int, int] = {}
        """How many there are, by track number."""
        self._levels = 0
        self._changed = True
        self._written_s = begins_s
        self._second, self._second_bytes, self._peak_bytes = -1, 0, 0

    def begin(self, track: Track, codec: str, at_s: float, rotation: int = 0) -> int:
        """A track's first frame is here: the number of its file."""
        number = len(self._tracks)
        self._tracks[number] = CapturedTrack(
            number=number,
            track_id=track.track_id,
            user_id=track.user_id,
            username=track.username,
            kind=track.kind,
            source=track.source,
            codec=codec,
            begins_s=round(at_s, 3),
            rotation=rotation,
        )
        self._fragments[number] = 0
        self._changed = True
        return number

    def end(self, number: int, at_s: float) -> None:
        """It is over, or goes on in another file."""
        self._tracks[number] = replace(self._tracks[number], ends_s=round(at_s, 3))
        self._changed = True

    def rename(self, user_id: str, username: str) -> None:
        """Somebody has another name, from the beginning on."""
        for number, track in self._tracks.items():
            if track.user_id == user_id and track.username != username:
                self._tracks[number] = replace(track, username=username)
                self._changed = True

    def fragment(self, number: int, data: bytes) -> None:
        """Keep the next one of a track's file; b"" is none."""
        if not data:
            return
        key = fragment_key(self._recording_id, self._take, number, self._fragments[number])
        self._fragments[number] += 1
        self.size += len(data)
        self._lanes.add(f"track {number}", key, data, MATROSKA)

    def levels(self, data: bytes) -> None:
        """Keep how loud it was for a while; b"" is nothing."""
        if data:
            self._lanes.add("levels", levels_key(self._recording_id, self._take, self._levels), data, JSON)
            self._levels += 1

    def counted(self, size: int, at_s: float) -> None:
        """A frame of so many bytes was written."""
        if int(at_s) != self._second:
            self._second, self._second_bytes = int(at_s), 0
        self._second_bytes += size
        self._peak_bytes = max(self._peak_bytes, self._second_bytes)

    def write(self, at_s: float, *, anyway: bool = False) -> None:
        """Write the manifest where it is time to; the recording stands at `at_s`."""
        if not (self._changed or anyway or at_s - self._written_s >= MANIFEST_S):
            return
        self._changed, self._written_s = False, at_s
        manifest = Manifest(
            self._recording_id,
            self._take,
            self._begins_s,
            round(at_s, 3),
            tuple(self._tracks.values()),
            self.dropped_frames(),
            self.errors,
        )
        key = manifest_key(self._recording_id, self._take)
        self._lanes.add("manifest", key, manifest.to_json(), JSON, replaces=True)

    def measured(self, at_s: float) -> Measured:
        """Of this take; its duration is that of the whole recording up to now."""
        elapsed = at_s - self._begins_s
        return Measured(
            duration_s=round(at_s, 3),
            size=self.size,
            participants=len({track.user_id for track in self._tracks.values()}),
            average_bitrate_bps=round(8 * self.size / elapsed) if elapsed > 0 else 0,
            peak_bitrate_bps=8 * self._peak_bytes,
            dropped_frames=self.dropped_frames(),
            errors=self.errors,
        )
