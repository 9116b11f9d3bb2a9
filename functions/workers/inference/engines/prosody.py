"""How a voice moves: arousal from pitch and loudness, which say something of excitement and nothing of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME_S = 0.04
HOP_S = 0.02
PITCH_HZ = (70.0, 400.0)
VOICED = 0.45
"""Of the energy, at the distance of one period: a vowel has more."""
LEAST_VOICED = 8
"""Frames, or there is nothing to tell."""
MOST_FRAMES = 1500
"""Half a minute is enough of one phrase."""


def arousal(heard: NDArray[np.float32], rate: int) -> float:
    """From -1, calm, to 1, excited; 0 where there is too little of a voice.

    A speaker's pitch spans about 5 semitones (10th to 90th percentile) in plain reading, and loudness varies by half
    a neper; more of both is excitement.
    """
    import numpy as np  # noqa: PLC0415 - of nodes alone

    length, hop = int(FRAME_S * rate), int(HOP_S * rate)
    if len(heard) < 5 * length:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(heard, length)[::hop][:MOST_FRAMES]
    loud = np.sqrt(np.square(frames).mean(axis=1))
    frames = frames[loud > 0.3 * np.percentile(loud, 95)]
    first, last = int(rate / PITCH_HZ[1]), int(rate / PITCH_HZ[0])
    spectra = np.fft.rfft(frames - frames.mean(axis=1, keepdims=True), 2 * length, axis=1)
    alike = np.fft.irfft(np.square(np.abs(spectra)), axis=1)
    periods = first + alike[:, first:last].argmax(axis=1)
    is_voiced = np.take_along_axis(alike, periods[:, None], axis=1)[:, 0] > VOICED * alike[:, 0]
    if is_voiced.sum() < LEAST_VOICED:
        return 0.0
    semitones = 12 * np.log2(periods[is_voiced] / np.median(periods[is_voiced]))
    span = np.percentile(semitones, 90) - np.percentile(semitones, 10)
    changes = np.std(np.log(loud[loud > 0.3 * np.percentile(loud, 95)] + 1e-6))
    return float(0.6 * np.clip((span - 5) / 6, -1, 1) + 0.4 * np.clip((changes - 0.5) / 0.5, -1, 1))
