from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from meet.domain.meeting import NEXT, Meeting, MeetingRef, Seat, Status, TransitionError, participant_id
from meet.errors import Conflict

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
ID = "3f2b8c1e-7a55-4d0e-9a3c-0d1f2e3a4b5c"


def meeting(**changes: object) -> Meeting:
    values = {
        "meeting_id": ID,
        "number": 123,
        "creator_id": "alice",
        "title": "Team Standup",
        "description": "",
        "start_time": NOON,
        "duration_min": 30,
        "max_participants": 10,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Meeting(**(values | changes))


def seat(held_until: datetime) -> Seat:
    return Seat(participant_id="p", username="Bob", joined_at=NOON, held_until=held_until)


@pytest.mark.parametrize("value", [123, "123", "meeting-123"])
def test_a_number_in_each_of_its_spellings(value: str | int) -> None:
    assert MeetingRef.parse(value) == MeetingRef(number=123)


@pytest.mark.parametrize("value", [ID, ID.upper()])
def test_a_uuid(value: str) -> None:
    assert MeetingRef.parse(value) == MeetingRef(uuid=ID)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "-1",
        0,
        -1,
        True,
        10**15,
        "9" * 5000,
        "0123",
        " 123",
        "123\n",
        "١٢٣",
        "Meeting-123",
        "meeting-",
        "meeting-1.0",
        ID[:-1],
        ID.replace("-", ""),
        f"meeting-{ID}",
        None,
        1.0,
    ],
)
def test_what_is_no_meeting_id(value: str | int) -> None:
    with pytest.raises(ValueError, match="not a meeting id"):
        MeetingRef.parse(value)


def test_participant_id_is_of_one_user_in_one_meeting() -> None:
    assert participant_id(ID, "alice") == participant_id(ID, "alice")
    assert UUID(participant_id(ID, "alice")).version == 5
    assert participant_id(ID, "alice") != participant_id(ID, "bob")
    assert participant_id(ID, "alice") != participant_id(ID.replace("3f", "4f"), "alice")


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
def test_every_pair_of_statuses_is_in_the_table_or_refused(before: Status, after: Status) -> None:
    first = meeting(status=before)
    if after is before:
        assert first.moved_to(after, at=LATER) is first
    elif after in NEXT[before]:
        moved = first.moved_to(after, at=LATER)
        assert (moved.status, moved.updated_at, moved.version) == (after, LATER, 2)
    else:
        with pytest.raises(TransitionError, match=f"that is {before} cannot become {after}"):
            first.moved_to(after, at=LATER)


def test_the_table_is_scheduled_then_in_progress_then_ended() -> None:
    assert NEXT[Status.SCHEDULED] == {Status.IN_PROGRESS, Status.ENDED}
    assert NEXT[Status.IN_PROGRESS] == {Status.ENDED}
    assert NEXT[Status.ENDED] == set()


def test_ending_frees_every_seat() -> None:
    first = meeting(status=Status.IN_PROGRESS, seats={"bob": seat(LATER)})
    assert first.moved_to(Status.ENDED, at=NOON).seats == {}
    assert first.seats


def test_updated_changes_what_is_given_and_nothing_else() -> None:
    first = meeting(description="Daily", seats={"bob": seat(LATER)})
    second = first.updated(at=LATER, title="Updated Team Standup", duration_min=45)
    assert (second.title, second.duration_min) == ("Updated Team Standup", 45)
    assert (second.description, second.start_time, second.max_participants) == ("Daily", NOON, 10)
    assert (second.updated_at, second.created_at, second.version) == (LATER, NOON, 2)
    assert second.seats == first.seats
    assert first.title == "Team Standup"


def test_updated_takes_an_empty_description_and_fewer_seats_than_are_taken() -> None:
    first = meeting(description="Daily", seats={"bob": seat(LATER), "carol": seat(LATER)})
    second = first.updated(at=LATER, description="", max_participants=1)
    assert (second.description, second.max_participants, len(second.seats)) == ("", 1, 2)


def test_only_seats_still_held_count() -> None:
    first = meeting(seats={"bob": seat(NOON), "carol": seat(LATER)})
    assert first.current_participants(NOON - timedelta(seconds=1)) == 2
    assert first.current_participants(NOON) == 1
    assert first.current_participants(LATER) == 0


def test_who_is_inside_keeps_the_encryption_they_joined_with() -> None:
    seats = {"bob": seat(LATER)}
    for before in (False, True):
        with pytest.raises(Conflict) as error:
            meeting(require_e2ee=before, seats=seats).updated(at=NOON, require_e2ee=not before)
        assert (error.value.code, error.value.status) == ("MEETING_IN_USE", 409)
        assert meeting(require_e2ee=before, seats=seats).updated(at=NOON, require_e2ee=before).require_e2ee is before
        assert meeting(require_e2ee=before, seats=seats).updated(at=NOON, title="Retro").require_e2ee is before


def test_encryption_is_switched_while_every_seat_has_lapsed() -> None:
    empty = meeting(seats={"bob": seat(NOON)})
    switched = empty.updated(at=NOON, require_e2ee=True)
    assert (switched.require_e2ee, switched.version) == (True, 2)
    assert not switched.updated(at=LATER, require_e2ee=False).require_e2ee


def test_what_the_server_cannot_read_is_refused() -> None:
    meeting().require_readable()
    with pytest.raises(Conflict) as error:
        meeting(require_e2ee=True).require_readable()
    assert (error.value.code, error.value.status) == ("MEETING_ENCRYPTED", 409)


def test_who_runs_it() -> None:
    assert meeting().is_run_by("alice", "user")
    assert meeting().is_run_by("root", "admin")
    assert not meeting().is_run_by("bob", "user")


def test_room_id_is_the_number_s_alias() -> None:
    assert meeting().room_id == "meeting-123"
    assert MeetingRef.parse(meeting().room_id).number == 123
