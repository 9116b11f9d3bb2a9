"""A publisher's side of one RTMP connection, without a socket: bytes of the server in, bytes for it out.

    client = Client("app", "rtmp://live.example.com/app", "key")
    send(client.start())
    send(client.receive(data))          # until client.is_publishing
    send(client.publish(tag))
    send(client.finish())

The handshake is the plain one of section 5.2: those of Adobe's own players, which sign it, ask for it back only.
"""

import secrets
from struct import pack

from sfu.egress.rtmp.amf import AmfError, Value, decoded, encoded
from sfu.egress.rtmp.chunks import (
    ACKNOWLEDGEMENT,
    COMMAND,
    DATA,
    DEFAULT_CHUNK,
    SET_CHUNK_SIZE,
    USER_CONTROL,
    WINDOW_SIZE,
    ChunkError,
    Message,
    Reader,
    chunked,
)
from sfu.egress.rtmp.flv import Tag

VERSION = 3
HELLO_BYTES = 1536
CHUNK = 4096
"""Of what we send; 128, the default, would be a header each."""
CONTROL, COMMANDS, MEDIA = 2, 3, 4
"""Chunk streams: the first is the standard's, the others are the custom."""
PING, PONG = 6, 7
"""Of user control messages (section 7.1.7)."""
SOFTWARE = "FMLE/3.0 (compatible; meet)"
"""What servers know as a program that publishes: Adobe's Flash Media Live Encoder."""


class Refused(Exception):
    """The server does not want this stream, or speaks something else; the text is for people, without the key."""


class Client:
    """One connection."""

    def __init__(self, application: str, application_url: str, key: str) -> None:
        self.is_publishing = False
        """Whether the server takes the stream."""
        self._application = application
        self._application_url = application_url
        self._key = key
        self._hello = b""
        """What came of the server's handshake."""
        self._greeted = self._ready = False
        self._reader = Reader()
        self._chunk = DEFAULT_CHUNK
        self._stream = 0
        self._asked = 0
        self._commands: dict[int, str] = {}
        """What was asked and not answered, by its number."""
        self._received = self._acknowledged = 0
        self._window = 0

    def start(self) -> bytes:
        """C0 and C1 of the handshake."""
        return bytes([VERSION]) + bytes(8) + secrets.token_bytes(HELLO_BYTES - 8)

    def receive(self, data: bytes) -> bytes:
        """What is to be answered. Raises `Refused`."""
        try:
            if self._ready:
                return self._hear(data)
            self._hello += data
            return self._greet()
        except (AmfError, ChunkError) as error:
            raise Refused(f"the server does not speak RTMP as it should: {error}") from error

    def publish(self, tag: Tag) -> bytes:
        """A frame, or what tells how to decode them; its timestamp is the one of the tag."""
        data = encoded("@setDataFrame") + tag.data if tag.kind == DATA else tag.data
        return chunked(Message(tag.kind, self._stream, tag.timestamp, data), MEDIA, self._chunk)

    def finish(self) -> bytes:
        """It is over; then the connection is to be closed."""
        if not self.is_publishing:
            return b""
        return self._ask("FCUnpublish", None, self._key) + self._ask("deleteStream", None, self._stream)

    def _greet(self) -> bytes:
        answer = b""
        if self._hello and self._hello[0] != VERSION:
            raise Refused("the server does not speak RTMP")
        if not self._greeted and len(self._hello) >= 1 + HELLO_BYTES:
            self._greeted = True
            answer = self._hello[1 : 1 + HELLO_BYTES]  # C2 is S1 once more
            answer += self._control(SET_CHUNK_SIZE, CHUNK)
            self._chunk = CHUNK
            answer += self._ask(
                "connect",
                {
                    "app": self._application,
                    "type": "nonprivate",
                    "flashVer": SOFTWARE,
                    "tcUrl": self._application_url,
                },
            )
        if len(self._hello) >= 1 + 2 * HELLO_BYTES:
            self._ready = True
            rest, self._hello = self._hello[1 + 2 * HELLO_BYTES :], b""
            answer += self._hear(rest)
        return answer

    def _hear(self, data: bytes) -> bytes:
        self._received += len(data)
        answer = b""
        for message in self._reader.feed(data):
            if message.kind == COMMAND:
                answer += self._answered(decoded(message.payload))
            elif message.kind == WINDOW_SIZE:
                self._window = int.from_bytes(message.payload[:4], "big")
            elif message.kind == USER_CONTROL and message.payload[:2] == pack("!H", PING):
                pong = pack("!H", PONG) + message.payload[2:6]
                answer += chunked(Message(USER_CONTROL, 0, 0, pong), CONTROL, self._chunk)
        if self._window and self._received - self._acknowledged >= self._window // 2:
            self._acknowledged = self._received
            answer += self._control(ACKNOWLEDGEMENT, self._received & 0xFFFFFFFF)
        return answer

    def _answered(self, values: list[Value]) -> bytes:
        match values:
            case ["_result", float(number), *rest]:
                return self._go_on(self._commands.pop(int(number), ""), rest)
            case ["_error", float(number), *rest]:
                if self._commands.pop(int(number), "") in ("connect", "createStream"):
                    raise Refused(f"the server refused the connection{self._said(rest)}")
            case ["onStatus", float(), _, dict() as status]:
                if status.get("code") == "NetStream.Publish.Start":
                    self.is_publishing = True
                elif status.get("level") == "error" or status.get("code") == "NetStream.Unpublish.Success":
                    raise Refused(f"the server refused the stream{self._said([status])}")
            case ["close", *_]:
                raise Refused("the server closed the connection")
        return b""

    def _go_on(self, command: str, rest: list[Value]) -> bytes:
        """The next question, once the one before is answered."""
        if command == "connect":
            return (
                self._ask("releaseStream", None, self._key)
                + self._ask("FCPublish", None, self._key)
                + self._ask("createStream", None)
            )
        if command == "createStream":
            if len(rest) < 2 or not isinstance(rest[1], float):
                raise Refused("the server gave no number for the stream")
            self._stream = int(rest[1])
            return self._ask("publish", None, self._key, "live", channel=MEDIA, stream=self._stream)
        return b""

    def _ask(
        self, command: str, *values: float | str | dict[str, str] | None, channel: int = COMMANDS, stream: int = 0
    ) -> bytes:
        self._asked += 1
        self._commands[self._asked] = command
        return chunked(Message(COMMAND, stream, 0, encoded(command, self._asked, *values)), channel, self._chunk)

    def _control(self, kind: int, number: int) -> bytes:
        return chunked(Message(kind, 0, 0, number.to_bytes(4, "big")), CONTROL, self._chunk)

    def _said(self, values: list[Value]) -> str:
        """What the server said of it, if it said something; a server may well repeat the key."""
        for value in values:
            if isinstance(value, dict):
                text = value.get("description") or value.get("code")
                if isinstance(text, str) and text:
                    printable = "".join(char for char in text if char.isprintable())
                    return f": {printable.replace(self._key, '***')[:200]}"
        return ""
