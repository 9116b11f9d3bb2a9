"""A publisher's side of a connection, with a server that is made of values."""

import pytest

from sfu.egress.rtmp.amf import Value, decoded, encoded
from sfu.egress.rtmp.chunks import (
    ACKNOWLEDGEMENT,
    COMMAND,
    DATA,
    SET_CHUNK_SIZE,
    USER_CONTROL,
    VIDEO,
    WINDOW_SIZE,
    Message,
    Reader,
    chunked,
)
from sfu.egress.rtmp.client import HELLO_BYTES, Client, Refused
from sfu.egress.rtmp.flv import Tag

KEY = "secret-key?sign=1"


class Server:
    """Reads what the client sends, and writes what it is told to."""

    def __init__(self) -> None:
        self.client = Client("app", "rtmp://live.example.com/app", KEY)
        self.reader = Reader()
        self.others: list[Message] = []

    def greet(self) -> list[list[Value]]:
        hello = self.client.start()
        assert hello[0] == 3
        assert len(hello) == 1 + HELLO_BYTES
        own = bytes(range(256)) * (HELLO_BYTES // 256)
        sent = self.client.receive(b"\x03" + own[:100]) + self.client.receive(own[100:])
        assert sent[:HELLO_BYTES] == own
        sent += self.client.receive(hello[1:])
        return self.commands(sent[HELLO_BYTES:])

    def commands(self, sent: bytes) -> list[list[Value]]:
        found = list(self.reader.feed(sent))
        self.others += [one for one in found if one.kind != COMMAND]
        return [decoded(one.payload) for one in found if one.kind == COMMAND]

    def say(self, *values: float | str | dict[str, str] | None) -> list[list[Value]]:
        return self.commands(self.client.receive(chunked(Message(COMMAND, 0, 0, encoded(*values)), 3, 128)))

    def publish(self) -> None:
        self.greet()
        self.say("_result", 1, {"fmsVer": "FMS/3"}, {"code": "NetConnection.Connect.Success"})
        self.say("_result", 4, None, 7)
        self.say("onStatus", 0, None, {"level": "status", "code": "NetStream.Publish.Start"})


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_stream_is_published(server: Server) -> None:
    ((name, number, what),) = server.greet()
    assert (name, number) == ("connect", 1.0)
    assert isinstance(what, dict)
    assert what["app"] == "app"
    assert what["tcUrl"] == "rtmp://live.example.com/app"
    asked = server.say("_result", 1, {"fmsVer": "FMS/3"}, {"code": "NetConnection.Connect.Success"})
    assert asked == [["releaseStream", 2.0, None, KEY], ["FCPublish", 3.0, None, KEY], ["createStream", 4.0, None]]
    assert server.say("_error", 2, None, {"description": "unknown"}) == []  # a first stream had none before it
    assert server.say("_result", 4, None, 7) == [["publish", 5.0, None, KEY, "live"]]
    assert not server.client.is_publishing
    assert server.say("onStatus", 0, None, {"level": "status", "code": "NetStream.Publish.Start"}) == []
    assert server.client.is_publishing


def test_frames_go_to_the_stream_that_the_server_named(server: Server) -> None:
    server.publish()
    (frame,) = server.reader.feed(server.client.publish(Tag(VIDEO, 40, b"\x17\x01" + bytes(5000))))
    assert frame == Message(VIDEO, 7, 40, b"\x17\x01" + bytes(5000))
    metadata = encoded("onMetaData", {"width": 1280.0})
    (told,) = server.reader.feed(server.client.publish(Tag(DATA, 0, metadata)))
    assert decoded(told.payload) == ["@setDataFrame", "onMetaData", {"width": 1280.0}]
    assert [one[0] for one in server.commands(server.client.finish())] == ["FCUnpublish", "deleteStream"]


def test_pings_and_windows_are_answered(server: Server) -> None:
    server.publish()
    server.others.clear()
    ping = chunked(Message(USER_CONTROL, 0, 0, b"\x00\x06\x01\x02\x03\x04"), 2, 128)
    window = chunked(Message(WINDOW_SIZE, 0, 0, (100).to_bytes(4, "big")), 2, 128)
    assert server.commands(server.client.receive(window + ping)) == []
    assert server.others[0] == Message(USER_CONTROL, 0, 0, b"\x00\x07\x01\x02\x03\x04")
    assert server.others[1].kind == ACKNOWLEDGEMENT
    assert server.client.receive(chunked(Message(SET_CHUNK_SIZE, 0, 0, (4096).to_bytes(4, "big")), 2, 128)) == b""


@pytest.mark.parametrize(
    ("after", "said", "reason"),
    [
        (0, ("_error", 1, None, {"code": "NetConnection.Connect.Rejected", "description": "no app"}), "no app"),
        (1, ("_error", 4, None, {"code": "NetConnection.Call.Failed"}), "Call.Failed"),
        (1, ("_result", 4, None), "no number"),
        (2, ("onStatus", 0, None, {"level": "error", "description": f"{KEY} is in use"}), r"\*\*\* is in use"),
        (3, ("onStatus", 0, None, {"level": "status", "code": "NetStream.Unpublish.Success"}), "Unpublish"),
        (3, ("close", 0, None), "closed"),
    ],
)
def test_refusals(
    server: Server, after: int, said: tuple[str | float | dict[str, str] | None, ...], reason: str
) -> None:
    server.greet()
    steps: list[tuple[str | float | dict[str, str] | None, ...]] = [
        ("_result", 1, None, None),
        ("_result", 4, None, 7),
        ("onStatus", 0, None, {"level": "status", "code": "NetStream.Publish.Start"}),
    ]
    for step in steps[:after]:
        server.say(*step)
    with pytest.raises(Refused, match=reason) as caught:
        server.say(*said)
    assert KEY not in str(caught.value)


def test_who_speaks_something_else() -> None:
    client = Client("app", "rtmp://live.example.com/app", KEY)
    client.start()
    with pytest.raises(Refused, match="does not speak RTMP"):
        client.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
