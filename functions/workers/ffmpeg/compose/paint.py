"""The child that paints the pictures and mixes the sound of a plan, and writes both to its standard output as NUT.

NUT carries raw pictures and raw sound through one pipe. Of each `STEP_S` the sound is written before the pictures, so
that who reads has both at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from meet.picture import labels
from meet.picture.canvas import Canvas, Plane
from meet.picture.layout import Rect, fitted

from .pictures import Pictures, upright
from .plan import FRAME_RATE, SAMPLE_RATE, Plan
from .scenes import Scene, Tile
from .sound import BYTES, SAMPLE, Samples, mixer

FRAMES_A_STEP = 15
STEP_S = FRAMES_A_STEP / FRAME_RATE
SAMPLES_A_STEP = SAMPLE_RATE * FRAMES_A_STEP // FRAME_RATE
FRAME = Fraction(1, FRAME_RATE)
GROUND = 16
"""Luma of what is behind all: black."""
INTO_FRAME_S = 0.5 / FRAME_RATE
"""A picture is shown in the frame whose middle it has reached: times are rounded both here and in the file."""


def paint(plan: Plan, folder: Path, into: BinaryIO) -> None:
    """Write all of it. `BrokenPipeError` where nobody reads any more."""
    with ExitStack() as stack:
        films = [stack.enter_context(Pictures(film, folder)) for film in plan.films]
        voices = [stack.enter_context(Samples(voice, folder)) for voice in plan.voices]
        container = stack.enter_context(av.open(into, "w", format="nut"))
        seen = _raw_pictures(container, plan) if plan.frames else None
        heard = _raw_sound(container) if plan.samples else None
        pictures = _Painter(plan, films).pictures()
        for step in range(-(-round(plan.duration_s * FRAME_RATE) // FRAMES_A_STEP) or 1):
            if heard is not None:
                first = step * SAMPLES_A_STEP
                count = min(SAMPLES_A_STEP, plan.samples - first)
                if count > 0:
                    container.mux(_packet(_sound(voices, first, count), heard, first, SAMPLE, count))
            if seen is not None:
                for number in range(step * FRAMES_A_STEP, min((step + 1) * FRAMES_A_STEP, plan.frames)):
                    # A copy: the muxer keeps pictures until sound that is later comes, and the next is painted over.
                    container.mux(_packet(bytes(next(pictures)), seen, number, FRAME, 1))


class _Painter:
    """Keeps what is on the canvas, and paints only what changes."""

    def __init__(self, plan: Plan, films: list[Pictures]) -> None:
        self._plan = plan
        self._films = films
        self._canvas = Canvas(plan.width, plan.height)
        self._shown: dict[int, tuple[VideoFrame, Rect]] = {}
        """By tile, what is in it now and where."""
        self._lasts = {tile.file: scene for scene in plan.scenes for tile in scene.tiles if tile.file is not None}
        """By film, the last scene that it is seen in."""

    def pictures(self) -> Iterator[bytearray]:
        """Every frame in turn; the same bytes each time, which the next changes."""
        scenes = iter(self._plan.scenes)
        scene: Scene | None = None
        for number in range(self._plan.frames):
            now_s = number / FRAME_RATE
            before = scene
            while scene is None or scene.ends_s <= now_s + INTO_FRAME_S:
                following = next(scenes, None)
                if following is None:
                    break
                scene = following
            if scene is not None:
                if scene is not before:
                    self._set(scene)
                for place, tile in enumerate(scene.tiles):
                    self._show(place, tile, now_s + INTO_FRAME_S)
            yield self._canvas.data

    def _set(self, scene: Scene) -> None:
        """The ground of a scene: names, cards, and nothing else yet. Films that are over are closed: of a long day
        there are more than a process may have open."""
        self._shown.clear()
        for film in [film for film, last in self._lasts.items() if last.ends_s <= scene.begins_s]:
            self._films[film].close()
            del self._lasts[film]
        self._canvas.fill(Rect(0, 0, self._canvas.width, self._canvas.height), GROUND)
        for tile in scene.tiles:
            name = self._plan.names.get(tile.user_id, "")
            picture, bar = _split(tile.place)
            self._write(labels.bar(name, bar.width, bar.height), bar)
            if tile.file is None:
                self._write(labels.card(name, picture.width, picture.height), picture)

    def _show(self, number: int, tile: Tile, now_s: float) -> None:
        if tile.file is None:
            return
        film = self._films[tile.file]
        frame = film.at(now_s)
        before, there = self._shown.get(number, (None, None))
        if frame is None or frame is before:
            return
        space, _ = _split(tile.place)
        place = fitted(*upright(frame), space)
        if there is not None and place != there:
            self._canvas.fill(space, GROUND)
        self._canvas.paste(film.scaled(frame, place.width, place.height), place)
        self._shown[number] = frame, place

    def _write(self, luma: bytes, place: Rect) -> None:
        self._canvas.paste([Plane(memoryview(luma), place.width)], place)


def _split(tile: Rect) -> tuple[Rect, Rect]:
    """A tile's picture, and the name under it."""
    bar = labels.bar_height(tile.height)
    above = tile.height - bar
    return Rect(tile.x, tile.y, tile.width, above), Rect(tile.x, tile.y + above, tile.width, bar)


def _sound(voices: list[Samples], first: int, count: int) -> bytes:
    said = [data for voice in voices if (data := voice.take(first, count)) is not None]
    if not said:
        return bytes(count * BYTES)
    return said[0] if len(said) == 1 else mixer(len(said)).mixed(said)


def _raw_pictures(container: OutputContainer, plan: Plan) -> Stream:
    stream = container.add_stream("rawvideo", rate=FRAME_RATE)
    stream.width, stream.height, stream.pix_fmt = plan.width, plan.height, "yuv420p"
    stream.time_base = FRAME
    return stream


def _raw_sound(container: OutputContainer) -> Stream:
    stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="stereo")
    stream.time_base = SAMPLE
    return stream


def _packet(data: bytes, stream: Stream, at: int, time_base: Fraction, duration: int) -> Packet[Stream]:
    packet: Packet[Stream] = Packet(data)
    packet.stream = stream
    packet.pts = packet.dts = at
    packet.time_base, packet.duration, packet.is_keyframe = time_base, duration, True
    return packet
