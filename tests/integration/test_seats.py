"""Capacity under concurrency, against a real DynamoDB: 100 at once, and never one seat too many."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from meet.clock import new_id
from meet.config import settings
from meet.domain.meeting import Meeting, MeetingRef, Status
from meet.errors import MeetError, Unavailable
from meet.store import base, meetings

NOON = datetime(2025, 10, 5, 12, tzinfo=UTC)
CALLERS = 100
TRIES = 10


@pytest.fixture(scope="module", autouse=True)
def tables(backend: dict[str, str]) -> Iterator[None]:
    """Tables of these tests alone."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in backend.items():
            environment.setenv(name, value)
        environment.setenv("MEET_TABLE_PREFIX", f"seats-{new_id()}-")
        settings.cache_clear()
        base._connect.cache_clear()
        base.create_tables()
        yield
    settings.cache_clear()
    base._connect.cache_clear()


def made(max_participants: int) -> Meeting:
    meeting = Meeting(
        meeting_id=new_id(),
        number=meetings.next_number(),
        creator_id="alice",
        title="Team Standup",
        description="",
        start_time=NOON,
        duration_min=30,
        max_participants=max_participants,
        created_at=NOON,
        updated_at=NOON,
    )
    meetings.create(meeting)
    return meeting


def now_in_store(meeting: Meeting) -> Meeting:
    found = meetings.find(MeetingRef(number=meeting.number))
    assert found is not None
    return found


def at_once(act: Callable[[int], object], callers: int = CALLERS) -> Counter[str]:
    """`act(0)`, `act(1)`, ... at the same time: how often each outcome, `ok` or an error's code.

    Who is told to try again later (on a slow machine, a hundred at once wait for each other) does so.
    """
    ready = Barrier(callers)

    def one(number: int) -> str:
        ready.wait()
        for _ in range(TRIES):
            try:
                act(number)
            except Unavailable:
                continue
            except MeetError as error:
                return error.code
            return "ok"
        return "away"

    with ThreadPoolExecutor(callers) as pool:
        return Counter(pool.map(one, range(callers)))


def test_a_hundred_who_join_at_once_fill_ten_seats() -> None:
    meeting = made(max_participants=10)
    outcomes = at_once(lambda i: meetings.take_seat(meeting.meeting_id, f"user-{i}", f"User {i}", now=NOON))
    assert outcomes == {"ok": 10, "ROOM_FULL": 90}
    after = now_in_store(meeting)
    assert len(after.seats) == 10
    assert after.status is Status.IN_PROGRESS
    assert sum(meetings.is_participant(after, f"user-{i}") for i in range(CALLERS)) == 10


def test_one_user_who_joins_a_hundred_times_at_once_has_one_seat() -> None:
    meeting = made(max_participants=1)
    outcomes = at_once(lambda _: meetings.take_seat(meeting.meeting_id, "bob", "Bob", now=NOON))
    assert outcomes == {"ok": CALLERS}
    assert set(now_in_store(meeting).seats) == {"bob"}


def test_lapsed_seats_are_given_once() -> None:
    meeting = made(max_participants=10)
    for i in range(10):
        meetings.take_seat(meeting.meeting_id, f"gone-{i}", "Gone", now=NOON, lease_s=120)
    # Three are still there: their process moves their lease while the others want their seats.
    later = NOON + timedelta(seconds=121)
    stay = ["gone-0", "gone-1", "gone-2"]
    assert meetings.renew_seats(meeting.meeting_id, stay, held_until=later + timedelta(seconds=120)) == frozenset()
    outcomes = at_once(lambda i: meetings.take_seat(meeting.meeting_id, f"new-{i}", "New", now=later))
    assert outcomes == {"ok": 7, "ROOM_FULL": 93}
    assert set(stay) < set(now_in_store(meeting).seats)


def test_join_and_leave_in_a_crowd_never_overfill() -> None:
    meeting = made(max_participants=5)
    most_seen: list[int] = []

    def come_and_go(i: int) -> None:
        meetings.take_seat(meeting.meeting_id, f"user-{i}", "User", now=NOON)
        most_seen.append(len(now_in_store(meeting).seats))
        meetings.release_seat(meeting.meeting_id, f"user-{i}", now=NOON)

    outcomes = at_once(come_and_go)
    assert outcomes["ok"] >= 5
    assert outcomes["ok"] + outcomes["ROOM_FULL"] == CALLERS
    assert max(most_seen) <= 5
    assert now_in_store(meeting).seats == {}


def test_no_update_is_lost() -> None:
    meeting = made(max_participants=10)

    def sign(number: int) -> None:
        mark = f"<{number}>"

        def signed(before: Meeting) -> Meeting:
            # An update that was repeated after a timeout finds that it was done.
            known = mark in before.description
            return before if known else before.updated(at=NOON, description=before.description + mark)

        meetings.update(meeting.meeting_id, signed)

    assert at_once(sign, callers=20) == {"ok": 20}
    after = now_in_store(meeting)
    assert sorted(after.description) == sorted("".join(f"<{number}>" for number in range(20)))
    assert after.version == 21


def test_a_hundred_numbers_are_a_hundred_numbers() -> None:
    numbers: list[int] = []
    assert at_once(lambda _: numbers.append(meetings.next_number())) == {"ok": CALLERS}
    assert len(set(numbers)) == CALLERS


def test_ending_while_a_hundred_join_leaves_nobody_seated() -> None:
    meeting = made(max_participants=CALLERS)

    def join_or_end(i: int) -> None:
        if i == 50:
            meetings.update(meeting.meeting_id, lambda m: m.moved_to(Status.ENDED, at=NOON))
        else:
            meetings.take_seat(meeting.meeting_id, f"user-{i}", "User", now=NOON)

    outcomes = at_once(join_or_end)
    assert set(outcomes) <= {"ok", "MEETING_ENDED"}
    after = now_in_store(meeting)
    assert (after.status, after.seats) == (Status.ENDED, {})
