"""What the server says on the signaling WebSocket: one function a type, each giving a frame as a plain dict.

Frames of a room have no `room_id` here: the room puts each receiver's own spelling into its copy (decision 2).
`now` is Unix time.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from meet.clock import iso
from sfu.rtp.layers import LayerId
from sfu.rtp.parameters import TrackInfo
from sfu.signaling.messages import SFU, Pc, RoomId, Sdp
from sfu.signaling.tracks import Speaker

Frame = dict[str, Any]


def encode(frame: Frame) -> str:
    """A frame as it goes over the wire."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def moment(now: float) -> datetime:
    """Unix time as the domain has it."""
    return datetime.fromtimestamp(now, UTC)


def error(code: str, message: str, now: float, request_type: str | None = None) -> Frame:
    """What went wrong, and with which type of frame where that is known."""
    frame = {"type": "error", "code": code, "message": message, "timestamp": _stamp(now)}
    if request_type is not None:
        frame["request_type"] = request_type
    return frame


def ping(now: float) -> Frame:
    """The server's heartbeat."""
    return {"type": "ping", "timestamp": _stamp(now)}


def pong(now: float) -> Frame:
    """The answer to a client's ping."""
    return {"type": "pong", "timestamp": _stamp(now)}


def left(room_id: RoomId, user_id: str, now: float) -> Frame:
    """To who asked to leave: done."""
    return {"type": "left", "room_id": room_id, "user_id": user_id, "timestamp": _stamp(now)}


def joined(
    *,
    user_id: str,
    participant_id: str,
    session_id: str,
    resumed: bool,
    e2ee: bool,
    participants: Sequence[Frame],
    tracks: Sequence[Frame],
    speaker: Speaker | None,
    recordings: Sequence[Frame],
    streams: Sequence[Frame],
    ice_servers: Sequence[Mapping[str, object]],
    now: float,
) -> Frame:
    """To who joined or resumed: the whole state of the room, the others in it and their tracks.

    `e2ee`: what is sent here is to be encrypted end to end (the meeting's `require_e2ee`).
    """
    return {
        "type": "joined",
        "user_id": user_id,
        "participant_id": participant_id,
        "session_id": session_id,
        "resumed": resumed,
        "e2ee": e2ee,
        "participants": list(participants),
        "tracks": list(tracks),
        "active_speaker": None if speaker is None else _speaker(speaker),
        "recordings": list(recordings),
        "streams": list(streams),
        "ice_servers": list(ice_servers),
        "timestamp": _stamp(now),
    }


def participant(
    *,
    user_id: str,
    participant_id: str,
    username: str,
    avatar_url: str | None,
    joined_at: float,
    media_state: Mapping[str, bool],
) -> Frame:
    """One entry of `participants` in `joined`."""
    return {
        "user_id": user_id,
        "participant_id": participant_id,
        "username": username,
        "avatar_url": avatar_url,
        "joined_at": _stamp(joined_at),
        "media_state": dict(media_state),
    }


def track(info: TrackInfo) -> Frame:
    """One entry of `tracks` in `joined`."""
    return {"track_id": info.track_id, "user_id": info.user_id, "kind": info.kind, "source": info.source}


def user_joined(user_id: str, participant_id: str, username: str, avatar_url: str | None, now: float) -> Frame:
    """To the others: somebody came."""
    return {
        "type": "user-joined",
        "user_id": user_id,
        "participant_id": participant_id,
        "user_info": {"username": username, "avatar_url": avatar_url},
        "timestamp": _stamp(now),
    }


def user_left(user_id: str, participant_id: str, now: float) -> Frame:
    """To the others: somebody is gone, for good or until they join anew."""
    return {"type": "user-left", "user_id": user_id, "participant_id": participant_id, "timestamp": _stamp(now)}


def relayed(
    kind: str,
    from_user_id: str,
    target_user_id: str,
    field: str,
    value: Any,
    *,
    pc: Pc | None,
    message_id: str,
    now: float,
) -> Frame:
    """An offer, answer or candidate of another participant; `value` is as it was sent."""
    frame = {
        "type": kind,
        "from_user_id": from_user_id,
        "target_user_id": target_user_id,
        field: value,
        "message_id": message_id,
        "timestamp": _stamp(now),
    }
    if pc is not None:
        frame["pc"] = pc
    return frame


def sfu_answer(sdp: Sdp, now: float) -> Frame:
    """The SFU's answer to what a client publishes."""
    return {"type": "answer", "from_user_id": SFU, "pc": "publish", "sdp": sdp, "timestamp": _stamp(now)}


def sfu_offer(sdp: Sdp, tracks: Sequence[Mapping[str, Any]], now: float) -> Frame:
    """The SFU's offer of what a client may receive: each track and the mid that it is on."""
    return {
        "type": "offer",
        "from_user_id": SFU,
        "pc": "subscribe",
        "sdp": sdp,
        "tracks": list(tracks),
        "timestamp": _stamp(now),
    }


def media_state(user_id: str, state: Mapping[str, bool], message_id: str, now: float) -> Frame:
    """To everybody, the sender too: what somebody's microphone, camera and screen do now."""
    return {"type": "media-state", "user_id": user_id, **state, "message_id": message_id, "timestamp": _stamp(now)}


def chat(user_id: str, username: str, message: str, message_id: str, now: float) -> Frame:
    """To everybody, the sender too: some words."""
    return {
        "type": "chat",
        "user_id": user_id,
        "username": username,
        "message": message,
        "message_id": message_id,
        "timestamp": _stamp(now),
    }


def track_published(info: TrackInfo, now: float) -> Frame:
    """To the others: a track can be received."""
    return {"type": "track-published", **track(info), "timestamp": _stamp(now)}


def track_unpublished(info: TrackInfo, now: float) -> Frame:
    """To the others: a track has ended."""
    return {"type": "track-unpublished", **track(info), "timestamp": _stamp(now)}


def active_speaker(speaker: Speaker | None, now: float) -> Frame:
    """To everybody: who speaks; of nobody, both ids are null."""
    said = {"user_id": None, "track_id": None} if speaker is None else _speaker(speaker)
    return {"type": "active-speaker", **said, "timestamp": _stamp(now)}


def layers(track_id: str, current: LayerId | None, target: LayerId | None, now: float) -> Frame:
    """To who receives a video: which of its layers is being sent, and which will be once it can begin there."""
    return {
        "type": "layers",
        "track_id": track_id,
        "current": None if current is None else current._asdict(),
        "target": None if target is None else target._asdict(),
        "timestamp": _stamp(now),
    }


def recording(news: str, recording_id: str, started_by: str, now: float) -> Frame:
    """To everybody: what is said and shown is kept from now on, or no more. `news`: `started`, `paused`, …"""
    return {
        "type": f"recording-{news}",
        "recording_id": recording_id,
        "started_by": started_by,
        "timestamp": _stamp(now),
    }


def streaming(news: str, stream_id: str, started_by: str, now: float) -> Frame:
    """To everybody: the world can see and hear the room from now on, or no more."""
    return {"type": f"streaming-{news}", "stream_id": stream_id, "started_by": started_by, "timestamp": _stamp(now)}


def kicked(reason: str, now: float) -> Frame:
    """The last frame before the server closes: `replaced`, `meeting-deleted`, `removed` or another reason."""
    return {"type": "kicked", "reason": reason, "timestamp": _stamp(now)}


def _speaker(speaker: Speaker) -> Frame:
    return {"user_id": speaker.user_id, "track_id": speaker.track_id}


def _stamp(now: float) -> str:
    return iso(moment(now))
