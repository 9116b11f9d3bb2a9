"""The children of a composition, real ones: what they make, and how they end."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest

from functions.workers.ffmpeg.binary import find
from functions.workers.ffmpeg.compose.lines import Line
from functions.workers.ffmpeg.compose.plan import Film, Plan, Voice
from functions.workers.ffmpeg.compose.scenes import Scene, Tile
from functions.workers.ffmpeg.compose_commands import encoded
from functions.workers.ffmpeg.compose_run import painted, tidied
from functions.workers.ffmpeg.run import Failed, Stopped, limits
from meet.domain.recording import Wanted
from meet.picture.layout import Rect
from meet.probe.client import examine_file
from tests.captured import voice

SIZE = (160, 90)


def paint(plan: Plan, folder: Path, stop: Event | None = None) -> Path:
    asked = encoded(plan, Wanted(), "made")
    return painted(find(), asked, plan, folder, stop=stop or Event(), within=limits(), on_progress=lambda share: None)


def showing(duration_s: float, **other: object) -> Plan:
    scenes = (Scene(0, duration_s, (Tile("alice", 0 if other else None, Rect(0, 0, *SIZE)),)),)
    return Plan(duration_s, *SIZE, scenes, names={"alice": "Alice"}, **other)  # type: ignore[arg-type]


def test_tracks_in_order_become_a_film(tmp_path: Path) -> None:
    (tmp_path / "left").write_bytes(voice(0.5))
    found = tidied([Line(("left",), "track-0")], tmp_path, stop=Event(), within=limits())
    assert [one.file for one in found] == ["track-0.mkv"]
    plan = Plan(0.5, *SIZE, (Scene(0, 0.5, ()),), voices=(Voice("track-0.mkv", 0, 0.5),))
    facts = examine_file(paint(plan, tmp_path)).facts
    assert (facts.resolution, facts.codec, facts.audio_codec) == ("160x90", "h264", "aac")
    assert facts.duration_s == pytest.approx(0.5, abs=0.05)


def test_a_painter_that_ends_too_soon_makes_no_short_film(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)the painter ended with 1: .*FileNotFoundError"):
        paint(showing(1, films=(Film("gone.mkv", ()),)), tmp_path)


def test_an_ffmpeg_that_fails_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "made.mp4").mkdir()
    with pytest.raises(Failed, match="can't convert"):
        paint(showing(1), tmp_path)


def test_what_is_stopped_ends_at_once(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        paint(showing(3600), tmp_path, stop)
    with pytest.raises(Stopped):
        tidied([], tmp_path, stop=stop, within=limits())
