from datetime import UTC, datetime, timedelta

from meet.domain.session import MediaState, Session, SessionStatus

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SESSION = Session("s1", "u1", "alice", "p1", "m1", 7, connected_at=AT, last_activity=AT)


def test_transitions_return_new_values() -> None:
    later = AT + timedelta(seconds=9)
    assert SESSION.seen(later).last_activity == later
    assert SESSION.lost().status is SessionStatus.RECONNECTING
    assert SESSION.closed().status is SessionStatus.CLOSED
    assert SESSION.status is SessionStatus.ACTIVE
    assert SESSION.last_activity == AT


def test_stale_is_closed_or_long_unheard() -> None:
    assert not SESSION.is_stale(before=AT)
    assert SESSION.is_stale(before=AT + timedelta(seconds=1))
    assert SESSION.closed().is_stale(before=AT)


def test_media_state_survives_its_dict_and_misses_are_off() -> None:
    state = MediaState(audio_enabled=True, screen_sharing=True)
    assert MediaState.of(state.as_dict()) == state
    assert MediaState.of({"video_enabled": True}) == MediaState(video_enabled=True)
