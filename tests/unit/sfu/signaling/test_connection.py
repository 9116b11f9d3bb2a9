import json
from typing import Any

import pytest

from meet.domain.meeting import MeetingRef
from sfu.signaling.connection import (
    CLOSE_SILENT,
    CLOSE_TOO_FAST,
    Connection,
    Enter,
    Exit,
    Hangup,
    Pace,
    Relay,
    State,
    Step,
    Tell,
)
from sfu.signaling.messages import Chat, IceCandidate, Join, MediaStateChange, Resume

T = 1_700_000_000.0
UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
NAMES = frozenset({MeetingRef(uuid=UUID), MeetingRef(number=123)})
SDP = "v=0\r\n"


def connected(**options: Any) -> Connection:
    return Connection("alice", T, **options)


def joined(**options: Any) -> Connection:
    connection = connected(**options)
    say(connection, type="join", room_id="meeting-123")
    connection.entered("meeting-123", NAMES)
    return connection


def say(connection: Connection, now: float = T, **frame: Any) -> list[Step]:
    return connection.receive(json.dumps(frame), now)


def error_of(steps: list[Step]) -> tuple[str, str | None]:
    [step] = steps
    assert isinstance(step, Tell)
    assert step.frame["type"] == "error"
    assert step.frame["timestamp"].endswith("Z")
    return step.frame["code"], step.frame.get("request_type")


def test_join_enters_and_then_messages_are_relayed() -> None:
    connection = connected()
    assert say(connection, type="join", room_id="meeting-123") == [Enter(Join("meeting-123"))]
    assert connection.state is State.JOINING
    connection.entered("meeting-123", NAMES)
    assert connection.state is State.JOINED
    assert say(connection, type="chat", room_id="meeting-123", message="hi") == [Relay(Chat("meeting-123", "hi"))]


@pytest.mark.parametrize("spelling", [123, "123", "meeting-123", UUID, UUID.upper()])
def test_any_spelling_of_the_joined_room_will_do(spelling: str | int) -> None:
    assert say(joined(), type="chat", room_id=spelling, message="hi") == [Relay(Chat(spelling, "hi"))]


def test_resume_enters_too() -> None:
    connection = connected()
    assert say(connection, type="resume", room_id=123, session_id="s") == [Enter(Resume(123, "s"))]


def test_a_refused_join_may_be_repeated() -> None:
    connection = connected()
    say(connection, type="join", room_id=123)
    told = connection.refused(Join(123), "ROOM_FULL", "The room is full", T)
    assert error_of([told]) == ("ROOM_FULL", "join")
    assert connection.state is State.CONNECTED
    assert say(connection, type="join", room_id=123) == [Enter(Join(123))]


IN_ROOM: list[dict[str, Any]] = [
    {"type": "leave"},
    {"type": "offer", "sdp": SDP},
    {"type": "answer", "sdp": SDP},
    {"type": "ice-candidate", "candidate": None},
    {"type": "media-state", "audio_enabled": True},
    {"type": "chat", "message": "hi"},
]


@pytest.mark.parametrize("frame", IN_ROOM, ids=lambda frame: frame["type"])
def test_nothing_of_a_room_is_said_before_joining_or_to_another_room(frame: dict[str, Any]) -> None:
    assert error_of(say(connected(), room_id=123, **frame)) == ("INVALID_MESSAGE", frame["type"])
    assert error_of(say(joined(), room_id=124, **frame)) == ("INVALID_ROOM", frame["type"])
    assert error_of(say(joined(), room_id="attic", **frame)) == ("INVALID_ROOM", frame["type"])


@pytest.mark.parametrize(
    "frame", [*IN_ROOM, {"type": "join"}, {"type": "resume", "session_id": "s"}], ids=lambda f: f["type"]
)
def test_while_joining_only_the_heartbeat_is_heard(frame: dict[str, Any]) -> None:
    connection = connected()
    say(connection, type="join", room_id=123)
    assert error_of(say(connection, room_id=123, **frame)) == ("INVALID_MESSAGE", frame["type"])
    assert connection.state is State.JOINING
    [pong] = say(connection, type="ping")
    assert isinstance(pong, Tell)
    assert pong.frame["type"] == "pong"


