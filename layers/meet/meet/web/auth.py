"""Who is asking. The bearer token was verified once, before the route, by `meet.web.ratelimit`; routes only ask.

@router.get("/api/v1/users/me")
def me(user: SignedIn) -> UserBody: ...
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from meet import tokens
from meet.domain.user import Role
from meet.errors import Forbidden, InvalidToken, MeetError, MissingToken


@dataclass(frozen=True, slots=True)
class Principal:
    """The signed-in user of this request."""

    user_id: str
    username: str
    role: Role
    token_id: str
    family_id: str
    """The sign-in that the token descends from; logout revokes the family."""

    @property
    def is_administrator(self) -> bool:
        """Whether decision 5's role allows everything."""
        return self.role is Role.ADMINISTRATOR


def bearer_token(authorization: str) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 section 2.1); None where there is no header.

    Raises `InvalidToken` for another scheme, or for no token after it.
    """
    if not authorization:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise InvalidToken
    return token.strip()


def authenticate(authorization: str) -> Principal | MeetError:
    """Who an `Authorization` header names, or the error that a route which needs to know answers.

    Revocation isn't looked at here: it takes Redis, see `meet.web.ratelimit`.
    """
    try:
        token = bearer_token(authorization)
        if token is None:
            return MissingToken()
        claims = tokens.read_access(token)
    except MeetError as error:
        return error
    return Principal(claims.user_id, claims.username, claims.role, claims.token_id, claims.family_id)


_bearer = HTTPBearer(auto_error=False, description="The `access_token` that `/api/v1/auth/login` answers.")
"""Only for the OpenAPI description: it says which routes need a token."""


async def signed_in(request: Request, _: Annotated[object, Depends(_bearer)] = None) -> Principal:
    """The principal, or 401; 503 while it can't be said whether the token was revoked (decision 49)."""
    identity: Principal | MeetError | None = request.scope.get("state", {}).get("identity")
    if isinstance(identity, Principal):
        return identity
    raise identity or MissingToken()


SignedIn = Annotated[Principal, Depends(signed_in)]
"""A route parameter of this type needs a valid access token."""


async def administrator(user: SignedIn) -> Principal:
    """The principal if it is an administrator, or 403."""
    if not user.is_administrator:
        raise Forbidden
    return user


Administrator = Annotated[Principal, Depends(administrator)]
"""A route parameter of this type needs an administrator's access token."""
