"""The built meeting page: its document at `/` and at the join URL, its files under `/assets`."""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from meet.errors import NotFound
from meet.web.observability import request_id_of

IMMUTABLE = "public, max-age=31536000, immutable"
"""For files whose names carry a hash of what is in them (RFC 8246)."""


def security_headers(signaling_url: str) -> dict[str, str]:
    """What a browser is told of the page: nothing runs in it, frames it or is reached by it but our own.

    `signaling_url` is named beside 'self', which some browsers don't extend to WebSockets (CSP 3, section 6.7.2.8).
    """
    socket_origin = "/".join(signaling_url.split("/", 3)[:3])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "font-src": "'self'",
        "connect-src": f"'self' {socket_origin}",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


class Page:
    """Serves `/assets/...` from the folder of that name, and for every other path the document."""

    def __init__(self, folder: Path, *, signaling_url: str) -> None:
        self._document = StaticFiles(directory=folder, check_dir=False)
        self._assets = StaticFiles(directory=folder / "assets", check_dir=False)
        self._headers = security_headers(signaling_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._find(scope)
        response.headers.update(self._headers)
        response.headers["X-Request-Id"] = request_id_of(Headers(scope=scope))
        await response(scope, receive, send)

    async def _find(self, scope: Scope) -> Response:
        path: str = scope["path"]
        asset = path.startswith("/assets/")
        try:
            if asset:
                response = await self._assets.get_response(path.removeprefix("/assets/"), scope)
            else:
                response = await self._document.get_response("index.html", scope)
        except HTTPException as error:
            if error.status_code != 404:
                raise
            raise NotFound(f"There is nothing at {path}") from None
        response.headers["Cache-Control"] = IMMUTABLE if asset else "no-cache"
        return response
