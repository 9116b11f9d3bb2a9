"""`/ws/signaling`: a client's socket joined to one of a media process, moved when its room lives in another.

    client ── frames ──> edge ── frames ──> media process A
                          └─ join of a room whose home is B: dial B, close A, send the join there

A client connects before it says which room it wants, so its first process is a guess. Until it asks for a room
nothing is lost by changing it. Whoever reads slowly is waited for: neither side is read faster than the other takes.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from meet import tracing
from meet.clock import new_id
from meet.errors import InvalidToken, MeetError, Unavailable
from meet.presence import NodeSnapshot
from meet.ratelimit import AsyncDoor, Limit, LimitClass, TooManyRequests, Verdict
from meet.tokens import TICKET_S, Claims, issue_ticket, read_socket_token, revocation_key, ticket_key
from meet.web.errors import error_answer
from sfu.edge.placement import Placement
from sfu.edge.relay import forwarded_headers

log = logging.getLogger("meet.edge")

MOST_FRAME_BYTES = 1 << 20
"""From a client. The contract's 64 KB are the media process's to refuse, since the socket must stay open."""
MOST_SERVER_FRAME_BYTES = 16 << 20
MOST_SOCKETS = 10_000
QUEUED_FRAMES = 16
OPEN_S = 5.0
CLOSE_S = 2.0

RESTART = 1012
"""Service restart (IANA's registry of close codes): what a client that reconnects may hear."""
_UNSENDABLE = {1005: 1000, 1006: RESTART, 1015: RESTART}
"""Codes that only describe what happened and never stand in a frame (RFC 6455 section 7.4.1)."""

Dial = Callable[[NodeSnapshot], Awaitable[ClientConnection]]


def room_asked_for(text: str) -> str | int | None:
    """The `room_id` of a `join` or `resume` frame; None for every other, which is then not even parsed."""
    if '"join"' not in text and '"resume"' not in text:
        return None
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(frame, dict):
        return None
    data = frame.get("data")
    merged = {**data, **frame} if isinstance(data, dict) else frame  # decision 44
    room = merged.get("room_id", merged.get("meeting_id"))
    return room if merged.get("type") in ("join", "resume") and isinstance(room, str | int) else None


@dataclass(frozen=True, slots=True)
class Pass:
    """What opens a media process's socket for a client: its token, or tickets in place of the one it spent."""

    token: str
    claims: Claims | None
    spent: bool = False

    def for_dial(self) -> str:
        """A token that a media process hasn't seen spent."""
        if not (self.spent and self.claims):
            return self.token
        who = self.claims
        ticket, _ = issue_ticket(who.user_id, who.username, who.role, who.family_id)
        return ticket


class Signaling:
    """The endpoint: who may connect now, and to which process."""

    def __init__(self, redis: "Redis", placement: Placement, limits: Mapping[LimitClass, Limit] | None) -> None:
        self._redis = redis
        self._door = AsyncDoor(redis)
        self._placement = placement
        self._limits = limits
        self._open = 0

    async def __call__(self, client: WebSocket) -> None:
        """Serve one client until either side closes."""
        request_id = new_id()
        headers: dict[str, str] = {}
        self._open += 1
        try:
            if self._open > MOST_SOCKETS:
                raise Unavailable
            admitted = await self._admit(client, headers)
            node = await self._first_node(client)
            dial = _dialler(client, admitted, request_id)
            upstream = await dial(node)
        except MeetError as error:
            answer = error_answer(error, accept=client.headers.get("accept", ""), request_id=request_id)
            answer.headers.update({**headers, "X-Request-Id": request_id})
            await client.send_denial_response(answer)
        else:
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            try:
                await client.accept(headers=[*raw, (b"x-request-id", request_id.encode())])
            except OSError:  # gone while its process was dialled
                await upstream.close()
                return
            await SocketRelay(client, upstream, node, self._placement, dial).run()
        finally:
            self._open -= 1

    async def _admit(self, client: WebSocket, headers: dict[str, str]) -> Pass:
        """Count the attempt and spend a ticket; a token that doesn't read is the media process's to refuse."""
        token = client.query_params.get("token", "")
        claims, is_ticket = _read(token)
        verdict = await self._count(client, claims)
        if verdict:
            headers |= verdict.headers
            if not verdict.allowed:
                raise TooManyRequests(LimitClass.WEBSOCKET, verdict)
        if not is_ticket or claims is None:
            return Pass(token, claims)
        try:
            # Spent here and replaced for each dial, so that moving to another process needs no second ticket.
            # One that was spent before goes on as it is: the media process refuses it in the contract's words.
            first = await self._redis.set(ticket_key(claims.token_id), 1, nx=True, ex=TICKET_S)
        except RedisError:
            raise Unavailable from None
        return Pass(token, claims, spent=bool(first))

    async def _count(self, client: WebSocket, claims: Claims | None) -> Verdict | None:
        """The door's verdict; None where limits are off or Redis is away (decision 49)."""
        if self._limits is None:
            return None
        try:
            return await self._door.hit(
                LimitClass.WEBSOCKET,
                self._limits[LimitClass.WEBSOCKET],
                user_id=claims.user_id if claims else None,
                address=client.client.host if client.client else "",
                revocation_key=revocation_key(claims.family_id) if claims else None,
            )
        except RedisError:
            log.warning("a socket is not counted: Redis is away")
            return None

    async def _first_node(self, client: WebSocket) -> NodeSnapshot:
        """The home of the room that the optional `room` parameter hints at, else any process."""
        room = client.query_params.get("room")
        if room:
            try:
                return await self._placement.home(room)
            except MeetError as error:
                log.debug("the hint of a room doesn't help: %s", error)
        return await self._placement.least_loaded()


def _read(token: str) -> tuple[Claims | None, bool]:
    try:
        return read_socket_token(token)
    except InvalidToken:
        return None, False


def _dialler(client: WebSocket, admitted: Pass, request_id: str) -> Dial:
    """How this client's socket to a media process is opened; `Unavailable` where it can't be."""

    async def dial(node: NodeSnapshot) -> ClientConnection:
        with tracing.segment("edge", client.headers.get(tracing.HEADER)):
            return await connected(node)

    async def connected(node: NodeSnapshot) -> ClientConnection:
        told = [(name.decode(), value.decode("latin-1")) for name, value in forwarded_headers(client.scope)]
        base = node.url.replace("http", "ws", 1)
        try:
            return await connect(
                f"{base}/ws/signaling?{urlencode({'token': admitted.for_dial()})}",
                additional_headers=[*told, ("X-Request-Id", request_id)],
                compression=None,
                max_size=MOST_SERVER_FRAME_BYTES,
                max_queue=QUEUED_FRAMES,
                open_timeout=OPEN_S,
                close_timeout=CLOSE_S,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake):
            log.warning("media process %s at %s can't be reached", node.node_id, node.url)
            raise Unavailable from None

    return dial


class SocketRelay:
    """One client's frames to its media process and back, until either closes; the close goes on as it came."""

    def __init__(
        self,
        client: WebSocket,
        upstream: ClientConnection,
        node: NodeSnapshot,
        placement: Placement,
        dial: Dial,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._node = node
        self._placement = placement
        self._dial = dial

    async def run(self) -> None:
        """Relay until the end; nothing of it is left running then."""
        up = asyncio.create_task(self._from_client())
        down = asyncio.create_task(self._from_server())
        try:
            done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            await self._upstream.close()
        for task in done:
            task.result()

    async def _from_client(self) -> None:
        while True:
            message = await self._client.receive()
            if message["type"] == "websocket.disconnect":
                code, reason = message.get("code", 1005), message.get("reason")
                # Of a connection that was lost uvicorn says 1005 too, and then gives no reason.
                lost = code == 1006 or (code == 1005 and reason is None)
                await self._hang_up(1006 if lost else code, reason or "")
                return
            text = message.get("text")
            try:
                room = room_asked_for(text) if text is not None else None
                if room is not None:
                    await self._settle(room)
                await self._upstream.send(text if text is not None else message["bytes"])
            except ConnectionClosed:
                continue  # what is closed takes no frame; `_from_server` tells the client
            except Unavailable:
                await self._client.close(RESTART, "the room's media process can't be reached")
                return

    async def _from_server(self) -> None:
        while True:
            upstream = self._upstream
            try:
                frame = await upstream.recv()
            except ConnectionClosed:
                if upstream is not self._upstream:
                    continue  # the client has moved
                code = upstream.close_code or 1006
                await self._tell(self._client.close(_UNSENDABLE.get(code, code), upstream.close_reason or ""))
                return
            send = self._client.send_text(frame) if isinstance(frame, str) else self._client.send_bytes(frame)
            if not await self._tell(send):
                return

    async def _tell(self, sending: Awaitable[None]) -> bool:
        """Whether the client was still there to be sent something."""
        try:
            await sending
        except (WebSocketDisconnect, RuntimeError):  # the latter: both sides closed at once
            return False
        return True

    async def _settle(self, room: str | int) -> None:
        """Be connected to the home of the room. A room that doesn't exist is for the present process to refuse."""
        try:
            home = await self._placement.home(room, prefer=self._node.node_id)
        except MeetError:
            return
        if home.node_id == self._node.node_id:
            return
        moved = await self._dial(home)
        left, self._upstream, self._node = self._upstream, moved, home
        await left.close(1000, "moved")

    async def _hang_up(self, code: int, reason: str) -> None:
        """Close the other side as the client closed this one; a lost connection is passed on as lost."""
        if code == 1006:
            self._upstream.transport.abort()
        else:
            await self._upstream.close(_UNSENDABLE.get(code, code), reason)
