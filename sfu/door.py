"""Who may open a socket: an access token that isn't revoked, or a ticket that nobody has used (decision 13)."""

from collections.abc import Collection

from redis.asyncio import Redis
from redis.exceptions import RedisError

from meet.errors import InvalidToken, Unavailable
from meet.tokens import TICKET_S, Claims, read_socket_token, revocation_key, ticket_key


async def admit(redis: Redis, token: str) -> Claims:
    """Whose token this is; a ticket is spent by it.

    Raises `InvalidToken`, and `Unavailable` where Redis can't say whether it was revoked (decision 49).
    """
    claims, is_ticket = read_socket_token(token)
    pipe = redis.pipeline(transaction=False)
    pipe.exists(revocation_key(claims.family_id))
    if is_ticket:
        pipe.set(ticket_key(claims.token_id), 1, nx=True, ex=TICKET_S)
    try:
        revoked, *first_use = await pipe.execute()
    except RedisError:
        raise Unavailable from None
    if revoked or not all(first_use):
        raise InvalidToken
    return claims


async def revoked_of(redis: Redis, family_ids: Collection[str]) -> frozenset[str]:
    """Which of these sign-ins were revoked. Raises `redis.exceptions.RedisError`."""
    asked = list(family_ids)
    if not asked:
        return frozenset()
    found = await redis.mget([revocation_key(family_id) for family_id in asked])
    return frozenset(family_id for family_id, value in zip(asked, found, strict=True) if value is not None)
