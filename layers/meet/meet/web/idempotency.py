"""`Idempotency-Key`: a POST that is sent twice runs once (decision 29).

It is honoured on every POST to a function, without a word in the routes, with the exception of those whose answers
are secrets; the edge honours it by an `Attempt` of its own. A key belongs to the signed-in user, or to the address.
The first answer is kept in DynamoDB and repeated with `Idempotent-Replayed: true`; another request under the same
key, or the same one while the first still runs, gets a 409. An answer that says "try again" (5xx, 401, 429) isn't
kept: trying again runs the request again.
"""

import hmac
import logging
import re
from collections.abc import Mapping
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
        try:
            attempt = Attempt(given, identity, client_address(scope))
            answer = attempt.begin(scope["path"].encode(), scope["query_string"], scope["state"]["body"])
        except MeetError as error:
            await answer_to(scope, error)(scope, receive, send)
            return
        if answer is not None:
            await answer(scope, receive, send)
            return
        await self._run(attempt, scope, receive, send)

    async def _run(self, attempt: "Attempt", scope: Scope, receive: Receive, send: Send) -> None:
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
            attempt.failed()
            raise
        headers = MutableHeaders(scope=start)
        attempt.answered(start["status"], headers, bytes(body))
        await send(start)
        await send({"type": "http.response.body", "body": bytes(body)})


class Attempt:
    """One request under an `Idempotency-Key`, which its caller runs if `begin` says so. Every method blocks.

    Raises `Invalid` for a key of another form. `identity` is what `meet.web.ratelimit` found. After `lease_s` without
    an answer, whoever repeats the request runs it again.
    """

    def __init__(self, given: str, identity: object, address: str, *, lease_s: int = LEASE_S) -> None:
        if not _KEY.fullmatch(given):
            raise Invalid(details={"Idempotency-Key": "Must be 1 to 255 printable ASCII characters"})
        user_id = identity.user_id if isinstance(identity, Principal) else None
        self._key = _keyed_hash(b"key", caller(user_id, address).encode(), given.encode())
        self._owner = new_id()
        self._lease_s = lease_s

    def begin(self, *request: bytes) -> Response | None:
        """None where the caller is the one to run the request, else the answer of the first.

        `request` is all that makes this request another one than others. Raises `InProgress` or `KeyReused`.
        """
        answer = claim(
            self._key,
            _keyed_hash(b"request", *request),
            owner=self._owner,
            now=utcnow(),
            lease_s=self._lease_s,
            keep_s=settings().idempotency_s,
        )
        if answer is None:
            return None
        return Response(answer.body, answer.status, {**answer.headers, "Idempotent-Replayed": "true"})

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Keep the answer, unless it says to try again."""
        answer: StoredAnswer | None = None
        if status < 500 and status not in _PASSING and len(body) <= MOST_BODY:
            kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
            answer = StoredAnswer(status, kept, body)
        self._settle(answer)

    def failed(self) -> None:
        """There is no answer: the next one runs the request again."""
        self._settle(None)

    def _settle(self, answer: StoredAnswer | None) -> None:
        """What was done is done and its caller is told so, even if the answer can't be kept or the key be freed."""
        try:
            if answer is not None:
                finish(self._key, answer, owner=self._owner)
            else:
                release(self._key, owner=self._owner)
        except Unavailable:
            log.warning(
                "an answer could not be kept: its Idempotency-Key is held until the lease ends", exc_info=True
            )


def _keyed_hash(*parts: bytes) -> str:
    """A hash that says nothing to who reads the table: bodies may hold guessable secrets."""
    secret = settings().jwt_secret.get_secret_value().encode()
    return hmac.new(secret, b"\x00".join(parts), sha256).hexdigest()
