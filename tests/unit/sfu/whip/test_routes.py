"""WHIP and WHEP over ASGI, with a node in memory: statuses, headers, and who may do what to whose session."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from httpx import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from meet import tokens
from meet.clock import utcnow
from meet.config import Settings
from meet.control import Command
from meet.presence import AsyncPresence
from meet.ratelimit import Limit, LimitClass
from meet.tokens import revocation_key
from sfu.media_events import ConnectionEnded
from sfu.node import MOST_GUESTS
from sfu.ortc.sdp import MAX_CHARACTERS
from sfu.whip.caller import Callers
from sfu.whip.routes import routes

DATA = Path(__file__).parents[3] / "data" / "sdp"
OFFERS = {"whip": (DATA / "ffmpeg-whip.sdp").read_text(), "whep": (DATA / "chromium-watch.sdp").read_text()}
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.7 9 typ host\r\n"
NEW = f"a=ice-ufrag:fresh\r\na=ice-pwd:{'n' * 24}\r\n" + CANDIDATE


def bearer(user: str, **changes: Any) -> dict[str, str]:
    token, _ = tokens.issue_access(user, f"{user}@account", "user", f"{user}-family", **changes)
    return {"Authorization": f"Bearer {token}"}


class Web:
    """A media process' HTTP side."""

    def __init__(self, process: Any, http: AsyncClient) -> None:
        self.process, self.http = process, http

    async def begin(self, user: str, protocol: str = "whip", *, room: str = "meeting-123", **asked: Any) -> Response:
        asked = {"content": OFFERS[protocol], "headers": {**bearer(user), **SDP}, **asked}
        return await self.http.post(f"/{protocol}/{room}", **asked)

    async def session(self, user: str, protocol: str = "whip") -> str:
        answer = await self.begin(user, protocol)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    async def patch(self, url: str, body: str, user: str, **headers: str) -> Response:
        return await self.http.patch(url, content=body, headers={**bearer(user), **FRAGMENT, **headers})

    @property
    def here(self) -> list[tuple[str, str]]:
        """Who has which session now."""
        return [(session.user_id, session.status) for live in self.process.node.rooms for session in live.sessions()]


@pytest_asyncio.fixture
async def web(process: Any) -> AsyncIterator[Web]:
    app = Starlette(routes=routes(process.node, Callers(process.redis, None)))
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://node") as http:
        yield Web(process, http)


