"""Passwords, hashed by argon2id (RFC 9106). The parameters are here and nowhere else."""

from base64 import b64encode

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
"""19 MiB, 2, 1: OWASP's Password Storage Cheat Sheet's first choice, which a function of 512 MB affords."""

_SALT_BYTES = 16
_HASH_BYTES = 32
_hasher = PasswordHasher(
    time_cost=PASSES,
    memory_cost=MEMORY_KIB,
    parallelism=LANES,
    hash_len=_HASH_BYTES,
    salt_len=_SALT_BYTES,
    type=Type.ID,
)


def _unpadded(length: int) -> str:
    return b64encode(bytes(length)).decode().rstrip("=")


_NOBODY = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${_unpadded(_SALT_BYTES)}${_unpadded(_HASH_BYTES)}"
"""A hash that nothing is known to have, at the price of the others."""


def hashed(password: str) -> str:
    """The password's hash in the PHC string format, with a salt of its own; about 20 ms of one core."""
    return _hasher.hash(password)


def matches(password: str, stored: str | None) -> bool:
    """Whether the password is the one that was stored. None (no such user) takes as long and is False."""
    try:
        _hasher.verify(_NOBODY if stored is None else stored, password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's, and should be made anew at the next sign-in."""
    return _hasher.check_needs_rehash(stored)
