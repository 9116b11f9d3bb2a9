from datetime import UTC, datetime, timedelta

import pytest

from sfu.doctor.finding import Verdict
from sfu.doctor.services import about_clock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("off_s", "verdict"),
    [(0, Verdict.OK), (30, Verdict.OK), (31, Verdict.DOUBT), (-300, Verdict.DOUBT), (301, Verdict.BAD)],
)
def test_how_far_a_clock_may_be_off(off_s: int, verdict: Verdict) -> None:
    assert about_clock(NOW + timedelta(seconds=off_s), NOW).verdict is verdict
