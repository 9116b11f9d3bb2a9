"""Refresh tokens in DynamoDB. One sign-in is a family: a row that knows only its newest token, and that by hash.

A token is spent by using it: `rotate` swaps it for the next in one conditional write. Whoever brings another token
of a living family than the newest brings a spent one, so two parties have had it, and the family ends for both
(RFC 9700 section 4.14.2). A family also ends with the password that it was opened with.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_bytes
from uuid import UUID, uuid4

from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from meet.config import settings
from meet.errors import InvalidToken
from meet.store.base import Row, condition_failed

SECRET_BYTES = 32
_FAMILY_BYTES = 16
_TOKEN_LENGTH = (_FAMILY_BYTES + SECRET_BYTES) * 4 // 3


class _ByUser(GlobalSecondaryIndex["_FamilyRow"]):
    class Meta:
        index_name = "by-user"
        projection = KeysOnlyProjection()

    user_id = UnicodeAttribute(hash_key=True)


class _FamilyRow(Row):
    table = "refresh"

    family_id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute()
    password_epoch = NumberAttribute()
    token_hash = UnicodeAttribute()
    ttl = TTLAttribute()
    by_user = _ByUser()


@dataclass(frozen=True, slots=True)
class Family:
    """A sign-in, and the one token that continues it."""

    family_id: str
    user_id: str
    password_epoch: int
    """Of the user when it began: `User.password_epoch`. Its reader compares them."""
    token: str = field(repr=False)


class SpentToken(InvalidToken):
    """A refresh token was used twice. Its family has ended; the caller ends its access tokens too."""

    def __init__(self, family_id: str) -> None:
        super().__init__()
        self.family_id = family_id


def start(user_id: str, password_epoch: int, *, now: datetime) -> Family:
    """Open a family with its first token."""
    family = uuid4()
    token = _token(family)
    _FamilyRow(
        family_id=str(family),
        user_id=user_id,
        password_epoch=password_epoch,
        token_hash=_hash(token),
        ttl=_expiry(now),
    ).save()
    return Family(str(family), user_id, password_epoch, token)


def rotate(token: str, *, now: datetime) -> Family:
    """Spend a token and get the next, for another `refresh_token_s`.

    Raises `InvalidToken` where it is malformed, unknown or expired, and `SpentToken` where it was spent already.
    """
    family_id = family_of(token)
    successor = _token(UUID(family_id))
    row = _FamilyRow(family_id)
    try:
        row.update(
            [_FamilyRow.token_hash.set(_hash(successor)), _FamilyRow.ttl.set(_expiry(now))],
            condition=(_FamilyRow.token_hash == _hash(token)) & (_FamilyRow.ttl > now),
        )
    except UpdateError as error:
        if not condition_failed(error):
            raise
        row = _refused(family_id, _hash(successor), now)
    return Family(family_id, row.user_id, int(row.password_epoch), successor)


def _refused(family_id: str, successor_hash: str, now: datetime) -> _FamilyRow:
    """Why a token couldn't be spent; the row where it was, by a write of ours that was repeated unheard."""
    try:
        row = _FamilyRow.get(family_id, consistent_read=True)
    except DoesNotExist:
        raise InvalidToken from None
    if row.token_hash == successor_hash:
        return row
    if row.ttl <= now:
        raise InvalidToken
    revoke(family_id)
    raise SpentToken(family_id)


def family_of(token: str) -> str:
    """The family that a token says it is of, not verified; `InvalidToken` where it is malformed."""
    if len(token) != _TOKEN_LENGTH:
        raise InvalidToken
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except ValueError:
        raise InvalidToken from None
    if len(raw) != _FAMILY_BYTES + SECRET_BYTES:
        raise InvalidToken
    return str(UUID(bytes=raw[:_FAMILY_BYTES]))


def revoke(family_id: str) -> None:
    """End a family; may be repeated."""
    _FamilyRow(family_id).delete()


def revoke_others(user_id: str, *, keep: str | None, password_epoch: int) -> list[str]:
    """End all of a user's families but one, which goes on with the new password; the ids of those that ended.

    The index may not show a family that began within the last second; its epoch ends that one at its next refresh.
    """
    if keep is not None:
        _adopt(keep, password_epoch)
    others = [row.family_id for row in _FamilyRow.by_user.query(user_id) if row.family_id != keep]
    for family_id in others:
        revoke(family_id)
    return others


def _adopt(family_id: str, password_epoch: int) -> None:
    try:
        _FamilyRow(family_id).update(
            [_FamilyRow.password_epoch.set(password_epoch)], condition=_FamilyRow.family_id.exists()
        )
    except UpdateError as error:
        if not condition_failed(error):  # it ended meanwhile
            raise


def _token(family: UUID) -> str:
    return urlsafe_b64encode(family.bytes + token_bytes(SECRET_BYTES)).decode("ascii")


def _hash(token: str) -> str:
    """Plain SHA-256: 256 random bits need no salt and no slow hash."""
    return sha256(token.encode("ascii")).hexdigest()


def _expiry(now: datetime) -> datetime:
    return now + timedelta(seconds=settings().refresh_token_s)
