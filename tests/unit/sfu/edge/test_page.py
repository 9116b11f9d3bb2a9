"""The page's document and files, and what browsers are told of them."""

from pathlib import Path

import httpx
import pytest

from meet.errors import NotFound
from sfu.edge.page import IMMUTABLE, Page


@pytest.fixture
def client(tmp_path: Path) -> httpx.AsyncClient:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Meet</title>")
    (tmp_path / "assets" / "index-abc.js").write_text("export {}")
    (tmp_path / "secret").write_text("no")
    page = Page(tmp_path, signaling_url="wss://meet.test:8443/ws/signaling")
    return httpx.AsyncClient(transport=httpx.ASGITransport(page), base_url="http://meet.test")


@pytest.mark.parametrize("path", ["/", "/meetings/6f9619ff/join"])
async def test_the_document_is_at_both_paths(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>Meet</title>" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self' wss://meet.test:8443"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_hashed_files_are_kept_for_good(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/index-abc.js")
    assert answer.text == "export {}"
    assert answer.headers["cache-control"] == IMMUTABLE
    again = await client.get("/assets/index-abc.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_every_answer_names_its_request(client: httpx.AsyncClient) -> None:
    assert (await client.get("/")).headers["x-request-id"]
    named = await client.get("/assets/index-abc.js", headers={"X-Request-Id": "load-7"})
    assert named.headers["x-request-id"] == "load-7"


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/%2e%2e/secret", "/assets/%2e%2e/%2e%2e/secret", "/assets/"]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    with pytest.raises(NotFound):
        await client.get(path)
