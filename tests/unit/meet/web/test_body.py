"""What a route is never given."""

import json

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from meet.web.body import MOST_DEPTH, read_body

JSON = {"Content-Type": "application/json"}


def nested(depth: int) -> bytes:
    return b'{"title": "x", "anything": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        pytest.param(b"{", "not valid JSON", id="cut off"),
        pytest.param(b"{'title': 1}", "not valid JSON", id="not json"),
        pytest.param(b'{"title": "x"} x', "not valid JSON", id="more after it"),
        pytest.param(b'{"title": "\xff"}', "UTF-8", id="not utf-8"),
        pytest.param('{"title": "x"}'.encode("utf-16"), "UTF-8", id="utf-16"),
        pytest.param(b'{"title": "\\ud800"}', "surrogate", id="lone surrogate"),
        pytest.param(b'{"\\udc00": 1}', "surrogate", id="lone surrogate in a key"),
        pytest.param(b'{"title": "a\\u0000b"}', "NUL", id="escaped nul"),
        pytest.param(b'{"title": "a\x00b"}', "not valid JSON", id="raw nul"),
        pytest.param(b'{"title": "x", "count": NaN}', "NaN", id="nan"),
        pytest.param(b'{"title": "x", "count": 1e999}', "too large", id="infinite"),
        pytest.param(b'{"title": "x", "count": 9223372036854775808}', "64 bits", id="2**63"),
        pytest.param(b'{"title": "x", "count": ' + b"9" * 10_000 + b"}", "64 bits", id="ten thousand digits"),
        pytest.param(nested(MOST_DEPTH), "deeper", id="a level too deep"),
        pytest.param(nested(20_000), "deeper", id="very deep"),
        pytest.param(b"[" * 999_999, "deeper", id="a megabyte of brackets"),
        pytest.param(b'{"a":' * 190_000, "deeper", id="a megabyte of objects"),
    ],
)
async def test_malformed_json_is_a_400_that_says_why(client: httpx.AsyncClient, body: bytes, word: str) -> None:
    answer = await client.post("/api/v1/meetings", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    assert word in answer.json()["error"]["details"]["body"]


@pytest.mark.parametrize(
    "body",
    [
        nested(MOST_DEPTH - 1),
        b'{"title": "\\ud83d\\ude00 \\\\u0000"}',
        b'\xef\xbb\xbf{"title": "x"}',
        b'{"title": "x", "count": -9223372036854775808}',
        json.dumps({"title": "x", "anything": [[] for _ in range(500)]}).encode(),
    ],
)
async def test_what_only_looks_odd_passes(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/v1/meetings", content=body, headers=JSON)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "jsonapplication/json+"},
        {},
    ],
)
async def test_other_content_types_are_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/api/v1/meetings", content=b'{"title": "x"}', headers=headers)
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("content_type", ["Application/JSON; charset=UTF-8", "application/merge-patch+json"])
async def test_json_by_its_other_names(client: httpx.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = await client.post("/api/v1/meetings", content=b'{"title": "x"}', headers=headers)
    assert answer.status_code == 201


async def test_a_body_that_is_too_large_is_413_declared_or_not(client: httpx.AsyncClient) -> None:
    async def chunks() -> object:
        for _ in range(3):
            yield b"x" * 500_000

    declared = await client.post("/api/v1/meetings", content=b"x" * 1_000_001, headers=JSON)
    streamed = await client.post("/api/v1/meetings", content=chunks(), headers=JSON)  # type: ignore[arg-type]
    assert [declared.status_code, streamed.status_code] == [413, 413]
    assert declared.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize("target", ["/api/v1/meetings/a%00b", "/api/v1/meetings/7?x=%00"])
async def test_a_nul_in_the_url_is_a_400(client: httpx.AsyncClient, target: str) -> None:
    assert (await client.get(target)).status_code == 400


async def test_a_route_without_a_body_needs_none(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/meetings/7/conflict")).status_code == 409
    assert (await client.post("/api/v1/meetings")).status_code == 400


async def test_half_a_request_is_none() -> None:
    messages = iter([{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(messages)

    with pytest.raises(ClientDisconnect):
        await read_body({"type": "http", "headers": []}, receive, 100)


@pytest.mark.parametrize("path", ["/api/v1/meetings%0A", "/api/v1/meetings/7%0A", "/api/v1/meetings/a%00b"])
async def test_no_route_sees_a_control_character_in_its_path(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert answer.headers["x-ratelimit-remaining"] == "99"
