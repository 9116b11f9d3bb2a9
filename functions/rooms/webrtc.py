"""`/api/v1/webrtc`: the media connections of rooms, as their process publishes them, and what they may send."""

from fastapi import APIRouter

from meet.clock import iso, utcnow
from meet.errors import Conflict, Forbidden, NotFound
from meet.presence import RoomSnapshot
from meet.store import meetings, recordings
from meet.web.access import may_see_room, meeting_of_room
from meet.web.auth import Principal, SignedIn
from meet.web.live import ask_room, presence

from .schemas import MediaBody, MediaStateAnswer, PeersAnswer, RoomStatisticsAnswer

router = APIRouter(prefix="/api/v1/webrtc", tags=["webrtc"])


@router.get("/room/{room_id}/peers")
def peers(room_id: str, user: SignedIn) -> PeersAnswer:
    """The peers of a room; none where it isn't live."""
    meeting = meeting_of_room(user, room_id)
    room = presence().room(meeting.number)
    found = room.peers if room else []
    return PeersAnswer(room_id=meeting.room_id, peers=found, total_peers=len(found))


@router.get("/room/{room_id}/stats")
def statistics(room_id: str, user: SignedIn) -> RoomStatisticsAnswer:
    """What flows in a room, and how well; zeros where it isn't live."""
    meeting = meeting_of_room(user, room_id)
    recording_id = recordings.running(meeting.meeting_id)
    return RoomStatisticsAnswer.of(meeting, presence().room(meeting.number), recording_id, now=utcnow())


@router.post("/peer/{peer_id}/media")
def set_media(peer_id: str, asked: MediaBody, user: SignedIn) -> MediaStateAnswer:
    """Switch what a peer sends on or off, or choose the quality of its video.

    Everybody may for themselves; the meeting's creator and administrators may switch others off, never on
    (decision 24).
    """
    room, owner_id = _find(peer_id)
    if user.user_id != owner_id:
        _require_may_mute(user, room, peer_id, asked)
    changes = asked.model_dump(exclude_none=True)
    reply = ask_room(room.meeting_number, "set-media-state", peer_id=peer_id, **changes)
    if reply is None or reply.status == "not-found":
        raise _not_found(peer_id)
    if reply.status == "refused":
        raise Conflict("The peer can't do this now")
    return MediaStateAnswer(
        peer_id=peer_id,
        user_id=reply.data["user_id"],
        media_state=reply.data["media_state"],
        updated_at=iso(utcnow()),
    )


def _find(peer_id: str) -> tuple[RoomSnapshot, str]:
    for room in presence().rooms():
        for peer in room.peers:
            if peer["peer_id"] == peer_id:
                return room, peer["user_id"]
    raise _not_found(peer_id)


def _require_may_mute(user: Principal, room: RoomSnapshot, peer_id: str, asked: MediaBody) -> None:
    meeting = meetings.get(room.meeting_number)
    if not may_see_room(user, meeting):
        raise _not_found(peer_id)
    if not meeting.is_run_by(user.user_id, user.role):
        raise Forbidden
    if asked.switches_on:
        raise Forbidden("Others may be muted, never unmuted: only they themselves may do that")


def _not_found(peer_id: str) -> NotFound:
    return NotFound(f"Peer with ID '{peer_id}' not found")
