"""The two cookies that keep a browser signed in: `meet_refresh`, which scripts can't read, and `meet_csrf`.

A page that was closed and opened again has no access token; it gets one from `auth/refresh` with these. The browser
sends `meet_refresh` by itself, so such a request must prove that it comes from our page: its `X-CSRF-Token` header
repeats what the page read from `meet_csrf`, which only a page of this origin can (decision 38).
"""

from fastapi import Request, Response

from meet import tokens
from meet.config import settings

REFRESH = "meet_refresh"
REFRESH_PATH = "/api/v1/auth"
CSRF = "meet_csrf"
CSRF_HEADER = "X-CSRF-Token"


def set_refresh(response: Response, token: str) -> None:
    """Keep the browser signed in for as long as the refresh token lives."""
    response.set_cookie(
        REFRESH,
        token,
        max_age=settings().refresh_token_s,
        path=REFRESH_PATH,
        secure=_secure(),
        httponly=True,
        samesite="strict",
    )


def set_csrf(response: Response, token: str) -> None:
    """Give the page's scripts the token to repeat."""
    response.set_cookie(
        CSRF, token, max_age=settings().refresh_token_s, path="/", secure=_secure(), samesite="strict"
    )


def clear(response: Response) -> None:
    """Forget both."""
    response.delete_cookie(REFRESH, path=REFRESH_PATH, secure=_secure(), httponly=True, samesite="strict")
    response.delete_cookie(CSRF, path="/", secure=_secure(), samesite="strict")


def csrf_token(request: Request) -> str | None:
    """The CSRF token that the browser has, not verified."""
    return request.cookies.get(CSRF)


def refresh_token(request: Request) -> str | None:
    """The refresh token of the cookie, or None; `Forbidden` where one comes without a matching CSRF token."""
    token = request.cookies.get(REFRESH)
    if not token:
        return None
    tokens.check_csrf(request.headers.get(CSRF_HEADER), csrf_token(request))
    return token


def _secure() -> bool:
    chosen = settings().cookie_secure
    return settings().base_url.startswith("https://") if chosen == "auto" else chosen == "yes"
