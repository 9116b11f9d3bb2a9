"""Fetching what the recorder left in the bucket (`meet.domain.capture`): a file a track, and who was how loud."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from meet import objects
from meet.domain.capture import CapturedTrack, Manifest, manifest_key, recording_prefix
from meet.errors import NotFound, Unavailable

from .speakers import Level

log = logging.getLogger("meet.worker")

AT_ONCE = 16
"""Fragments that are read at the same time: each is small, and S3 takes 20 ms to begin."""
COPIES = 3
"""Of all that was sent, on the disk at once: as it was left, in order, and in the file that is made."""
SPARE_BYTES = 200_000_000

_KEY = re.compile(r"(\d{4,})/(?:(manifest\.json)|tracks/(\d{4,})/(\d{8,})|levels/(\d{8,}))")


@dataclass(frozen=True, slots=True)
class Piece:
    """A track of one take, in a file as the recorder wrote it: it may end anywhere."""

    take: int
    track: CapturedTrack
    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Captured:
    """All there is of a recording. A take whose recorder died before it wrote a manifest is not among it."""

    manifests: tuple[Manifest, ...]
    pieces: tuple[Piece, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class _Left:
    """The keys of one take, each with its size."""

    tracks: dict[int, dict[str, int]]
    levels: list[str]


def fetch(recording_id: str, folder: Path, go_on: Callable[[], None]) -> Captured:
    """Fetch a recording into `folder`. `go_on` is called now and then, and may raise.

    Raises `Unavailable` where the bucket does not answer, or this machine's disk has no room.
    """
    left = _listed(recording_id)
    size = sum(size for take in left.values() for track in take.tracks.values() for size in track.values())
    if shutil.disk_usage(folder).free < COPIES * size + SPARE_BYTES:
        raise Unavailable("The worker's disk is full.")
    manifests: list[Manifest] = []
    pieces: list[Piece] = []
    levels: list[Level] = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fragments") as pool:
        for take, found in sorted(left.items()):
            manifest = _manifest(recording_id, take)
            if manifest is None:
                continue
            manifests.append(manifest)
            for track in manifest.tracks:
                fragments = found.tracks.get(track.number)
                if fragments:
                    file = f"take-{take}-{track.number}"
                    with (folder / file).open("wb") as whole:
                        for data in _read(sorted(fragments), pool, go_on):
                            whole.write(data)
                    pieces.append(Piece(take, track, file, sum(fragments.values())))
            who = {track.number: track.user_id for track in manifest.tracks}
            for data in _read(sorted(found.levels), pool, go_on):
                levels += _levels(data, who)
    return Captured(tuple(manifests), tuple(pieces), tuple(levels))


def _listed(recording_id: str) -> dict[int, _Left]:
    """By take; what was made of a recording before is not of it."""
    prefix = recording_prefix(recording_id)
    takes: dict[int, _Left] = {}
    for one in objects.every(prefix):
        if found := _KEY.fullmatch(one.key, len(prefix)):
            take = takes.setdefault(int(found[1]), _Left({}, []))
            if found[3]:
                take.tracks.setdefault(int(found[3]), {})[one.key] = one.size
            elif found[5]:
                take.levels.append(one.key)
    return takes


def _manifest(recording_id: str, take: int) -> Manifest | None:
    try:
        return Manifest.from_json(objects.read_bytes(manifest_key(recording_id, take)))
    except (NotFound, ValueError) as error:
        log.warning("take %d of recording %s can't be told: %s", take, recording_id, error)
        return None


def _read(keys: Iterable[str], pool: ThreadPoolExecutor, go_on: Callable[[], None]) -> Iterator[bytes]:
    """What is under these keys, in their order; no more than `AT_ONCE` of them are held."""
    waiting = iter(keys)
    while batch := list(islice(waiting, AT_ONCE)):
        go_on()
        yield from pool.map(objects.read_bytes, batch)


def _levels(data: bytes, who: dict[int, str]) -> Iterator[Level]:
    """Those of tracks that the manifest knows; a stretch that can't be read says nothing."""
    try:
        for at_s, number, level in json.loads(data):
            if number in who:
                yield Level(float(at_s), who[number], int(level))
    except (ValueError, TypeError) as error:
        log.warning("levels can't be read: %s", error)
