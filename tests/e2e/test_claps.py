"""The measure itself: a film that is made here, in which each beep is off by a known time."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from .clapper import BEEP_S
from .claps import Person, apart_s, watch

PEOPLE = [Person(200, 40, 40, hertz=1000), Person(40, 60, 200, hertz=1700)]
BEGINS_S = (0.3, 0.75)
LATE_S = (0.030, -0.020)
SECONDS = 5
RATE = 48_000


def made() -> bytes:
    """Two tiles side by side, as `clapper` looks with a label on it, and both tones."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        video = file.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        audio = file.add_stream("aac", rate=RATE, layout="stereo")
        for number in range(SECONDS * 30):
            picture = np.full((360, 640, 3), 20, np.uint8)
            for index, person in enumerate(PEOPLE):
                tile = picture[90:267, 2 + 320 * index : 318 + 320 * index]
                tile[:] = (person.red, person.green, person.blue)
                tile[:44] = 255 * _claps(np.array([number / 30]), BEGINS_S[index])[0]
                tile[44:132, ::50] = 255
                tile[165:175, 4:60] = 230
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            file.mux(video.encode(frame))
        times = np.arange(SECONDS * RATE) / RATE
        sound = np.zeros(len(times))
        for index, person in enumerate(PEOPLE):
            tone = 0.4 * np.sin(2 * np.pi * person.hertz * times)
            sound += tone * _claps(times, BEGINS_S[index] + LATE_S[index])
        both = np.ascontiguousarray(np.stack([sound, sound]).astype(np.float32))
        samples = av.AudioFrame.from_ndarray(both, format="fltp", layout="stereo")
        samples.sample_rate, samples.pts, samples.time_base = RATE, 0, Fraction(1, RATE)
        file.mux(audio.encode(samples))
        for stream in (video, audio):
            file.mux(stream.encode(None))
    return out.getvalue()


def _claps(times: np.ndarray, begins_s: float) -> np.ndarray:
    return ((times - begins_s) % 1 < BEEP_S) & (times >= begins_s)


def test_what_is_off_is_measured() -> None:
    film = watch(made(), PEOPLE)
    assert (film.width, film.height, film.frames) == (640, 360, SECONDS * 30)
    assert film.duration_s == pytest.approx(SECONDS, abs=0.1)
    assert [(tile.left, tile.right) for tile in film.tiles if tile] == [(2, 318), (322, 638)]
    for flashes_s, beeps_s, late_s in zip(film.flashes_s, film.beeps_s, LATE_S, strict=True):
        apart = apart_s(flashes_s, beeps_s)
        assert len(apart) >= SECONDS - 1
        assert np.median(apart) == pytest.approx(late_s, abs=0.035), "a frame is 33 ms"
