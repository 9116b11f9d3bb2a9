"""The endpoints `/whip/{room_id}` and `/whep/{room_id}`, and the sessions that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from meet.clock import new_id
from meet.errors import Conflict, Forbidden, Invalid, MeetError, NotFound
from sfu.guests import Guest, Protocol
from sfu.live_room import LiveRoom
from sfu.ortc import SdpError, read_publish_offer
from sfu.ortc.fragment import IceFragment, read_fragment, write_fragment
from sfu.ortc.ingest import check_ingest
from sfu.ortc.sdp import MAX_CHARACTERS
from sfu.ortc.view import read_view_offer
from sfu.peer import Peer
from sfu.signaling.messages import Refused
from sfu.whip.answers import Refusal, Resource
from sfu.whip.caller import Callers
from sfu.whip.headers import FRAGMENT, SDP, links, names, names_any

if TYPE_CHECKING:
    from sfu.node import Node

MOST_FRAGMENT_CHARACTERS = 64 * 1024
"""Two hundred candidates on each of a few sections."""


def routes(node: Node, callers: Callers) -> list[Route]:
    """What a media process serves for both protocols."""
    made: list[Route] = []
    for protocol in ("whip", "whep"):
        endpoint = Endpoint(protocol, node, callers)
        session = Session(protocol, node, callers)
        made.append(Route(f"/{protocol}/{{room_id}}", endpoint.resource))
        made.append(Route(f"/{protocol}/{{room_id}}/{{session_id}}", session.resource))
    return made


class Endpoint:
    """Begins sessions in a room (RFC 9725 section 4.2)."""

    def __init__(self, protocol: Protocol, node: Node, callers: Callers) -> None:
        self._protocol: Protocol = protocol
        self._node = node
        self._callers = callers
        self.resource = Resource({"GET": self._nothing, "HEAD": self._nothing, "POST": self._begin})

    async def _nothing(self, _: Request) -> Response:
        """There is no representation (section 4.1). WHEP's type lets players find out what they were given."""
        return Response(media_type=SDP) if self._protocol == "whep" else Response(status_code=204)

    async def _begin(self, request: Request) -> Response:
        claims = await self._callers.admit(request)
        offer = await _body(request, SDP, MAX_CHARACTERS)
        room_id: str = request.path_params["room_id"]
        guest = Guest(new_id(), claims.user_id, claims.family_id, self._protocol)
        try:
            self._check(offer)
            answer = await self._node.attach(guest, claims, room_id, offer)
        except SdpError as error:
            raise Refusal(422, f"The SDP can't be used: {error}") from None
        except Refused as refusal:
            raise _understood(refusal) from None
        found = self._node.guest(room_id, guest.session_id)
        peer = found[0].peer_of(guest) if found else None
        if peer is None:
            raise Conflict("The connection was ended while it was made")
        headers = {
            "Location": f"/{self._protocol}/{quote(room_id)}/{guest.session_id}",
            "ETag": f'"{_tag(peer)}"',
            "Accept-Patch": FRAGMENT,
        }
        response = Response(answer, 201, headers, SDP)
        for link in links(self._node.ice_servers(claims.user_id)):
            response.headers.append("Link", link)
        return response

    def _check(self, offer: str) -> None:
        """Raise `SdpError` for what will be refused anyway, before a seat is taken for it."""
        if self._protocol == "whip":
            check_ingest(read_publish_offer(offer))
        else:
            read_view_offer(offer)


class Session:
    """One session: its ICE (RFC 9725 section 4.3) and its end. Only its owner may."""

    def __init__(self, protocol: Protocol, node: Node, callers: Callers) -> None:
        self._protocol: Protocol = protocol
        self._node = node
        self._callers = callers
        self.resource = Resource(
            {"GET": self._nothing, "HEAD": self._nothing, "PATCH": self._patch, "DELETE": self._end}
        )

    async def _nothing(self, request: Request) -> Response:
        await self._find(request)
        return Response(status_code=204)

    async def _end(self, request: Request) -> Response:
        """A DELETE asks for no match (section 4.3.1)."""
        live, guest = await self._find(request)
        live.detach(guest.session_id)
        return Response()

    async def _patch(self, request: Request) -> Response:
        live, guest = await self._find(request)
        text = await _body(request, FRAGMENT, MOST_FRAGMENT_CHARACTERS)
        peer = live.peer_of(guest)
        if peer is None:
            raise _no_session()
        _require_match(request, peer)
        try:
            fragment = read_fragment(text)
        except SdpError as error:
            raise Refusal(422, f"The fragment can't be used: {error}") from None
        return _restart(peer, fragment) or Response(status_code=204)

    async def _find(self, request: Request) -> tuple[LiveRoom, Guest]:
        # What was begun with a token outlasts it, as a WebSocket does; a revoked sign-in ends both.
        claims = await self._callers.admit(request, expired_too=True)
        found = self._node.guest(request.path_params["room_id"], request.path_params["session_id"])
        if found is None or found[1].protocol != self._protocol:
            raise _no_session()
        if found[1].user_id != claims.user_id:
            raise Forbidden("This is somebody else's session")
        return found


def _restart(peer: Peer, fragment: IceFragment) -> Response | None:
    """Begin a new ICE session if the fragment has new credentials; None where it only brings candidates."""
    if fragment.ufrag is None or fragment.pwd is None or (fragment.ufrag, fragment.pwd) == peer.remote_ice:
        return None
    transport = peer.restart_ice(fragment.ufrag, fragment.pwd)
    return Response(write_fragment(transport, fragment.mid), 200, {"ETag": f'"{_tag(peer)}"'}, FRAGMENT)


def _tag(peer: Peer) -> str:
    """The entity tag of an ICE session: our user fragment, which each has another of."""
    return peer.ice.ice_ufrag


def _require_match(request: Request, peer: Peer) -> None:
    """Raise 428 without `If-Match`, 412 where it names another ICE session (section 4.3.1)."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        raise Refusal(428, "A PATCH must say by If-Match which ICE session it is for")
    if not names_any(wanted) and not names(wanted, _tag(peer)):
        raise Refusal(412, "This is not the ICE session that runs now")


async def _body(request: Request, media_type: str, most: int) -> str:
    """The body as text; 415 where it is of another type, 413 where it is larger, 400 where it isn't UTF-8."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type or request.headers.get("content-encoding", "identity").lower() != "identity":
        accept = "Accept-Post" if media_type == SDP else "Accept-Patch"
        raise Refusal(415, f"The body must be {media_type}", {accept: media_type})
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise Refusal(413, f"The body is larger than {most} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Invalid(details={"body": "The body is not valid UTF-8"}) from None


def _no_session() -> NotFound:
    return NotFound("There is no such session, or it has ended")


def _understood(refusal: Refused) -> MeetError:
    """What a room answers on a WebSocket, by HTTP."""
    if refusal.code == "INVALID_ROOM":
        return NotFound("There is no such meeting")
    return Conflict(refusal.message, code=refusal.code)
