"""The User Service in this process, and users who registered with it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from fakeredis import FakeServer

from functions.users.app import app
from meet.clock import new_id, utcnow
from meet.domain.user import Role, User
from meet.passwords import hashed
from meet.store import users
from meet.web.redis import circuit

PASSWORD = "SecurePass123!"

Headers = dict[str, str]


@pytest.fixture
def http(http_to: Callable[[Any], Any]) -> Any:
    return http_to(app)


@pytest.fixture
def registered(environment: object) -> Callable[..., User]:
    """`registered("alice")`: a stored user, `alice@example.com`, whose password is `PASSWORD`."""

    def register(name: str, role: Role = Role.USER) -> User:
        now = utcnow()
        user = User(
            new_id(), name, f"{name}@example.com", hashed(PASSWORD), created_at=now, updated_at=now, role=role
        )
        users.add(user)
        return user

    return register


@pytest.fixture
def signed_in(http: Any, registered: Callable[..., User]) -> Callable[..., Headers]:
    """`signed_in("alice")`: registers and signs in; the headers of that sign-in."""

    def sign_in(name: str, role: Role = Role.USER) -> Headers:
        if users.find(name) is None:
            registered(name, role)
        answer = http.post("/api/v1/auth/login", json={"username": name, "password": PASSWORD})
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    return sign_in


@pytest.fixture
def redis_away(environment: FakeServer) -> Callable[[], AbstractContextManager[None]]:
    """`with redis_away(): ...`: nobody reaches Redis meanwhile; afterwards everybody asks it again at once."""

    @contextmanager
    def away() -> Iterator[None]:
        environment.connected = False
        yield
        environment.connected = True
        circuit._closed_until = 0.0

    return away
