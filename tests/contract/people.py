"""People who call the API of a running system: accounts with their tokens, and meetings they are in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx


def client(base_url: str) -> httpx.Client:
    """A client that keeps no cookies: whoever shares it is told apart by tokens alone. Many threads may share it."""
    nobody = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    # no bound, so that no thread closes a connection that another is about to use (seen: EBADF from httpcore)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60)
    return httpx.Client(base_url=base_url, timeout=60, cookies=nobody, limits=limits)


@dataclass
class Caller:
    """Somebody with an account, or nobody (`token` empty)."""

    api: httpx.Client
    username: str = ""
    password: str = ""
    user_id: str = ""
    token: str = ""

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request as this caller."""
        headers = dict(options.pop("headers", {}))
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.api.request(method, path, headers=headers, **options)

    def sign_in(self) -> Caller:
        """Take a token."""
        answer = self.api.post("/api/v1/auth/login", json={"username": self.username, "password": self.password})
        self.token = answer.raise_for_status().json()["access_token"]
        self.user_id = self.call("GET", "/api/v1/users/me").raise_for_status().json()["user_id"]
        return self


def newcomer(api: httpx.Client, name: str = "user") -> Caller:
    """Somebody who has just registered and signed in."""
    username, password = f"{name}-{secrets.token_hex(6)}", secrets.token_urlsafe(12)
    body = {"username": username, "email": f"{username}@example.com", "password": password}
    api.post("/api/v1/auth/register", json=body).raise_for_status()
    return Caller(api, username, password).sign_in()


def meeting_of(creator: Caller, **changes: Any) -> dict[str, Any]:
    """A meeting that `creator` has made."""
    body = {
        "title": "Standup",
        "start_time": "2026-01-01T09:00:00Z",
        "duration": 30,
        "max_participants": 10,
    } | changes
    answer: dict[str, Any] = creator.call("POST", "/api/v1/meetings", json=body).raise_for_status().json()
    return answer
