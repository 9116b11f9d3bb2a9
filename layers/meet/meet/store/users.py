"""Users in DynamoDB. Their username and email are claimed as `names` in the transaction that writes the row."""

from collections.abc import Callable

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.transactions import TransactWrite

from meet import passwords
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.user import Role, User, fold, valid_password, valid_username
from meet.errors import Conflict, NotFound, Unavailable
from meet.store import names
from meet.store.base import Row, condition_failed, reasons, transaction

ATTEMPTS = 10
"""Rounds of an optimistic write. Each lost round means that another writer's succeeded."""

_NOBODY = "00000000-0000-0000-0000-000000000000"
"""Read where a name has no owner, so that finding nobody takes as long as finding somebody."""


class _UserRow(Row):
    table = "users"

    user_id = UnicodeAttribute(hash_key=True)
    username = UnicodeAttribute()
    email = UnicodeAttribute()
    password_hash = UnicodeAttribute()
    password_epoch = NumberAttribute()
    role = UnicodeAttribute()
    avatar_url = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    updated_at = UTCDateTimeAttribute()
    version = NumberAttribute()


def add(user: User) -> None:
    """Store a new user; `Conflict` where the username or the email is taken."""
    claims = _claims(user)
    write = transaction()
    for name in claims:
        names.claim(write, name, user.user_id)
    write.save(_row(user), condition=_UserRow.user_id.does_not_exist())
    _commit(write, list(claims.values()))


def get(user_id: str) -> User | None:
    """The user with this id as it is now, or None."""
    try:
        return _user(_UserRow.get(user_id, consistent_read=True))
    except DoesNotExist:
        return None


def find(login: str) -> User | None:
    """The user who signs in with this username or email, or None."""
    kind = "email" if "@" in login else "user"
    return get(names.owner(f"{kind}#{fold(login)}") or _NOBODY)


def update(user_id: str, change: Callable[[User], User]) -> User:
    """Replace a user by what `change` makes of it; `change` is called again where another write came between.

    A new username or email is swapped for the old in the same transaction. Raises `NotFound`, `Conflict` where a
    name is taken, and whatever `change` raises.
    """
    for _ in range(ATTEMPTS):
        before = get(user_id)
        if before is None:
            raise not_found(user_id)
        after = change(before)
        if after is before or _replace(before, after):
            return after
    raise Unavailable


def not_found(user_id: str) -> NotFound:
    """What is answered where there is no such user."""
    return NotFound(f"User with ID '{user_id}' not found")


def store_rehashed(user: User, password_hash: str) -> None:
    """Replace the hash of an unchanged password; nothing happens where the password was changed meanwhile."""
    try:
        _UserRow(user.user_id).update(
            [_UserRow.password_hash.set(password_hash)],
            condition=_UserRow.password_hash == user.password_hash,
        )
    except UpdateError as error:
        if not condition_failed(error):
            raise


def ensure_administrator() -> User | None:
    """Make the administrator of `MEET_ADMIN_USERNAME` and `MEET_ADMIN_PASSWORD` where there is none of that name.

    None where no name is configured. May be repeated, and run by many at once: a password that was changed since
    stays. Raises `ValueError` where the name or the password may not be one, or the name belongs to a user who is
    no administrator; whoever registered it first must not be promoted.
    """
    name = settings().admin_username
    if not name:
        return None
    found = find(valid_username(name)) or _add_administrator(name)
    if found.role is not Role.ADMINISTRATOR:
        raise ValueError(f"MEET_ADMIN_USERNAME is '{name}', which is an ordinary user's name: choose another")
    return found


def _add_administrator(name: str) -> User:
    password = settings().admin_password.get_secret_value()
    if not password:
        raise ValueError("MEET_ADMIN_USERNAME needs MEET_ADMIN_PASSWORD: there is no default password")
    now = utcnow()
    user = User(
        user_id=new_id(),
        username=valid_username(name),
        email="",
        password_hash=passwords.hashed(valid_password(password)),
        created_at=now,
        updated_at=now,
        role=Role.ADMINISTRATOR,
    )
    try:
        add(user)
    except Conflict:
        other = find(user.username)
        if other is None:
            raise
        return other
    return user


def _claims(user: User) -> dict[str, Conflict]:
    """The names that a user must have, each with what is said where it is taken."""
    claims = {f"user#{fold(user.username)}": Conflict(f"User with username '{user.username}' already exists")}
    if user.email:
        claims[f"email#{fold(user.email)}"] = Conflict(f"User with email '{user.email}' already exists")
    return claims


def _replace(before: User, after: User) -> bool:
    """Write a user and swap its names; False where the stored version is no longer `before`'s."""
    old, new = _claims(before), _claims(after)
    gained = {name: taken for name, taken in new.items() if name not in old}
    write = transaction()
    lost = [name for name in old if name not in new]
    for name in lost:
        names.drop(write, name)
    for name in gained:
        names.claim(write, name, after.user_id)
    write.save(_row(after), condition=_UserRow.version == before.version)
    return _commit(write, [None] * len(lost) + list(gained.values()))


def _commit(write: TransactWrite, refusals: list[Conflict | None]) -> bool:
    """Commit a transaction whose last operation is the user's row; False where that one's condition failed.

    Raises the refusal of the first other operation that failed.
    """
    try:
        with write:
            pass
    except TransactWriteError as error:
        *failed, stale = reasons(error)
        if stale:
            return False
        raise next(refusal for refusal, did in zip(refusals, failed, strict=True) if did and refusal) from None
    return True


def _row(user: User) -> _UserRow:
    return _UserRow(
        user_id=user.user_id,
        username=user.username,
        email=user.email,
        password_hash=user.password_hash,
        password_epoch=user.password_epoch,
        role=user.role.value,
        avatar_url=user.avatar_url,
        created_at=user.created_at,
        updated_at=user.updated_at,
        version=user.version,
    )


def _user(row: _UserRow) -> User:
    return User(
        user_id=row.user_id,
        username=row.username,
        email=row.email,
        password_hash=row.password_hash,
        password_epoch=int(row.password_epoch),
        role=Role(row.role),
        avatar_url=row.avatar_url,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=int(row.version),
    )
