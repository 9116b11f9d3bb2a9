from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meet.domain.session import MediaState, Session, SessionStatus
from meet.store import sessions

pytestmark = pytest.mark.usefixtures("tables")

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SESSION = Session(
    session_id="s1",
    user_id="alice",
    username="Alice",
    participant_id="p1",
    meeting_id="m1",
    meeting_number=7,
    connected_at=AT,
    last_activity=AT + timedelta(seconds=3),
    status=SessionStatus.RECONNECTING,
    peer_connections=2,
    media_state=MediaState(audio_enabled=True),
)


def test_what_is_written_is_read_and_the_latest_write_counts() -> None:
    sessions.write([SESSION])
    assert sessions.get("s1") == SESSION
    sessions.write([SESSION.closed()])
    assert sessions.get("s1") == SESSION.closed()
    assert sessions.get("s2") is None


def test_sessions_of_a_meeting_are_its_own_in_the_order_of_their_beginning() -> None:
    later = replace(SESSION, session_id="s0", connected_at=AT + timedelta(minutes=1))
    elsewhere = replace(SESSION, session_id="s3", meeting_number=8)
    sessions.write([later, elsewhere, SESSION])
    assert sessions.of_meeting(7) == [SESSION, later]
    assert sessions.of_meeting(9) == []
    assert len(sessions.every()) == 3


def test_more_than_one_batch_is_written() -> None:
    sessions.write([replace(SESSION, session_id=f"s{i}") for i in range(60)])
    assert len(sessions.of_meeting(7)) == 60


def test_cleanup_takes_closed_and_forgotten_sessions_and_no_other() -> None:
    forgotten = replace(SESSION, session_id="s2", last_activity=AT - timedelta(hours=1))
    over = replace(SESSION, session_id="s3").closed()
    sessions.write([SESSION, forgotten, over])
    assert sessions.delete_stale(before=AT) == 2
    assert sessions.every() == [SESSION]
    assert sessions.delete_stale(before=AT) == 0
