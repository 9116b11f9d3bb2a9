import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.signaling.messages import (
    MAX_FRAME_BYTES,
    Answer,
    Chat,
    ClientMessage,
    IceCandidate,
    InvalidMessage,
    Join,
    Leave,
    MediaStateChange,
    Offer,
    Ping,
    Pong,
    Resume,
    SetLayer,
    Subscribe,
    Unsubscribe,
    parse,
    sdp_text,
)

ROOM = "meeting-123"
SDP = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"


def read(**frame: Any) -> ClientMessage:
    return parse(json.dumps(frame))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            {"type": "join", "room_id": ROOM, "user_id": "x", "user_info": {"username": "Alice"}},
            Join(ROOM, "Alice"),
        ),
        ({"type": "join", "room_id": 123}, Join(123)),
        (
            {"type": "join", "room_id": ROOM, "user_info": {"username": " ", "avatar_url": "https://a.b/c.jpg"}},
            Join(ROOM, None, "https://a.b/c.jpg"),
        ),
        ({"type": "resume", "room_id": ROOM, "session_id": "s"}, Resume(ROOM, "s")),
        ({"type": "leave", "room_id": ROOM, "user_id": "x"}, Leave(ROOM)),
        (
            {"type": "offer", "room_id": ROOM, "target_user_id": "b", "sdp": {"type": "offer", "sdp": SDP}},
            Offer(ROOM, {"type": "offer", "sdp": SDP}, "b"),
        ),
        (
            {"type": "offer", "room_id": ROOM, "pc": "publish", "sdp": SDP, "sources": {"0": "screen"}},
            Offer(ROOM, SDP, None, "publish", (("0", "screen"),)),
        ),
        (
            {"type": "answer", "room_id": ROOM, "target_user_id": "sfu", "pc": "subscribe", "sdp": SDP},
            Answer(ROOM, SDP, "sfu", "subscribe"),
        ),
        (
            {"type": "ice-candidate", "room_id": ROOM, "target_user_id": "b", "candidate": {"candidate": "c"}},
            IceCandidate(ROOM, {"candidate": "c"}, "b"),
        ),
        ({"type": "ice-candidate", "room_id": ROOM, "candidate": None}, IceCandidate(ROOM, None)),
        (
            {"type": "media-state", "room_id": ROOM, "audio_enabled": True, "video_enabled": False},
            MediaStateChange(ROOM, True, False),
        ),
        ({"type": "subscribe", "room_id": ROOM, "track_id": "t"}, Subscribe(ROOM, "t")),
        (
            {"type": "subscribe", "room_id": ROOM, "track_id": "t", "visible": False, "width": 1, "height": 16_384},
            Subscribe(ROOM, "t", False, 1, 16_384),
        ),
        (
            {"type": "subscribe", "room_id": ROOM, "track_id": "t", "visible": None, "width": None},
            Subscribe(ROOM, "t", True, None, None),
        ),
        ({"type": "unsubscribe", "room_id": ROOM, "track_id": "t"}, Unsubscribe(ROOM, "t")),
        ({"type": "set-layer", "room_id": ROOM, "track_id": "t", "spatial": 0}, SetLayer(ROOM, "t", 0, None)),
        ({"type": "set-layer", "room_id": ROOM, "track_id": "t", "temporal": 7}, SetLayer(ROOM, "t", None, 7)),
        ({"type": "set-layer", "room_id": ROOM, "track_id": "t", "spatial": None}, SetLayer(ROOM, "t")),
        ({"type": "chat", "room_id": ROOM, "message": "Hello!", "timestamp": "x"}, Chat(ROOM, "Hello!")),
        ({"type": "ping"}, Ping()),
        ({"type": "pong", "timestamp": 5}, Pong()),
    ],
)
def test_every_type_is_read(frame: dict[str, Any], message: ClientMessage) -> None:
    assert read(**frame) == message
    assert message.type == frame["type"]


