"""What signs a request in: access tokens, WebSocket tickets and CSRF tokens, all JWTs (RFC 7519) of this system.

One secret, `MEET_JWT_SECRET`, signs the three; the audience keeps one from being taken for another. Refresh tokens
are opaque and live in `meet.store.refresh`. Whoever verifies an access token must then ask Redis for
`revocation_key(claims.family_id)`: it is there when the sign-in that the token stems from was revoked.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
from jwt.types import Options

from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.user import Role
from meet.errors import Forbidden, InvalidToken

ISSUER = "meet"
ALGORITHMS = ["HS256"]
"""The only ones accepted, whatever a token's header says (RFC 8725 section 3.1)."""
SECRET_BYTES = 32
"""RFC 7518 section 3.2: an HS256 key is at least as long as its hash."""
TICKET_S = 60
"""Decision 13."""

Audience = Literal["api", "ws", "csrf"]

_SIGNED_IN = ["sub", "name", "role", "fam"]


@dataclass(frozen=True, slots=True)
class Claims:
    """Who signed in, as a verified token says."""

    user_id: str
    username: str
    role: Role
    token_id: str
    """The token's own `jti`; a ticket is spent by it."""
    family_id: str
    """The sign-in that the token stems from; revoking it ends all of its tokens."""
    expires_at: datetime


def revocation_key(family_id: str) -> str:
    """The Redis key that is there while access tokens of a revoked sign-in could still be valid."""
    return f"revoked:{family_id}"


def ticket_key(token_id: str) -> str:
    """The Redis key by which a ticket is known to be spent; whoever sets it first has used the ticket."""
    return f"ticket:{token_id}"


def issue_access(
    user_id: str, username: str, role: str, family_id: str, *, now: datetime | None = None
) -> tuple[str, int]:
    """A new access token, and the seconds until it expires."""
    lifetime_s = settings().access_token_s
    token, _ = _issue("api", lifetime_s, now, sub=user_id, name=username, role=role, fam=family_id)
    return token, lifetime_s


def read_access(token: str, *, expired_too: bool = False) -> Claims:
    """The claims of an access token; `InvalidToken` where it is malformed, forged or expired.

    `expired_too`: one that has expired still says whose it was, for what was begun with it and outlasts it.
    """
    claims, _ = _read_claims(token, ["api"], expired_too=expired_too)
    return claims


def issue_ticket(
    user_id: str, username: str, role: str, family_id: str, *, now: datetime | None = None
) -> tuple[str, datetime]:
    """A ticket that opens one WebSocket, and when it expires. Its taker spends `token_id` in Redis."""
    return _issue("ws", TICKET_S, now, sub=user_id, name=username, role=role, fam=family_id)


def read_ticket(ticket: str) -> Claims:
    """The claims of a ticket; `InvalidToken` where it is malformed, forged or expired."""
    claims, _ = _read_claims(ticket, ["ws"])
    return claims


def read_socket_token(text: str) -> tuple[Claims, bool]:
    """The claims of what opens a WebSocket, and whether it is a ticket rather than an access token."""
    claims, audience = _read_claims(text, ["api", "ws"])
    return claims, audience == "ws"


def issue_csrf(*, now: datetime | None = None) -> tuple[str, datetime]:
    """A signed token for the double submit (decision 38), and when it expires: with the cookie that it guards."""
    return _issue("csrf", settings().refresh_token_s, now)


def read_csrf(token: str) -> datetime:
    """When a CSRF token expires; `InvalidToken` where it is none of ours, or expired."""
    return datetime.fromtimestamp(_read(token, ["csrf"], [])["exp"], UTC)


def check_csrf(header: str | None, cookie: str | None) -> None:
    """Accept a request that a cookie signs in; `Forbidden` unless both carry one and the same CSRF token of ours."""
    refused = Forbidden("The X-CSRF-Token header must carry the token of the meet_csrf cookie")
    if not header or not cookie:
        raise refused
    if not hmac.compare_digest(header.encode("utf-8", "replace"), cookie.encode("utf-8", "replace")):
        raise refused
    try:
        read_csrf(header)
    except InvalidToken:
        raise refused from None


def signing_secret() -> str:
    """What tokens are signed with; RuntimeError with the cure where it is missing or too short to be one."""
    secret = settings().jwt_secret.get_secret_value()
    if len(secret.encode()) < SECRET_BYTES:
        raise RuntimeError(
            f"MEET_JWT_SECRET is missing or too short: it needs {SECRET_BYTES} bytes of random text or more."
        )
    return secret


def _issue(audience: Audience, lifetime_s: int, now: datetime | None, **claims: str) -> tuple[str, datetime]:
    issued_at = (now or utcnow()).replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=lifetime_s)
    payload = {"iss": ISSUER, "aud": audience, "iat": issued_at, "exp": expires_at, "jti": new_id(), **claims}
    return jwt.encode(payload, signing_secret(), algorithm=ALGORITHMS[0]), expires_at


def _read(
    token: str, audiences: Sequence[Audience], required: Sequence[str], *, expired_too: bool = False
) -> dict[str, Any]:
    options: Options = {
        "verify_exp": not expired_too,
        "require": ["iss", "aud", "exp", "jti", *required],
        # It bounds nothing (RFC 7519 section 4.1.6): a clock that is a second ahead must not refuse a fresh token.
        "verify_iat": False,
    }
    secret = signing_secret()
    try:
        payload: dict[str, Any] = jwt.decode(
            token, secret, algorithms=ALGORITHMS, issuer=ISSUER, audience=audiences, options=options
        )
    except (jwt.PyJWTError, UnicodeError):  # the latter: a lone surrogate, which JSON lets through
        raise InvalidToken from None
    return payload


def _read_claims(token: str, audiences: Sequence[Audience], *, expired_too: bool = False) -> tuple[Claims, Audience]:
    payload = _read(token, audiences, _SIGNED_IN, expired_too=expired_too)
    try:
        claims = Claims(
            user_id=payload["sub"],
            username=payload["name"],
            role=Role(payload["role"]),
            token_id=payload["jti"],
            family_id=payload["fam"],
            expires_at=datetime.fromtimestamp(payload["exp"], UTC),
        )
    except (ValueError, OverflowError):  # a role or a date that another version, or another system, signed
        raise InvalidToken from None
    return claims, payload["aud"]