class TestBeginning:
    @pytest.mark.parametrize("protocol", ["whip", "whep"])
    async def test_an_offer_is_answered_and_a_participant_is_there(self, web: Web, protocol: str) -> None:
        bob = await web.process.join("bob")
        answer = await web.begin("alice", protocol)
        assert answer.status_code == 201
        assert answer.headers["content-type"] == "application/sdp"
        assert answer.text == f"answer to {OFFERS[protocol]}"
        assert answer.headers["etag"] == '"ours1"'
        assert answer.headers["location"].startswith(f"/{protocol}/meeting-123/")
        assert answer.headers["accept-patch"] == "application/trickle-ice-sdpfrag"
        assert answer.headers["access-control-allow-origin"] == "*"
        joined = await bob.hear("user-joined")
        assert (joined["user_id"], joined["user_info"]["username"]) == ("alice", "alice@account")
        assert web.process.meetings.seats.keys() == {"alice", "bob"}
        assert web.here == [("bob", "active"), ("alice", "active")]

    @pytest.mark.parametrize("room", ["123", "meeting-123", "6fa459ea-ee8a-4ca4-894e-db77e160355e"])
    async def test_a_meeting_goes_by_any_of_its_names(self, web: Web, room: str) -> None:
        answer = await web.begin("alice", room=room)
        assert answer.headers["location"].startswith(f"/whip/{room}/")
        assert (await web.http.delete(answer.headers["location"], headers=bearer("alice"))).status_code == 200

    async def test_ice_servers_are_links(self, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
        chosen = Settings(turn_urls="turn:t.example.com:3478,turns:t.example.com", turn_secret="s" * 16)
        monkeypatch.setattr(web.process.node, "settings", chosen)
        stun, turn, turns = (await web.begin("alice")).headers.get_list("link")
        assert stun == '<stun:stun.l.google.com:19302>; rel="ice-server"'
        assert turn.startswith('<turn:t.example.com:3478>; rel="ice-server"; username="')
        assert turns.endswith('"; credential-type="password"')
        assert 'credential="' in turns

    @pytest.mark.parametrize("protocol", ["whip", "whep"])
    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            ({"headers": SDP}, 401),
            ({"headers": {**SDP, "Authorization": "Basic dTpw"}}, 401),
            ({"headers": {**SDP, "Authorization": "Bearer nonsense"}}, 401),
            ({"headers": "plain"}, 415),
            ({"headers": "none"}, 415),
            ({"headers": "gzip"}, 415),
            ({"content": b"\xff"}, 400),
            ({"content": ""}, 422),
            ({"content": "v=0\r\n"}, 422),
            ({"content": "nonsense"}, 422),
            ({"content": "other"}, 422),
            ({"content": b"v" * (MAX_CHARACTERS + 1)}, 413),
            ({"room": "124"}, 404),
            ({"room": "no-room"}, 404),
        ],
    )
    async def test_what_is_refused_leaves_nothing(
        self, web: Web, protocol: str, asked: dict[str, Any], status: int
    ) -> None:
        kinds = {
            "plain": {**bearer("alice"), "Content-Type": "text/plain"},
            "none": bearer("alice"),
            "gzip": {**bearer("alice"), **SDP, "Content-Encoding": "gzip"},
        }
        if isinstance(asked.get("headers"), str):
            asked = {**asked, "headers": kinds[asked["headers"]]}
        if asked.get("content") == "other":
            asked = {"content": OFFERS["whep" if protocol == "whip" else "whip"]}
        answer = await web.begin("alice", protocol, **asked)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert error.keys() >= {"code", "message", "timestamp"}
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["x-request-id"]
        if status == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
        if status == 415:
            assert answer.headers["accept-post"] == "application/sdp"
        assert list(web.process.node.rooms) == []
        assert web.process.meetings.seats == {}

    @pytest.mark.parametrize("protocol", ["whip", "whep"])
    async def test_an_error_of_ours_leaves_neither_session_nor_seat(
        self, web: Web, protocol: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bob = await web.process.join("bob")

        def breaks(*_: Any, **__: Any) -> str:
            raise KeyError("a bug")

        monkeypatch.setattr(web.process.media[0], "publish", breaks)
        assert (await web.begin("alice", protocol)).status_code == 500
        assert (await bob.hear("user-left"))["user_id"] == "alice"
        await web.process.settle()
        assert web.here == [("bob", "active")]
        assert web.process.meetings.seats.keys() == {"bob"}

    async def test_a_meeting_that_ends_while_its_room_begins_has_none(
        self, web: Web, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node = web.process.node
        place = AsyncPresence.place

        async def slow(presence: AsyncPresence, number: int, nodes: list[str]) -> str | None:
            node.obey(Command("close-room", {"meeting_number": number, "reason": "meeting-ended"}))
            return await place(presence, number, nodes)

        monkeypatch.setattr(AsyncPresence, "place", slow)
        assert (await web.begin("alice")).status_code == 404
        assert list(node.rooms) == []

    async def test_an_error_may_be_a_problem(self, web: Web) -> None:
        answer = await web.begin(
            "alice", content="", headers={**bearer("alice"), **SDP, "Accept": "application/problem+json"}
        )
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"].startswith("The SDP can't be used: ")

    async def test_a_late_refusal_gives_the_seat_back(self, web: Web) -> None:
        bob = await web.process.join("bob")
        web.process.media[0].refuses = True
        assert (await web.begin("alice")).status_code == 422
        await web.process.settle()
        assert web.process.meetings.seats.keys() == {"bob"}
        assert (await bob.hear("user-left"))["user_id"] == "alice"

    async def test_a_full_meeting_is_full(self, web: Web) -> None:
        web.process.meetings.most = 1
        await web.process.join("bob")
        answer = await web.begin("alice")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ROOM_FULL")
        assert (await web.begin("bob")).status_code == 201  # who has a seat needs no other

    async def test_an_ended_meeting_has_ended(self, web: Web) -> None:
        web.process.meetings.ended = True
        answer = await web.begin("alice")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "MEETING_ENDED")

    async def test_an_encrypted_meeting_takes_none(self, web: Web) -> None:
        await web.process.join("bob")
        [live] = web.process.node.rooms
        live.room.e2ee = True
        answer = await web.begin("alice")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "MEETING_ENCRYPTED")
        await web.process.settle()
        assert web.process.meetings.seats.keys() == {"bob"}

    async def test_one_user_has_so_many_at_once(self, web: Web) -> None:
        for _ in range(MOST_GUESTS):
            await web.session("alice")
        answer = await web.begin("alice")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "TOO_MANY_CONNECTIONS")
        assert len(web.here) == MOST_GUESTS
        assert await web.session("bob")

    async def test_two_at_once_are_two_connections_of_one_participant(self, web: Web) -> None:
        bob = await web.process.join("bob")
        one, two = await asyncio.gather(web.session("alice"), web.session("alice", "whep"))
        assert one != two
        assert [user for user, _ in web.here] == ["bob", "alice", "alice"]
        await web.http.delete(one, headers=bearer("alice"))
        assert [user for user, _ in web.here] == ["bob", "alice"]
        await web.http.delete(two, headers=bearer("alice"))
        await bob.hear("user-joined")
        assert bob.frames == [] or bob.frames[0]["type"] == "user-left"  # neither came twice
        await bob.hear("user-left")

    async def test_a_draining_process_takes_nobody(self, web: Web) -> None:
        await web.process.node.drain(timeout_s=0.1)
        answer = await web.begin("alice")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"

    async def test_a_room_that_another_process_holds_is_not_begun_here(self, web: Web) -> None:
        await web.process.redis.set("node:other", "{}")
        await AsyncPresence(web.process.redis).place(123, ["other"])
        assert (await web.begin("alice")).status_code == 503

    async def test_redis_away_refuses_who_might_be_revoked(self, web: Web) -> None:
        web.process.server.connected = False
        assert (await web.begin("alice")).status_code == 503
        web.process.server.connected = True


