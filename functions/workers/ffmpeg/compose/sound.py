"""The sound of one voice, asked for at rising times; and several voices as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import TracebackType

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from av.filter import Graph

from .plan import SAMPLE_RATE, Voice
from .reading import opened

SAMPLE = Fraction(1, SAMPLE_RATE)
BYTES = 4
"""Of a sample: two channels of 16 bits."""
SLIP = SAMPLE_RATE // 1000
"""A track's times are rounded to milliseconds, and its clock is not ours: so far it may be off, and what is more is
made good by a sample a frame, which nobody hears."""
JUMP = SAMPLE_RATE // 25
"""So much more is a gap, or the track begins anew."""


class Samples:
    """What a voice says: 48 kHz, two channels, 16 bits."""

    def __init__(self, voice: Voice, folder: Path) -> None:
        self._voice = voice
        self._folder = folder
        self._open = ExitStack()
        self._container: InputContainer | None = None
        self._parts: Iterator[tuple[int, bytes]] = iter(())
        self._next: tuple[int, bytes] | None = None

    def __enter__(self) -> Samples:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def take(self, first: int, count: int) -> bytes | None:
        """`count` samples from the one with the number `first` on, silence where nothing was said; None where all of
        it is silence."""
        if self._voice.begins_s * SAMPLE_RATE > first + count:
            return None
        if self._voice.ends_s * SAMPLE_RATE < first:
            self._open.close()
            return None
        if self._container is None:
            self._container = self._open.enter_context(opened(self._folder / self._voice.file))
            self._parts = _in_step(_decoded(self._container))
            self._next = next(self._parts, None)
        said: bytearray | None = None
        while self._next is not None and self._next[0] < first + count:
            at, data = self._next
            said = said or bytearray(count * BYTES)
            begin, end = max(at, first), min(at + len(data) // BYTES, first + count)
            if end > begin:
                said[(begin - first) * BYTES : (end - first) * BYTES] = data[
                    (begin - at) * BYTES : (end - at) * BYTES
                ]
            if at + len(data) // BYTES > first + count:  # the rest is for the next time
                break
            self._next = next(self._parts, None)
        return None if said is None else bytes(said)


class Mixer:
    """So many voices as one, each as loud as it was; what is louder than can be is cut off."""

    def __init__(self, count: int) -> None:
        graph = Graph()
        self._ends = [
            graph.add_abuffer(sample_rate=SAMPLE_RATE, format="s16", layout="stereo", time_base=SAMPLE)
            for _ in range(count)
        ]
        mix = graph.add("amix", f"inputs={count}:normalize=0")
        form_back = graph.add("aformat", "sample_fmts=s16:channel_layouts=stereo")
        self._sum = graph.add("abuffersink")
        for place, end in enumerate(self._ends):
            end.link_to(mix, 0, place)
        mix.link_to(form_back)
        form_back.link_to(self._sum)
        graph.configure()
        self._graph = graph  # its filters are its own
        self._position = 0

    def mixed(self, voices: Sequence[bytes]) -> bytes:
        """As many voices as were said, of one length, which the sum has, too."""
        for end, data in zip(self._ends, voices, strict=True):
            frame = AudioFrame(format="s16", layout="stereo", samples=len(data) // BYTES)
            frame.planes[0].update(data)
            frame.sample_rate, frame.time_base, frame.pts = SAMPLE_RATE, SAMPLE, self._position
            end.push(frame)
        made = bytearray()
        while len(made) < len(voices[0]):
            summed = self._sum.pull()
            assert isinstance(summed, AudioFrame)  # noqa: S101 - an abuffersink has no other
            made += memoryview(summed.planes[0])[: summed.samples * BYTES]
        self._position += len(made) // BYTES
        return bytes(made)


@cache
def mixer(count: int) -> Mixer:
    """This process's mixer of so many."""
    return Mixer(count)


def _decoded(container: InputContainer) -> Iterator[tuple[int, bytes]]:
    """Each frame with the number of its first sample, as the file says it."""
    stream = container.streams.audio[0]
    resampler = AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
    for packet in container.demux(stream):
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:  # what is broken is silent
            continue
        for frame in frames:
            for made in resampler.resample(frame):
                if made.time is not None:
                    yield round(made.time * SAMPLE_RATE), bytes(made.planes[0])[: made.samples * BYTES]


def _in_step(parts: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The same without seams: what follows begins where the last ended, unless it is off by more than a frame."""
    following: int | None = None
    for said_at, said in parts:
        at, data = said_at, said
        if following is not None and abs(said_at - following) < JUMP:
            if said_at - following > SLIP:
                data = said + said[-BYTES:]
            elif following - said_at > SLIP:
                data = said[:-BYTES]
            at = following
        following = at + len(data) // BYTES
        yield at, data
