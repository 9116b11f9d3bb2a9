"""argon2id at OWASP's minimum, and the same work for a user who isn't there."""

import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type

from meet import passwords


def test_a_password_matches_its_hash_alone() -> None:
    stored = passwords.hashed("SecurePass123!")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.matches("SecurePass123!", stored)
    assert not passwords.matches("securePass123!", stored)
    assert passwords.hashed("SecurePass123!") != stored


def test_nobody_has_no_password() -> None:
    assert not passwords.matches("", None)


def test_what_is_no_hash_matches_nothing() -> None:
    assert not passwords.matches("SecurePass123!", "plain")


def shape(stored: str) -> tuple[list[str], list[int]]:
    """What argon2's work depends on: the parameters, and how long the salt and the hash are."""
    parts = stored.split("$")
    return parts[:4], [len(part) for part in parts[4:]]


def test_nobody_costs_what_somebody_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    verify = PasswordHasher.verify
    asked: list[str] = []

    def spy(self: PasswordHasher, stored: str, password: str) -> bool:
        asked.append(stored)
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", spy)
    stored = passwords.hashed("SecurePass123!")
    passwords.matches("wrong", stored)
    passwords.matches("wrong", None)
    assert shape(asked[0]) == shape(asked[1])


def test_a_hash_of_other_parameters_is_outdated() -> None:
    assert not passwords.is_outdated(passwords.hashed("SecurePass123!"))
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1, type=Type.ID).hash("SecurePass123!")
    assert passwords.is_outdated(cheap)
    assert passwords.matches("SecurePass123!", cheap)
