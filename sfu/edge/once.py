"""`Idempotency-Key` for what the edge answers (decision 29): the first answer is kept, and given again."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from meet.web.auth import Principal
from meet.web.idempotency import Attempt
from meet.web.ratelimit import client_address

LEASE_S = 150
"""From when the whole request is there: longer than a file is examined at most."""

Make = Callable[[], Awaitable[Response]]


def attempt_of(request: Request, user: Principal) -> Attempt | None:
    """The attempt that the request's key makes of it; None where it has none. Raises `Invalid`."""
    key = request.headers.get("idempotency-key")
    return None if key is None else Attempt(key, user, client_address(request.scope), lease_s=LEASE_S)


async def begin(attempt: Attempt, request: Request, *content: bytes) -> Response | None:
    """The answer of the first request with this key and content; None where this is the first. 409 as `Attempt`."""
    target = (request.url.path.encode(), request.scope["query_string"])
    return await asyncio.to_thread(attempt.begin, *target, *content)


async def kept(attempt: Attempt, answer: Awaitable[Response]) -> Response:
    """The answer to a request that has begun, and is its last word. Where there is none, another may run it."""
    try:
        made = await answer
    except BaseException:
        await asyncio.to_thread(attempt.failed)
        raise
    await asyncio.to_thread(attempt.answered, made.status_code, made.headers, bytes(made.body))
    return made


async def once(
    request: Request, user: Principal, content: bytes, make: Callable[[], Awaitable[Response]]
) -> Response:
    """What `make` answers, or answered to the first request with this key and content."""
    attempt = attempt_of(request, user)
    if attempt is None:
        return await make()
    return await begin(attempt, request, content) or await kept(attempt, make())
