import pytest

from meet.domain.recording import Measured
from meet.domain.stream import Aired
from sfu.outlets.totals import aired, measured, together


def test_what_is_said_becomes_a_value() -> None:
    said = {"type": "stats", "duration_s": 4, "size": 500.0, "participants": 2, "error": None, "colour": "blue"}
    assert measured(said) == Measured(duration_s=4.0, size=500, participants=2)
    assert type(measured(said).size) is int
    assert aired({"frame_rate": 29.97, "bitrate_bps": 900}) == Aired(900, 29.97)


@pytest.mark.parametrize("nonsense", [-1, float("nan"), float("inf"), "5", None, [1]])
def test_what_can_be_no_measure_counts_as_nothing(nonsense: object) -> None:
    assert measured({"size": nonsense, "duration_s": nonsense}) == Measured()
    assert aired({"frame_rate": nonsense}) == Aired()


def test_takes_add_up() -> None:
    first = Measured(10.0, 1000, 2, 800, 3000, 4, 1)
    second = Measured(20.0, 4000, 3, 1600, 2000, 1, 0)
    assert together(first, second) == Measured(20.0, 5000, 3, 2000, 3000, 5, 1)
    assert together(Measured(), Measured()) == Measured()
    assert together(first, Measured()) == Measured(10.0, 1000, 2, 800, 3000, 4, 1)
