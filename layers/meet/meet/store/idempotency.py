"""The first answer to each `Idempotency-Key`, and the lease of the request that is still making it.

An entry begins as a lease, put where there is none, and becomes the answer. A process that dies while it works leaves
a lease that ends; whoever then repeats the request takes it over. DynamoDB expires entries late, so every reader
compares the times itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.attributes import BinaryAttribute, NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, PutError, UpdateError

from meet.errors import MeetError
from meet.store.base import Row, condition_failed

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class InProgress(MeetError):
    """409: the first request with this key has no answer yet; to be repeated when it has."""

    def __init__(self) -> None:
        super().__init__(
            "REQUEST_IN_PROGRESS", 409, "A request with this Idempotency-Key is being processed", retry_after_s=1
        )


class KeyReused(MeetError):
    """409: the key was used for another request."""

    def __init__(self) -> None:
        super().__init__(
            "IDEMPOTENCY_KEY_REUSED", 409, "This Idempotency-Key was already used for a different request"
        )


class _Row(Row):
    table = "idempotency"

    key = UnicodeAttribute(hash_key=True)
    fingerprint = UnicodeAttribute()
    owner = UnicodeAttribute()
    lease_until = NumberAttribute()
    """Unix seconds; 0 once there is an answer."""
    status = NumberAttribute(null=True)
    headers = UnicodeAttribute(null=True)
    body = BinaryAttribute(null=True, legacy_encoding=False)
    expires_at = TTLAttribute()


def claim(key: str, fingerprint: str, *, owner: str, now: datetime, lease_s: int, keep_s: int) -> StoredAnswer | None:
    """Begin the request `key`: None where the caller is the one to run it, else the answer of the first.

    `fingerprint` tells whether it is the same request, `owner` is unique to this attempt. The lease ends after
    `lease_s`, everything after `keep_s`. Raises `InProgress` or `KeyReused`.
    """
    row = _Row(
        key,
        fingerprint=fingerprint,
        owner=owner,
        lease_until=int(now.timestamp()) + lease_s,
        expires_at=now + timedelta(seconds=keep_s),
    )
    lease_over = (_Row.lease_until > 0) & (_Row.lease_until <= int(now.timestamp()))
    free = _Row.key.does_not_exist() | lease_over | (_Row.expires_at <= now)
    for _ in range(ATTEMPTS):
        try:
            row.save(condition=free)
        except PutError as error:
            if not condition_failed(error):
                raise
        else:
            return None
        try:
            found = _Row.get(key, consistent_read=True)
        except _Row.DoesNotExist:  # released between the two
            continue
        if found.owner == owner:  # our own put, which was repeated after its answer had been lost
            return None
        if found.fingerprint != fingerprint:
            raise KeyReused
        if found.status is not None:
            return StoredAnswer(int(found.status), json.loads(found.headers or "{}"), found.body or b"")
        raise InProgress
    raise InProgress


def finish(key: str, answer: StoredAnswer, *, owner: str) -> bool:
    """Keep the answer of the request that `owner` ran; False where its lease had ended and another ran it."""
    try:
        _Row(key).update(
            actions=[
                _Row.status.set(answer.status),
                _Row.headers.set(json.dumps(dict(answer.headers))),
                _Row.body.set(answer.body),
                _Row.lease_until.set(0),
            ],
            condition=_Row.owner == owner,
        )
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True


def release(key: str, *, owner: str) -> None:
    """Forget the request that `owner` ran: its answer is not to be repeated, the next one runs again."""
    try:
        _Row(key).delete(condition=_Row.owner == owner)
    except DeleteError as error:
        if not condition_failed(error):
            raise
