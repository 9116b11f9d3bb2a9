from datetime import UTC, datetime, timedelta

import pytest

from meet.store import participants

pytestmark = pytest.mark.usefixtures("tables")

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)


def test_who_took_part_stays_known() -> None:
    participants.add("meeting-a", "bob", meeting_created_at=NOON, joined_at=NOON)
    assert participants.took_part("meeting-a", "bob")
    assert not participants.took_part("meeting-a", "alice")
    assert not participants.took_part("meeting-b", "bob")


def test_the_meetings_of_a_user_have_their_times() -> None:
    later = NOON + timedelta(hours=1)
    participants.add("meeting-a", "bob", meeting_created_at=NOON, joined_at=later)
    participants.add("meeting-b", "bob", meeting_created_at=later, joined_at=later)
    participants.add("meeting-b", "alice", meeting_created_at=later, joined_at=later)
    assert participants.meetings_of("bob") == {"meeting-a": NOON, "meeting-b": later}
    assert participants.meetings_of("nobody") == {}


def test_the_first_time_counts() -> None:
    participants.add("meeting-a", "bob", meeting_created_at=NOON, joined_at=NOON)
    participants.add("meeting-a", "bob", meeting_created_at=NOON + timedelta(days=1), joined_at=NOON)
    assert participants.meetings_of("bob") == {"meeting-a": NOON}


def test_a_deleted_meeting_takes_all_its_participants_along() -> None:
    for number in range(30):  # more than one batch of 25
        participants.add("meeting-a", f"user-{number}", meeting_created_at=NOON, joined_at=NOON)
    participants.add("meeting-b", "user-0", meeting_created_at=NOON, joined_at=NOON)
    participants.forget("meeting-a")
    assert not any(participants.took_part("meeting-a", f"user-{number}") for number in range(30))
    assert participants.took_part("meeting-b", "user-0")
