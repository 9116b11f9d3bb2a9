"""Profiles: who reads what, who changes what, and what a change ends."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from meet.clock import new_id
from meet.domain.user import Role, User
from meet.store import users

USERS = "/api/v1/users"
PASSWORD = "SecurePass123!"
AVATAR = "https://example.com/avatar.jpg"

Headers = dict[str, str]


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def alice(signed_in: Callable[..., Headers]) -> Headers:
    return signed_in("alice")


@pytest.fixture
def bob(signed_in: Callable[..., Headers]) -> Headers:
    return signed_in("bob")


@pytest.fixture
def root(signed_in: Callable[..., Headers]) -> Headers:
    return signed_in("root", Role.ADMINISTRATOR)


def stored(name: str) -> User:
    user = users.find(name)
    assert user is not None
    return user


def path(name: str) -> str:
    return f"{USERS}/{stored(name).user_id}"


class TestRead:
    def test_oneself_by_me_and_by_id(self, http: Any, alice: Headers) -> None:
        answer = http.get(f"{USERS}/me", headers=alice)
        body = answer.json()
        assert answer.status_code == 200
        assert answer.headers["etag"] == '"1"'
        assert body == http.get(path("alice"), headers=alice).json()
        assert {key: body[key] for key in ("username", "email", "avatar_url", "role")} == {
            "username": "alice",
            "email": "alice@example.com",
            "avatar_url": "",
            "role": "user",
        }
        assert body["created_at"].endswith("Z")
        assert body["updated_at"].endswith("Z")

    def test_another_without_the_email(self, http: Any, alice: Headers, bob: Headers) -> None:
        body = http.get(path("alice"), headers=bob).json()
        assert (body["username"], body["email"]) == ("alice", "")

    def test_an_administrator_sees_all(self, http: Any, alice: Headers, root: Headers) -> None:
        assert http.get(path("alice"), headers=root).json()["email"] == "alice@example.com"

    def test_an_id_in_another_spelling_is_the_same(self, http: Any, alice: Headers) -> None:
        assert http.get(path("alice").upper().replace(USERS.upper(), USERS), headers=alice).status_code == 200

    @pytest.mark.parametrize("user_id", [str(uuid4()), "123", "you", "é", "x" * 3000])
    def test_who_does_not_exist_is_not_found(self, http: Any, alice: Headers, user_id: str) -> None:
        assert error(http.get(f"{USERS}/{user_id}", headers=alice)) == (404, "RESOURCE_NOT_FOUND")

    @pytest.mark.parametrize("what", ["me", str(uuid4())])
    def test_it_takes_a_sign_in(self, http: Any, what: str) -> None:
        assert error(http.get(f"{USERS}/{what}")) == (401, "MISSING_TOKEN")
        assert error(http.put(f"{USERS}/{what}", json={})) == (401, "MISSING_TOKEN")

    def test_a_user_who_is_gone_is_not_found(self, http: Any, bearer: Callable[..., Headers]) -> None:
        assert error(http.get(f"{USERS}/me", headers=bearer(new_id()))) == (404, "RESOURCE_NOT_FOUND")

    def test_health_and_metrics_are_no_ids(self, http: Any) -> None:
        assert http.get(f"{USERS}/health").json()["service"] == "user-service"
        assert http.get(f"{USERS}/metrics").status_code == 200


class TestUpdate:
    def test_the_documents_example(self, http: Any, alice: Headers) -> None:
        answer = http.put(path("alice"), json={"username": "newusername", "avatar_url": AVATAR}, headers=alice)
        body = answer.json()
        assert answer.status_code == 200
        assert answer.headers["etag"] == '"2"'
        assert {"user_id", "username", "email", "avatar_url", "updated_at"} <= set(body)
        assert (body["username"], body["email"], body["avatar_url"]) == ("newusername", "alice@example.com", AVATAR)
        assert http.get(f"{USERS}/me", headers=alice).json() == body
        assert users.find("alice") is None

    def test_me_may_be_changed_as_well(self, http: Any, alice: Headers) -> None:
        assert http.put(f"{USERS}/me", json={"avatar_url": AVATAR}, headers=alice).json()["avatar_url"] == AVATAR
        assert http.put(f"{USERS}/me", json={"avatar_url": ""}, headers=alice).json()["avatar_url"] == ""

    @pytest.mark.parametrize("body", [{}, {"username": None, "avatar_url": None}, {"role": "admin", "user_id": "x"}])
    def test_what_is_not_ours_to_give_changes_nothing(self, http: Any, alice: Headers, body: Any) -> None:
        before = stored("alice")
        assert http.put(path("alice"), json=body, headers=alice).status_code == 200
        assert stored("alice") == before

    @pytest.mark.parametrize(
        "body",
        [
            {"username": "x"},
            {"username": 12345},
            {"avatar_url": "javascript:alert(1)"},
            {"avatar_url": f"{AVATAR}?{'x' * 2048}"},
            {"email": "nobody"},
            {"password": "short"},
        ],
    )
    def test_what_is_malformed_is_refused(self, http: Any, alice: Headers, body: dict[str, Any]) -> None:
        answer = http.put(path("alice"), json=body, headers=alice)
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert set(answer.json()["error"]["details"]) == set(body)

    def test_a_taken_name_is_a_conflict(self, http: Any, alice: Headers, bob: Headers) -> None:
        answer = http.put(path("alice"), json={"username": "BOB", "avatar_url": AVATAR}, headers=alice)
        assert error(answer) == (409, "RESOURCE_CONFLICT")
        assert answer.json()["error"]["message"] == "User with username 'BOB' already exists"
        assert stored("alice").avatar_url == ""

    def test_a_stranger_may_not(self, http: Any, alice: Headers, bob: Headers) -> None:
        before = stored("alice")
        answer = http.put(path("alice"), json={"avatar_url": AVATAR}, headers=bob)
        assert error(answer) == (403, "INSUFFICIENT_PERMISSIONS")
        assert stored("alice") == before

    def test_an_administrator_may_without_the_password(self, http: Any, alice: Headers, root: Headers) -> None:
        body = {"username": "carol", "email": "carol@example.com", "password": "another password"}
        assert http.put(path("alice"), json=body, headers=root).status_code == 200
        assert error(http.get(f"{USERS}/me", headers=alice)) == (401, "INVALID_TOKEN")
        again = {"username": "carol@example.com", "password": "another password"}
        assert http.post("/api/v1/auth/login", json=again).status_code == 200

    def test_an_administrator_finds_nobody_to_change(self, http: Any, root: Headers) -> None:
        assert error(http.put(f"{USERS}/{uuid4()}", json={}, headers=root)) == (404, "RESOURCE_NOT_FOUND")

    def test_if_match_is_honoured(self, http: Any, alice: Headers) -> None:
        change = {"avatar_url": AVATAR}
        assert http.put(path("alice"), json=change, headers=alice | {"If-Match": '"1"'}).status_code == 200
        late = http.put(path("alice"), json={"avatar_url": ""}, headers=alice | {"If-Match": '"1"'})
        assert error(late) == (412, "PRECONDITION_FAILED")
        assert stored("alice").avatar_url == AVATAR


class TestPassword:
    NEW = "another password"

    def test_a_new_password_ends_the_other_sign_ins(self, http: Any, signed_in: Callable[..., Headers]) -> None:
        here, there = signed_in("alice"), signed_in("alice")
        body = {"password": self.NEW, "current_password": PASSWORD}
        assert http.put(f"{USERS}/me", json=body, headers=here).status_code == 200
        assert http.get(f"{USERS}/me", headers=here).status_code == 200
        assert error(http.get(f"{USERS}/me", headers=there)) == (401, "INVALID_TOKEN")
        for password, status in ((PASSWORD, 401), (self.NEW, 200)):
            answer = http.post("/api/v1/auth/login", json={"username": "alice", "password": password})
            assert answer.status_code == status

    def test_this_sign_in_may_be_renewed(self, http: Any, registered: Callable[..., User]) -> None:
        registered("alice")
        tokens = http.post("/api/v1/auth/login", json={"username": "alice", "password": PASSWORD}).json()
        here = {"Authorization": f"Bearer {tokens['access_token']}"}
        body = {"password": self.NEW, "current_password": PASSWORD}
        assert http.put(f"{USERS}/me", json=body, headers=here).status_code == 200
        renewed = http.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert renewed.status_code == 200

    @pytest.mark.parametrize("change", [{"password": NEW}, {"email": "new@example.com"}])
    def test_it_takes_the_current_one(self, http: Any, alice: Headers, change: dict[str, str]) -> None:
        before = stored("alice")
        answer = http.put(f"{USERS}/me", json=change, headers=alice)
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert set(answer.json()["error"]["details"]) == {"current_password"}
        answer = http.put(f"{USERS}/me", json=change | {"current_password": "wrong"}, headers=alice)
        assert error(answer) == (403, "INSUFFICIENT_PERMISSIONS")
        assert stored("alice") == before
        answer = http.put(f"{USERS}/me", json=change | {"current_password": PASSWORD}, headers=alice)
        assert answer.status_code == 200

    def test_the_same_email_again_is_no_change(self, http: Any, alice: Headers) -> None:
        change = {"email": "alice@example.com", "avatar_url": AVATAR}
        assert http.put(f"{USERS}/me", json=change, headers=alice).status_code == 200
