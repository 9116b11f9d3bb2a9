"""Recordings as numbers: decoded by FFmpeg in a process of its own, held on disk, cut where it is quiet.

Nothing of a recording is in memory but what is looked at: an hour at 16 kHz are 115 MB on disk. What FFmpeg may read
and take is held as it is for jobs on media files.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meet.domain.media import Facts
from meet.ffmpeg import find

from ...ffmpeg.inputs import Command, Impossible, Input, begin
from ...ffmpeg.run import Failed, limits, run
from .base import Refused, Watch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPEECH_HZ = 16_000
"""What models of speech hear."""
FULL_SCALE = 32768.0

SEARCHED_S = 20.0
"""How far from where a part should end the quietest moment is looked for."""
QUIET_S = 0.4
"""How long that moment is."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Decoded sound: frames of `channels` signed 16-bit samples, mapped from a file."""

    samples: NDArray[np.int16]
    """Of shape (frames, channels)."""
    rate: int

    @property
    def duration_s(self) -> float:
        """Of all of it."""
        return len(self.samples) / self.rate

    def mono(self, start_s: float = 0.0, end_s: float | None = None) -> NDArray[np.float32]:
        """A span of the first channel, from -1 to 1."""
        import numpy as np  # noqa: PLC0415 - of nodes alone

        last = None if end_s is None else round(end_s * self.rate)
        span = self.samples[round(start_s * self.rate) : last, 0]
        return span.astype(np.float32) / np.float32(FULL_SCALE)

    def part(self, start_s: float, end_s: float) -> Sound:
        """A span, without a copy."""
        return Sound(self.samples[round(start_s * self.rate) : round(end_s * self.rate)], self.rate)


def decode(path: Path, mime_type: str, watch: Watch, *, rate: int = SPEECH_HZ, channels: int = 1) -> Sound:
    """The sound of a file, at this rate and with so many channels; it is kept beside the file.

    Raises `Refused` where there is no sound that can be read, `Stopped`.
    """
    import numpy as np  # noqa: PLC0415

    made = f"{path.name}-{rate}-{channels}.pcm"
    try:
        reading = begin([Input(path.name, mime_type, Facts())])
        heard = ("-map", "0:a:0", "-vn", "-sn", "-dn", "-ac", str(channels), "-ar", str(rate))
        command = Command((*reading, *heard, "-f", "s16le", f"file:{made}"), made, None)
        raw = run(find(), command, path.parent, stop=watch.stop, within=limits(), on_progress=lambda share: None)
    except (Failed, Impossible) as error:
        raise Refused(f"The sound of this file can't be read. {error}") from error
    return Sound(np.memmap(raw, np.int16, "r").reshape(-1, channels), rate)


def write_wav(sound: Sound, path: Path) -> None:
    """As a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        step = 60 * sound.rate
        for first in range(0, len(sound.samples), step):
            file.writeframes(sound.samples[first : first + step].tobytes())


def cuts(sound: Sound, part_s: float) -> list[tuple[float, float]]:
    """Spans of about `part_s` that cover all of it, each ending at the quietest moment near to where it should."""
    spans = []
    start = 0.0
    while sound.duration_s - start > 1.5 * part_s:
        end = _quietest(sound, start + part_s - SEARCHED_S, start + part_s + SEARCHED_S)
        spans.append((start, end))
        start = end
    spans.append((start, sound.duration_s))
    return spans


def _quietest(sound: Sound, first_s: float, last_s: float) -> float:
    """The middle of the quietest `QUIET_S` between two times."""
    import numpy as np  # noqa: PLC0415

    heard = sound.mono(first_s, last_s)
    step = round(QUIET_S / 4 * sound.rate)
    power = np.square(heard[: len(heard) // step * step]).reshape(-1, step).mean(axis=1)
    over_four = np.convolve(power, np.ones(4), "valid")
    return float(first_s + (int(over_four.argmin()) + 2) * step / sound.rate)


def windows(sound: Sound, window_s: float) -> Iterator[tuple[float, float]]:
    """Spans of this length one after the other; the last may be shorter."""
    start = 0.0
    while start < sound.duration_s:
        yield start, min(start + window_s, sound.duration_s)
        start += window_s