def test_data_is_merged_underneath() -> None:
    assert read(type="chat", data={"room_id": ROOM, "message": "hi"}) == Chat(ROOM, "hi")
    assert read(type="chat", room_id=ROOM, message="mine", data={"message": "its"}) == Chat(ROOM, "mine")
    assert read(type="leave", room_id=ROOM, data=None) == Leave(ROOM)
    assert read(data={"type": "ping"}) == Ping()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        '"join"',
        "null",
        "1" * 5000,
        "[" * 60_000,
        '{"a":' * 9_000,
        '{"type":"chat","room_id":1,"message":"x","data":' + "[" * 500 + "]" * 500 + "}",
        '{"type":"ice-candidate","room_id":1,"candidate":{"sdpMLineIndex":NaN}}',
        '{"type":"ice-candidate","room_id":1,"candidate":{"sdpMLineIndex":1e999}}',
        '{"type":"chat","room_id":1,"message":"\\u0000"}',
        '{"type":"chat","room_id":1,"message":"\\ud800"}',
        '{"type":"ice-candidate","room_id":1,"candidate":{"\\udc00":1}}',
    ],
)
def test_what_is_not_a_sound_json_object_is_invalid(text: str) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        parse(text)
    assert refusal.value.code == "INVALID_MESSAGE"


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": 5},
        {"type": None},
        {"type": "dance", "room_id": ROOM},
        {"type": "joined", "room_id": ROOM},
        {"type": "join"},
        {"type": "join", "room_id": None},
        {"type": "join", "room_id": True},
        {"type": "join", "room_id": 1.5},
        {"type": "join", "room_id": "x" * 129},
        {"type": "join", "room_id": ROOM, "user_info": "Alice"},
        {"type": "join", "room_id": ROOM, "user_info": {"username": 5}},
        {"type": "join", "room_id": ROOM, "user_info": {"username": "x" * 101}},
        {"type": "join", "room_id": ROOM, "user_info": {"avatar_url": "javascript:alert(1)"}},
        {"type": "join", "room_id": ROOM, "data": []},
        {"type": "resume", "room_id": ROOM},
        {"type": "resume", "room_id": ROOM, "session_id": 5},
        {"type": "leave"},
        {"type": "offer", "room_id": ROOM},
        {"type": "offer", "room_id": ROOM, "sdp": 5},
        {"type": "offer", "room_id": ROOM, "sdp": ""},
        {"type": "offer", "room_id": ROOM, "sdp": {"type": "offer"}},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "target_user_id": 5},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "pc": "both"},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "pc": ["publish"]},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "pc": "subscribe"},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "sources": ["camera"]},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "sources": {"0": "window"}},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "sources": {"0": []}},
        {"type": "offer", "room_id": ROOM, "sdp": SDP, "sources": {str(i): "camera" for i in range(129)}},
        {"type": "answer", "room_id": ROOM},
        {"type": "answer", "room_id": ROOM, "sdp": SDP, "pc": "publish"},
        {"type": "ice-candidate", "room_id": ROOM, "target_user_id": "b"},
        {"type": "ice-candidate", "room_id": ROOM, "candidate": "candidate:1"},
        {"type": "media-state", "room_id": ROOM},
        {"type": "media-state", "room_id": ROOM, "audio_enabled": 1},
        {"type": "subscribe", "room_id": ROOM},
        {"type": "subscribe", "room_id": ROOM, "track_id": 5},
        {"type": "subscribe", "room_id": ROOM, "track_id": "x" * 129},
        {"type": "subscribe", "room_id": ROOM, "track_id": "t", "visible": 1},
        {"type": "subscribe", "room_id": ROOM, "track_id": "t", "width": 0},
        {"type": "subscribe", "room_id": ROOM, "track_id": "t", "height": 16_385},
        {"type": "subscribe", "room_id": ROOM, "track_id": "t", "width": 640.0},
        {"type": "subscribe", "room_id": ROOM, "track_id": "t", "width": True},
        {"type": "subscribe", "room_id": ROOM, "track_id": "t", "width": "640"},
        {"type": "unsubscribe", "room_id": ROOM},
        {"type": "set-layer", "track_id": "t"},
        {"type": "set-layer", "room_id": ROOM, "track_id": "t", "spatial": -1},
        {"type": "set-layer", "room_id": ROOM, "track_id": "t", "spatial": 8},
        {"type": "set-layer", "room_id": ROOM, "track_id": "t", "temporal": 8},
        {"type": "set-layer", "room_id": ROOM, "track_id": "t", "temporal": "0"},
        {"type": "chat", "room_id": ROOM},
        {"type": "chat", "room_id": ROOM, "message": ["x"]},
        {"type": "chat", "room_id": ROOM, "message": "  "},
        {"type": "chat", "room_id": ROOM, "message": "x" * 8193},
        {"type": "chat", "room_id": ROOM, "message": "é" * 4097},
    ],
)
def test_wrong_types_missing_keys_and_what_is_too_long_are_invalid(frame: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage) as refusal:
        read(**frame)
    known = frame.get("type") if isinstance(frame.get("type"), str) else None
    assert refusal.value.request_type in (known, None)


def test_the_limit_is_64_kb_of_bytes() -> None:
    frame = '{"type":"ping","filler":"%s"}'
    room = MAX_FRAME_BYTES - len(frame % "")
    assert parse(frame % ("x" * room)) == Ping()
    with pytest.raises(InvalidMessage, match="64 KB"):
        parse(frame % ("x" * (room + 1)))
    with pytest.raises(InvalidMessage, match="64 KB"):
        parse(frame % ("é" * (room // 2 + 1)))


def test_sdp_text_of_both_shapes() -> None:
    assert sdp_text(SDP) == sdp_text({"type": "offer", "sdp": SDP}) == SDP


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_KEYS = [
    "room_id",
    "sdp",
    "candidate",
    "message",
    "session_id",
    "user_info",
    "sources",
    "pc",
    "data",
    "target_user_id",
    "track_id",
    "visible",
    "width",
    "height",
    "spatial",
    "temporal",
]
_TYPES = ["join", "resume", "leave", "offer", "answer", "ice-candidate", "media-state", "chat", "ping", "pong", "no"]
_TYPES += ["subscribe", "unsubscribe", "set-layer"]


# The machine is shared: how long an example takes says nothing.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(_TYPES), st.dictionaries(st.sampled_from(_KEYS), _json))
def test_any_fields_are_read_or_invalid_and_what_is_read_can_be_sent(kind: str, fields: dict[str, Any]) -> None:
    try:
        message = read(type=kind, **fields)
    except InvalidMessage:
        return
    if isinstance(message, IceCandidate):
        json.dumps(message.candidate, allow_nan=False).encode()
    if isinstance(message, Offer | Answer):
        json.dumps(message.sdp, allow_nan=False, ensure_ascii=False).encode()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_any_text_is_read_or_invalid(text: str) -> None:
    with pytest.raises(InvalidMessage):
        parse(text)