class TestIce:
    async def test_candidates_need_no_answer(self, web: Web) -> None:
        url = await web.session("alice")
        answer = await web.patch(url, CANDIDATE, "alice", **{"If-Match": '"ours1"'})
        assert (answer.status_code, answer.content) == (204, b"")
        assert "etag" not in answer.headers
        same = f"a=ice-ufrag:theirs\r\na=ice-pwd:{'p' * 24}\r\n" + CANDIDATE
        assert (await web.patch(url, same, "alice", **{"If-Match": '"ours1"'})).status_code == 204

    @pytest.mark.parametrize("match", ["*", '"*"', '"ours1"'])
    async def test_new_credentials_restart_ice(self, web: Web, match: str) -> None:
        url = await web.session("alice", "whep")
        answer = await web.patch(url, NEW, "alice", **{"If-Match": match})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/trickle-ice-sdpfrag"
        assert answer.headers["etag"] == '"ours2"'
        assert "a=ice-ufrag:ours2\r\n" in answer.text
        assert "a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host\r\n" in answer.text
        late = await web.patch(url, CANDIDATE, "alice", **{"If-Match": '"ours1"'})
        assert (late.status_code, late.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
        assert (await web.patch(url, CANDIDATE, "alice", **{"If-Match": '"ours2"'})).status_code == 204

    @pytest.mark.parametrize(
        ("body", "headers", "status", "code"),
        [
            (CANDIDATE, {}, 428, "PRECONDITION_REQUIRED"),
            (CANDIDATE, {"If-Match": '"another"'}, 412, "PRECONDITION_FAILED"),
            (CANDIDATE, {"If-Match": 'W/"ours1"'}, 412, "PRECONDITION_FAILED"),
            ("nonsense", {"If-Match": "*"}, 422, "UNPROCESSABLE_CONTENT"),
            ("a=ice-ufrag:half\r\n", {"If-Match": "*"}, 422, "UNPROCESSABLE_CONTENT"),
            (CANDIDATE, {"If-Match": "*", "Content-Type": "application/sdp"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
            ("a" * 70_000, {"If-Match": "*"}, 413, "PAYLOAD_TOO_LARGE"),
        ],
    )
    async def test_what_is_refused_changes_nothing(
        self, web: Web, body: str, headers: dict[str, str], status: int, code: str
    ) -> None:
        url = await web.session("alice")
        answer = await web.patch(url, body, "alice", **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert (await web.patch(url, CANDIDATE, "alice", **{"If-Match": '"ours1"'})).status_code == 204


class TestTheEnd:
    async def test_deleting_it_twice(self, web: Web) -> None:
        bob = await web.process.join("bob")
        url = await web.session("alice")
        done = await web.http.delete(url, headers={**bearer("alice"), "If-Match": '"whatever"'})
        assert (done.status_code, done.content) == (200, b"")
        assert (await bob.hear("user-left"))["user_id"] == "alice"
        assert (await web.http.delete(url, headers=bearer("alice"))).status_code == 404
        assert (await web.patch(url, CANDIDATE, "alice", **{"If-Match": "*"})).status_code == 404
        await web.process.settle()
        assert web.process.meetings.seats.keys() == {"bob"}
        assert web.process.media[0].peers == {}

    async def test_it_is_its_owners_alone(self, web: Web) -> None:
        url = await web.session("alice")
        for answer in (
            await web.http.delete(url, headers=bearer("bob")),
            await web.patch(url, NEW, "bob", **{"If-Match": "*"}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_PERMISSIONS")
        assert (await web.http.delete(url)).status_code == 401
        wrong = url.replace("/whip/", "/whep/")
        assert (await web.http.delete(wrong, headers=bearer("alice"))).status_code == 404
        assert (
            await web.http.delete("/whip/999/" + url.rpartition("/")[2], headers=bearer("alice"))
        ).status_code == 404
        assert web.here == [("alice", "active")]

    async def test_a_token_that_expired_since_still_ends_it(self, web: Web) -> None:
        url = await web.session("alice")
        old = bearer("alice", now=utcnow() - timedelta(days=1))
        assert (await web.begin("alice", headers={**old, **SDP})).status_code == 401
        assert (await web.http.delete(url, headers=old)).status_code == 200

    async def test_signing_out_ends_it(self, web: Web) -> None:
        url = await web.session("alice")
        await web.process.redis.set(revocation_key("alice-family"), 1)
        assert (await web.http.delete(url, headers=bearer("alice"))).status_code == 401
        assert (await web.begin("alice")).status_code == 401
        await web.process.node.revoke()
        assert list(web.process.node.rooms) == []

    async def test_a_lost_connection_ends_it(self, web: Web) -> None:
        bob = await web.process.join("bob")
        url = await web.session("alice")
        [media] = web.process.media
        media.emit(ConnectionEnded(url.rpartition("/")[2]))
        assert (await bob.hear("user-left"))["user_id"] == "alice"
        assert (await web.http.delete(url, headers=bearer("alice"))).status_code == 404

    async def test_being_removed_ends_it(self, web: Web) -> None:
        url = await web.session("alice")
        [live] = web.process.node.rooms
        live.remove("alice", "removed")
        assert ("leave", "alice") in web.process.media[0].calls
        assert (await web.http.delete(url, headers=bearer("alice"))).status_code == 404
        await web.process.settle()
        assert web.process.meetings.seats == {}

    async def test_a_process_that_stops_keeps_nothing(self, web: Web) -> None:
        await web.session("alice")
        await web.process.node.close()
        assert web.process.media[0].closed
        assert [record.status for record in web.process.kept if hasattr(record, "status")][-1] == "closed"


class TestAnybody:
    async def test_options_need_no_token(self, web: Web) -> None:
        for path in ("/whip/meeting-123", "/whep/meeting-123", "/whip/meeting-123/any"):
            answer = await web.http.options(
                path, headers={"Access-Control-Request-Method": "POST", "Origin": "https://x"}
            )
            assert answer.status_code == 200
            assert answer.headers["accept-post"] == "application/sdp"
            assert {"POST", "PATCH", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
            assert {"Authorization", "Content-Type", "If-Match"} <= set(
                answer.headers["access-control-allow-headers"].split(", ")
            )
            assert {"Location", "ETag", "Link"} <= set(answer.headers["access-control-expose-headers"].split(", "))

    async def test_a_get_has_no_content_and_whep_says_what_it_is(self, web: Web) -> None:
        assert (await web.http.get("/whip/meeting-123")).status_code == 204
        head = await web.http.head("/whep/meeting-123")
        assert (head.status_code, head.headers["content-type"], head.content) == (200, "application/sdp", b"")
        url = await web.session("alice")
        assert (await web.http.get(url, headers=bearer("alice"))).status_code == 204
        assert (await web.http.get(url)).status_code == 401

    @pytest.mark.parametrize(
        ("path", "methods", "allowed"),
        [
            ("/whip/meeting-123", ["PUT", "PATCH", "DELETE"], "OPTIONS, GET, HEAD, POST"),
            ("/whip/meeting-123/any", ["PUT", "POST"], "OPTIONS, GET, HEAD, PATCH, DELETE"),
        ],
    )
    async def test_other_methods_are_named(self, web: Web, path: str, methods: list[str], allowed: str) -> None:
        for method in methods:
            answer = await web.http.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
            assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"

    async def test_an_error_of_ours_is_a_500_with_an_id(
        self, web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(web.process.node, "ice_servers", fail)
        answer = await web.begin("alice", headers={**bearer("alice"), **SDP, "X-Request-Id": "abc"})
        assert (answer.status_code, answer.json()["error"]["request_id"]) == (500, "abc")
        assert answer.headers["x-request-id"] == "abc"
        assert "ZeroDivisionError" in caplog.text


async def test_requests_are_counted_by_user_and_else_by_address(process: Any) -> None:
    limits = {LimitClass.API: Limit(2, 2)}
    app = Starlette(routes=routes(process.node, Callers(process.redis, limits)))
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://node") as http:
        web = Web(process, http)
        first = await web.begin("alice")
        assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("2", "1")
        await web.begin("alice")
        refused = await web.begin("alice")
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")
        assert int(refused.headers["retry-after"]) > 0
        assert (await web.begin("bob")).status_code == 201
        strangers = [
            (await http.post("/whip/123", headers={"X-Forwarded-For": f"192.0.2.{n}"})).status_code
            for n in (1, 1, 1, 2)
        ]
        assert strangers == [401, 401, 429, 401]
        process.server.connected = False  # limits fail open, who is unknown stays unknown
        assert (await http.post("/whip/123", headers={"X-Forwarded-For": "192.0.2.1"})).status_code == 401
        process.server.connected = True
