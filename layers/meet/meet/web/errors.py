"""Every error an API answers, in one shape: the document's envelope, or RFC 9457 where the caller asks for it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from meet.clock import iso, utcnow
from meet.errors import Invalid, MeetError, Unavailable
from meet.web.routing import RouteTable

PROBLEM_JSON = "application/problem+json"

CODES = {
    400: "VALIDATION_ERROR",
    401: "INVALID_TOKEN",
    403: "INSUFFICIENT_PERMISSIONS",
    404: "RESOURCE_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    408: "REQUEST_TIMEOUT",
    409: "RESOURCE_CONFLICT",
    412: "PRECONDITION_FAILED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    416: "RANGE_NOT_SATISFIABLE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_SERVER_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}
"""The code of each status that has no error class of its own."""

UNEXPECTED = "An unexpected error occurred. Please try again later."


class PayloadTooLarge(MeetError):
    """413: the body is larger than the route reads."""

    def __init__(self, most: int) -> None:
        super().__init__(CODES[413], 413, f"The request body is larger than {most} bytes")


class UnsupportedMediaType(MeetError):
    """415: the body is not of a type that the route reads."""

    def __init__(self, message: str) -> None:
        super().__init__(CODES[415], 415, message, headers={"Accept": "application/json"})


def wants_problem(accept: str) -> bool:
    """Whether an `Accept` header names RFC 9457's media type and doesn't refuse it with `q=0`."""
    for part in accept.lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type == PROBLEM_JSON:
            return not any(p.startswith("q=") and not p[2:].strip("0.") for p in parameters)
    return False


def error_body(error: MeetError, *, request_id: str = "") -> dict[str, Any]:
    """The nested envelope of an error (decision 33); `request_id` is told where the server is at fault."""
    inner: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.details is not None:
        inner["details"] = error.details if isinstance(error.details, str) else dict(error.details)
    if error.retry_after_s is not None:
        inner["retry_after"] = error.retry_after_s
    if request_id and error.status >= 500:
        inner["request_id"] = request_id
    inner["timestamp"] = iso(utcnow())
    return {"error": inner}


def problem_body(error: MeetError, *, request_id: str = "") -> dict[str, Any]:
    """The same as an RFC 9457 problem; the envelope's members are extension members (section 3.2)."""
    inner = error_body(error, request_id=request_id)["error"]
    detail = inner.pop("message")
    title = HTTPStatus(error.status).phrase
    return {"type": "about:blank", "title": title, "status": error.status, "detail": detail, **inner}


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
