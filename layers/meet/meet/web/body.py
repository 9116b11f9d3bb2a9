"""Whether a request's body is something that a route can be given: size, content type, and JSON without surprises.

What passes here is UTF-8 JSON (RFC 8259) of bounded size and depth, whose strings can be written as UTF-8 and have no
NUL, and whose numbers fit into 64 bits. So no route and no store meets a lone surrogate, an infinity or a recursion.
"""

import json
import re
from email.message import Message as MimeHeaders
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meet.config import settings
from meet.errors import Invalid, MeetError
from meet.web.errors import PayloadTooLarge, UnsupportedMediaType, answer_to

MOST_DEPTH = 64
MOST_INTEGER = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def check_content_type(headers: Headers) -> None:
    """Raise `UnsupportedMediaType` unless the body is `application/json` or `…+json`, in UTF-8, not compressed."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("A compressed request body is not understood")
    mime = MimeHeaders()
    mime["content-type"] = headers.get("content-type", "")
    subtype = mime.get_content_subtype()
    if mime.get_content_maintype() != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise UnsupportedMediaType("The request body must be application/json")
    if str(mime.get_param("charset", "utf-8")).lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("JSON is written in UTF-8 (RFC 8259 section 8.1)")


def check_json(body: bytes) -> None:
    """Raise `Invalid` (400) for a body that isn't JSON, or is JSON that no route should meet."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8")
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_constant)
    except json.JSONDecodeError as error:
        _refuse(f"The body is not valid JSON: {error.msg} at character {error.pos}")
    except RecursionError:
        _refuse(f"The body is nested deeper than {MOST_DEPTH} levels")
    if text.count("[") + text.count("{") > MOST_DEPTH and _deeper_than(MOST_DEPTH, value):
        _refuse(f"The body is nested deeper than {MOST_DEPTH} levels")
    if "\\u" in text:  # raw, neither a surrogate (not UTF-8) nor a NUL (not JSON) comes this far
        again = json.dumps(value, ensure_ascii=False)
        if _ESCAPED_NUL.search(again):
            _refuse("A string of the body has a NUL character")
        try:
            again.encode()
        except UnicodeEncodeError:
            _refuse("A string of the body has half of a surrogate pair")


def check_target(scope: Scope) -> None:
    """Raise `Invalid` for a control character in the path, or a NUL in the query.

    A route's pattern lets one line feed pass at the end of a path (`$`), which to all others is another path then.
    """
    if _CONTROL.search(scope["path"]):
        raise Invalid("The URL's path has a control character")
    if b"%00" in scope["query_string"] or b"\x00" in scope["query_string"]:
        raise Invalid("The URL has a NUL character")


def _refuse(why: str) -> NoReturn:
    raise Invalid(details={"body": why}) from None


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -MOST_INTEGER - 1 <= (value := int(digits)) <= MOST_INTEGER:
        _refuse("A number of the body does not fit into 64 bits")
    return value


def _number(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        _refuse("A number of the body is too large")
    return value


def _constant(name: str) -> NoReturn:
    _refuse(f"The body is not valid JSON: {name} is not a JSON number")


def _deeper_than(most: int, value: Any) -> bool:
    """Level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """The whole body; `PayloadTooLarge` (413) as soon as it is known to be larger than `most` bytes.

    `ClientDisconnect` where the caller is gone before its end: half a request is none.
    """
    declared = Headers(scope=scope).get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise PayloadTooLarge(most)
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts += message.get("body", b"")
        if len(parts) > most:
            raise PayloadTooLarge(most)
        if not message.get("more_body", False):
            return bytes(parts)


class CheckedBody:
    """Reads and checks the body before the route, and leaves it in `scope["state"]["body"]`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._most = settings().max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            check_target(scope)
            body = await read_body(scope, receive, self._most)
            if body:
                check_content_type(Headers(scope=scope))
                check_json(body)
        except MeetError as error:
            await answer_to(scope, error)(scope, receive, send)
            return
        scope.setdefault("state", {})["body"] = body
        unread = True

        async def replay() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._app(scope, replay, send)
