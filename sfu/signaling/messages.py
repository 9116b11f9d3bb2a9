"""What a client may say on the signaling WebSocket: one dataclass a type, and `parse`, which reads a frame's text.

Frames are flat JSON objects with a `type`. An object in `data` is merged underneath the frame's own keys. `user_id`,
`from_user_id` and `timestamp` of a client mean nothing: the token and the server's clock say those (decisions 3, 10).
Unknown keys are ignored. What comes out of `parse` is safe to be sent to others and to be stored: no NUL, no lone
surrogate, no number that JSON lacks, nothing longer than its bound.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from sfu.rtp.layers import HIGHEST
from sfu.rtp.parameters import Source

MAX_FRAME_BYTES = 64 * 1024
"""Decision 14."""
MAX_CHAT_BYTES = 8 * 1024
MAX_ID_CHARS = 128
MAX_NAME_CHARS = 100
MAX_URL_CHARS = 2048
MAX_MIDS = 128
MAX_MID_CHARS = 32
"""RFC 9143 asks for 3 characters at most, RFC 8843 for a token; browsers count from 0."""
MAX_PIXELS = 16_384
"""The longest side of a picture: where AV1's highest levels end (its annex A.3)."""
MAX_DEPTH = 12

SFU = "sfu"
"""The name that the SFU goes by in `target_user_id` and `from_user_id`."""

RoomId = str | int
"""A client's spelling of a meeting's id, said back to it as it is."""
Sdp = str | dict[str, Any]
"""A description as text, or as the object that a browser makes of one: `{type, sdp}`."""
Pc = Literal["publish", "subscribe"]


class Refused(Exception):
    """A frame that is answered by an `error` frame; the socket stays open."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class InvalidMessage(Refused):
    """A frame that isn't one of those below. `request_type` is its type where that could be read."""

    def __init__(self, message: str, request_type: str | None = None) -> None:
        super().__init__("INVALID_MESSAGE", message)
        self.request_type = request_type


