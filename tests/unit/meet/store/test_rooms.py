from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.room import RoomRecord
from meet.store import rooms

pytestmark = pytest.mark.usefixtures("tables")

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECORD = RoomRecord(7, "m1", AT, AT, None, participant_count=2, peak_participants=3, total_messages=9)


def test_a_room_is_one_record_that_grows_until_it_ends() -> None:
    rooms.write([RECORD])
    assert rooms.of_meeting(7) == [RECORD]
    ended = replace(RECORD, updated_at=AT + timedelta(hours=1), ended_at=AT + timedelta(hours=1), participant_count=0)
    rooms.write([ended])
    assert rooms.of_meeting(7) == [ended]


def test_each_time_that_people_met_is_kept() -> None:
    again = replace(RECORD, created_at=AT + timedelta(days=1))
    rooms.write([again, RECORD, replace(RECORD, meeting_number=8)])
    assert rooms.of_meeting(7) == [RECORD, again]
