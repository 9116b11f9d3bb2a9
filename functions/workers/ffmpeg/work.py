"""From a claimed job to its outputs in the bucket: fetch the inputs, make each output, look at it, put it there.

Whatever is made lies in one folder that goes with the work; every object that was written is told to `written`
before it is, so that whoever loses the job in the middle can take back all of it.
"""

from __future__ import annotations

import logging
import shutil
from functools import partial
from pathlib import Path
from threading import Event

from meet import objects
from meet.clock import utcnow
from meet.domain.job import Job, Step
from meet.domain.media import MediaFile, MediaStatus
from meet.errors import NotFound, Unavailable
from meet.probe.client import Found, Unreadable, examine_file, thumbnail_file
from meet.store import media

from .binary import Binary
from .commands import command
from .inputs import Input
from .lease import Lease
from .run import Failed, Progress, Stopped, limits, run

log = logging.getLogger("meet.worker")

SPARE_BYTES = 200_000_000
"""Of the disk, left to others."""
MADE_PROGRESS = 95
"""When all is made and nothing is in the bucket yet."""


class Elsewhere(Exception):
    """Another kind of worker can do this job, and this one can't; the text says why."""


def make_outputs(
    job: Job, binary: Binary, folder: Path, lease: Lease, written: list[str]
) -> tuple[list[MediaFile], list[MediaFile]]:
    """Carry out all steps of a job: its inputs, and its outputs as they are when the job is completed.

    An output that somebody deleted meanwhile is left out. Raises `Failed` and `Impossible` where it can't be done,
    `Elsewhere`, `Stopped` once `lease.stop` is set, and `Unavailable`.
    """
    sources = _fetch(job, folder, lease)
    files = [file for file, _ in sources]
    finished = []
    for index, step in enumerate(job.steps):
        output = media.find(step.media_id)
        if output is None or output.status is not MediaStatus.PROCESSING:
            continue
        note = partial(_note, lease, index, len(job.steps))
        made = _make(step, sources, binary, folder / f"output-{index}", stop=lease.stop, on_progress=note)
        _go_on(lease)
        found = _examine(made)
        _go_on(lease)
        finished.append(_keep(output, made, found, job, written))
        made.unlink()
    return files, finished


def _fetch(job: Job, folder: Path, lease: Lease) -> list[tuple[MediaFile, Path]]:
    """The inputs in their order, each fetched once."""
    files = {media_id: _input(media_id) for media_id in job.inputs}
    needed = sum(file.blob.size for file in files.values() if file.blob)
    if shutil.disk_usage(folder).free < needed + SPARE_BYTES:
        raise Unavailable("The worker's disk is full.")
    paths = {media_id: folder / f"input-{number}" for number, media_id in enumerate(files)}
    for media_id, file in files.items():
        _go_on(lease)
        assert file.blob is not None  # noqa: S101 - `_input` gives no other
        try:
            objects.download_file(file.blob.key, paths[media_id])
        except NotFound as error:
            raise Failed("A file that the job is made of was deleted.") from error
    return [(files[media_id], paths[media_id]) for media_id in job.inputs]


def _input(media_id: str) -> MediaFile:
    file = media.find(media_id)
    if file is None or file.blob is None:
        raise Failed("A file that the job is made of was deleted.")
    return file


def _make(
    step: Step,
    sources: list[tuple[MediaFile, Path]],
    binary: Binary,
    path: Path,
    *,
    stop: Event,
    on_progress: Progress,
) -> Path:
    """The output of a step, at `path` with an extension of its own."""
    if step.operation == "thumbnail":
        path.write_bytes(_picture(step, *sources[0]))
        return path
    inputs = [Input(source.name, file.mime_type, file.facts) for file, source in sources]
    asked = command(step, inputs, path.name)
    if lacking := binary.lacks.intersection(asked.arguments):
        raise Elsewhere(f"FFmpeg {binary.version} here has no {', '.join(lacking)}")
    return run(binary.path, asked, path.parent, stop=stop, within=limits(), on_progress=on_progress)


def _picture(step: Step, file: MediaFile, path: Path) -> bytes:
    options = step.options
    try:
        return thumbnail_file(
            path,
            at_s=options.get("timestamp", 0),
            width=options.get("width", 320),
            height=options.get("height", 180),
            format=options.get("format", "jpg"),
        )
    except Unreadable as error:
        raise Failed(f"No picture can be made of this {file.file_type}.") from error


def _note(lease: Lease, index: int, steps: int, share: float) -> None:
    lease.progress = int((index + share) / steps * MADE_PROGRESS)


def _examine(made: Path) -> Found:
    try:
        return examine_file(made)
    except Unreadable as error:
        raise Failed("What FFmpeg made of this file can't be read.", str(error.message)) from error


def _keep(output: MediaFile, made: Path, found: Found, job: Job, written: list[str]) -> MediaFile:
    key = objects.output_key(output.media_id, job.attempt)
    written.append(key)
    blob = objects.upload_file(made, key, found.kind.mime_type)
    thumbnail = None
    if found.thumbnail is not None:
        beside = objects.thumbnail_key(key)
        written.append(beside)
        thumbnail = objects.put_bytes(beside, found.thumbnail, "image/jpeg")
    return output.finished(blob, found.kind.mime_type, found.facts, at=utcnow(), thumbnail=thumbnail)


def _go_on(lease: Lease) -> None:
    if lease.stop.is_set():
        raise Stopped
