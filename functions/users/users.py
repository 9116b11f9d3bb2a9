"""`/api/v1/users`: profiles.

Any signed-in user may read the username and the avatar of another, as they are shown in a meeting; the email is for
oneself and for administrators, and "" for the others, since its key is documented. Oneself and administrators change.
"""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from meet import passwords
from meet.clock import utcnow
from meet.domain.user import User
from meet.errors import Forbidden, Invalid
from meet.store import refresh, users
from meet.web.auth import Principal, SignedIn
from meet.web.etag import etag, require_match

from .revocation import end_access
from .schemas import ProfileAnswer, UpdateBody

router = APIRouter(prefix="/api/v1/users", tags=["users"])


@router.get("/me")
def read_me(caller: SignedIn, response: Response) -> ProfileAnswer:
    """One's own profile."""
    return _read(caller, caller.user_id, response)


@router.put("/me")
def update_me(caller: SignedIn, body: UpdateBody, request: Request, response: Response) -> ProfileAnswer:
    """Change one's own profile; see the other PUT."""
    return _update(caller, caller.user_id, body, request, response)


@router.get("/{user_id}")
def read(caller: SignedIn, user_id: str, response: Response) -> ProfileAnswer:
    """A user's profile, with an `ETag`."""
    return _read(caller, _parsed(user_id), response)


@router.put("/{user_id}")
def update(caller: SignedIn, user_id: str, body: UpdateBody, request: Request, response: Response) -> ProfileAnswer:
    """Change a profile, one's own or as an administrator. `If-Match` is honoured: 412.

    Changing one's own email or password takes `current_password`. A new password ends all other sign-ins. Access
    tokens say the old username until they are renewed.
    """
    return _update(caller, _parsed(user_id), body, request, response)


def _parsed(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise users.not_found(text) from None


def _has_all_rights(caller: Principal, user_id: str) -> bool:
    return caller.user_id == user_id or caller.is_administrator


def _read(caller: Principal, user_id: str, response: Response) -> ProfileAnswer:
    user = users.get(user_id)
    if user is None:
        raise users.not_found(user_id)
    response.headers["ETag"] = etag(user.version)
    return ProfileAnswer.of(user, private=_has_all_rights(caller, user_id))


def _update(caller: Principal, user_id: str, body: UpdateBody, request: Request, response: Response) -> ProfileAnswer:
    if not _has_all_rights(caller, user_id):
        raise Forbidden

    def change(user: User) -> User:
        require_match(request, user.version)
        if caller.user_id == user_id:
            _confirm(user, body)
        return user.updated(
            at=utcnow(),
            username=body.username,
            email=body.email,
            avatar_url=body.avatar_url,
            password_hash=passwords.hashed(body.password) if body.password else None,
        )

    user = users.update(user_id, change)
    if body.password:
        own = caller.family_id if caller.user_id == user_id else None
        end_access(refresh.revoke_others(user_id, keep=own, password_epoch=user.password_epoch))
    response.headers["ETag"] = etag(user.version)
    return ProfileAnswer.of(user, private=True)


def _confirm(user: User, body: UpdateBody) -> None:
    """Whether it is the user who changes what the account is recovered with, and not merely who has a token."""
    if not body.password and body.email in (None, user.email):
        return
    if body.current_password is None:
        raise Invalid(details={"current_password": "The current password is needed to change the email or password"})
    if not passwords.matches(body.current_password, user.password_hash):
        raise Forbidden("The current password is not correct")
