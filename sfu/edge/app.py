"""The edge's routes and what they share: one Redis client, and connections to the inner servers."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Scope

from meet.config import Settings
from meet.envelope import CODES, UNEXPECTED
from meet.errors import MeetError
from meet.presence import AsyncPresence
from meet.ratelimit import limits_from, unspent_headers
from meet.web.errors import answer_to, understood
from meet.web.observability import request_id_of
from sfu.edge.entrance import Entrance
from sfu.edge.files import Files
from sfu.edge.live import CORS as LIVE_CORS
from sfu.edge.live import PREFIXES as LIVE_PREFIXES
from sfu.edge.live import Live
from sfu.edge.page import Page
from sfu.edge.placement import Placement
from sfu.edge.relay import Relay
from sfu.edge.sockets import Signaling
from sfu.edge.traced import Traced
from sfu.whip.headers import CORS


def create_edge(chosen: Settings, *, page: Path, redis: Redis) -> Starlette:
    """The application of the public port; `page` is the folder of the built page. `redis` is closed at its end."""
    placement = Placement(AsyncPresence(redis))

    async def to_functions(_: Scope) -> str:
        return chosen.api_url or f"http://127.0.0.1:{chosen.gateway_port}"

    async def to_room(scope: Scope) -> str:
        return (await placement.home(scope["path_params"]["room_id"])).url

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await media.close()
        await functions.close()
        await files.close()
        await live.close()
        await entrance.close()
        await redis.aclose()

    async def answer(request: Request, error: Exception) -> Response:
        known = understood(error) or MeetError(CODES[500], 500, UNEXPECTED)
        scope = request.scope
        request_id = scope.setdefault("state", {}).setdefault("request_id", request_id_of(request.headers))
        made = answer_to(scope, known)
        made.headers.update(unspent_headers(limits, scope["method"], scope["path"], now=time.time()))
        made.headers["X-Request-Id"] = request_id
        if scope["path"].startswith(("/whip/", "/whep/")):
            made.headers.update(CORS)  # as the media process' own: a page may read why nobody answers
        elif scope["path"].startswith(LIVE_PREFIXES):
            made.headers.update(LIVE_CORS)
        return made

    limits = limits_from(chosen)
    document = Page(page, signaling_url=chosen.signaling_url)
    media = Relay(to_room)
    functions = Relay(to_functions)
    entrance = Entrance(redis, limits)
    files = Files(redis, chosen)
    live = Live(redis)
    app = Starlette(
        routes=[
            WebSocketRoute("/ws/signaling", Signaling(redis, placement, limits).__call__),
            Route("/whip/{room_id}", media),
            Route("/whip/{room_id}/{rest:path}", media),
            Route("/whep/{room_id}", media),
            Route("/whep/{room_id}/{rest:path}", media),
            Route("/", document),
            Route("/meetings/{meeting_id}/join", document),
            Route("/assets/{rest:path}", document),
            *files.routes(entrance),
            *live.routes(),
            Route("/{rest:path}", functions),
        ],
        exception_handlers={MeetError: answer, HTTPException: answer, Exception: answer},
        lifespan=lifespan,
    )
    app.add_middleware(Traced)
    app.router.redirect_slashes = False  # the functions decide what a path means
    return app
