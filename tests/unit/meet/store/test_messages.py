from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.connection import Connection

from meet.domain.message import Message, message_id
from meet.store import messages

pytestmark = pytest.mark.usefixtures("tables")

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def chat(text: str, at: datetime = AT, sequence: int = 0, number: int = 7) -> Message:
    return Message(message_id(at, sequence), "chat", "alice", None, number, {"message": text}, at)


def texts(limit: int = 100, now: datetime = AT, number: int = 7) -> list[Any]:
    return [message.payload["message"] for message in messages.latest(number, limit=limit, now=now)]


def test_a_message_is_read_as_it_was_written() -> None:
    payload = {"candidate": {"candidate": "c", "sdpMLineIndex": 0, "weight": 0.5, "none": None}}
    message = Message(message_id(AT, 1), "ice-candidate", "alice", "bob", 7, payload, AT)
    messages.write([message])
    assert list(messages.latest(7, limit=1, now=AT)) == [message]


def test_the_newest_comes_first() -> None:
    written = [chat(str(i), AT + timedelta(milliseconds=i // 3), i) for i in range(30)]
    messages.write(reversed(written))
    messages.write([chat("elsewhere", number=8)])
    assert texts() == [str(i) for i in reversed(range(30))]
    assert texts(limit=4) == ["29", "28", "27", "26"]


def test_no_more_is_read_than_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    query = Connection.dispatch

    def dispatch(self: Connection, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(arguments)
        return query(self, name, arguments)

    messages.write([chat("x" * 60_000, sequence=i) for i in range(40)])  # three pages of 1 MB
    monkeypatch.setattr(Connection, "dispatch", dispatch)
    found = messages.latest(7, limit=1000, now=AT)
    next(found)
    assert len(asked) == 1
    assert (len(list(found)), len(asked)) == (39, 3)


def test_what_is_older_than_30_days_is_not_told_even_while_dynamodb_has_it() -> None:
    messages.write([chat("old"), chat("young", AT + timedelta(days=1))])
    assert texts(now=AT + timedelta(days=30, seconds=1)) == ["young"]


@pytest.mark.parametrize("wrap", [lambda sdp: sdp, lambda sdp: {"type": "offer", "sdp": sdp}])
def test_ice_passwords_never_reach_the_table(wrap: Any) -> None:
    sdp = "v=0\r\na=ice-pwd:verysecretverysecret\r\na=mid:0\r\n"
    messages.write([Message(message_id(AT, 1), "offer", "alice", "bob", 7, {"sdp": wrap(sdp)}, AT)])
    [message] = messages.latest(7, limit=1, now=AT)
    assert message.payload == {"sdp": wrap("v=0\r\na=mid:0\r\n")}