@dataclass(frozen=True, slots=True)
class Join:
    """Enter a room, as a participant afresh."""

    room_id: RoomId
    username: str | None = None
    """The name to show, where it isn't the account's."""
    avatar_url: str | None = None
    type: Literal["join"] = "join"


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on where a lost connection, whose `session_id` this is, stopped."""

    room_id: RoomId
    session_id: str
    type: Literal["resume"] = "resume"


@dataclass(frozen=True, slots=True)
class Leave:
    """Go out of the room; the socket stays open."""

    room_id: RoomId
    type: Literal["leave"] = "leave"


@dataclass(frozen=True, slots=True)
class Offer:
    """A description to another participant, or (no target, or `sfu`) of what will be published."""

    room_id: RoomId
    sdp: Sdp
    target_user_id: str | None = None
    pc: Pc | None = None
    sources: tuple[tuple[str, Source], ...] = ()
    """(mid, source) of the published tracks; a track that isn't named has the usual source of its kind."""
    type: Literal["offer"] = "offer"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to another participant's offer, or to the SFU's."""

    room_id: RoomId
    sdp: Sdp
    target_user_id: str | None = None
    pc: Pc | None = None
    type: Literal["answer"] = "answer"


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """A candidate (W3C `RTCIceCandidateInit`) for another participant; None: there are no more."""

    room_id: RoomId
    candidate: dict[str, Any] | None
    target_user_id: str | None = None
    pc: Pc | None = None
    type: Literal["ice-candidate"] = "ice-candidate"


@dataclass(frozen=True, slots=True)
class MediaStateChange:
    """What the sender's microphone, camera and screen do; None: as before. At least one is said."""

    room_id: RoomId
    audio_enabled: bool | None = None
    video_enabled: bool | None = None
    screen_sharing: bool | None = None
    type: Literal["media-state"] = "media-state"

    def said(self) -> dict[str, bool]:
        """What was said, in the document's words."""
        fields = {
            "audio_enabled": self.audio_enabled,
            "video_enabled": self.video_enabled,
            "screen_sharing": self.screen_sharing,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The sender wants a track, whatever it would get by itself; how it is looked at is what is said last."""

    room_id: RoomId
    track_id: str
    visible: bool = True
    width: int | None = None
    """Of the picture on the screen, in device pixels."""
    height: int | None = None
    type: Literal["subscribe"] = "subscribe"


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The sender does not want a track, until `Subscribe`."""

    room_id: RoomId
    track_id: str
    type: Literal["unsubscribe"] = "unsubscribe"


@dataclass(frozen=True, slots=True)
class SetLayer:
    """The sender wants no layer of a video above these; None: no bound."""

    room_id: RoomId
    track_id: str
    spatial: int | None = None
    temporal: int | None = None
    type: Literal["set-layer"] = "set-layer"


@dataclass(frozen=True, slots=True)
class Chat:
    """Some words to everybody."""

    room_id: RoomId
    message: str
    type: Literal["chat"] = "chat"


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a `pong`."""

    type: Literal["ping"] = "ping"


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a `ping`."""

    type: Literal["pong"] = "pong"


Choice = Subscribe | Unsubscribe | SetLayer
"""What a client wants of one track."""
RoomMessage = Offer | Answer | IceCandidate | MediaStateChange | Choice | Chat
"""What is said within a room."""
ClientMessage = Join | Resume | Leave | RoomMessage | Ping | Pong


def parse(text: str) -> ClientMessage:
    """Read one frame; `InvalidMessage` says what is wrong with it, and nothing else is raised."""
    if len(text) > MAX_FRAME_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_FRAME_BYTES:
        raise InvalidMessage("The message is larger than 64 KB")
    fields = _Fields(_decode(text))
    return _READERS[fields.type](fields)


def sdp_text(sdp: Sdp) -> str:
    """The description itself, whichever shape it came in."""
    return sdp if isinstance(sdp, str) else cast("str", sdp["sdp"])


def _decode(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except RecursionError:
        raise InvalidMessage("The message is nested too deeply") from None
    except ValueError:
        raise InvalidMessage("The message is not JSON") from None
    if not isinstance(frame, dict):
        raise InvalidMessage("The message is not a JSON object")
    _check_values(frame)
    data = frame.get("data")
    if data is None:
        return frame
    if not isinstance(data, dict):
        raise InvalidMessage("'data' must be an object")
    return {**data, **frame}


def _check_values(frame: dict[str, Any]) -> None:
    """Refuse what JSON can say and others can't take: it would be relayed and stored."""
    waiting: list[tuple[Any, int]] = [(frame, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InvalidMessage("The message has a number that is not finite")
        elif isinstance(value, dict | list):
            if depth >= MAX_DEPTH:
                raise InvalidMessage("The message is nested too deeply")
            items = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            waiting.extend((item, depth + 1) for item in items)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidMessage("The message has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidMessage("The message has half a surrogate pair") from None


class _Fields:
    """A frame's keys, read one by one with their types and bounds."""

    def __init__(self, frame: dict[str, Any]) -> None:
        self._frame = frame
        kind = frame.get("type")
        if not isinstance(kind, str):
            raise InvalidMessage("'type' must be a string")
        if kind not in _READERS:
            raise InvalidMessage("Unknown message type", kind[:MAX_ID_CHARS])
        self.type = kind

    def invalid(self, message: str) -> InvalidMessage:
        return InvalidMessage(message, self.type)

    def room_id(self) -> RoomId:
        value = self._required("room_id")
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return self._text("room_id", value, MAX_ID_CHARS)

    def text(self, name: str, most: int) -> str:
        return self._text(name, self._required(name), most)

    def optional_text(self, name: str, most: int) -> str | None:
        value = self._frame.get(name)
        return None if value is None else self._text(name, value, most)

    def flag(self, name: str) -> bool | None:
        value = self._frame.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.invalid(f"'{name}' must be true or false")

    def number(self, name: str, least: int, most: int) -> int | None:
        value = self._frame.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most):
            return value
        raise self.invalid(f"'{name}' must be a whole number from {least} to {most}")

    def track_id(self) -> str:
        return self.text("track_id", MAX_ID_CHARS)

    def target(self) -> str | None:
        return self.optional_text("target_user_id", MAX_ID_CHARS)

    def pc(self) -> Pc | None:
        value = self._frame.get("pc")
        if value is None:
            return None
        if value not in get_args(Pc):
            raise self.invalid("'pc' must be 'publish' or 'subscribe'")
        return cast("Pc", value)

    def sdp(self) -> Sdp:
        value = self._required("sdp")
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and isinstance(value.get("sdp"), str) and value["sdp"]:
            return value
        raise self.invalid("'sdp' must be a string, or an object whose 'sdp' is one")

    def candidate(self) -> dict[str, Any] | None:
        if "candidate" not in self._frame:
            raise self.invalid("'candidate' is missing")
        value = self._frame["candidate"]
        if value is None or isinstance(value, dict):
            return value
        raise self.invalid("'candidate' must be an object or null")

    def sources(self) -> tuple[tuple[str, Source], ...]:
        value = self._frame.get("sources")
        if value is None:
            return ()
        if not isinstance(value, dict) or len(value) > MAX_MIDS:
            raise self.invalid("'sources' must be an object of mid to source")
        for mid, source in value.items():
            if len(mid) > MAX_MID_CHARS or source not in get_args(Source):
                raise self.invalid(f"'sources' must name one of {', '.join(get_args(Source))} for each mid")
        return tuple(value.items())

    def user_info(self) -> tuple[str | None, str | None]:
        value = self._frame.get("user_info")
        if value is None:
            return None, None
        if not isinstance(value, dict):
            raise self.invalid("'user_info' must be an object")
        name, url = value.get("username"), value.get("avatar_url")
        username = None if name is None else self._text("user_info.username", name, MAX_NAME_CHARS).strip()
        avatar_url = None if url is None else self._text("user_info.avatar_url", url, MAX_URL_CHARS)
        if avatar_url and not avatar_url.lower().startswith(("https://", "http://")):
            raise self.invalid("'user_info.avatar_url' must be an http or https URL")
        return username or None, avatar_url or None

    def _required(self, name: str) -> Any:
        value = self._frame.get(name)
        if value is None:
            raise self.invalid(f"'{name}' is missing")
        return value

    def _text(self, name: str, value: Any, most: int) -> str:
        if not isinstance(value, str):
            raise self.invalid(f"'{name}' must be a string")
        if len(value) > most:
            raise self.invalid(f"'{name}' is longer than {most} characters")
        return value


def _join(fields: _Fields) -> Join:
    username, avatar_url = fields.user_info()
    return Join(fields.room_id(), username, avatar_url)


def _resume(fields: _Fields) -> Resume:
    return Resume(fields.room_id(), fields.text("session_id", MAX_ID_CHARS))


def _leave(fields: _Fields) -> Leave:
    return Leave(fields.room_id())


def _offer(fields: _Fields) -> Offer:
    offer = Offer(fields.room_id(), fields.sdp(), fields.target(), fields.pc(), fields.sources())
    if offer.target_user_id in (None, SFU) and offer.pc == "subscribe":
        raise fields.invalid("The SFU makes the offers of the 'subscribe' connection")
    return offer


def _answer(fields: _Fields) -> Answer:
    answer = Answer(fields.room_id(), fields.sdp(), fields.target(), fields.pc())
    if answer.target_user_id in (None, SFU) and answer.pc == "publish":
        raise fields.invalid("The SFU makes the answers of the 'publish' connection")
    return answer


def _ice_candidate(fields: _Fields) -> IceCandidate:
    return IceCandidate(fields.room_id(), fields.candidate(), fields.target(), fields.pc())


def _media_state(fields: _Fields) -> MediaStateChange:
    change = MediaStateChange(
        fields.room_id(), fields.flag("audio_enabled"), fields.flag("video_enabled"), fields.flag("screen_sharing")
    )
    if not change.said():
        raise fields.invalid("One of 'audio_enabled', 'video_enabled' and 'screen_sharing' must be there")
    return change


def _subscribe(fields: _Fields) -> Subscribe:
    visible = fields.flag("visible")
    return Subscribe(
        fields.room_id(),
        fields.track_id(),
        visible is not False,
        fields.number("width", 1, MAX_PIXELS),
        fields.number("height", 1, MAX_PIXELS),
    )


def _unsubscribe(fields: _Fields) -> Unsubscribe:
    return Unsubscribe(fields.room_id(), fields.track_id())


def _set_layer(fields: _Fields) -> SetLayer:
    return SetLayer(
        fields.room_id(),
        fields.track_id(),
        fields.number("spatial", 0, HIGHEST),
        fields.number("temporal", 0, HIGHEST),
    )


def _chat(fields: _Fields) -> Chat:
    chat = Chat(fields.room_id(), fields.text("message", MAX_CHAT_BYTES))
    if not chat.message.strip():
        raise fields.invalid("'message' is empty")
    if len(chat.message.encode()) > MAX_CHAT_BYTES:
        raise fields.invalid("'message' is longer than 8 KB")
    return chat


def _ping(_: _Fields) -> Ping:
    return Ping()


def _pong(_: _Fields) -> Pong:
    return Pong()


_READERS: dict[str, Callable[[_Fields], ClientMessage]] = {
    "join": _join,
    "resume": _resume,
    "leave": _leave,
    "offer": _offer,
    "answer": _answer,
    "ice-candidate": _ice_candidate,
    "media-state": _media_state,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "set-layer": _set_layer,
    "chat": _chat,
    "ping": _ping,
    "pong": _pong,
}
