"""The child that joins the files of each track over takes, and says what is in them.

What a recorder left of a track ends in the middle of nowhere and can't be entered but at its start; what is made of
it here says how long it is and has an index. Nothing is decoded, and times stay those of the recording's timeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from .lines import Found, Line, Stretch
from .reading import opened

GAP_S = 3.0
"""A camera that sends nothing for so long is taken for switched off; the slowest send a picture a second."""


def tidy(lines: list[Line], folder: Path) -> list[Found]:
    """Make the files; a line in which there is nothing has none."""
    return [found for place, line in enumerate(lines) for found in _joined(place, line, folder)]


def _joined(place: int, line: Line, folder: Path) -> Iterator[Found]:
    made: _Made | None = None
    for number, name in enumerate(line.files):
        try:
            with opened(folder / name) as source:
                stream = next((one for one in source.streams if isinstance(one, VideoStream | AudioStream)), None)
                if stream is None:
                    continue
                if made is None or not made.takes(stream):
                    if made is not None:
                        yield from made.closed()
                    output = f"{line.output}-{number}.mkv" if number else f"{line.output}.mkv"
                    made = _Made(place, output, folder, stream, line.rotation)
                for packet in source.demux(stream):
                    made.append(packet)
        except (av.FFmpegError, UnicodeError):
            continue  # it is cut off; where the recorder died before it had written the head, at its very start
    if made is not None:
        yield from made.closed()


class _Made:
    """A file that is being made."""

    def __init__(self, line: int, name: str, folder: Path, like: VideoStream | AudioStream, rotation: int) -> None:
        self._line, self._name = line, name
        self._path = folder / name
        self._head = _head(like)
        self._stack = ExitStack()
        self._container: OutputContainer = self._stack.enter_context(av.open(str(self._path), "w", format="matroska"))
        self._stream = self._container.add_stream_from_template(like, opaque=True)
        if rotation and isinstance(self._stream, VideoStream):
            self._stream.set_display_rotation(-rotation)  # FFmpeg counts counterclockwise
        self._stretches: list[Stretch] = []
        self._keys: list[float] = []
        self._latest_s = 0.0

    def takes(self, stream: VideoStream | AudioStream) -> bool:
        """Whether this can follow in the same file."""
        return self._head == _head(stream)

    def append(self, packet: Packet[Stream]) -> None:
        """Copy it; a track that begins anew repeats nothing that is there."""
        if packet.pts is None or packet.time_base is None:
            return
        begins_s = float(packet.pts * packet.time_base)
        if self._stretches and begins_s <= self._latest_s:
            return
        self._latest_s = begins_s
        self._note(begins_s, begins_s + float((packet.duration or 0) * packet.time_base))
        if packet.is_keyframe and isinstance(self._stream, VideoStream):
            self._keys.append(begins_s)
        packet.dts = packet.pts
        packet.stream = self._stream
        self._container.mux(packet)

    def closed(self) -> Iterator[Found]:
        """Finish it; nothing where nothing came."""
        self._stack.close()
        if not self._stretches:
            return
        first, last = self._stretches[0], self._stretches[-1]
        keys = tuple(self._keys)
        yield Found(self._line, self._name, first.begins_s, last.ends_s, tuple(self._stretches), keys)

    def _note(self, begins_s: float, ends_s: float) -> None:
        last = self._stretches[-1] if self._stretches else None
        if last is None or begins_s - last.ends_s > GAP_S:
            self._stretches.append(Stretch(begins_s, max(begins_s, ends_s)))
        else:
            self._stretches[-1] = Stretch(last.begins_s, max(last.ends_s, begins_s, ends_s))


def _head(stream: VideoStream | AudioStream) -> tuple[str, bytes]:
    return stream.codec_context.name, bytes(stream.codec_context.extradata or b"")
