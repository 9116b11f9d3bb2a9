from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet.clock import new_id
from meet.domain.meeting import Meeting, MeetingRef, Status, participant_id
from meet.errors import Conflict, MeetError, NotFound
from meet.store import meetings

pytestmark = pytest.mark.usefixtures("tables")

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def made(*, creator_id: str = "alice", at: datetime = NOON, **changes: object) -> Meeting:
    """A meeting that is in the store."""
    meeting = Meeting(
        meeting_id=new_id(),
        number=meetings.next_number(),
        creator_id=creator_id,
        title="Team Standup",
        description="Daily standup meeting",
        start_time=at,
        duration_min=30,
        max_participants=2,
        created_at=at,
        updated_at=at,
    )
    meeting = replace(meeting, **changes)
    meetings.create(meeting)
    return meeting


def now_in_store(meeting: Meeting) -> Meeting:
    found = meetings.find(MeetingRef(uuid=meeting.meeting_id))
    assert found is not None
    return found


def code_of(error: pytest.ExceptionInfo[MeetError]) -> str:
    return error.value.code


# --- the meeting itself


def test_a_meeting_comes_back_as_it_was() -> None:
    meeting = made(description="")
    assert now_in_store(meeting) == meeting


def test_each_spelling_finds_it() -> None:
    meeting = made()
    for spelling in (
        meeting.meeting_id,
        meeting.meeting_id.upper(),
        meeting.number,
        str(meeting.number),
        meeting.room_id,
    ):
        assert meetings.get(spelling) == meeting


@pytest.mark.parametrize("text", ["999", "meeting-999", new_id(), "me", "", "'; drop"])
def test_what_is_not_there_is_not_found(text: str) -> None:
    with pytest.raises(NotFound) as error:
        meetings.get(text)
    assert error.value.message == f"Meeting with ID '{text}' not found"


def test_numbers_are_counted_up() -> None:
    first = meetings.next_number()
    assert [meetings.next_number() for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_update_writes_what_changed() -> None:
    meeting = made()
    after = meetings.update(meeting.meeting_id, lambda m: m.updated(at=later(60), title="Retro", max_participants=5))
    assert (after.title, after.max_participants, after.version) == ("Retro", 5, 2)
    assert now_in_store(meeting) == after


def test_update_to_the_same_value_writes_nothing() -> None:
    meeting = made()
    assert meetings.update(meeting.meeting_id, lambda m: m).version == 1


def test_an_update_that_another_overtook_starts_again() -> None:
    meeting = made()
    seen: list[str] = []

    def change(before: Meeting) -> Meeting:
        seen.append(before.title)
        if len(seen) == 1:
            meetings.update(meeting.meeting_id, lambda m: m.updated(at=later(1), title="Retro"))
        return before.updated(at=later(2), description="Monthly")

    meetings.update(meeting.meeting_id, change)
    assert seen == ["Team Standup", "Retro"]
    final = now_in_store(meeting)
    assert (final.title, final.description, final.version) == ("Retro", "Monthly", 3)


def test_encryption_is_kept() -> None:
    assert now_in_store(made(require_e2ee=True)).require_e2ee
    meeting = made()
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON, lease_s=1)
    switched = meetings.update(meeting.meeting_id, lambda m: m.updated(at=later(2), require_e2ee=True))
    assert now_in_store(meeting) == switched
    assert switched.require_e2ee


@pytest.mark.parametrize("former", [0, 1])
def test_encryption_is_not_switched_under_somebody_who_sat_down_meanwhile(former: int) -> None:
    meeting = made()
    if former:
        meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON, lease_s=1)
    read: list[Meeting] = []

    def change(before: Meeting) -> Meeting:
        read.append(before)
        if len(read) == 1:
            meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=later(2))
        return before.updated(at=later(2), require_e2ee=True)

    with pytest.raises(Conflict) as error:
        meetings.update(meeting.meeting_id, change)
    assert code_of(error) == "MEETING_IN_USE"
    assert len(read) == 2
    assert not now_in_store(meeting).require_e2ee


def test_a_meeting_stored_before_there_was_encryption_has_none() -> None:
    meeting = made()
    meetings._write(meeting.meeting_id, [meetings._MeetingRow.require_e2ee.remove()])
    assert now_in_store(meeting) == meeting


