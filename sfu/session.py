"""One client's WebSocket: reads its frames one by one, does what `Connection` says, and never waits for its writes.

A frame is read when the one before it is done, a join included; so a client may send `join` and `offer` in one go.
Whatever ends the socket ends here: the room is told that the session is lost, once.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.websockets import WebSocket, WebSocketDisconnect

from meet import logs, tracing
from meet.clock import new_id
from meet.errors import InvalidToken, Unavailable
from meet.tokens import Claims
from sfu.clocks import Clocks
from sfu.live_room import LiveRoom
from sfu.outbox import Outbox
from sfu.signaling import frames
from sfu.signaling.connection import (
    CLOSE_ERROR,
    CLOSE_RESTART,
    CLOSE_TRY_AGAIN,
    CLOSE_UNAUTHORIZED,
    Connection,
    Enter,
    Exit,
    Hangup,
    Relay,
    State,
    Step,
    Tell,
)
from sfu.signaling.frames import Frame
from sfu.signaling.messages import Join, Refused, Resume, RoomId
from sfu.signaling.participant import Newcomer

if TYPE_CHECKING:
    from sfu.node import Node

log = logging.getLogger("meet.sfu.session")


class ClientSocket:
    """One WebSocket from the upgrade to the end. Call `serve` once."""

    def __init__(self, websocket: WebSocket, node: Node, clocks: Clocks) -> None:
        self._websocket = websocket
        self._node = node
        self._clocks = clocks
        self._outbox = Outbox(websocket)
        self._claims: Claims | None = None
        self._connection: Connection | None = None
        self._room: LiveRoom | None = None
        self._session_id: str | None = None

    @property
    def family_id(self) -> str | None:
        """The sign-in that opened this socket; None until the door let it in."""
        return self._claims.family_id if self._claims else None

    @property
    def is_open(self) -> bool:
        """Whether the client can still be let into a room."""
        return self._connection is not None and self._connection.state is not State.CLOSED

    async def serve(self) -> None:
        """Accept, ask who it is, and serve until either side closes (decision 12: a bad token is told in a frame)."""
        self._node.arrived(self)
        try:
            await self._websocket.accept()
            self._claims = await self._node.admit(self._websocket.query_params.get("token", ""))
        except InvalidToken as error:
            await self._turn_away("UNAUTHORIZED", error.message, CLOSE_UNAUTHORIZED)
        except Unavailable as error:
            code = CLOSE_RESTART if self._node.draining else CLOSE_TRY_AGAIN
            await self._turn_away(error.code, error.message, code)
        except WebSocketDisconnect:
            return
        else:
            await self._run(self._claims)
        finally:
            self._node.gone(self)

    # What rooms and the node ask

    def send(self, frame: Frame) -> None:
        """Send a frame soon."""
        self._outbox.send(frame)

    def hang_up(self, code: int) -> None:
        """Close after what was sent. The room has forgotten this session, or is about to be told."""
        if self._connection:
            self._connection.closed()
        self._outbox.close(code)

    def tick(self) -> None:
        """About every second."""
        if self._connection is None:
            return
        for step in self._connection.tick(self._clocks.wall()):
            match step:
                case Tell(frame):
                    self.send(frame)
                case Hangup(code):
                    self.hang_up(code)

    def revoke(self) -> None:
        """The sign-in was revoked: the participant is gone at once, and the client is told."""
        self._leave()
        self.send(frames.error("UNAUTHORIZED", "This sign-in was revoked", self._clocks.wall()))
        self.hang_up(CLOSE_UNAUTHORIZED)

    # Inside

    async def _turn_away(self, code: str, message: str, close_code: int) -> None:
        self.send(frames.error(code, message, self._clocks.wall()))
        self._outbox.close(close_code)
        await self._outbox.run()

    async def _run(self, claims: Claims) -> None:
        chosen = self._node.settings
        self._connection = Connection(
            claims.user_id,
            self._clocks.wall(),
            ping_interval_s=chosen.ping_interval_s,
            ping_timeout_s=chosen.ping_timeout_s,
        )
        reader = asyncio.create_task(self._read(self._connection, claims))
        writer = asyncio.create_task(self._outbox.run())
        try:
            done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
            if reader in done and reader.exception() is not None:
                log.error("a socket is closed for an error of ours", exc_info=reader.exception())
                self.hang_up(CLOSE_ERROR)
                await writer
        finally:
            self._connection.closed()
            self._lose()
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)

    async def _read(self, connection: Connection, claims: Claims) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            steps = connection.receive(message.get("text"), self._clocks.wall())
            if self._room and self._session_id:
                self._room.seen(self._session_id)
            for step in steps:
                await self._take(step, connection, claims)

    async def _take(self, step: Step, connection: Connection, claims: Claims) -> None:
        match step:
            case Tell(frame):
                self.send(frame)
            case Hangup(code):
                self.hang_up(code)
            case Exit():
                self._leave()
            case Relay(message):
                if self._room and self._session_id:
                    self._room.receive(self._session_id, message)
            case Enter(message):
                await self._enter(message, connection, claims)

    async def _enter(self, message: Join | Resume, connection: Connection, claims: Claims) -> None:
        try:
            if isinstance(message, Join):
                trace = self._websocket.headers.get(tracing.HEADER)
                with tracing.segment("signaling-service", trace), logs.about(room=message.room_id):
                    await self._node.join(self, claims, message)
            else:
                self._node.resume(self, claims, message)
        except Refused as refusal:
            self._tell_refused(message, connection, refusal.code, refusal.message)
        except Unavailable as error:
            self._tell_refused(message, connection, error.code, error.message)
            self.hang_up(CLOSE_TRY_AGAIN)

    def _tell_refused(self, message: Join | Resume, connection: Connection, code: str, why: str) -> None:
        if not self.is_open:
            return
        self.send(connection.refused(message, code, why, self._clocks.wall()).frame)

    def newcomer(self, claims: Claims, room_id: RoomId) -> Newcomer:
        """This socket's next session, without what only a join knows."""
        return Newcomer(
            session_id=new_id(),
            user_id=claims.user_id,
            username=claims.username,
            participant_id="",
            room_id=room_id,
            joined_at=self._clocks.wall(),
            ice_servers=self._node.ice_servers(claims.user_id),
            replaces=self._session_id,
        )

    def entered(self, room: LiveRoom, newcomer: Newcomer) -> None:
        """The room let this socket in; called at the same moment."""
        self._room, self._session_id = room, newcomer.session_id
        if self._connection:
            self._connection.entered(newcomer.room_id, room.room.names)

    def _leave(self) -> None:
        if self._room and self._session_id:
            self._room.leave(self._session_id)
        self._room = self._session_id = None

    def _lose(self) -> None:
        if self._room and self._session_id:
            self._room.lose(self._session_id)
        self._room = self._session_id = None
