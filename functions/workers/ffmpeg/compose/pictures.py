"""The pictures of one film, asked for at rising times."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from meet.picture.canvas import Plane
from meet.picture.turn import is_sideways, turned

from .plan import Film
from .reading import opened


class Pictures:
    """What a film shows. It is opened when it is first asked, and decodes nothing that nobody sees: over times that
    it isn't asked for, it goes on from the last key frame before the next."""

    def __init__(self, film: Film, folder: Path) -> None:
        self._film = film
        self._folder = folder
        self._open = ExitStack()
        self._container: InputContainer | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._from_s = 0.0
        self._seen: VideoFrame | None = None
        self._next: VideoFrame | None = None
        self._scaler = VideoReformatter()

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """It is not asked any more."""
        self._frames = iter(())
        self._seen = self._next = None
        self._open.close()

    def at(self, now_s: float) -> VideoFrame | None:
        """The latest picture that begins by then, None before the first; the same object while it is the same."""
        if self._container is None:
            self._container = self._open.enter_context(opened(self._folder / self._film.file))
            self._frames = self._decoded(self._container)
            self._next = next(self._frames, None)
        key = bisect_right(self._film.key_frames_s, now_s)
        self._from_s = self._film.key_frames_s[key - 1] if key else 0.0
        while self._next is not None and _time(self._next) <= now_s:
            self._seen = self._next
            self._next = next(self._frames, None)
        return self._seen

    def scaled(self, frame: VideoFrame, width: int, height: int) -> list[Plane]:
        """A picture in this size, upright, in planes of 4:2:0."""
        if is_sideways(frame.rotation):
            width, height = height, width
        # BILINEAR is a third faster than what is the default, and what is made smaller by half looks the same.
        made = self._scaler.reformat(frame, width, height, "yuv420p", interpolation="BILINEAR")
        planes = [Plane(memoryview(plane), plane.line_size) for plane in made.planes]
        return turned(planes, width, height, frame.rotation)

    def _decoded(self, container: InputContainer) -> Iterator[VideoFrame]:
        stream = container.streams.video[0]
        at_s = -1.0
        for packet in container.demux(stream):
            if packet.pts is not None and at_s < self._from_s and _begins(packet) < self._from_s:
                continue
            at_s = _begins(packet) if packet.pts is not None else at_s
            try:
                yield from stream.decode(packet)
            except av.FFmpegError:  # what is broken is passed over, as players do
                continue


def upright(frame: VideoFrame) -> tuple[int, int]:
    """Width and height of a picture as it is to be seen."""
    return (frame.height, frame.width) if is_sideways(frame.rotation) else (frame.width, frame.height)


def _begins(packet: Packet[VideoStream]) -> float:
    return float((packet.pts or 0) * packet.time_base) if packet.time_base else 0.0


def _time(frame: VideoFrame) -> float:
    return 0.0 if frame.time is None else frame.time
