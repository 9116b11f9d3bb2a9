"""`Idempotency-Key`: a POST that is sent twice runs once (decision 29).

It is honoured on every POST to a function, without a word in the routes, with the exception of those whose answers
are secrets. A key belongs to the signed-in user, or to the address. The first answer is kept in DynamoDB and repeated
with `Idempotent-Replayed: true`; another request under the same key, or the same one while the first still runs, gets
a 409. An answer that says "try again" (5xx, 401, 429) isn't kept: trying again runs the request again.
"""

import hmac
import logging
import re
from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meet.clock import new_id, utcnow
from meet.config import settings
from meet.errors import Invalid, MeetError, Unavailable
from meet.ratelimit import caller
from meet.store.idempotency import StoredAnswer, claim, finish, release
from meet.web.auth import Principal
from meet.web.errors import answer_to
from meet.web.ratelimit import client_address

log = logging.getLogger("meet.web")

LEASE_S = 35
"""Longer than the 29 s after which API Gateway gives up on a function."""
MOST_BODY = 256 * 1024
"""Answers larger than this are not kept: a DynamoDB item holds 400 KB."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SECRET = re.compile(r"/api/v1/auth/(?!register$).*")
_KEPT_HEADERS = ("content-type", "location", "etag")
_PASSING = frozenset({401, 408, 425, 429})


class Idempotent:
    """Runs a POST with an `Idempotency-Key` once. Stands inside of `RateLimited` and `CheckedBody`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get("idempotency-key") if scope["type"] == "http" else None
        identity = scope.get("state", {}).get("identity")
        if (
            given is None
            or scope["method"] != "POST"
            or _SECRET.fullmatch(scope["path"])
            or isinstance(identity, Unavailable)  # the route will say so
        ):
            await self._app(scope, receive, send)
            return
        key = _row_key(given, identity, client_address(scope))
        owner = new_id()
        try:
            if not _KEY.fullmatch(given):
                raise Invalid(details={"Idempotency-Key": "Must be 1 to 255 printable ASCII characters"})
            answer = claim(
                key,
                _fingerprint(scope),
                owner=owner,
                now=utcnow(),
                lease_s=LEASE_S,
                keep_s=settings().idempotency_s,
            )
        except MeetError as error:
            await answer_to(scope, error)(scope, receive, send)
            return
        if answer is not None:
            headers = {**answer.headers, "Idempotent-Replayed": "true"}
            await Response(answer.body, answer.status, headers)(scope, receive, send)
            return
        await self._run(key, owner, scope, receive, send)

    async def _run(self, key: str, owner: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the route, hold its answer until it is kept, then send it."""
        start: Message = {}
        body = bytearray()

        async def hold(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        try:
            await self._app(scope, receive, hold)
        except BaseException:
            _settle(key, owner, None)
            raise
        status = start["status"]
        answer: StoredAnswer | None = None
        if status < 500 and status not in _PASSING and len(body) <= MOST_BODY:
            headers = MutableHeaders(scope=start)
            kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
            answer = StoredAnswer(status, kept, bytes(body))
        _settle(key, owner, answer)
        await send(start)
        await send({"type": "http.response.body", "body": bytes(body)})


def _settle(key: str, owner: str, answer: StoredAnswer | None) -> None:
    """Keep the answer, or free the key. What was done is done and its caller is told so, even if neither can be."""
    try:
        if answer is not None:
            finish(key, answer, owner=owner)
        else:
            release(key, owner=owner)
    except Unavailable:
        log.warning("an answer could not be kept: its Idempotency-Key is held until the lease ends", exc_info=True)


def _keyed_hash(*parts: bytes) -> str:
    """A hash that says nothing to who reads the table: bodies may hold guessable secrets."""
    secret = settings().jwt_secret.get_secret_value().encode()
    return hmac.new(secret, b"\x00".join(parts), sha256).hexdigest()


def _row_key(given: str, identity: object, address: str) -> str:
    user_id = identity.user_id if isinstance(identity, Principal) else None
    return _keyed_hash(b"key", caller(user_id, address).encode(), given.encode("utf-8", "replace"))


def _fingerprint(scope: Scope) -> str:
    return _keyed_hash(b"request", scope["path"].encode(), scope["query_string"], scope["state"]["body"])
