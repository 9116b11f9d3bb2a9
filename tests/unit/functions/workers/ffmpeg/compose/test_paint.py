"""What is painted and mixed, looked at and listened to: colours, tones, and that both are in step."""

from __future__ import annotations

import os
import resource
from array import array
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image

from functions.workers.ffmpeg.compose.lines import Line
from functions.workers.ffmpeg.compose.paint import paint
from functions.workers.ffmpeg.compose.plan import FRAME_RATE, SAMPLE_RATE, Film, Plan, Voice
from functions.workers.ffmpeg.compose.scenes import Scene, Tile
from functions.workers.ffmpeg.compose.tidy import tidy
from meet.picture.layout import Rect, grid
from tests.captured import film, voice

WIDTH, HEIGHT = 320, 180
WHOLE = Rect(0, 0, WIDTH, HEIGHT)
RED, BLUE, BLACK = (81, 90, 240), (41, 240, 110), (16, 128, 128)
"""In limited range BT.601."""


@dataclass
class Made:
    """What the child wrote."""

    pictures: list[bytes]
    sound: array[int]

    def pixel(self, at_s: float, x: int, y: int) -> tuple[int, int, int]:
        """Luma and the two colours."""
        data = self.pictures[round(at_s * FRAME_RATE)]
        colour = WIDTH * HEIGHT + (y // 2) * (WIDTH // 2) + x // 2
        return data[y * WIDTH + x], data[colour], data[colour + WIDTH * HEIGHT // 4]

    def loudness(self, begins_s: float, ends_s: float) -> float:
        """The mean of the left channel's magnitude."""
        part = self.sound[int(begins_s * SAMPLE_RATE) * 2 : int(ends_s * SAMPLE_RATE) * 2 : 2]
        return sum(abs(one) for one in part) / len(part)


def made(plan: Plan, folder: Path) -> Made:
    file = BytesIO()
    paint(plan, folder, file)
    file.seek(0)
    pictures: list[bytes] = []
    sound = array("h")
    with av.open(file, format="nut") as container:
        for packet in container.demux():
            if packet.pts is None or packet.time_base is None:
                continue
            at_s = packet.pts * packet.time_base
            if packet.stream.type == "video":
                assert at_s * FRAME_RATE == len(pictures)
                pictures.append(bytes(packet))
            else:
                assert at_s * SAMPLE_RATE == len(sound) // 2
                sound.frombytes(bytes(packet))
    assert len(pictures) == plan.frames
    assert len(sound) == plan.samples * 2
    return Made(pictures, sound)


def kept(folder: Path, name: str, data: bytes, rotation: int = 0) -> tuple[str, tuple[float, ...], float, float]:
    """A track in order; its file, key frames, beginning and end."""
    (folder / f"{name}.part").write_bytes(data)
    (found,) = tidy([Line((f"{name}.part",), name, rotation)], folder)
    return found.file, found.key_frames_s, found.begins_s, found.ends_s


def a_film(folder: Path, name: str, data: bytes, rotation: int = 0) -> Film:
    return Film(*kept(folder, name, data, rotation)[:2])


def a_voice(folder: Path, name: str, data: bytes) -> Voice:
    file, _, begins_s, ends_s = kept(folder, name, data)
    return Voice(file, begins_s, ends_s)


def near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(abs(first - second) < 12 for first, second in zip(one, other, strict=True))


def test_two_people_side_by_side(tmp_path: Path) -> None:
    films = (a_film(tmp_path, "a", film(2, "red", codec="h264")), a_film(tmp_path, "b", film(2, "blue", begins_s=1)))
    left, right = grid(2, WIDTH, HEIGHT)
    scenes = (
        Scene(0, 1, (Tile("alice", 0, WHOLE),)),
        Scene(1, 2, (Tile("alice", 0, left), Tile("bob", 1, right))),
        Scene(2, 3, (Tile("bob", 1, WHOLE),)),
        Scene(3, 4, ()),
    )
    out = made(Plan(4, WIDTH, HEIGHT, scenes, films, names={"alice": "Alice", "bob": "Bob"}), tmp_path)
    assert near(out.pixel(0.5, 80, 80), RED)
    assert near(out.pixel(0.5, 240, 80), RED)
    assert near(out.pixel(1.5, 80, 80), RED)
    assert near(out.pixel(1.5, 240, 80), BLUE)
    assert near(out.pixel(1.5, 80, 20), BLACK)
    assert near(out.pixel(2.5, 80, 80), BLUE)
    assert near(out.pixel(3.5, 80, 80), BLACK)


def test_a_picture_of_another_shape_leaves_nothing_of_the_last(tmp_path: Path) -> None:
    wide, tall = film(1, "red", size=(160, 90)), film(1, "blue", size=(80, 160), begins_s=1)
    films = (a_film(tmp_path, "a", wide), a_film(tmp_path, "b", tall))
    scenes = (Scene(0, 1, (Tile("alice", 0, WHOLE),)), Scene(1, 2, (Tile("alice", 1, WHOLE),)))
    out = made(Plan(2, WIDTH, HEIGHT, scenes, films), tmp_path)
    assert near(out.pixel(0.5, 50, 80), RED)
    assert near(out.pixel(1.5, 160, 80), BLUE)
    assert near(out.pixel(1.5, 50, 80), BLACK)


@pytest.mark.parametrize(("rotation", "x", "y"), [(0, 50, 80), (90, 160, 20), (180, 270, 80), (270, 160, 140)])
def test_a_phone_that_is_turned_is_seen_upright(tmp_path: Path, rotation: int, x: int, y: int) -> None:
    picture = Image.new("RGB", (160, 90), "blue")
    picture.paste("red", (0, 0, 60, 90))
    data = film(0.5, "white", picture=picture)
    shown = a_film(tmp_path, "a", data, rotation)
    out = made(Plan(0.5, WIDTH, HEIGHT, (Scene(0, 0.5, (Tile("a", 0, WHOLE),)),), (shown,)), tmp_path)
    assert near(out.pixel(0.3, x, y), RED)
    assert near(out.pixel(0.3, WIDTH - x, 160 - y), BLUE)
    assert near(out.pixel(0.3, 30, 80), BLACK) == (rotation in (90, 270))


def test_who_can_not_be_seen_has_a_card_with_a_name(tmp_path: Path) -> None:
    scenes = (Scene(0, 0.2, (Tile("alice", None, WHOLE),)),)
    out = made(Plan(0.2, WIDTH, HEIGHT, scenes, names={"alice": "Alice"}), tmp_path)
    lines = [max(out.pictures[0][row * WIDTH : (row + 1) * WIDTH]) for row in range(HEIGHT)]
    assert max(lines[60:110]) > 200, "no name in the middle"
    assert max(lines[164:178]) > 200, "no name below"
    assert max(lines[:40]) < 60


def test_what_nobody_saw_is_skipped_and_what_follows_is_right(tmp_path: Path) -> None:
    shown = a_film(tmp_path, "a", film(6, lambda at_s: "red" if at_s < 4 else "blue", key_every=30))
    scenes = (Scene(0, 1, (Tile("a", 0, WHOLE),)), Scene(1, 5, ()), Scene(5, 6, (Tile("a", 0, WHOLE),)))
    out = made(Plan(6, WIDTH, HEIGHT, scenes, (shown,)), tmp_path)
    assert near(out.pixel(0.5, 80, 80), RED)
    assert near(out.pixel(5.0, 80, 80), BLUE)


def test_voices_are_heard_when_they_speak_and_together(tmp_path: Path) -> None:
    voices = (
        a_voice(tmp_path, "a", voice(2, 440)),
        a_voice(tmp_path, "b", voice(2, 880, begins_s=1)),
    )
    out = made(Plan(4, voices=voices), tmp_path)
    alone = out.loudness(0.2, 0.8)
    assert out.loudness(2.2, 2.8) == pytest.approx(alone, rel=0.1)
    assert out.loudness(1.2, 1.8) > 1.15 * alone
    assert out.loudness(3.2, 4.0) < 5


def test_a_flash_and_a_beep_are_seen_and_heard_at_once(tmp_path: Path) -> None:
    def flashes(at_s: float) -> bool:
        return 0.25 <= at_s % 1 < 0.45  # within a step, whose pictures all wait for the sound of the next

    seen = film(4, lambda at_s: "white" if flashes(at_s) else "black", begins_s=0.6, rate=30)
    heard = voice(4, 1000, begins_s=0.4, loud=flashes)
    plan = Plan(
        4.4,
        WIDTH,
        HEIGHT,
        (Scene(0, 4.4, (Tile("a", 0, WHOLE),)),),
        (a_film(tmp_path, "a", seen),),
        (a_voice(tmp_path, "b", heard),),
    )
    out = made(plan, tmp_path)
    bright = [out.pixel(number / FRAME_RATE, 160, 80)[0] > 128 for number in range(plan.frames)]
    flashed = [number / FRAME_RATE for number in range(1, plan.frames) if bright[number] and not bright[number - 1]]
    loud = [abs(one) > 1000 for one in out.sound[::2]]
    beeped = [
        number / SAMPLE_RATE
        for number in range(SAMPLE_RATE // 2, len(loud))
        if loud[number] and not any(loud[number - 2400 : number])
    ]
    assert [int(at_s) for at_s in flashed] == [int(at_s) for at_s in beeped] == [1, 2, 3, 4]
    for flash, beep in zip(flashed, beeped, strict=True):
        assert abs(flash % 1 - 0.25) < 0.034
        assert abs(beep % 1 - 0.25) < 0.012


def test_what_is_over_is_closed(tmp_path: Path) -> None:
    """A day has more tracks than a process may have open files."""
    shown, said = a_film(tmp_path, "a", film(0.4, "red")), a_voice(tmp_path, "b", voice(0.4))
    times = [(number * 0.6, number * 0.6 + 0.4) for number in range(20)]
    scenes = tuple(Scene(begin, end, (Tile("a", number, WHOLE),)) for number, (begin, end) in enumerate(times))
    voices = tuple(Voice(said.file, begin, end) for begin, end in times)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 10, before[1]))
    try:
        made(Plan(12, WIDTH, HEIGHT, scenes, (shown,) * 20, voices), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_nobody_reads_any_more(tmp_path: Path) -> None:
    class Closed(BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    scenes = (Scene(0, 20, (Tile("alice", None, WHOLE),)),)
    with pytest.raises((BrokenPipeError, av.FFmpegError)):
        paint(Plan(20, WIDTH, HEIGHT, scenes), tmp_path, Closed())
