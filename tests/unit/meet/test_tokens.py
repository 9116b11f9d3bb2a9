"""Tokens are what they say, for as long as they say, and for nothing else."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from meet import tokens
from meet.clock import utcnow
from meet.config import settings
from meet.domain.user import Role
from meet.errors import Forbidden, InvalidToken

SECRET = "s" * 32


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MEET_JWT_SECRET", SECRET)
    settings.cache_clear()
    yield
    settings.cache_clear()


def access(now: datetime | None = None) -> str:
    return tokens.issue_access("u1", "alice", "user", "f1", now=now)[0]


def forged(**changes: object) -> str:
    payload = jwt.decode(access(), options={"verify_signature": False}) | changes
    return jwt.encode({key: value for key, value in payload.items() if value is not None}, SECRET, "HS256")


def test_an_access_token_says_who_signed_in() -> None:
    before = utcnow().replace(microsecond=0)
    token, expires_in = tokens.issue_access("u1", "alice", "admin", "f1")
    claims = tokens.read_access(token)
    assert expires_in == 3600
    assert (claims.user_id, claims.username, claims.role, claims.family_id) == (
        "u1",
        "alice",
        Role.ADMINISTRATOR,
        "f1",
    )
    assert timedelta(0) <= claims.expires_at - before - timedelta(hours=1) <= timedelta(seconds=5)


def test_each_token_has_an_id_of_its_own() -> None:
    assert tokens.read_access(access()).token_id != tokens.read_access(access()).token_id


def test_a_ticket_lives_for_a_minute() -> None:
    now = datetime(2999, 1, 1, tzinfo=UTC)
    ticket, expires_at = tokens.issue_ticket("u1", "alice", "user", "f1", now=now)
    assert expires_at == now + timedelta(seconds=60)
    assert tokens.read_ticket(ticket).expires_at == expires_at


def test_a_socket_takes_either() -> None:
    ticket, _ = tokens.issue_ticket("u1", "alice", "user", "f1")
    assert tokens.read_socket_token(access())[1] is False
    assert tokens.read_socket_token(ticket)[1] is True


def test_none_passes_for_another() -> None:
    ticket, _ = tokens.issue_ticket("u1", "alice", "user", "f1")
    csrf, _ = tokens.issue_csrf()
    for read, texts in [
        (tokens.read_access, [ticket, csrf]),
        (tokens.read_ticket, [access(), csrf]),
        (tokens.read_socket_token, [csrf]),
        (tokens.read_csrf, [access(), ticket]),
    ]:
        for text in texts:
            with pytest.raises(InvalidToken):
                read(text)


def test_an_expired_token_is_refused() -> None:
    with pytest.raises(InvalidToken):
        tokens.read_access(access(utcnow() - timedelta(seconds=3601)))


def test_a_clock_that_is_ahead_is_forgiven() -> None:
    assert tokens.read_access(access(utcnow() + timedelta(seconds=30))).user_id == "u1"


@pytest.mark.parametrize(
    "changes",
    [{"iss": "other"}, {"iss": None}, {"aud": None}, {"exp": None}, {"jti": None}, {"fam": None}, {"role": None}],
)
def test_a_token_lacking_something_is_refused(changes: dict[str, object]) -> None:
    assert tokens.read_access(forged()).user_id == "u1"
    with pytest.raises(InvalidToken):
        tokens.read_access(forged(**changes))


@pytest.mark.parametrize("changes", [{"role": "owner"}, {"exp": 10**15}])
def test_a_token_saying_what_nobody_here_says_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        tokens.read_access(forged(**changes))


def test_only_our_algorithm_is_accepted() -> None:
    payload = jwt.decode(access(), options={"verify_signature": False})
    with pytest.raises(InvalidToken):
        tokens.read_access(jwt.encode(payload, None, "none"))
    with pytest.raises(InvalidToken):
        tokens.read_access(jwt.encode(payload, SECRET * 2, "HS512"))


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        "\ud800",
        "\x00",
        "x" * 100_000,
        part({"alg": "HS256"}) + ".e30.",
        part([]) + ".e30.x",
    ],
)
def test_garbage_is_refused(garbage: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.read_socket_token(garbage)


def test_a_deep_header_is_refused() -> None:
    deep = urlsafe_b64encode(b"[" * 60_000).decode().rstrip("=")
    with pytest.raises(InvalidToken):
        tokens.read_access(f"{deep}.e30.x")


def test_another_secret_signs_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    token = access()
    monkeypatch.setenv("MEET_JWT_SECRET", "t" * 32)
    settings.cache_clear()
    with pytest.raises(InvalidToken):
        tokens.read_access(token)


def test_an_expired_token_still_says_whose_it_was_to_who_asks_for_that() -> None:
    token = access(now=utcnow() - timedelta(days=1))
    with pytest.raises(InvalidToken):
        tokens.read_access(token)
    assert tokens.read_access(token, expired_too=True).expires_at < utcnow()
    for forged in (token[:-4] + "AAAA", tokens.issue_ticket("u", "n", "user", "f")[0]):
        with pytest.raises(InvalidToken):
            tokens.read_access(forged, expired_too=True)


def test_a_weak_secret_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEET_JWT_SECRET", "short")
    settings.cache_clear()
    with pytest.raises(RuntimeError, match="MEET_JWT_SECRET is missing or too short: it needs 32 bytes"):
        access()


def test_a_csrf_token_must_be_ours_and_twice_the_same() -> None:
    token, expires_at = tokens.issue_csrf()
    other, _ = tokens.issue_csrf()
    tokens.check_csrf(token, token)
    assert tokens.read_csrf(token) == expires_at
    expired, _ = tokens.issue_csrf(now=utcnow() - timedelta(days=8))
    for header, cookie in [
        (None, token),
        (token, None),
        ("", ""),
        (token, other),
        ("forged", "forged"),
        (expired, expired),
        ("é", "é"),
    ]:
        with pytest.raises(Forbidden):
            tokens.check_csrf(header, cookie)
