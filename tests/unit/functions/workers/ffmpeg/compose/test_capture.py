"""What is fetched of a recording, from a bucket that is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from functions.workers.ffmpeg.compose import capture
from functions.workers.ffmpeg.compose.speakers import Level
from meet.clock import utcnow
from meet.domain.capture import levels_key, manifest_key
from meet.errors import NotFound, Unavailable
from meet.objects import Listed
from tests.captured import Take

Bucket = dict[str, bytes]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    there: Bucket = {}

    def every(prefix: str) -> list[Listed]:
        return [Listed(key, len(data), utcnow()) for key, data in sorted(there.items()) if key.startswith(prefix)]

    def read_bytes(key: str) -> bytes:
        if key not in there:
            raise NotFound("The file's bytes are not there")
        return there[key]

    monkeypatch.setattr(capture.objects, "every", every)
    monkeypatch.setattr(capture.objects, "read_bytes", read_bytes)
    return there


def a_take(number: int = 0) -> Take:
    take = Take("r1", number, duration_s=10.0, levels=[(0.0, 0, 30), (0.1, 7, 20)])
    take.add("alice", "camera", "vp8", b"head", 0.0)
    return take


def fetch(folder: Path) -> capture.Captured:
    return capture.fetch("r1", folder, lambda: None)


def test_fragments_are_joined_in_their_order(bucket: Bucket, tmp_path: Path) -> None:
    bucket.update(a_take().objects())
    for number in range(1, 40):
        bucket[f"recordings/r1/0000/tracks/0000/{number:08}"] = f"-{number}".encode()
    found = fetch(tmp_path)
    (piece,) = found.pieces
    data = (tmp_path / piece.file).read_bytes()
    assert data == b"head" + b"".join(f"-{number}".encode() for number in range(1, 40))
    assert (piece.take, piece.track.user_id, piece.size) == (0, "alice", len(data))
    assert found.levels == (Level(0.0, "alice", 30),)


def test_every_take_is_of_it_and_nothing_that_was_made_of_it(bucket: Bucket, tmp_path: Path) -> None:
    bucket.update(a_take(0).objects() | a_take(1).objects())
    bucket["recordings/r1/files/1-abc.mp4"] = bucket["recordings/r10/0000/manifest.json"] = b"another's"
    found = fetch(tmp_path)
    assert [manifest.take for manifest in found.manifests] == [0, 1]
    assert [piece.take for piece in found.pieces] == [0, 1]


def test_a_take_without_a_manifest_and_a_track_without_a_fragment_are_left_out(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.update(a_take(0).objects() | a_take(1).objects())
    bucket[manifest_key("r1", 0)] = b"{"
    del bucket["recordings/r1/0001/tracks/0000/00000000"]
    found = fetch(tmp_path)
    assert [manifest.take for manifest in found.manifests] == [1]
    assert found.pieces == ()


def test_levels_that_can_not_be_read_say_nothing(bucket: Bucket, tmp_path: Path) -> None:
    bucket.update(a_take().objects())
    bucket[levels_key("r1", 0, 1)] = b"[[1]]"
    bucket[levels_key("r1", 0, 2)] = b"nothing"
    bucket[levels_key("r1", 0, 3)] = b"[[5.0, 0, 10]]"
    assert fetch(tmp_path).levels == (Level(0.0, "alice", 30), Level(5.0, "alice", 10))


def test_a_disk_without_room_is_told_before_it_is_full(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.update(a_take().objects())
    monkeypatch.setattr(capture, "SPARE_BYTES", 10**18)
    with pytest.raises(Unavailable, match="disk is full"):
        fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_must_not_go_on_stops(bucket: Bucket, tmp_path: Path) -> None:
    bucket.update(a_take().objects())

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        capture.fetch("r1", tmp_path, stop)
