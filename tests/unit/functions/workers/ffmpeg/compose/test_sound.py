"""Samples fall where the track's times say, without a seam that could be heard."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import pytest

from functions.workers.ffmpeg.compose.plan import SAMPLE_RATE
from functions.workers.ffmpeg.compose.sound import BYTES, JUMP, SLIP, _in_step, mixer

FRAME = 960
Part = tuple[int, bytes]


def frames(times_s: Iterator[float]) -> Iterator[Part]:
    return ((round(at_s * SAMPLE_RATE), bytes(FRAME * BYTES)) for at_s in times_s)


@pytest.mark.parametrize("ppm", [-300, -100, 0, 100, 300])
def test_a_clock_that_is_not_ours_is_followed_without_a_gap(ppm: int) -> None:
    told = [round(number * 0.02 * (1 + ppm / 1e6), 3) for number in range(10 * 50 * 60)]
    made = list(_in_step(frames(iter(told))))
    for (at, data), (following, _), at_s in zip(made, made[1:], told, strict=False):
        assert at + len(data) // BYTES == following
        assert abs(at - at_s * SAMPLE_RATE) < 2 * SLIP + 1
        assert abs(len(data) // BYTES - FRAME) <= 1


def test_a_gap_is_one_and_so_is_a_new_beginning() -> None:
    made = [at for at, _ in _in_step(frames(iter([0, 0.02, 5, 5.02, 2])))]
    assert made == [0, FRAME, 5 * SAMPLE_RATE, 5 * SAMPLE_RATE + FRAME, 2 * SAMPLE_RATE]
    assert 5 * SAMPLE_RATE - FRAME > JUMP


def test_what_is_louder_than_can_be_is_cut_off_and_the_rest_is_added() -> None:
    def of(level: int) -> bytes:
        return array("h", [level] * 2 * FRAME).tobytes()

    for _ in range(3):
        assert set(array("h", mixer(3).mixed([of(1000), of(-200), of(30)]))) <= {829, 830, 831}
        assert set(array("h", mixer(2).mixed([of(30_000), of(30_000)]))) == {32767}