def test_leave_keeps_the_connection_which_may_join_again() -> None:
    connection = joined()
    assert say(connection, type="leave", room_id=123) == [Exit()]
    assert connection.state is State.CONNECTED
    assert say(connection, type="join", room_id=7) == [Enter(Join(7))]


def test_a_joined_client_may_join_anew_but_neither_resume_nor_join_elsewhere() -> None:
    connection = joined()
    assert error_of(say(connection, type="resume", room_id=123, session_id="s")) == ("INVALID_MESSAGE", "resume")
    assert error_of(say(connection, type="join", room_id=124)) == ("INVALID_MESSAGE", "join")
    assert say(connection, type="join", room_id=UUID) == [Enter(Join(UUID))]


def test_a_refused_rejoin_leaves_the_client_in_the_room() -> None:
    connection = joined()
    say(connection, type="join", room_id=123)
    connection.refused(Join(123), "SERVICE_UNAVAILABLE", "Later", T)
    assert connection.state is State.JOINED
    assert say(connection, type="chat", room_id=123, message="still here") == [Relay(Chat(123, "still here"))]


@pytest.mark.parametrize("text", [None, "{", "{}", '{"type":"dance"}', '{"type":"join"}', "x" * 70_000])
def test_an_invalid_message_is_told_and_the_connection_stays(text: str | None) -> None:
    connection = joined()
    code, _ = error_of(connection.receive(text, T))
    assert code == "INVALID_MESSAGE"
    change = MediaStateChange(123, True)
    assert say(connection, type="media-state", room_id=123, audio_enabled=True) == [Relay(change)]


def test_pings_every_30_s_and_hangs_up_after_90_s_of_silence() -> None:
    connection = joined()
    pings = []
    for second in range(1, 90):
        for step in connection.tick(T + second):
            assert isinstance(step, Tell)
            assert step.frame["type"] == "ping"
            pings.append(second)
    assert pings == [30, 60]
    assert connection.tick(T + 90) == [Hangup(CLOSE_SILENT)]
    assert connection.state is State.CLOSED
    assert connection.tick(T + 91) == []


@pytest.mark.parametrize("frame", ['{"type":"pong"}', '{"type":"ping"}', "not even json"])
def test_any_frame_is_a_sign_of_life(frame: str) -> None:
    connection = connected()
    connection.receive(frame, T + 89)
    assert not any(isinstance(step, Hangup) for step in connection.tick(T + 178))
    assert connection.tick(T + 179) == [Hangup(CLOSE_SILENT)]


def test_a_flood_is_told_and_hung_up() -> None:
    connection = joined(pace=Pace(burst=6, per_s=1))
    candidate = {"type": "ice-candidate", "room_id": 123, "candidate": None}
    for _ in range(5):
        assert say(connection, **candidate) == [Relay(IceCandidate(123, None))]
    told, hangup = say(connection, **candidate)
    assert isinstance(told, Tell)
    assert told.frame["code"] == "RATE_LIMIT_EXCEEDED"
    assert hangup == Hangup(CLOSE_TOO_FAST)
    assert say(connection, **candidate) == []


def test_what_is_not_a_frame_counts_too() -> None:
    connection = joined(pace=Pace(burst=3, per_s=1))
    assert len(connection.receive("{", T)) == 1
    assert len(connection.receive(None, T)) == 1
    assert Hangup(CLOSE_TOO_FAST) in connection.receive("{", T)


def test_a_steady_talker_is_never_too_fast_and_a_clock_that_steps_back_gives_nothing() -> None:
    connection = joined(pace=Pace(burst=2, per_s=11))
    for tenth in range(100):
        assert say(connection, T + tenth / 10, type="pong") == []
    assert say(connection, T - 50, type="pong") == []
    assert say(connection, T - 50, type="pong") != []


def test_a_closed_connection_does_nothing() -> None:
    connection = joined()
    connection.closed()
    assert say(connection, type="chat", room_id=123, message="hi") == []
    assert connection.tick(T + 100) == []
