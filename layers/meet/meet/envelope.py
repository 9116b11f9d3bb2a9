"""The shape of every error answer: the document's envelope (decision 33), or RFC 9457 where that is asked for."""

from http import HTTPStatus
from typing import Any

from meet.clock import iso, utcnow
from meet.errors import MeetError

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
    422: "UNPROCESSABLE_CONTENT",
    428: "PRECONDITION_REQUIRED",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_SERVER_ERROR",
    502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE",
    504: "GATEWAY_TIMEOUT",
}
"""The code of each status that has no error class of its own."""

UNEXPECTED = "An unexpected error occurred. Please try again later."


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
