"""What belongs together, how long it all is, who is seen when, and what need not be encoded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from functions.workers.ffmpeg.compose.capture import Captured, Piece
from functions.workers.ffmpeg.compose.lines import Found, Line, Stretch
from functions.workers.ffmpeg.compose.parts import (
    Part,
    duration_of,
    is_copied,
    is_wanted,
    lines_of,
    measure,
    plan_of,
)
from functions.workers.ffmpeg.compose.plan import Film, Plan, Voice
from functions.workers.ffmpeg.compose.speakers import Level
from meet.domain.capture import CapturedTrack, Manifest
from meet.domain.recording import Measured, Wanted

WEBM = Wanted(format="webm")


def track(user_id: str = "alice", source: Any = "camera", codec: str = "vp8", **other: Any) -> CapturedTrack:
    kind: Any = "audio" if codec == "opus" else "video"
    known = {"number": 0, "track_id": f"{user_id}-{source}", "username": user_id.title(), "begins_s": 0.0}
    return CapturedTrack(**known | {"user_id": user_id, "kind": kind, "source": source, "codec": codec} | other)


def part(begins_s: float, ends_s: float, *, on: list[tuple[float, float]] | None = None, **other: Any) -> Part:
    stretches = tuple(Stretch(*times) for times in on or [(begins_s, ends_s)])
    return Part(
        track(**other), Found(0, f"{other.get('codec', 'vp8')}.mkv", begins_s, ends_s, stretches, (begins_s,))
    )


CAMERA = part(0, 60)
VOICE = part(0, 60, source="microphone", codec="opus")


def captured(*manifests: Manifest, levels: tuple[Level, ...] = ()) -> Captured:
    return Captured(manifests, (), levels)


def manifest(take: int = 0, duration_s: float = 60, *tracks: CapturedTrack, **other: Any) -> Manifest:
    return Manifest("r", take, 0.0, duration_s, tracks, **other)


def test_the_pieces_of_a_track_are_joined_over_takes_but_not_over_codecs_and_rotations() -> None:
    pieces = [
        Piece(1, track(begins_s=20), "1-0", 10),
        Piece(0, track(), "0-0", 10),
        Piece(0, track(codec="vp9", number=1, begins_s=9), "0-1", 10),
        Piece(0, track("bob"), "0-2", 10),
        Piece(0, track("bob", rotation=90, number=2, begins_s=30), "0-3", 10),
    ]
    lines, whose = lines_of(pieces)
    assert lines == [
        Line(("0-0", "1-0"), "track-0"),
        Line(("0-2",), "track-1"),
        Line(("0-1",), "track-2"),
        Line(("0-3",), "track-3", 90),
    ]
    assert [(one.user_id, one.codec) for one in whose] == [
        ("alice", "vp8"),
        ("bob", "vp8"),
        ("alice", "vp9"),
        ("bob", "vp8"),
    ]


def test_a_recording_is_as_long_as_its_recorder_said_or_its_tracks_are() -> None:
    assert duration_of(captured(manifest(0, 61)), [CAMERA]) == 61
    assert duration_of(captured(manifest(0, 10), manifest(1, 58.5)), [CAMERA]) == 60
    assert duration_of(captured(), []) == 0


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([CAMERA, VOICE], WEBM),
        ([CAMERA], WEBM),
        ([part(1.5, 58.5, codec="vp9"), VOICE], WEBM),
        ([VOICE], replace(WEBM, video=False, screen=False)),
    ],
)
def test_one_person_in_webm_is_copied(parts: list[Part], wanted: Wanted) -> None:
    assert is_copied(parts, wanted, 60)


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([CAMERA, VOICE], Wanted()),
        ([CAMERA, VOICE], Wanted(format="mkv")),
        ([CAMERA, replace(VOICE, track=track("bob", "microphone", "opus"))], WEBM),
        ([part(0, 60, codec="h264"), VOICE], WEBM),
        ([CAMERA, part(0, 60, source="screen"), VOICE], WEBM),
        ([CAMERA, VOICE, part(0, 60, source="screen-audio", codec="opus")], WEBM),
        ([VOICE], WEBM),
        ([part(5, 60), VOICE], WEBM),
        ([part(0, 50), VOICE], WEBM),
        ([part(0, 60, rotation=90), VOICE], WEBM),
        ([part(0, 60, on=[(0, 20), (30, 60)]), VOICE], WEBM),
        ([], WEBM),
    ],
)
def test_all_else_is_composed(parts: list[Part], wanted: Wanted) -> None:
    assert not is_copied(parts, wanted, 60)


def test_what_is_asked_for() -> None:
    all_of = [track(source=one) for one in ("microphone", "camera", "screen", "screen-audio")]

    def of(**other: bool) -> list[str]:
        return [one.source for one in all_of if is_wanted(one, Wanted(**other))]

    assert of() == ["microphone", "camera", "screen", "screen-audio"]
    assert of(audio=False) == ["camera", "screen"]
    assert of(video=False) == ["microphone", "screen", "screen-audio"]
    assert of(screen=False) == ["microphone", "camera"]


def test_sound_alone_is_a_plan_without_pictures() -> None:
    plan = plan_of(Wanted(video=False, screen=False), captured(manifest()), [VOICE], 60)
    assert plan == Plan(60, voices=(Voice("opus.mkv", 0, 60),))
    assert (plan.frames, plan.samples) == (0, 60 * 48_000)


def test_a_camera_is_seen_while_it_sends_and_a_card_while_its_owner_is_there() -> None:
    camera = part(5, 40, on=[(5, 10), (20, 40)])
    voice = replace(part(0, 50), track=track(source="microphone", codec="opus", ends_s=55))
    plan = plan_of(Wanted(quality="low"), captured(manifest(0, 60, camera.track)), [camera, voice], 60)
    assert (plan.width, plan.height) == (854, 480)
    assert [(scene.begins_s, [tile.file for tile in scene.tiles]) for scene in plan.scenes] == [
        (0.0, [None]),
        (5, [0]),
        (10, [None]),
        (20, [0]),
        (40, [None]),
        (55, []),
    ]
    assert plan.films == (Film("vp8.mkv", (5,)),)
    assert plan.names == {"alice": "Alice"}


def test_a_screen_on_which_nothing_moves_is_seen_all_the_time() -> None:
    screen = part(5, 40, on=[(5, 10), (30, 40)], source="screen")
    plan = plan_of(Wanted(), captured(manifest()), [screen], 60)
    shown = [(scene.begins_s, [tile.file for tile in scene.tiles]) for scene in plan.scenes]
    assert shown == [(0.0, []), (5, [None, 0]), (40, [])]


def test_who_speaks_is_large_by_the_levels() -> None:
    bob = part(0, 60, user_id="bob")
    levels = tuple(Level(at / 10, "bob" if at > 200 else "alice", 20) for at in range(400))
    plan = plan_of(Wanted(layout="speaker"), captured(manifest(), levels=levels), [CAMERA, bob], 60)
    assert [scene.tiles[0].user_id for scene in plan.scenes] == ["alice", "bob"]


def test_the_plan_goes_to_the_child_and_back() -> None:
    plan = plan_of(Wanted(), captured(manifest(0, 60, CAMERA.track)), [CAMERA, VOICE], 60)
    assert Plan.from_json(plan.to_json()) == plan


def test_what_was_measured_of_all_takes() -> None:
    pieces = (Piece(0, CAMERA.track, "a", 3_000_000), Piece(1, CAMERA.track, "b", 1_000_000))
    takes = (manifest(0, 30, dropped_frames=3, errors=1), manifest(1, 60, dropped_frames=4))
    before = Measured(28.0, 2_000_000, 1, 500_000, 600_000, dropped_frames=2)
    measured = measure(before, Captured(takes, pieces, ()), [CAMERA, VOICE], 60.0)
    assert measured == Measured(60.0, 4_000_000, 1, 533_333, 600_000, dropped_frames=7, errors=1)
