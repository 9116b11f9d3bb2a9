"""What a recorded file has of people's clappers: where each is seen, when it flashes, when it beeps."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from .clapper import BEEP_S

Numbers = NDArray[np.float32]

WINDOW_S = 0.02
HOP_S = 0.0025
LEAST_WIDTH = 40
"""A tile that is less wide than that is no tile."""


@dataclass(frozen=True)
class Person:
    """One clapper: the colour of its picture's lowest quarter, and its tone."""

    red: int
    green: int
    blue: int
    hertz: int

    @property
    def colour(self) -> str:
        """For `clapper`."""
        return f"rgb({self.red},{self.green},{self.blue})"


@dataclass(frozen=True)
class Tile:
    """Where somebody is in the picture."""

    left: int
    right: int
    bottom: int

    @property
    def flash(self) -> tuple[slice, slice]:
        """The middle of the quarter that flashes, of a picture that is 16 wide and 9 high."""
        width = self.right - self.left
        middle = round(self.bottom - 7 / 8 * width * 9 / 16)
        reach = width // 32
        return slice(middle - reach, middle + reach), slice(self.left + width // 4, self.right - width // 4)


@dataclass(frozen=True)
class Film:
    """A file, decoded."""

    duration_s: float
    width: int
    height: int
    frames: int
    tiles: list[Tile | None]
    """In the middle of the film, of each person that was asked for."""
    flashes_s: list[list[float]]
    """When each begins, by person."""
    beeps_s: list[list[float]]


def watch(data: bytes, people: list[Person]) -> Film:
    """Decode a file from its start to its end, twice: for the places, and then for the moments."""
    with av.open(io.BytesIO(data), "r") as file:
        video = file.streams.video[0]
        duration_s = float(file.duration or 0) / av.time_base
        pictures = sum(1 for _ in file.decode(video))
        width, height = video.width, video.height
    tiles: list[Tile | None] = []
    with av.open(io.BytesIO(data), "r") as file:
        for number, frame in enumerate(file.decode(video=0)):
            if number == pictures // 2:
                shown = frame.to_ndarray(format="rgb24").astype(np.int16)
                tiles = [_tile(shown, person) for person in people]
    lights: list[list[float]] = [[] for _ in people]
    times: list[float] = []
    with av.open(io.BytesIO(data), "r") as file:
        for frame in file.decode(video=0):
            luma = frame.to_ndarray(format="gray")
            times.append(float(frame.time or 0))
            for light, tile in zip(lights, tiles, strict=True):
                light.append(float(luma[tile.flash].mean()) if tile else 0.0)
    samples, rate = _sound(data)
    return Film(
        duration_s=duration_s,
        width=width,
        height=height,
        frames=pictures,
        tiles=tiles,
        flashes_s=[_rises(np.array(times), np.array(light), 127) for light in lights],
        beeps_s=[_beeps(samples, rate, person.hertz) for person in people],
    )


def apart_s(flashes_s: list[float], beeps_s: list[float]) -> list[float]:
    """How much later than its flash each beep is; those without the other, at the ends, are left out."""
    if not beeps_s:
        return []
    nearest = [min((beep - flash for beep in beeps_s), key=abs) for flash in flashes_s]
    return [each for each in nearest if abs(each) < 0.5 - BEEP_S / 2]


def _tile(shown: NDArray[np.int16], person: Person) -> Tile | None:
    """The place of a colour that fills the width of a tile, at its bottom."""
    distance = np.abs(shown - np.array([person.red, person.green, person.blue], np.int16)).max(axis=2)
    rows, columns = np.nonzero(distance < 40)
    if len(columns) == 0:
        return None
    often = np.bincount(columns) > 4  # stray pixels are in few rows
    found = np.nonzero(often)[0]
    if len(found) == 0 or found[-1] - found[0] < LEAST_WIDTH:
        return None
    return Tile(int(found[0]), int(found[-1]) + 1, int(rows.max()) + 1)


def _sound(data: bytes) -> tuple[Numbers, int]:
    """All samples of the first audio stream, in the middle of left and right, and how many a second has.

    They begin at the film's beginning: where the stream begins later, with silence.
    """
    pieces: list[Numbers] = []
    begins = 0.0
    with av.open(io.BytesIO(data), "r") as file:
        audio = file.streams.audio[0]
        rate = audio.rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        for frame in file.decode(audio):
            if not pieces:
                begins = max(0.0, float(frame.time or 0))
            pieces += [each.to_ndarray()[0] for each in resampler.resample(frame)]
    return np.concatenate([np.zeros(round(begins * rate), np.float32), *pieces]), rate


def _beeps(samples: Numbers, rate: int, hertz: int) -> list[float]:
    """When a tone begins, by how much of it there is in windows around each moment."""
    moments = np.arange(len(samples)) / rate
    turning = samples * np.exp(-2j * np.pi * hertz * moments)
    window = round(WINDOW_S * rate)
    summed = np.cumsum(np.concatenate([[0], turning]))
    hop = round(HOP_S * rate)
    starts = np.arange(0, len(samples) - window, hop)
    strength = np.abs(summed[starts + window] - summed[starts]) / window
    return _rises((starts + window / 2) / rate, strength, float(np.quantile(strength, 0.95)) / 2)


def _rises(times: NDArray[np.float64], values: NDArray[np.float64], limit: float) -> list[float]:
    """When values come to be above a limit, having been below it for as long as half a clap."""
    found: list[float] = []
    below_since: float | None = None
    for time, value in zip(times.tolist(), values.tolist(), strict=True):
        if value <= limit:
            below_since = time if below_since is None else below_since
        else:
            if below_since is not None and time - below_since >= BEEP_S / 2:
                found.append(time)
            below_since = None
    return found
