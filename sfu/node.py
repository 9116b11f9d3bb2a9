"""A media process as a whole: its rooms, its sockets, and what it tells and hears of the rest of the system.

    sockets ── join ──> seat in DynamoDB (awaited) ──> room of this process ──> presence in Redis
    functions ── command by Redis ──> room
    rooms ── sessions, messages, counts ──> writer ──> DynamoDB, in the background

A seat is taken before the room lets anybody in, and given back when the participant is gone; both happen under one
lock a user, so that leaving and joining at once end in the order in which they were asked for. A seat that was taken
for a socket that is gone by then is not given back at once: it lapses like every seat without a socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar, get_args
from weakref import WeakValueDictionary

from redis.asyncio import Redis
from redis.exceptions import RedisError

from meet import control
from meet.clock import iso, new_id
from meet.config import Settings
from meet.control import Command, Reply
from meet.domain.meeting import Meeting, MeetingRef, Seat
from meet.errors import Conflict, NotFound, Unavailable
from meet.ice import IceServer, ice_servers
from meet.presence import AsyncPresence, NodeSnapshot, RoomSnapshot
from meet.tokens import Claims
from sfu import door
from sfu.clocks import Clocks
from sfu.guests import Guest
from sfu.live_room import LiveRoom, MediaFactory
from sfu.ortc import SdpError
from sfu.outlets.books import OpenBook
from sfu.outlets.egress import Egress, StartProcess
from sfu.outlets.outlets import COMMANDS, Outlets
from sfu.outlets.process import EgressProcess
from sfu.session import ClientSocket
from sfu.signaling.connection import CLOSE_RESTART
from sfu.signaling.messages import Join, Refused, Resume, RoomId
from sfu.signaling.participant import Newcomer
from sfu.signaling.room import Room
from sfu.subscriptions import VideoQuality
from sfu.writer import Writer

log = logging.getLogger("meet.sfu.node")

Item = TypeVar("Item")

TICK_S = 1.0
MEDIA_TICK_S = 0.02
PUBLISH_S = 1.0
PUBLISH_FLOOR_S = 0.2
"""Changes are published at once, but no closer together than this."""
REVOCATION_S = 5.0
JOIN_S = 10.0
"""How long a join may take before the client is told to try later."""
RETRY_S = 1.0
MOST_RENEWED = 100
"""What `meet.store.meetings.renew_seats` takes at once."""
REMEMBERED = 10_000
"""How many meetings that are over are remembered, against joins that were on their way."""
OVER = frozenset({"meeting-deleted", "meeting-ended"})
OUTLETS_S = 12.0
"""How long a drain waits for recordings to be finished; less than those who end processes wait, 20 s and more."""
MOST_GUESTS = 8
"""Connections by HTTP that one user may have in one room: each holds a port's worth of state for 30 s, connected or
not, and nobody has more encoders and players than that."""


class Meetings(Protocol):
    """What a node asks of `meet.store.meetings`; all of it blocks."""

    def find(self, ref: MeetingRef) -> Meeting | None: ...
    def take_seat(self, meeting_id: str, user_id: str, username: str, *, now: datetime) -> Seat: ...
    def release_seat(self, meeting_id: str, user_id: str, *, now: datetime) -> int: ...
    def renew_seats(self, meeting_id: str, user_ids: Collection[str], *, held_until: datetime) -> frozenset[str]: ...


class Node:
    """One media process. `run` until cancelled, then `drain`, then `close`."""

    def __init__(
        self,
        settings: Settings,
        *,
        url: str,
        redis: Redis,
        meetings: Meetings,
        create_media: MediaFactory,
        writer: Writer,
        open_book: OpenBook,
        start_process: StartProcess = EgressProcess.start,
        clocks: Clocks | None = None,
    ) -> None:
        self.settings = settings
        self.node_id = new_id()
        self.sockets: set[ClientSocket] = set()
        self.writer = writer
        self.clocks = clocks or Clocks()
        self.outlets = Outlets(
            open_book,
            most=settings.egress_most,
            renew_s=settings.recording_lease_s / 3,
            now=self.clocks.monotonic,
            start_process=start_process,
        )
        self.draining = False
        self._url = url
        self.redis = redis
        self._presence = AsyncPresence(redis)
        self._meetings = meetings
        self._create_media = create_media
        self._started_at = iso(self.clocks.utcnow())
        self._rooms: dict[int, LiveRoom] = {}
        self._over: dict[int, None] = {}
        self._changed = asyncio.Event()
        self._changed_rooms: set[int] = set()
        self._all_due = 0.0
        """When every room is told of again, by the event loop's clock."""
        self._publishing = asyncio.Lock()
        """Else a snapshot that is on its way would bring back a room that was just forgotten."""
        self._deserted = asyncio.Event()
        self._deserted.set()
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()
        self._chores: set[asyncio.Task[None]] = set()

    @property
    def rooms(self) -> Collection[LiveRoom]:
        """The live rooms."""
        return self._rooms.values()

    def ice_servers(self, user_id: str) -> list[IceServer]:
        """What a client of this user is to be configured with."""
        return ice_servers(self.settings, user_id, now=self.clocks.utcnow())

    # The life of the process

    async def run(self) -> None:
        """Publish, obey, tick, renew and write, until cancelled."""
        self._changed.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever("publish", self._publish_when_due))
            group.create_task(self._forever("obey", self._obey_next))
            group.create_task(self._forever("tick", self._tick))
            group.create_task(self._forever("tick media", self._tick_media))
            group.create_task(self._forever("renew seats", self._renew_when_due))
            group.create_task(self._forever("look for revocations", self._revoke_when_due))
            group.create_task(self.writer.run())

    async def drain(self, *, timeout_s: float = 5.0, outlets_s: float = OUTLETS_S) -> None:
        """Take nobody new, end what is recorded and streamed, and hang up on everybody: they come back to another
        process, or to the next one here."""
        self.draining = True
        ending = asyncio.create_task(self.outlets.close(timeout_s=outlets_s))
        try:
            await self.publish()
        except RedisError:
            log.warning("Redis is away: nobody is told of the drain")
        for socket in list(self.sockets):
            socket.hang_up(CLOSE_RESTART)
        try:
            async with asyncio.timeout(timeout_s):
                await self._deserted.wait()
        except TimeoutError:
            log.warning("%d sockets did not close in time", len(self.sockets))
        await ending

    async def close(self, *, timeout_s: float = 10.0) -> None:
        """Write what is to be written, and be gone from Redis. Participants keep their seats until those lapse."""
        numbers = list(self._rooms)
        for live in list(self._rooms.values()):
            for session in live.sessions():
                self.writer.put(session.closed())
            record = live.room.record(self.clocks.wall())
            self.writer.put(replace(record, ended_at=record.updated_at, participant_count=0))
            live.media.close(self.clocks.monotonic())
        self._rooms.clear()
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        try:
            for number in numbers:
                await self._presence.forget_room(number, self.node_id)
            await self._presence.forget_node(self.node_id)
        except RedisError:
            log.warning("Redis is away: it forgets this process by itself")
        await self.writer.close(timeout_s=timeout_s)

    # What sockets ask

    def arrived(self, socket: ClientSocket) -> None:
        """A socket is open; it may not have said who it is."""
        self.sockets.add(socket)
        self._deserted.clear()

    def gone(self, socket: ClientSocket) -> None:
        """A socket is closed."""
        self.sockets.discard(socket)
        if not self.sockets:
            self._deserted.set()

    async def admit(self, token: str) -> Claims:
        """Who opens a socket; `InvalidToken`, `Unavailable`."""
        if self.draining:
            raise Unavailable("The server is restarting. Please connect again.")
        return await door.admit(self.redis, token)

    async def join(self, socket: ClientSocket, claims: Claims, message: Join) -> None:
        """Take a seat and let a socket into the room, unless it is gone by then. `Refused`, `Unavailable`."""
        try:
            async with asyncio.timeout(JOIN_S):
                await self._join(socket, claims, message)
        except (TimeoutError, RedisError) as error:
            raise Unavailable from error

    def resume(self, socket: ClientSocket, claims: Claims, message: Resume) -> None:
        """Let a socket go on where another stopped; `Refused`. Asks nobody, so it works whatever else is away."""
        live = self._find(message.room_id)
        if live is None:
            raise Refused("SESSION_NOT_FOUND", "There is no such session any more; join the room anew")
        newcomer = socket.newcomer(claims, message.room_id)
        live.resume(socket, message.session_id, newcomer)
        socket.entered(live, newcomer)

    async def attach(self, guest: Guest, claims: Claims, room_id: RoomId, sdp: str) -> str:
        """Take a seat, let a connection by HTTP into the room, and answer its offer.

        Raises `Refused`, `Unavailable`, and `SdpError` where the offer can't be used.
        """
        if self.draining:
            raise Unavailable("The server is restarting. Please connect again.")
        try:
            async with asyncio.timeout(JOIN_S):
                return await self._attach(guest, claims, room_id, sdp)
        except (TimeoutError, RedisError) as error:
            raise Unavailable from error

    def guest(self, room_id: RoomId, session_id: str) -> tuple[LiveRoom, Guest] | None:
        """A connection by HTTP that is there, and its room."""
        live = self._find(room_id)
        guest = live.guests.get(session_id) if live else None
        return (live, guest) if live and guest else None

    async def _join(self, socket: ClientSocket, claims: Claims, message: Join) -> None:
        async with self._seat(claims, message.room_id) as (live, seat):
            if not socket.is_open:
                return
            newcomer = replace(
                socket.newcomer(claims, message.room_id),
                participant_id=seat.participant_id,
                joined_at=seat.joined_at.timestamp(),
                shown_as=message.username,
                avatar_url=message.avatar_url,
            )
            live.join(socket, newcomer)
            socket.entered(live, newcomer)

    async def _attach(self, guest: Guest, claims: Claims, room_id: RoomId, sdp: str) -> str:
        async with self._seat(claims, room_id) as (live, seat):
            if live.room.e2ee:
                raise Refused(
                    "MEETING_ENCRYPTED", "This meeting is end-to-end encrypted, which WHIP and WHEP are not"
                )
            if sum(other.user_id == claims.user_id for other in live.guests.values()) >= MOST_GUESTS:
                raise Refused("TOO_MANY_CONNECTIONS", f"A user may have {MOST_GUESTS} connections by WHIP and WHEP")
            newcomer = Newcomer(
                session_id=guest.session_id,
                user_id=claims.user_id,
                username=claims.username,
                participant_id=seat.participant_id,
                room_id=room_id,
                joined_at=seat.joined_at.timestamp(),
            )
            return live.attach(guest, newcomer, sdp)

    @asynccontextmanager
    async def _seat(self, claims: Claims, room_id: RoomId) -> AsyncIterator[tuple[LiveRoom, Seat]]:
        """A seat for a user and the room that it is in, while they are let in: a refusal gives it back."""
        known = self._find(room_id)
        meeting = known.room if known else await self._meeting(room_id)
        number = meeting.number
        async with self._lock(number, claims.user_id):
            live = self._rooms.get(number)
            if live is not None:
                live.room.check_space(claims.user_id)
            seat = await self._take_seat(meeting.meeting_id, claims)
            async with self._lock(number):
                live = await self._home(number, room_id)
                try:
                    yield live, seat
                except (Refused, SdpError):  # others were quicker to take the last places, say
                    self._chore(self._release_seat(live, claims.user_id))
                    raise
                finally:
                    self._drop_if_empty(live)
        if not live.room.is_empty:
            self.writer.put(live.room.record(self.clocks.wall()))

    async def _meeting(self, room_id: RoomId) -> Meeting:
        try:
            meeting = await asyncio.to_thread(self._meetings.find, MeetingRef.parse(room_id))
        except ValueError:
            meeting = None
        if meeting is None:
            raise Refused("INVALID_ROOM", "Meeting room does not exist")
        return meeting

    async def _take_seat(self, meeting_id: str, claims: Claims) -> Seat:
        try:
            return await asyncio.to_thread(
                self._meetings.take_seat, meeting_id, claims.user_id, claims.username, now=self.clocks.utcnow()
            )
        except NotFound:
            raise Refused("INVALID_ROOM", "Meeting room does not exist") from None
        except Conflict as error:
            raise Refused(error.code, error.message) from None

    async def _home(self, number: int, room_id: RoomId) -> LiveRoom:
        """The meeting's room, begun now where nobody is there, and only if it is this process that holds it.

        Call it with a seat taken: from then on the meeting's settings stay as the room begins with them.
        """
        if number in self._over:
            raise Refused("INVALID_ROOM", "Meeting room does not exist")
        live = self._rooms.get(number)
        if live is not None:
            return live
        home = await self._presence.place(number, [self.node_id])
        if home != self.node_id or self.draining:
            raise Unavailable("The room is held by another media process. Please connect again.")
        meeting = await self._meeting(room_id)
        if number in self._over:  # since we looked: there was no room that could be closed
            raise Refused("INVALID_ROOM", "Meeting room does not exist")
        room = Room(
            meeting_id=meeting.meeting_id,
            number=meeting.number,
            created_at=self.clocks.wall(),
            capacity=self.settings.max_participants,
            resume_s=self.settings.resume_s,
            e2ee=meeting.require_e2ee,
        )
        live = LiveRoom(
            room,
            self._create_media,
            self.clocks,
            keep=self.writer.put,
            departed=self._on_departed,
            changed=partial(self._note_change, number),
        )
        self._rooms[number] = live
        return live

    def _find(self, room_id: RoomId) -> LiveRoom | None:
        try:
            ref = MeetingRef.parse(room_id)
        except ValueError:
            return None
        if ref.number is not None:
            return self._rooms.get(ref.number)
        return next((live for live in self._rooms.values() if live.room.meeting_id == ref.uuid), None)

    # Who is gone

    def _on_departed(self, live: LiveRoom, user_id: str) -> None:
        if live.room.number not in self._over:
            self._chore(self._release_seat(live, user_id))
        self._drop_if_empty(live)

    def _drop_if_empty(self, live: LiveRoom) -> None:
        number = live.room.number
        if not live.room.is_empty or self._rooms.get(number) is not live:
            return
        del self._rooms[number]
        live.media.close(self.clocks.monotonic())
        self.writer.put(live.room.record(self.clocks.wall()))
        self._chore(self._forget_room(number, self.outlets.of(live)))

    async def _release_seat(self, live: LiveRoom, user_id: str) -> None:
        room = live.room
        async with self._lock(room.number, user_id):
            current = self._rooms.get(room.number)
            if current is not None and current.room.has(user_id):
                return  # back again
            try:
                await asyncio.to_thread(
                    self._meetings.release_seat, room.meeting_id, user_id, now=self.clocks.utcnow()
                )
            except Unavailable:
                log.warning("a seat of meeting %d is not given back: it lapses", room.number)

    async def _forget_room(self, number: int, egresses: Collection[Egress]) -> None:
        """Until its recordings are finished, functions find who does so."""
        await self.outlets.end_all(egresses)
        async with self._lock(number), self._publishing:
            if number in self._rooms:
                return  # somebody came
            try:
                await self._presence.forget_room(number, self.node_id)
            except RedisError:
                log.warning("Redis is away: room %d expires there", number)

    # What functions ask

    def obey(self, command: Command) -> Reply:
        """Do what a function asks; again: the same."""
        live = self._rooms.get(int(command.data.get("meeting_number", 0)))
        match command.kind:
            case "close-room":
                return self._close_room(live, command.data)
            case "remove-participant":
                if live is not None:
                    live.remove(str(command.data["user_id"]), str(command.data.get("reason") or "removed"))
                return Reply("ok")
            case "set-media-state":
                return _set_media_state(live, command.data)
        return Reply("refused", {"reason": f"unknown command {command.kind}"})

    def _close_room(self, live: LiveRoom | None, data: Mapping[str, Any]) -> Reply:
        reason = str(data.get("reason") or "removed")
        if reason in OVER:
            self._remember_over(int(data["meeting_number"]))
        if live is not None:
            live.close(reason)
        return Reply("ok")

    def _remember_over(self, number: int) -> None:
        self._over[number] = None
        while len(self._over) > REMEMBERED:
            del self._over[next(iter(self._over))]

    async def _obey_next(self) -> None:
        command = await control.next_command(self.redis, self.node_id)
        if command is None:
            return
        if command.kind in COMMANDS:
            self._chore(self._obey_beside(command))
            return
        try:
            answer = self.obey(command)
        except (KeyError, TypeError, ValueError) as error:
            answer = _malformed(command, error)
        await control.reply(self.redis, command, answer)

    async def _obey_beside(self, command: Command) -> None:
        """Obey a command that waits for something, while others are obeyed."""
        try:
            answer = await self.obey_slowly(command)
        except (KeyError, TypeError, ValueError) as error:
            answer = _malformed(command, error)
        try:
            await control.reply(self.redis, command, answer)
        except RedisError:
            log.warning("Redis is away: nobody hears what became of %s", command.kind)

    async def obey_slowly(self, command: Command) -> Reply:
        """Do what a function asks of recordings and streams, of `outlets.COMMANDS`; again: the same."""
        live = self._rooms.get(int(command.data["meeting_number"]))
        if live is not None and live.room.e2ee and command.kind in ("start-recording", "start-stream"):
            reason = "The meeting is end-to-end encrypted: it can be neither recorded nor streamed."
            return Reply("refused", {"reason": reason})
        return await self.outlets.obey(command, live)

    # What time asks

    def _note_change(self, number: int) -> None:
        self._changed_rooms.add(number)
        self._changed.set()

    async def _publish_when_due(self) -> None:
        """Rooms that have changed at once; all of them about every second, since what they measure changes always."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self._all_due):
                await self._changed.wait()
        except TimeoutError:
            pass
        if loop.time() < self._all_due:
            await self.publish(self._changed_rooms)
        else:
            await self.publish()
            self._all_due = loop.time() + PUBLISH_S
        await asyncio.sleep(PUBLISH_FLOOR_S)

    async def publish(self, numbers: Collection[int] | None = None) -> None:
        """Tell Redis of the process and of these rooms as they are now; None: of all. Raises `RedisError`."""
        self._changed.clear()
        self._changed_rooms = set()
        async with self._publishing:
            snapshot = NodeSnapshot(
                node_id=self.node_id,
                url=self._url,
                started_at=self._started_at,
                rooms=len(self._rooms),
                clients=len(self.sockets) + sum(len(live.guests) for live in self._rooms.values()),
                draining=self.draining,
            )
            told = [live for number, live in self._rooms.items() if numbers is None or number in numbers]
            rooms: list[RoomSnapshot] = []

            def describe(live: LiveRoom) -> None:
                rooms.append(live.snapshot(self.node_id, self.outlets.snapshots(live)))

            _each("describe a room", describe, told)
            await self._presence.publish(snapshot, rooms, now=self.clocks.wall())

    async def _tick(self) -> None:
        await asyncio.sleep(TICK_S)
        _each("tick a socket", ClientSocket.tick, self.sockets)
        _each("tick a room", LiveRoom.tick, self._rooms.values())

    async def _tick_media(self) -> None:
        await asyncio.sleep(MEDIA_TICK_S)
        _each("tick media", LiveRoom.tick_media, [live for live in self._rooms.values() if live.has_tracks])

    async def _renew_when_due(self) -> None:
        await asyncio.sleep(self.settings.seat_lease_s / 3)
        for live in list(self._rooms.values()):
            try:
                await self.renew(live)
            except Unavailable:
                log.warning("the seats of meeting %d could not be renewed", live.room.number)
            except Exception:  # a bug that one room meets must not cost the others their seats
                log.exception("the seats of meeting %d could not be renewed", live.room.number)

    async def renew(self, live: LiveRoom) -> None:
        """Hold the seats of a room, and write it down; a meeting that is over sends everybody out."""
        room = live.room
        held_until = self.clocks.utcnow() + timedelta(seconds=self.settings.seat_lease_s)
        for some in _chunks(room.user_ids, MOST_RENEWED):
            try:
                unseated = await asyncio.to_thread(
                    self._meetings.renew_seats, room.meeting_id, some, held_until=held_until
                )
            except NotFound:
                self._close_room(live, {"meeting_number": room.number, "reason": "meeting-deleted"})
                return
            for user_id in unseated:
                await self._seat_anew(live, user_id)
        if not room.is_empty:
            for session in live.sessions():
                self.writer.put(session)
            self.writer.put(room.record(self.clocks.wall()))

    async def _seat_anew(self, live: LiveRoom, user_id: str) -> None:
        """Somebody who is here lost the seat, by a pause of this process or of the store."""
        room = live.room
        async with self._lock(room.number, user_id):
            session = next((s for s in room.sessions() if s.user_id == user_id), None)
            if session is None:
                return
            try:
                await asyncio.to_thread(
                    self._meetings.take_seat, room.meeting_id, user_id, session.username, now=self.clocks.utcnow()
                )
            except Conflict as error:
                if error.code == "MEETING_ENDED":
                    self._close_room(live, {"meeting_number": room.number, "reason": "meeting-ended"})
                else:
                    live.remove(user_id, "removed")
            except NotFound:
                self._close_room(live, {"meeting_number": room.number, "reason": "meeting-deleted"})

    async def _revoke_when_due(self) -> None:
        await asyncio.sleep(REVOCATION_S)
        await self.revoke()

    async def revoke(self) -> None:
        """Hang up on everybody whose sign-in was revoked since they came. Raises `RedisError`."""
        families = {s.family_id for s in self.sockets if s.family_id}
        families |= {guest.family_id for live in self._rooms.values() for guest in live.guests.values()}
        revoked = await door.revoked_of(self.redis, families)
        for socket in list(self.sockets):
            if socket.family_id in revoked:
                socket.revoke()
        for live in list(self._rooms.values()):
            for guest in list(live.guests.values()):
                if guest.family_id in revoked:
                    live.detach(guest.session_id)

    # Inside

    async def _forever(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled; also where Redis's client, while it tidies up, swallows the cancellation."""
        task = asyncio.current_task()
        while task is None or not task.cancelling():
            try:
                await step()
            except RedisError as error:
                log.warning("could not %s, Redis is away: %s", what, error)
                await asyncio.sleep(RETRY_S)
            except Exception:
                log.exception("could not %s", what)
                await asyncio.sleep(RETRY_S)

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    def _lock(self, number: int, user_id: str = "") -> asyncio.Lock:
        """The lock of a room, or of one user's seat in it; there while somebody holds or awaits it."""
        return self._locks.setdefault((number, user_id), asyncio.Lock())


def _malformed(command: Command, error: Exception) -> Reply:
    log.error("command %s is malformed", command.kind, exc_info=error)
    return Reply("refused", {"reason": f"malformed: {error}"})


def _set_media_state(live: LiveRoom | None, data: Mapping[str, Any]) -> Reply:
    said = {
        name: bool(data[name])
        for name in ("audio_enabled", "video_enabled", "screen_sharing")
        if data.get(name) is not None
    }
    quality = data.get("video_quality")
    if quality not in (None, *get_args(VideoQuality)):
        raise ValueError("video_quality")
    found = live.set_media_state(str(data["peer_id"]), said, quality) if live else None
    if found is None:
        return Reply("not-found")
    user_id, state = found
    return Reply("ok", {"user_id": user_id, "media_state": state})


def _each(what: str, act: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Do it for each: a bug that one room meets must not end the calls in the others."""
    for item in list(items):
        try:
            act(item)
        except Exception:
            log.exception("could not %s", what)


def _chunks(items: list[str], size: int) -> Iterator[list[str]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