def test_a_seat_taken_during_an_update_is_kept_with_the_status_it_brought() -> None:
    meeting = made()

    def change(before: Meeting) -> Meeting:
        meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
        return before.updated(at=later(1), title="Retro")

    meetings.update(meeting.meeting_id, change)
    final = now_in_store(meeting)
    assert (final.title, final.status, set(final.seats)) == ("Retro", Status.IN_PROGRESS, {"bob"})


def test_update_of_a_meeting_that_is_gone() -> None:
    with pytest.raises(NotFound):
        meetings.update(new_id(), lambda m: m)


def test_delete_takes_everything_along() -> None:
    meeting = made()
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    assert meetings.delete(meeting)
    assert meetings.find(MeetingRef(uuid=meeting.meeting_id)) is None
    assert meetings.find(MeetingRef(number=meeting.number)) is None
    assert not meetings.is_participant(meeting, "bob")
    assert meetings.of_user("bob", offset=0, limit=10) == ([], 0)


def test_delete_twice() -> None:
    meeting = made()
    assert meetings.delete(meeting)
    assert not meetings.delete(meeting)


def test_mine_are_those_i_created_or_took_part_in_newest_first() -> None:
    old, middle, new = (made(creator_id=who, at=later(i)) for i, who in enumerate(["bob", "alice", "bob"]))
    made(creator_id="carol", at=later(9))
    meetings.take_seat(middle.meeting_id, "bob", "Bob", now=later(10))
    found, total = meetings.of_user("bob", offset=0, limit=10)
    assert [m.number for m in found] == [new.number, middle.number, old.number]
    assert total == 3
    found, total = meetings.of_user("bob", offset=1, limit=1)
    assert ([m.number for m in found], total) == ([middle.number], 3)
    found, total = meetings.of_user("bob", offset=0, limit=10, status=Status.SCHEDULED)
    assert ([m.number for m in found], total) == ([new.number, old.number], 2)
    assert meetings.of_user("nobody", offset=0, limit=10) == ([], 0)


# --- seats


def test_the_first_seat_starts_the_meeting() -> None:
    meeting = made()
    seat = meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON, lease_s=60)
    after = now_in_store(meeting)
    assert after.status is Status.IN_PROGRESS
    assert after.seats == {"bob": seat}
    assert (seat.participant_id, seat.username) == (participant_id(meeting.meeting_id, "bob"), "Bob")
    assert (seat.joined_at, seat.held_until) == (NOON, later(60))
    assert after.version == meeting.version


def test_a_seat_taken_again_is_the_same_seat_held_longer() -> None:
    meeting = made()
    first = meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON, lease_s=60)
    again = meetings.take_seat(meeting.meeting_id, "bob", "Robert", now=later(30), lease_s=60)
    assert again == replace(first, held_until=later(90))


def test_a_full_room_lets_in_those_who_sit_and_nobody_else() -> None:
    meeting = made(max_participants=2)
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    meetings.take_seat(meeting.meeting_id, "carol", "Carol", now=NOON)
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=later(1))
    with pytest.raises(Conflict) as error:
        meetings.take_seat(meeting.meeting_id, "dave", "Dave", now=later(1))
    assert code_of(error) == "ROOM_FULL"
    assert not meetings.is_participant(now_in_store(meeting), "dave")


def test_a_seat_given_back_is_free() -> None:
    meeting = made(max_participants=1)
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    assert meetings.release_seat(meeting.meeting_id, "bob", now=later(1800.9)) == 1800
    assert meetings.release_seat(meeting.meeting_id, "bob", now=later(1801)) == 0
    meetings.take_seat(meeting.meeting_id, "carol", "Carol", now=later(1801))
    assert set(now_in_store(meeting).seats) == {"carol"}


def test_giving_back_where_there_is_no_meeting() -> None:
    assert meetings.release_seat(new_id(), "bob", now=NOON) == 0


def test_seats_that_lapsed_go_to_who_needs_them() -> None:
    meeting = made(max_participants=2)
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON, lease_s=120)
    meetings.take_seat(meeting.meeting_id, "carol", "Carol", now=later(60), lease_s=120)
    with pytest.raises(Conflict):
        meetings.take_seat(meeting.meeting_id, "dave", "Dave", now=later(119), lease_s=120)
    meetings.take_seat(meeting.meeting_id, "dave", "Dave", now=later(120), lease_s=120)
    assert set(now_in_store(meeting).seats) == {"carol", "dave"}


