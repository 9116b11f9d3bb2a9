"""Becoming a user, signing in, staying signed in, signing out."""

import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from redis import Redis

from meet import tokens
from meet.clock import utcnow
from meet.config import settings
from meet.domain.user import User
from meet.store import refresh, users

AUTH = "/api/v1/auth"
PASSWORD = "SecurePass123!"
TESTUSER = {"username": "testuser", "email": "test@example.com", "password": PASSWORD}

Headers = dict[str, str]
Registered = Callable[..., User]
SignedIn = Callable[..., Headers]
RedisAway = Callable[[], AbstractContextManager[None]]


def cookies_of(answer: httpx.Response) -> dict[str, "Morsel[str]"]:
    jar: SimpleCookie = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return dict(jar)


def login(http: Any, username: str = "testuser", password: str = PASSWORD) -> httpx.Response:
    answer: httpx.Response = http.post(f"{AUTH}/login", json={"username": username, "password": password})
    return answer


def error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


class TestRegister:
    def test_it_answers_the_documents_keys(self, http: Any) -> None:
        answer = http.post(f"{AUTH}/register", json=TESTUSER)
        body = answer.json()
        assert answer.status_code == 201
        assert set(body) == {"user_id", "username", "email", "created_at"}
        assert (body["username"], body["email"]) == ("testuser", "test@example.com")
        assert body["created_at"].endswith("Z")
        stored = users.get(body["user_id"])
        assert stored is not None
        assert stored.password_hash.startswith("$argon2id$")

    def test_a_taken_name_or_email_is_a_conflict_in_the_documents_words(self, http: Any) -> None:
        http.post(f"{AUTH}/register", json=TESTUSER)
        answer = http.post(f"{AUTH}/register", json=TESTUSER | {"username": "other"})
        assert error(answer) == (409, "RESOURCE_CONFLICT")
        assert answer.json()["error"]["message"] == "User with email 'test@example.com' already exists"
        answer = http.post(f"{AUTH}/register", json=TESTUSER | {"email": "other@example.com"})
        assert answer.json()["error"]["message"] == "User with username 'testuser' already exists"

    def test_each_bad_field_is_named(self, http: Any) -> None:
        answer = http.post(f"{AUTH}/register", json={"username": "a b", "email": "nobody", "password": "short"})
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert answer.json()["error"]["details"] == {
            "username": "Username may contain letters, digits, '.', '_' and '-' only",
            "email": "Invalid email format",
            "password": "Password must be at least 8 characters",
        }

    @pytest.mark.parametrize(
        "changes",
        [
            {"email": "a@b"},
            {"email": "x" * 250 + "@example.com"},
            {"email": "a@example.com, b@example.com"},
            {"email": None},
            {"username": 123},
            {"username": ["a"]},
            {"password": "x" * 257},
            {"password": {"$ne": ""}},
        ],
    )
    def test_what_is_malformed_is_refused(self, http: Any, changes: dict[str, Any]) -> None:
        answer = http.post(f"{AUTH}/register", json=TESTUSER | changes)
        assert error(answer) == (400, "VALIDATION_ERROR")
        assert set(answer.json()["error"]["details"]) == set(changes)

    @pytest.mark.parametrize("field", ["username", "email", "password"])
    def test_half_a_surrogate_pair_is_refused(self, http: Any, field: str) -> None:
        content = json.dumps(TESTUSER | {field: "\ud800abcdefgh"})
        answer = http.post(f"{AUTH}/register", content=content, headers={"Content-Type": "application/json"})
        assert error(answer) == (400, "VALIDATION_ERROR")

    def test_an_internal_domain_and_other_scripts_are_fine(self, http: Any) -> None:
        answer = http.post(
            f"{AUTH}/register", json={"username": "Ωmega", "email": "δοκιμή@meet.test", "password": "ключ ключ"}
        )
        assert answer.status_code == 201
        assert login(http, "ωMEGA", "ключ ключ").status_code == 200

    def test_a_key_makes_one_account_of_two_requests(self, http: Any) -> None:
        headers = {"Idempotency-Key": "k1"}
        first, second = (http.post(f"{AUTH}/register", json=TESTUSER, headers=headers) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()


class TestLogin:
    def test_it_answers_the_documents_keys(self, http: Any, registered: Registered) -> None:
        user = registered("testuser")
        answer = login(http)
        body = answer.json()
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert set(body) == {"access_token", "refresh_token", "expires_in", "token_type"}
        assert (body["expires_in"], body["token_type"]) == (3600, "Bearer")
        claims = tokens.read_access(body["access_token"])
        assert (claims.user_id, claims.username, claims.role) == (user.user_id, "testuser", "user")

    def test_the_cookies_are_for_browsers(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        answer = login(http)
        cookies = cookies_of(answer)
        kept, csrf = cookies["meet_refresh"], cookies["meet_csrf"]
        assert kept.value == answer.json()["refresh_token"]
        assert (kept["path"], kept["samesite"], kept["max-age"]) == ("/api/v1/auth", "strict", "604800")
        assert kept["httponly"]
        assert kept["secure"]
        assert (csrf["path"], csrf["samesite"], csrf["httponly"]) == ("/", "strict", "")
        assert csrf["secure"]
        tokens.read_csrf(csrf.value)

    @pytest.mark.parametrize(
        ("chosen", "base_url", "secure"),
        [
            ("auto", "http://localhost:8080", False),
            ("auto", "https://meet.example.org", True),
            ("yes", "http://localhost:8080", True),
            ("no", "https://meet.example.org", False),
        ],
    )
    def test_cookies_are_secure_where_the_page_is(
        self, http: Any, monkeypatch: pytest.MonkeyPatch, chosen: str, base_url: str, secure: bool
    ) -> None:
        monkeypatch.setenv("MEET_COOKIE_SECURE", chosen)
        monkeypatch.setenv("MEET_PUBLIC_BASE_URL", base_url)
        settings.cache_clear()
        http.post(f"{AUTH}/register", json=TESTUSER)
        assert {bool(cookie["secure"]) for cookie in cookies_of(login(http)).values()} == {secure}

    def test_the_email_does_as_well(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        assert login(http, "TestUser@Example.com").status_code == 200

    @pytest.mark.parametrize(
        ("username", "password"),
        [("testuser", "wrong"), ("testuser", ""), ("nobody", PASSWORD), ("", ""), ("﷽" * 250, PASSWORD)],
    )
    def test_a_wrong_pair_does_not_say_which_is_wrong(
        self, http: Any, registered: Registered, username: str, password: str
    ) -> None:
        registered("testuser")
        answer = login(http, username, password)
        assert error(answer) == (401, "INVALID_CREDENTIALS")
        assert answer.json()["error"]["message"] == "Invalid username or password"
        assert not cookies_of(answer)

    def test_nobody_costs_one_hash_like_somebody(
        self, http: Any, registered: Registered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registered("testuser")
        verify = PasswordHasher.verify
        asked: list[str] = []

        def spy(self: PasswordHasher, stored: str, password: str) -> bool:
            asked.append(stored)
            return verify(self, stored, password)

        monkeypatch.setattr(PasswordHasher, "verify", spy)
        login(http, "testuser", "wrong password")
        login(http, "nobody", "wrong password")
        assert len(asked) == 2

    def test_an_old_hash_is_made_anew(self, http: Any, registered: Registered) -> None:
        user = registered("testuser")
        weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        users.store_rehashed(user, weak)
        assert login(http).status_code == 200
        stored = users.get(user.user_id)
        assert stored is not None
        assert stored.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert stored.version == user.version
        assert login(http).status_code == 200

    @pytest.mark.parametrize("body", [[], {}, {"username": "a"}, {"username": 1, "password": 2}, "text", None])
    def test_what_is_malformed_is_refused(self, http: Any, body: object) -> None:
        assert error(http.post(f"{AUTH}/login", json=body)) == (400, "VALIDATION_ERROR")

    def test_no_secret_reaches_a_log(
        self, http: Any, registered: Registered, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG, "meet")
        registered("testuser")
        body = login(http).json()
        http.post(f"{AUTH}/login", json={"username": 1, "password": PASSWORD})
        http.post(f"{AUTH}/refresh", json={"refresh_token": body["refresh_token"]})
        for secret in (PASSWORD, body["refresh_token"], body["access_token"]):
            assert secret not in caplog.text


class TestRefresh:
    def by_cookie(self, http: Any, jar: dict[str, Any], header: str | None = None) -> httpx.Response:
        cookie = "; ".join(f"{name}={jar[name].value}" for name in jar)
        headers = {"Cookie": cookie} | ({"X-CSRF-Token": header} if header is not None else {})
        answer: httpx.Response = http.post(f"{AUTH}/refresh", json={}, headers=headers)
        return answer

    def test_a_token_gets_the_next(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        first = login(http).json()
        answer = http.post(f"{AUTH}/refresh", json={"refresh_token": first["refresh_token"]})
        second = answer.json()
        assert answer.status_code == 200
        assert second["expires_in"] == 3600
        assert second["refresh_token"] != first["refresh_token"]
        assert (
            tokens.read_access(second["access_token"]).family_id
            == tokens.read_access(first["access_token"]).family_id
        )
        assert not cookies_of(answer)

    def test_a_spent_token_ends_the_sign_in_and_its_access_tokens(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        first = login(http).json()
        second = http.post(f"{AUTH}/refresh", json={"refresh_token": first["refresh_token"]}).json()
        me = {"Authorization": f"Bearer {second['access_token']}"}
        assert http.get("/api/v1/users/me", headers=me).status_code == 200
        for token in (first["refresh_token"], second["refresh_token"]):
            answer = http.post(f"{AUTH}/refresh", json={"refresh_token": token})
            assert error(answer) == (401, "INVALID_TOKEN")
        assert error(http.get("/api/v1/users/me", headers=me)) == (401, "INVALID_TOKEN")

    def test_a_new_name_is_in_the_next_token(self, http: Any, registered: Registered) -> None:
        user = registered("testuser")
        first = login(http).json()
        users.update(user.user_id, lambda old: old.updated(at=utcnow(), username="renamed"))
        second = http.post(f"{AUTH}/refresh", json={"refresh_token": first["refresh_token"]}).json()
        assert tokens.read_access(second["access_token"]).username == "renamed"

    def test_a_sign_in_ends_with_its_password(self, http: Any, registered: Registered) -> None:
        """Even where the index didn't show it to whoever changed the password."""
        user = registered("testuser")
        first = login(http).json()
        users.update(user.user_id, lambda old: old.updated(at=utcnow(), password_hash="another"))
        for _ in range(2):
            answer = http.post(f"{AUTH}/refresh", json={"refresh_token": first["refresh_token"]})
            assert error(answer) == (401, "INVALID_TOKEN")

    def test_an_expired_token_is_refused(self, http: Any, registered: Registered) -> None:
        user = registered("testuser")
        family = refresh.start(user.user_id, 0, now=utcnow() - timedelta(days=8))
        answer = http.post(f"{AUTH}/refresh", json={"refresh_token": family.token})
        assert error(answer) == (401, "INVALID_TOKEN")

    @pytest.mark.parametrize("token", ["x", "A" * 64, "é" * 64])
    def test_garbage_is_refused(self, http: Any, token: str) -> None:
        assert error(http.post(f"{AUTH}/refresh", json={"refresh_token": token})) == (401, "INVALID_TOKEN")

    @pytest.mark.parametrize("body", [None, {}, {"refresh_token": None}, {"refresh_token": ""}])
    def test_no_token_is_missing(self, http: Any, body: object) -> None:
        answer = http.post(f"{AUTH}/refresh") if body is None else http.post(f"{AUTH}/refresh", json=body)
        assert error(answer) == (401, "MISSING_TOKEN")

    def test_a_number_is_malformed(self, http: Any) -> None:
        assert error(http.post(f"{AUTH}/refresh", json={"refresh_token": 1})) == (400, "VALIDATION_ERROR")

    def test_a_browser_renews_by_cookie(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        jar = cookies_of(login(http))
        answer = self.by_cookie(http, jar, jar["meet_csrf"].value)
        assert answer.status_code == 200
        renewed = cookies_of(answer)
        assert renewed["meet_refresh"].value == answer.json()["refresh_token"] != jar["meet_refresh"].value
        assert self.by_cookie(http, renewed, renewed["meet_csrf"].value).status_code == 200

    def test_a_cookie_without_the_proof_is_refused_and_not_spent(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        jar = cookies_of(login(http))
        foreign = tokens.issue_csrf()[0]
        for header in (None, "", foreign):
            assert error(self.by_cookie(http, jar, header)) == (403, "INSUFFICIENT_PERMISSIONS")
        alone = {"meet_refresh": jar["meet_refresh"]}
        assert error(self.by_cookie(http, alone, foreign)) == (403, "INSUFFICIENT_PERMISSIONS")
        assert self.by_cookie(http, jar, jar["meet_csrf"].value).status_code == 200

    def test_a_spent_token_is_refused_though_redis_is_away_and_ends_the_family(
        self, http: Any, registered: Registered, redis_away: RedisAway
    ) -> None:
        registered("testuser")
        first = login(http).json()["refresh_token"]
        second = http.post(f"{AUTH}/refresh", json={"refresh_token": first}).json()["refresh_token"]
        with redis_away():
            answer = http.post(f"{AUTH}/refresh", json={"refresh_token": first})
            assert error(answer) == (503, "SERVICE_UNAVAILABLE")
        assert error(http.post(f"{AUTH}/refresh", json={"refresh_token": second})) == (401, "INVALID_TOKEN")


class TestLogout:
    def test_all_tokens_of_the_sign_in_are_over(self, http: Any, registered: Registered, redis: Redis) -> None:
        registered("testuser")
        answer = login(http)
        body = answer.json()
        me = {"Authorization": f"Bearer {body['access_token']}"}
        logout = http.post(f"{AUTH}/logout", headers=me)
        assert (logout.status_code, logout.json()) == (200, {"message": "Logged out successfully"})
        assert {cookie["max-age"] for cookie in cookies_of(logout).values()} == {"0"}
        assert error(http.get("/api/v1/users/me", headers=me)) == (401, "INVALID_TOKEN")
        assert error(http.post(f"{AUTH}/logout", headers=me)) == (401, "INVALID_TOKEN")
        again = http.post(f"{AUTH}/refresh", json={"refresh_token": body["refresh_token"]})
        assert error(again) == (401, "INVALID_TOKEN")
        family_id = tokens.read_access(body["access_token"]).family_id
        assert 3590 <= redis.ttl(tokens.revocation_key(family_id)) <= 3600

    def test_another_sign_in_goes_on(self, http: Any, signed_in: SignedIn) -> None:
        here, there = signed_in("testuser"), signed_in("testuser")
        assert http.post(f"{AUTH}/logout", headers=here).status_code == 200
        assert http.get("/api/v1/users/me", headers=there).status_code == 200

    def test_the_refresh_token_signs_out_too(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        body = login(http).json()
        assert http.post(f"{AUTH}/logout", json={"refresh_token": body["refresh_token"]}).status_code == 200
        me = {"Authorization": f"Bearer {body['access_token']}"}
        assert error(http.get("/api/v1/users/me", headers=me)) == (401, "INVALID_TOKEN")

    def test_the_cookie_signs_out_with_the_proof_only(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        jar = cookies_of(login(http))
        cookie = {"Cookie": "; ".join(f"{name}={jar[name].value}" for name in jar)}
        assert error(http.post(f"{AUTH}/logout", headers=cookie)) == (403, "INSUFFICIENT_PERMISSIONS")
        proof = {"X-CSRF-Token": jar["meet_csrf"].value}
        assert http.post(f"{AUTH}/logout", headers=cookie | proof).status_code == 200

    def test_a_bearer_needs_no_proof_beside_a_cookie(self, http: Any, registered: Registered) -> None:
        registered("testuser")
        answer = login(http)
        headers = {
            "Authorization": f"Bearer {answer.json()['access_token']}",
            "Cookie": f"meet_refresh={answer.json()['refresh_token']}",
        }
        assert http.post(f"{AUTH}/logout", headers=headers).status_code == 200

    def test_nobody_can_sign_out(self, http: Any) -> None:
        assert error(http.post(f"{AUTH}/logout")) == (401, "MISSING_TOKEN")
        garbage = {"Authorization": "Bearer x"}
        assert error(http.post(f"{AUTH}/logout", headers=garbage)) == (401, "INVALID_TOKEN")

    def test_while_redis_is_away_it_is_said_and_may_be_repeated(
        self, http: Any, registered: Registered, redis_away: RedisAway
    ) -> None:
        registered("testuser")
        body = login(http).json()
        over = {"refresh_token": body["refresh_token"]}
        with redis_away():
            assert error(http.post(f"{AUTH}/logout", json=over)) == (503, "SERVICE_UNAVAILABLE")
            assert error(http.post(f"{AUTH}/refresh", json=over)) == (401, "INVALID_TOKEN")
        assert http.post(f"{AUTH}/logout", json=over).status_code == 200
        me = {"Authorization": f"Bearer {body['access_token']}"}
        assert error(http.get("/api/v1/users/me", headers=me)) == (401, "INVALID_TOKEN")

    def test_a_bearer_signs_out_when_redis_is_back(
        self, http: Any, signed_in: SignedIn, redis_away: RedisAway
    ) -> None:
        me = signed_in("testuser")
        with redis_away():
            assert error(http.post(f"{AUTH}/logout", headers=me)) == (503, "SERVICE_UNAVAILABLE")
        assert http.get("/api/v1/users/me", headers=me).status_code == 200
        assert http.post(f"{AUTH}/logout", headers=me).status_code == 200


class TestTicket:
    def test_it_opens_a_socket_and_nothing_else(self, http: Any, signed_in: SignedIn) -> None:
        me = signed_in("testuser")
        answer = http.post(f"{AUTH}/ws-ticket", headers=me)
        body = answer.json()
        assert answer.status_code == 200
        claims = tokens.read_ticket(body["ticket"])
        assert claims.username == "testuser"
        assert claims.family_id == tokens.read_access(me["Authorization"].split()[1]).family_id
        assert body["expires_in"] == 60
        assert datetime.fromisoformat(body["expires_at"]) == claims.expires_at
        stolen = {"Authorization": f"Bearer {body['ticket']}"}
        assert error(http.get("/api/v1/users/me", headers=stolen)) == (401, "INVALID_TOKEN")

    def test_it_takes_a_sign_in(self, http: Any) -> None:
        assert error(http.post(f"{AUTH}/ws-ticket")) == (401, "MISSING_TOKEN")


class TestCsrf:
    def test_anybody_gets_one_and_its_cookie(self, http: Any) -> None:
        answer = http.get("/api/v1/csrf-token")
        body = answer.json()
        assert set(body) == {"token", "expires_at"}
        assert cookies_of(answer)["meet_csrf"].value == body["token"]
        assert datetime.fromisoformat(body["expires_at"]) == tokens.read_csrf(body["token"])

    def test_two_tabs_share_one(self, http: Any) -> None:
        token = http.get("/api/v1/csrf-token").json()["token"]
        answer = http.get("/api/v1/csrf-token", headers={"Cookie": f"meet_csrf={token}"})
        assert answer.json()["token"] == token
        assert not cookies_of(answer)

    def test_a_stale_or_forged_one_is_replaced(self, http: Any) -> None:
        expired = tokens.issue_csrf(now=utcnow() - timedelta(days=8))[0]
        for old in (expired, "forged"):
            answer = http.get("/api/v1/csrf-token", headers={"Cookie": f"meet_csrf={old}"})
            assert answer.json()["token"] != old
            assert cookies_of(answer)["meet_csrf"].value == answer.json()["token"]
