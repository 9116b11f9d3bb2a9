"""`/api/v1/auth` and the CSRF token: how one becomes a user, signs in, stays signed in and signs out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from meet import passwords, tokens
from meet.clock import iso, new_id, utcnow
from meet.config import settings
from meet.domain.user import User
from meet.errors import InvalidCredentials, InvalidToken, MissingToken
from meet.store import refresh, users
from meet.web.auth import Principal, SignedIn, signed_in
from meet.web.ice import ice_servers_for

from . import cookies
from .revocation import end_access
from .schemas import (
    CsrfTokenAnswer,
    LoginBody,
    MessageAnswer,
    RefreshBody,
    RegisterBody,
    RegisteredAnswer,
    SignedInAnswer,
    TicketAnswer,
)

router = APIRouter(prefix="/api/v1", tags=["auth"])


async def _bearer(request: Request) -> Principal | None:
    """Who an `Authorization` header signs in, or None where there is no such header."""
    return await signed_in(request) if "authorization" in request.headers else None


@router.get("/csrf-token")
def csrf_token(request: Request, response: Response) -> CsrfTokenAnswer:
    """The token that a request signed in by cookie repeats in `X-CSRF-Token`.

    A browser that has one gets it again, so that two tabs don't take it from each other.
    """
    response.headers["Cache-Control"] = "no-store"
    token = cookies.csrf_token(request) or ""
    try:
        expires_at = tokens.read_csrf(token)
    except InvalidToken:
        token, expires_at = tokens.issue_csrf()
        cookies.set_csrf(response, token)
    return CsrfTokenAnswer(token=token, expires_at=iso(expires_at))


@router.post("/auth/register", status_code=201)
def register(body: RegisterBody) -> RegisteredAnswer:
    """Make an account. 409 where the username or the email is taken, in whatever case it is written."""
    now = utcnow()
    user = User(
        user_id=new_id(),
        username=body.username,
        email=body.email,
        password_hash=passwords.hashed(body.password),
        created_at=now,
        updated_at=now,
    )
    users.add(user)
    return RegisteredAnswer.of(user)


@router.post("/auth/login")
def login(body: LoginBody, response: Response) -> SignedInAnswer:
    """Sign in with the username or the email. Browsers also get the cookies of `auth/refresh`."""
    user = users.find(body.username)
    if not passwords.matches(body.password, user.password_hash if user else None) or user is None:
        raise InvalidCredentials
    if passwords.is_outdated(user.password_hash):
        users.store_rehashed(user, passwords.hashed(body.password))
    family = refresh.start(user.user_id, user.password_epoch, now=utcnow())
    return _signed_in(response, user, family, by_cookie=True)


@router.post("/auth/refresh")
def renew(request: Request, response: Response, body: RefreshBody | None = None) -> SignedInAnswer:
    """Spend a refresh token, of the body or of the cookie, for new tokens that know today's name and role.

    A token that was spent already ends the sign-in for everybody who has a token of it.
    """
    token = body.refresh_token if body else None
    by_cookie = not token
    token = token or cookies.refresh_token(request)
    if not token:
        raise MissingToken
    try:
        family = refresh.rotate(token, now=utcnow())
    except refresh.SpentToken as spent:
        end_access([spent.family_id])
        raise
    user = users.get(family.user_id)
    if user is None or user.password_epoch != family.password_epoch:
        refresh.revoke(family.family_id)
        raise InvalidToken
    return _signed_in(response, user, family, by_cookie=by_cookie)


@router.post("/auth/logout")
def logout(
    request: Request,
    response: Response,
    user: Annotated[Principal | None, Depends(_bearer)],
    body: RefreshBody | None = None,
) -> MessageAnswer:
    """End the sign-in of the access token, or of the refresh token of the body or of the cookie.

    All of its tokens are refused from then on. 503 while that can't be said to everybody; it may be repeated.
    """
    if user is not None:
        family_id = user.family_id
    else:
        token = (body.refresh_token if body else None) or cookies.refresh_token(request)
        if not token:
            raise MissingToken
        family_id = refresh.family_of(token)
    # In this order: a sign-in that can't be renewed ends by itself, should Redis be away and nobody come again.
    refresh.revoke(family_id)
    end_access([family_id])
    cookies.clear(response)
    return MessageAnswer(message="Logged out successfully")


@router.post("/auth/ws-ticket", response_model_exclude_none=True)
def ws_ticket(user: SignedIn, response: Response) -> TicketAnswer:
    """A ticket that opens one WebSocket, for those who keep access tokens out of URLs (decision 13)."""
    response.headers["Cache-Control"] = "no-store"
    ticket, expires_at = tokens.issue_ticket(user.user_id, user.username, user.role, user.family_id)
    return TicketAnswer(
        ticket=ticket,
        expires_at=iso(expires_at),
        expires_in=tokens.TICKET_S,
        signaling_url=settings().signaling_url,
        ice_servers=ice_servers_for(user.user_id),
    )


def _signed_in(response: Response, user: User, family: refresh.Family, *, by_cookie: bool) -> SignedInAnswer:
    """The tokens of a sign-in, which no cache may keep (RFC 6749 section 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    access_token, expires_in = tokens.issue_access(user.user_id, user.username, user.role, family.family_id)
    if by_cookie:
        cookies.set_refresh(response, family.token)
        cookies.set_csrf(response, tokens.issue_csrf()[0])
    return SignedInAnswer(access_token=access_token, refresh_token=family.token, expires_in=expires_in)
