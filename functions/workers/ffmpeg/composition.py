"""From a stopped recording to its file in the bucket: what the recorder left is fetched, put in order, and composed.

The file and those of the single tracks are written under keys of this attempt; each is told to `written` before it
is. What the recorder left stays until the recording is completed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from meet import objects
from meet.domain.capture import recording_prefix
from meet.domain.job import Job
from meet.domain.media import Blob
from meet.domain.recording import RecordedTrack, Recording
from meet.probe.client import Found as About
from meet.probe.client import Unreadable, examine_file
from meet.store import recordings

from .binary import Binary
from .compose.capture import Captured, fetch
from .compose.parts import Part, duration_of, is_copied, is_wanted, lines_of, measure, plan_of
from .compose_commands import copied, encoded
from .compose_run import painted, tidied
from .lease import Lease
from .run import Failed, Stopped, limits, run

NOTHING = "Nothing was recorded: nobody sent sound or pictures while it ran."
TIDY_PROGRESS, MADE_PROGRESS = 5, 95
"""When the tracks are in order, and when all is made and nothing is in the bucket yet."""


def compose(job: Job, binary: Binary, folder: Path, lease: Lease, written: list[str]) -> Recording:
    """The recording as it is when its job is completed.

    Raises `Failed` where there can't be a file, or nobody waits for it any more, `Stopped` once `lease.stop` is set,
    and `Unavailable`.
    """
    recording = recordings.find(job.steps[0].media_id)
    if recording is None or recording.is_over:
        raise Failed("The recording was deleted.")
    return _Composition(recording, job, binary, folder, lease, written).completed()


@dataclass(frozen=True, slots=True)
class _Composition:
    recording: Recording
    job: Job
    binary: Binary
    folder: Path
    lease: Lease
    written: list[str]

    def completed(self) -> Recording:
        """All of it, in its order."""
        captured = fetch(self.recording.recording_id, self.folder, self.go_on)
        parts = self.tidy(captured)
        if not any(is_wanted(part.track, self.recording.wanted) for part in parts):
            raise Failed(NOTHING)
        self.lease.progress = TIDY_PROGRESS
        duration_s = duration_of(captured, parts)
        made = self.make(captured, parts, duration_s)
        about = _examined(made)
        tracks = tuple(self.keep_track(number, part) for number, part in enumerate(parts))
        name = f"{secrets.token_urlsafe(12)}.{self.recording.wanted.format}"
        blob = self.keep(made, name, about.kind.mime_type)
        measured = measure(self.recording.measured, captured, parts, duration_s)
        return self.recording.completed(blob, about.kind.mime_type, about.facts, tracks, measured)

    def tidy(self, captured: Captured) -> list[Part]:
        """The tracks, each in one file; what the recorder left of them is no longer on the disk."""
        lines, whose = lines_of(captured.pieces)
        found = tidied(lines, self.folder, stop=self.lease.stop, within=limits()) if lines else []
        for piece in captured.pieces:
            (self.folder / piece.file).unlink()
        return [Part(whose[one.line], one) for one in found]

    def make(self, captured: Captured, parts: Sequence[Part], duration_s: float) -> Path:
        """The file, copied where that will do."""
        wanted = self.recording.wanted
        used = [part for part in parts if is_wanted(part.track, wanted)]
        stop, within = self.lease.stop, limits()
        if is_copied(used, wanted, duration_s):
            asked = copied([part.found.file for part in used], duration_s, "output")
            return run(self.binary.path, asked, self.folder, stop=stop, within=within, on_progress=self.note)
        plan = plan_of(wanted, captured, used, duration_s)
        asked = encoded(plan, wanted, "output")
        return painted(self.binary.path, asked, plan, self.folder, stop=stop, within=within, on_progress=self.note)

    def keep_track(self, number: int, part: Part) -> RecordedTrack:
        """Put a track's file into the bucket."""
        track, found = part.track, part.found
        mime_type = f"{track.kind}/x-matroska"
        return RecordedTrack(
            track_id=track.track_id,
            user_id=track.user_id,
            username=track.username,
            kind=track.kind,
            source=track.source,
            codec=track.codec,
            begins_s=round(found.begins_s, 3),
            duration_s=round(found.ends_s - found.begins_s, 3),
            blob=self.keep(self.folder / found.file, f"track-{number:04}.mkv", mime_type),
            mime_type=mime_type,
        )

    def keep(self, made: Path, name: str, mime_type: str) -> Blob:
        """Put a file into the bucket under a key of this attempt."""
        self.go_on()
        key = f"{files_prefix(self.recording.recording_id)}{self.job.attempt}-{name}"
        self.written.append(key)
        return objects.upload_file(made, key, mime_type)

    def note(self, share: float) -> None:
        """How far FFmpeg is, of all that there is to do."""
        self.lease.progress = int(TIDY_PROGRESS + share * (MADE_PROGRESS - TIDY_PROGRESS))

    def go_on(self) -> None:
        """Raises `Stopped` where this must not go on."""
        if self.lease.stop.is_set():
            raise Stopped


def files_prefix(recording_id: str) -> str:
    """Of the objects that compositions of a recording write."""
    return f"{recording_prefix(recording_id)}files/"


def _examined(made: Path) -> About:
    try:
        return examine_file(made)
    except Unreadable as error:
        raise Failed("What was made of the recording can't be read.", str(error.message)) from error
