"""One ASGI application a resource: which methods it has, and how errors and headers come out of it."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from meet.clock import new_id
from meet.envelope import CODES, PROBLEM_JSON, UNEXPECTED, error_body, problem_body, wants_problem
from meet.errors import MeetError
from sfu.whip.headers import CORS, PREFLIGHT

log = logging.getLogger("meet.sfu.whip")

Handler = Callable[[Request], Awaitable[Response]]


class Refusal(MeetError):
    """An error whose status says all that its code does."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(CODES[status], status, message, headers=headers)


class Resource:
    """Answers each method with its handler, OPTIONS for itself, and any other with 405.

    Handlers raise `MeetError`. Every answer may be read by any page, has the request's id, and says what is left of
    the caller's limit where that was asked for.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)
        self._allow = ", ".join(["OPTIONS", *self._handlers])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        request.state.headers = {}
        request_id = request.headers.get("x-request-id") or new_id()
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except MeetError as error:
            response = _error(error, request, request_id)
        except Exception:
            log.exception("a request met an error of ours")
            response = _error(MeetError(CODES[500], 500, UNEXPECTED), request, request_id)
        response.headers.update({**CORS, **request.state.headers, "X-Request-Id": request_id})
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(headers={**PREFLIGHT, "Allow": self._allow})
        handler = self._handlers.get(request.method)
        if handler is None:
            raise Refusal(405, f"{request.method} means nothing here", {"Allow": self._allow})
        return await handler(request)


def _error(error: MeetError, request: Request, request_id: str) -> Response:
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if wants_problem(request.headers.get("accept", "")):
        return JSONResponse(
            problem_body(error, request_id=request_id), error.status, headers, media_type=PROBLEM_JSON
        )
    return JSONResponse(error_body(error, request_id=request_id), error.status, headers)
