"""Every error an API answers, in one shape: the document's envelope, or RFC 9457 where the caller asks for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from meet.envelope import CODES, PROBLEM_JSON, error_body, problem_body, wants_problem
from meet.errors import Invalid, MeetError, Unavailable
from meet.web.routing import RouteTable


class PayloadTooLarge(MeetError):
    """413: the body is larger than the route reads."""

    def __init__(self, most: int) -> None:
        super().__init__(CODES[413], 413, f"The request body is larger than {most} bytes")


class UnsupportedMediaType(MeetError):
    """415: the body is not of a type that the route reads."""

    def __init__(self, message: str) -> None:
        super().__init__(CODES[415], 415, message, headers={"Accept": "application/json"})


def error_answer(error: MeetError, *, accept: str = "", request_id: str = "") -> JSONResponse:
    """The answer to an error, in the form that the caller's `Accept` asks for."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if wants_problem(accept):
        body = problem_body(error, request_id=request_id)
        return JSONResponse(body, error.status, headers, media_type=PROBLEM_JSON)
    return JSONResponse(error_body(error, request_id=request_id), error.status, headers)


def answer_to(scope: Scope, error: MeetError) -> JSONResponse:
    """`error_answer` for the request of an ASGI scope, whose id `meet.web.observability` put into its state."""
    request_id = scope.get("state", {}).get("request_id", "")
    return error_answer(error, accept=Headers(scope=scope).get("accept", ""), request_id=request_id)


def field_messages(errors: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """pydantic's list of errors as `details`: the field's path to the first message about it."""
    details: dict[str, str] = {}
    for error in errors:
        where = [str(part) for part in error.get("loc", ())]
        if len(where) > 1 and where[0] in ("body", "query", "path", "header", "cookie"):
            where = where[1:]
        message = str(error.get("msg", "Invalid value")).removeprefix("Value error, ")
        details.setdefault(".".join(where) or "body", message)
    return details


def understood(error: Exception) -> MeetError | None:
    """An exception that others raise, in our words; None for one that nobody foresaw."""
    if isinstance(error, MeetError):
        return error
    if isinstance(error, RequestValidationError):
        return Invalid(details=field_messages(error.errors()))
    if isinstance(error, HTTPException):
        code = CODES.get(error.status_code, "HTTP_ERROR")
        return MeetError(code, error.status_code, str(error.detail), headers=error.headers or {})
    if isinstance(error, RedisError):
        return Unavailable()
    return None


def install(app: FastAPI, routes: RouteTable) -> None:
    """Make an application answer these errors itself; what is left reaches `meet.web.observability`."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        known = understood(error)
        if known is None:
            raise error
        if isinstance(error, HTTPException) and known.status == 404:
            known.message = "There is no such endpoint"
        if known.status == 405:  # the framework's own names the methods of one route only
            known.headers = {"Allow": ", ".join(routes.methods(request.scope["path"]))}
        return answer_to(request.scope, known)

    for kind in (MeetError, RequestValidationError, HTTPException, RedisError):
        app.add_exception_handler(kind, answer)
