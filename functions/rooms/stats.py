"""`/api/v1/stats`: how much goes on. Totals are for whoever is signed in, rooms for those who may see them."""

from fastapi import APIRouter

from meet.clock import utcnow
from meet.presence import RoomSnapshot
from meet.store import meetings
from meet.web.auth import Principal, SignedIn
from meet.web.live import presence

from .schemas import OverviewAnswer, RoomDetails, RoomsStatsAnswer, RoomStats

router = APIRouter(prefix="/api/v1/stats", tags=["stats"])


@router.get("/overview")
def overview(user: SignedIn) -> OverviewAnswer:
    """Totals over all rooms and processes, and a line for each room that the caller may see."""
    published = presence()
    rooms = published.rooms()
    return OverviewAnswer(
        active_sessions=sum(len(room.sessions) for room in rooms),
        connected_clients=sum(node.clients for node in published.nodes()),
        active_rooms=len(rooms),
        room_details={room.room_id: RoomDetails.of(room) for room in _seen_by(user, rooms)},
    )


@router.get("/rooms")
def rooms(user: SignedIn) -> RoomsStatsAnswer:
    """Each live room that the caller may see."""
    now = utcnow()
    return RoomsStatsAnswer(
        data={room.room_id: RoomStats.of(room, now=now) for room in _seen_by(user, presence().rooms())}
    )


def _seen_by(user: Principal, rooms: list[RoomSnapshot]) -> list[RoomSnapshot]:
    """Those of its participants, its creator, administrators (decision 43), without a read for each room."""
    if user.is_administrator:
        return rooms
    mine = meetings.ids_of_user(user.user_id)
    return [
        room
        for room in rooms
        if room.meeting_id in mine or any(session.user_id == user.user_id for session in room.sessions)
    ]
