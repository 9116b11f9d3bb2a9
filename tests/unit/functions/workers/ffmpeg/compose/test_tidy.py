"""Tracks as a recorder leaves them become files that say how long they are, whatever was cut off."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from functions.workers.ffmpeg.compose.lines import Found, Line, Stretch
from functions.workers.ffmpeg.compose.tidy import tidy
from tests.captured import film, fragments, joined, voice


def put(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


def one(folder: Path, *files: str) -> Found:
    """The file that a line of these becomes."""
    made = tidy([Line(files, "made")], folder)
    assert len(made) == 1
    return made[0]


def decoded(path: Path) -> list[float]:
    """When each frame is, to the last."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        return [frame.time for frame in container.decode(container.streams[0]) if frame.time is not None]


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
def test_times_stay_those_of_the_recording(tmp_path: Path, codec: str) -> None:
    put(tmp_path, take=film(2, "red", codec=codec, begins_s=7.5, key_every=15))
    found = one(tmp_path, "take")
    assert (found.file, found.begins_s, round(found.ends_s, 1)) == ("made.mkv", 7.5, 9.5)
    assert found.key_frames_s == (7.5, 8.5)
    assert len(found.stretches) == 1
    times = decoded(tmp_path / "made.mkv")
    assert len(times) == 30
    assert times[0] == pytest.approx(7.5, abs=0.001)


def test_sound_as_well(tmp_path: Path) -> None:
    put(tmp_path, take=voice(2, begins_s=3))
    found = one(tmp_path, "take")
    assert found.begins_s == pytest.approx(3, abs=0.01)
    assert found.ends_s == pytest.approx(5, abs=0.03)
    assert found.key_frames_s == ()
    assert len(decoded(tmp_path / "made.mkv")) == pytest.approx(100, abs=1)


def test_takes_are_one_file_and_who_was_away_is_known(tmp_path: Path) -> None:
    put(tmp_path, first=film(2, "red"), second=film(2, "red", begins_s=6))
    found = one(tmp_path, "first", "second")
    assert [(one.begins_s, round(one.ends_s)) for one in found.stretches] == [(0.0, 2), (6.0, 8)]
    assert len(decoded(tmp_path / "made.mkv")) == 60


def test_a_take_that_repeats_the_end_of_the_last_adds_what_is_new(tmp_path: Path) -> None:
    put(tmp_path, first=film(2, "red"), second=film(2, "red", begins_s=1, key_every=1))
    assert len(decoded(tmp_path / one(tmp_path, "first", "second").file)) == 45


def test_other_parameters_begin_another_file(tmp_path: Path) -> None:
    put(tmp_path, first=film(1, "red", codec="h264"), second=film(1, "red", codec="h264", begins_s=2, size=(96, 64)))
    made = tidy([Line(("first", "second"), "made")], tmp_path)
    assert [(one.line, one.file, one.begins_s) for one in made] == [(0, "made.mkv", 0.0), (0, "made-1.mkv", 2.0)]
    assert all(len(decoded(tmp_path / one.file)) == 15 for one in made)


def test_what_is_cut_off_anywhere_plays_to_the_cut(tmp_path: Path) -> None:
    data = film(4, "red")
    for share in (0.4, 0.55, 0.7, 0.9):
        put(tmp_path, take=data[: int(len(data) * share)])
        found = one(tmp_path, "take")
        assert len(decoded(tmp_path / found.file)) == pytest.approx((found.ends_s - found.begins_s) * 15, abs=1)


def test_a_fragment_that_is_missing_costs_only_itself(tmp_path: Path) -> None:
    head, first, *_, last = fragments(film(6, "red", key_every=1))
    put(tmp_path, take=joined([head, first, last]))
    found = one(tmp_path, "take")
    assert found.stretches[0] == Stretch(0.0, pytest.approx(1.0, abs=0.1))
    assert found.ends_s > 5


def test_of_nothing_comes_nothing(tmp_path: Path) -> None:
    head = fragments(film(1, "red"))[0]
    put(tmp_path, empty=b"", half=head[:40], head=head, noise=bytes(range(256)) * 50, real=voice(1))
    lines = [Line((name,), name) for name in ("empty", "half", "head", "noise")]
    assert tidy(lines, tmp_path) == []
    assert [found.line for found in tidy([*lines, Line(("noise", "real"), "made")], tmp_path)] == [4]
