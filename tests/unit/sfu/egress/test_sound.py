"""Voices laid where their time is, and added up."""

import numpy as np
import pytest

from sfu.egress.frames import Frame
from sfu.egress.sound import HELD, JUMP, RATE, Mix, Samples, Voice
from tests.unit.sfu.egress.senders import encoded_audio

PACKET = RATE // 50


def constant(count: int, value: float) -> Samples:
    return np.full((count, 2), value, np.float32)


def taken(mix: Mix, count: int) -> list[int]:
    """Of the left channel."""
    return [int(one) for one in np.frombuffer(mix.take(count), "<i2").reshape(-1, 2)[:, 0]]


def test_what_is_said_at_once_is_added() -> None:
    mix = Mix()
    mix.add(2, constant(4, 0.25))
    mix.add(4, constant(4, 0.25))
    quarter, half = int(0.25 * 32767), int(0.5 * 32767)
    assert taken(mix, 10) == [0, 0, quarter, quarter, half, half, quarter, quarter, 0, 0]
    assert mix.position == 10


def test_too_loud_is_as_loud_as_can_be() -> None:
    mix = Mix()
    mix.add(0, constant(2, 0.9))
    mix.add(0, constant(2, 0.9))
    assert taken(mix, 2) == [32767, 32767]


def test_what_comes_too_late_is_not_heard() -> None:
    mix = Mix()
    mix.take(100)
    mix.add(98, constant(4, 0.5))
    assert taken(mix, 4) == [16383, 16383, 0, 0]


def test_what_is_too_far_ahead_is_not_kept() -> None:
    mix = Mix()
    mix.add(HELD - 1, constant(10, 0.5))
    mix.add(3 * HELD, constant(10, 0.5))
    assert taken(mix, HELD)[-1] == 16383
    assert not any(taken(mix, HELD))


def test_a_reader_may_skip() -> None:
    mix = Mix()
    mix.add(0, constant(100, 0.5))
    mix.skip(90)
    assert taken(mix, 20) == [16383] * 10 + [0] * 10
    mix.add(200, constant(100, 0.5))
    mix.skip(2 * HELD)
    assert not any(taken(mix, 100))


def said(ats: list[float]) -> list[int]:
    """A tone in packets of these capture times, where position 0 is the moment 100."""
    mix = Mix()
    voice = Voice(mix, 100.0)
    for frame, at in zip(encoded_audio(len(ats)), ats, strict=True):
        voice.say(Frame(frame.data, at, True, "opus", 0))
    return taken(mix, HELD)


def loud(samples: list[int]) -> list[int]:
    return [number for number, one in enumerate(samples) if abs(one) > 1500]


def test_a_voice_is_where_its_time_is() -> None:
    places = loud(said([100.5 + 0.02 * number for number in range(50)]))
    assert places[0] == pytest.approx(0.5 * RATE, abs=RATE // 100)  # Opus' own delay is 6.5 ms
    assert places[-1] == pytest.approx(1.5 * RATE, abs=RATE // 100)


def test_jitter_of_its_clock_makes_no_gaps() -> None:
    """Between two loud samples of a tone of 440 Hz there are few that are quiet."""
    ats = [100.5 + 0.02 * number + (0.004 if number % 2 else -0.004) for number in range(50)]
    places = np.array(loud(said(ats)))
    assert np.diff(places[50:-50]).max() < 20


def test_a_voice_moves_to_where_its_clock_says() -> None:
    """Two clocks that are 0.1 % apart: after 3 s they would be 3 ms off."""
    count = 150
    places = loud(said([100.2 + 0.02002 * number for number in range(count)]))
    assert places[-1] == pytest.approx((0.2 + 0.02002 * count) * RATE, abs=RATE // 100)
    assert np.diff(np.array(places[50:-50])).max() < 20


def test_a_pause_is_silence() -> None:
    ats = [100.5 + 0.02 * number for number in range(10)] + [101.5 + 0.02 * number for number in range(10)]
    places = np.array(loud(said(ats)))
    gaps = np.diff(places)
    assert gaps.max() == pytest.approx(0.8 * RATE, abs=RATE // 50)
    assert (gaps > JUMP).sum() == 1
