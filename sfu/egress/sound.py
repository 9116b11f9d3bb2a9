"""What everybody says at once: voices decoded, each laid where its time is, and added up.

48 kHz, two channels. The mix is one short buffer that voices add to ahead of where it is read; what comes too late
for it is not heard.
"""

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from sfu.egress.frames import Frame

Samples = NDArray[np.float32]
"""(n, 2), from -1 to 1."""

RATE = 48_000
CHANNELS = 2
HELD = 4 * RATE
"""How far ahead of the reader voices may be."""
STRETCH = 5
"""Samples by which each 1000 may be longer or shorter, so that a voice moves to where its clock says that it belongs:
a hundredth of a semitone is what ears can tell at best, and this is below a tenth."""
JUMP = RATE // 20
"""Further away, it jumps there: 50 ms."""
FULL = 32767.0


class Mix:
    """The sum of all voices. Positions count samples."""

    def __init__(self) -> None:
        self.position = 0
        """What is read next."""
        self._sum: Samples = np.zeros((HELD, CHANNELS), np.float32)

    def add(self, position: int, samples: Samples) -> None:
        """Somebody says this there. What lies behind the reader, or too far ahead of it, is not kept."""
        samples = samples[max(0, self.position - position) :]
        start = max(0, position - self.position)
        length = min(len(samples), HELD - start)
        if length > 0:
            self._sum[start : start + length] += samples[:length]

    def take(self, count: int) -> bytes:
        """The next samples, as 16 bits each, interleaved."""
        loud = np.clip(self._sum[:count], -1.0, 1.0) * FULL
        self.skip(count)
        return loud.astype("<i2").tobytes()

    def skip(self, count: int) -> None:
        """Read on, and give nothing."""
        self.position += count
        if count >= HELD:
            self._sum[:] = 0
        else:
            self._sum[:-count] = self._sum[count:]
            self._sum[-count:] = 0


class Voice:
    """One track of Opus."""

    def __init__(self, mix: Mix, origin: float) -> None:
        """The mix' position 0 is what was captured at `origin`, on the machine's monotonic clock."""
        self._mix = mix
        self._origin = origin
        self._decoder = AudioCodecContext.create("opus", "r")
        self._resampler = AudioResampler(format="flt", layout="stereo", rate=RATE)
        self._next: int | None = None
        """Where what was said ends."""

    def say(self, frame: Frame) -> None:
        """The next frame. Raises `av.FFmpegError` where it can't be decoded."""
        position = round((frame.at - self._origin) * RATE)
        for decoded in self._decoder.decode(av.Packet(frame.data)):
            decoded.pts = None  # each stands for itself: the place is known from `at`
            for even in self._resampler.resample(decoded):
                position = self._lay(_samples(even), position)

    def _lay(self, samples: Samples, position: int) -> int:
        """Say them at `position`, or where the last ones ended, if that is about there."""
        count = len(samples)
        if self._next is not None and abs(position - self._next) < JUMP:
            most = count * STRETCH // 1000
            longer = max(-most, min(most, position - self._next))
            position = self._next
            if longer:
                samples = _stretched(samples, count + longer)
        self._mix.add(position, samples)
        self._next = position + len(samples)
        return self._next


def _samples(frame: AudioFrame) -> Samples:
    return frame.to_ndarray().reshape(-1, CHANNELS).astype(np.float32, copy=False)


def _stretched(samples: Samples, count: int) -> Samples:
    """As many samples as `count`, between those that there are."""
    places = np.linspace(0, len(samples) - 1, count)
    known = np.arange(len(samples))
    return np.stack([np.interp(places, known, samples[:, each]) for each in range(CHANNELS)], axis=1).astype(
        np.float32
    )