def test_who_comes_back_after_their_seat_lapsed_sits_down_anew() -> None:
    meeting = made(max_participants=1)
    first = meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON, lease_s=120)
    second = meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=later(86400), lease_s=120)
    assert second.joined_at == later(86400)
    assert second.participant_id == first.participant_id


def test_a_renewed_seat_does_not_lapse() -> None:
    meeting = made(max_participants=1)
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON, lease_s=120)
    assert meetings.renew_seats(meeting.meeting_id, ["bob"], held_until=later(200)) == frozenset()
    with pytest.raises(Conflict):
        meetings.take_seat(meeting.meeting_id, "carol", "Carol", now=later(199))
    assert now_in_store(meeting).current_participants(later(199)) == 1


def test_renewing_tells_whose_seat_is_gone_and_gives_none_back() -> None:
    meeting = made(max_participants=1)
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    meetings.release_seat(meeting.meeting_id, "bob", now=later(1))
    assert meetings.renew_seats(meeting.meeting_id, ["bob"], held_until=later(300)) == {"bob"}
    meetings.take_seat(meeting.meeting_id, "carol", "Carol", now=later(2))
    with pytest.raises(Conflict) as error:
        meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=later(3))
    assert code_of(error) == "ROOM_FULL"


def test_a_room_larger_than_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meetings, "AT_ONCE", 2)
    monkeypatch.setattr(meetings, "LAPSED_AT_ONCE", 2)
    users = ["bob", "carol", "dave", "erin", "frank"]
    meeting = made(max_participants=len(users))
    for user_id in users:
        meetings.take_seat(meeting.meeting_id, user_id, user_id, now=NOON)
    assert meetings.renew_seats(meeting.meeting_id, users, held_until=later(500)) == frozenset()
    assert now_in_store(meeting).current_participants(later(499)) == len(users)
    # Everybody's seat lapses at once; then a newcomer needs one, and so does the last who had one.
    meetings.take_seat(meeting.meeting_id, "grace", "Grace", now=later(500))
    assert meetings.take_seat(meeting.meeting_id, "frank", "Frank", now=later(500)).joined_at == later(500)
    assert now_in_store(meeting).current_participants(later(500)) == 2


def test_renewing_a_hundred_seats_is_an_expression_that_dynamodb_takes() -> None:
    meeting = made()
    strangers = [new_id() for _ in range(meetings.AT_ONCE)]
    assert meetings.renew_seats(meeting.meeting_id, strangers, held_until=NOON) == set(strangers)


def test_renewing_nobody() -> None:
    assert meetings.renew_seats(made().meeting_id, [], held_until=NOON) == frozenset()


def test_a_deleted_meeting_has_no_seats_to_take_or_renew() -> None:
    meeting = made()
    meetings.delete(meeting)
    with pytest.raises(NotFound):
        meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    with pytest.raises(NotFound):
        meetings.renew_seats(meeting.meeting_id, ["bob"], held_until=later(100))
    assert meetings.find(MeetingRef(uuid=meeting.meeting_id)) is None


def test_an_ended_meeting_is_empty_and_stays_so() -> None:
    meeting = made()
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    after = meetings.update(meeting.meeting_id, lambda m: m.moved_to(Status.ENDED, at=later(1)))
    assert now_in_store(meeting) == after
    assert after.seats == {}
    with pytest.raises(Conflict) as error:
        meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=later(2))
    assert code_of(error) == "MEETING_ENDED"
    assert meetings.renew_seats(meeting.meeting_id, ["bob"], held_until=later(100)) == {"bob"}
    assert now_in_store(meeting).seats == {}


def test_more_seats_let_more_in_and_fewer_send_nobody_away() -> None:
    meeting = made(max_participants=1)
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    meetings.update(meeting.meeting_id, lambda m: m.updated(at=NOON, max_participants=2))
    meetings.take_seat(meeting.meeting_id, "carol", "Carol", now=NOON)
    meetings.update(meeting.meeting_id, lambda m: m.updated(at=NOON, max_participants=1))
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=later(1))
    assert set(now_in_store(meeting).seats) == {"bob", "carol"}


def test_a_participant_stays_one_after_leaving() -> None:
    meeting = made()
    assert not meetings.is_participant(meeting, "bob")
    meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON)
    meetings.release_seat(meeting.meeting_id, "bob", now=later(5))
    assert meetings.is_participant(now_in_store(meeting), "bob")
    assert not meetings.is_participant(now_in_store(meeting), "alice")
