"""Several files one after the other, as a graph of FFmpeg's filters.

Each file becomes a *part*: pictures of one size and rate, sound of one rate, both exactly as long as the file is said
to be; the last picture stands still and silence follows where one of the two ends sooner, and a part without sound is
silent. So whatever the files are, their parts fit, and picture and sound stay together to the end.

`none` puts the parts end to end. `fade` and `dissolve` lay the end of each over the beginning of the next (FFmpeg's
xfade of that name, and acrossfade): the whole is shorter by one overlap for each seam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .inputs import Impossible, Input

SAMPLE_RATE = 48_000
MOST_FRAME_RATE = 60
FRAME_RATE = 30
"""Where no input says its own."""
SIZE = (1280, 720)
"""Where no input says its own."""
LEAST_OVERLAP_S = 0.04
"""A shorter one than a frame is none."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A filter graph; `picture` and `sound` are the labels of what comes out, or empty."""

    text: str
    picture: str
    sound: str
    overlap_s: float


def merge_graph(inputs: Sequence[Input], transition: str, transition_s: float, *, pictured: bool) -> Graph:
    """The graph over inputs 0, 1, … that puts them one after the other; `pictured`: the output can carry pictures.

    Raises `Impossible` where an input doesn't say how long it is, or lacks what the others have.
    """
    durations = [_duration_s(one) for one in inputs]
    with_picture = pictured and any(one.has_picture for one in inputs)
    with_sound = any(one.has_sound for one in inputs)
    if with_picture and not all(one.has_picture for one in inputs):
        raise Impossible("Files with a picture and files without one can't be merged")
    if not with_picture and not with_sound:
        raise Impossible("None of the files has any sound")
    overlap_s = overlap(durations, transition, transition_s)
    chains: list[str] = []
    if with_picture:
        width, height = common_size(inputs)
        rate = common_rate(inputs)
        for index, duration_s in enumerate(durations):
            chains.append(f"[{index}:V:0]{_pictures(width, height, rate, duration_s)}[v{index}]")
    if with_sound:
        for index, (one, duration_s) in enumerate(zip(inputs, durations, strict=True)):
            source = f"[{index}:a:0]" if one.has_sound else f"anullsrc=r={SAMPLE_RATE}:cl=stereo,"
            chains.append(f"{source}{_sounds(duration_s)}[a{index}]")
    chains += _seams(durations, transition, overlap_s, with_picture=with_picture, with_sound=with_sound)
    return Graph(";".join(chains), "v" * with_picture, "a" * with_sound, overlap_s)


def overlap(durations: Sequence[float], transition: str, transition_s: float) -> float:
    """How long two neighbours are seen at once: as wished, but no more than half of the shortest part."""
    if transition == "none" or len(durations) < 2:
        return 0.0
    wished = min(transition_s, min(durations) / 2)
    return round(wished, 3) if wished >= LEAST_OVERLAP_S else 0.0


def merged_duration_s(inputs: Sequence[Input], overlap_s: float) -> float:
    """How long the whole is."""
    return sum(_duration_s(one) for one in inputs) - overlap_s * (len(inputs) - 1)


def common_size(inputs: Sequence[Input]) -> tuple[int, int]:
    """That of the input with the most pixels, made even."""
    sizes = [(one.facts.width, one.facts.height) for one in inputs if one.facts.width and one.facts.height]
    width, height = max(sizes, key=lambda size: (size[0] or 0) * (size[1] or 0), default=SIZE)
    return max(2, (width or 0) // 2 * 2), max(2, (height or 0) // 2 * 2)


def common_rate(inputs: Sequence[Input]) -> str:
    """The highest rate of any input, within reason."""
    rates = [one.facts.frame_rate for one in inputs if one.facts.frame_rate]
    return f"{min(max(rates, default=FRAME_RATE), MOST_FRAME_RATE):.5g}"


def _duration_s(one: Input) -> float:
    if not one.facts.duration_s:
        raise Impossible("It can't be told how long one of the files is")
    return one.facts.duration_s


def _pictures(width: int, height: int, rate: str, duration_s: float) -> str:
    return ",".join(
        [
            "scale=w='max(2,iw*sar)':h=ih",
            f"scale={width}:{height}:force_original_aspect_ratio=decrease",
            f"pad={width}:{height}:-1:-1",
            "setsar=1",
            "format=yuv420p",
            "setpts=PTS-STARTPTS",
            f"fps={rate}",
            "tpad=stop_mode=clone:stop=-1",
            f"trim=duration={duration_s:.3f}",
            "settb=AVTB",
        ]
    )


def _sounds(duration_s: float) -> str:
    return ",".join(
        [
            f"aresample={SAMPLE_RATE}:async=1",
            "aformat=sample_fmts=fltp:channel_layouts=stereo",
            "asetpts=PTS-STARTPTS",
            "apad",
            f"atrim=duration={duration_s:.3f}",
        ]
    )


def _seams(
    durations: Sequence[float], transition: str, overlap_s: float, *, with_picture: bool, with_sound: bool
) -> list[str]:
    count = len(durations)
    if not overlap_s:
        parts = "".join(f"[v{index}]" * with_picture + f"[a{index}]" * with_sound for index in range(count))
        labels = "[v]" * with_picture + "[a]" * with_sound
        return [f"{parts}concat=n={count}:v={int(with_picture)}:a={int(with_sound)}{labels}"]
    chains = []
    starts_s = 0.0
    for index in range(1, count):
        before, after = ("0" if index == 1 else f"s{index - 1}"), ("" if index == count - 1 else f"s{index}")
        starts_s += durations[index - 1] - overlap_s
        if with_picture:
            how = f"xfade=transition={transition}:duration={overlap_s:.3f}:offset={starts_s:.3f}"
            chains.append(f"[v{before}][v{index}]{how}[v{after}]")
        if with_sound:
            chains.append(f"[a{before}][a{index}]acrossfade=d={overlap_s:.3f}[a{after}]")
    return chains
