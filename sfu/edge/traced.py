"""The edge's part in a trace: one segment a request, whose header goes on to whoever is asked next."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from meet import tracing


class Traced:
    """Around everything but sockets, which live too long: of those the dialling is traced (`sfu.edge.sockets`)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with tracing.segment("edge", Headers(scope=scope).get(tracing.HEADER)):
            await self._app(scope, receive, send)
