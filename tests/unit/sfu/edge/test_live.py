"""Live streams as players fetch them. The bucket is a dictionary; a real one is asked in tests/integration."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from starlette.applications import Starlette

from meet.audience import Audience, audience_of
from meet.config import Settings
from meet.domain.stream import Stream, StreamStatus
from meet.errors import NotFound, Unavailable
from meet.store import streams
from sfu.edge import crowd, live
from sfu.edge.app import create_edge
from sfu.edge.fetcher import Fetcher
from tests.unit.sfu.edge.test_playlists import MANIFEST, MEDIA, MULTIVARIANT

ID = str(uuid4())
HLS, DASH = f"/api/v1/streaming/hls/{ID}", f"/api/v1/streaming/dash/{ID}"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Bucket:
    """Objects by key, and which were read."""

    def __init__(self) -> None:
        self.objects = {
            f"streams/{ID}/playlist.m3u8": MULTIVARIANT.encode(),
            f"streams/{ID}/media_0.m3u8": MEDIA.encode(),
            f"streams/{ID}/manifest.mpd": MANIFEST.encode(),
            f"streams/{ID}/0-init-0.mp4": b"ftyp",
            f"streams/{ID}/0-0-7.m4s": b"moof",
        }
        self.read: list[str] = []
        self.asked = asyncio.Event()
        self.away = False


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    kept = Bucket()

    async def read(_: Fetcher, key: str, *, most: int) -> bytes:
        kept.read.append(key)
        kept.asked.set()
        if kept.away:
            raise Unavailable
        if key not in kept.objects:
            raise NotFound
        return kept.objects[key]

    monkeypatch.setattr(Fetcher, "read", read)
    return kept


@pytest.fixture
def redis() -> FakeAsyncRedis:
    return FakeAsyncRedis(server=FakeServer())


@pytest.fixture
async def edge(
    bucket: Bucket, redis: FakeAsyncRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Starlette]:
    monkeypatch.setattr(crowd, "EVERY_S", 0.01)
    app = create_edge(Settings(api_url="http://127.0.0.1:9", rate_limits="off"), page=tmp_path, redis=redis)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def player(edge: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(edge, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://meet.test") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "mime", "cache"),
    [
        (f"{HLS}/playlist.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
        (f"{HLS}/media_0.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
        (f"{DASH}/manifest.mpd", "application/dash+xml", "no-cache"),
        (f"{HLS}/0-init-0.mp4", "video/mp4", "public, max-age=31536000, immutable"),
        (f"{DASH}/0-0-7.m4s", "video/iso.segment", "public, max-age=31536000, immutable"),
    ],
)
async def test_each_kind_has_its_headers(player: httpx.AsyncClient, path: str, mime: str, cache: str) -> None:
    answer = await player.get(path, headers={"Origin": "https://elsewhere.example", "X-Request-Id": "mine"})
    assert answer.status_code == 200, answer.text
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == (mime, cache)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"] == "mine"
    head = await player.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.content))


async def test_a_page_of_anywhere_may_ask(player: httpx.AsyncClient) -> None:
    answer = await player.options(f"{HLS}/0-0-7.m4s", headers={"Access-Control-Request-Headers": "range"})
    assert answer.status_code == 204
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "Range" in answer.headers["access-control-allow-headers"]
    refused = await player.post(f"{HLS}/playlist.m3u8")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert refused.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path",
    [
        f"{HLS}/0-0-8.m4s",
        f"{HLS}/media_7.m3u8",
        f"{HLS}/secret.json",
        f"{HLS}/.m3u8",
        f"{HLS}/playlist.m3u8%0A",
        f"/api/v1/streaming/hls/{ID.upper()}/playlist.m3u8",
        "/api/v1/streaming/hls/media/playlist.m3u8",
        "/api/v1/streaming/dash/%2E%2E/manifest.mpd",
    ],
)
async def test_what_is_no_part_of_a_stream(player: httpx.AsyncClient, bucket: Bucket, path: str) -> None:
    answer = await player.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert all(key.startswith(f"streams/{ID}/") for key in bucket.read)


async def test_the_bucket_is_away(player: httpx.AsyncClient, bucket: Bucket) -> None:
    bucket.away = True
    answer = await player.get(f"{HLS}/0-0-7.m4s")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_player_keeps_its_token(player: httpx.AsyncClient, redis: FakeAsyncRedis, edge: Starlette) -> None:
    first, second = [(await player.get(f"{HLS}/playlist.m3u8")).text for _ in range(2)]
    own = first.splitlines()[-1]
    assert own.startswith("media_0.m3u8?viewer=")
    assert second.splitlines()[-1] != own, "another player"
    assert (await player.get(f"{HLS}/{own}")).text == MEDIA, "segments are the same for all"
    token = own.partition("=")[2]
    again = await player.get(f"{DASH}/manifest.mpd", params={"viewer": token})
    assert f"<Location>manifest.mpd?viewer={token}</Location>" in again.text
    await player.head(f"{HLS}/playlist.m3u8")
    await player.get(f"{HLS}/media_0.m3u8")
    await player.get(f"{HLS}/media_0.m3u8?viewer=<script>")
    await counted(redis, Audience(current=2, total=2, peak=2))


async def test_the_first_playlist_is_not_another_players_after_a_lie(player: httpx.AsyncClient) -> None:
    for lie in ("<script>alert(1)</script>", "x" * 33, 'a"b'):
        answer = await player.get(f"{DASH}/manifest.mpd", params={"viewer": lie})
        assert lie not in answer.text


async def test_many_players_are_one_reading(player: httpx.AsyncClient, bucket: Bucket) -> None:
    answers = await asyncio.gather(*(player.get(f"{HLS}/0-0-7.m4s") for _ in range(50)))
    assert {answer.content for answer in answers} == {b"moof"}
    assert len(bucket.read) == 1


@pytest.fixture
def starting(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> list[Stream | None]:
    """A stream of which nothing is in the bucket yet; what the store says of it, one read after the other."""
    bucket.objects.clear()
    stream = Stream(ID, "m", 7, "alice", NOW, "hls", held_until=NOW + timedelta(seconds=45))
    known: list[Stream | None] = [stream]
    monkeypatch.setattr(streams, "find", lambda _: known[0] if len(known) == 1 else known.pop(0))
    monkeypatch.setattr(live, "LOOKED_EACH_S", 0.01)
    return known


async def test_an_early_player_waits_for_the_first_playlist(
    player: httpx.AsyncClient, bucket: Bucket, starting: list[Stream | None]
) -> None:
    asking = [asyncio.create_task(player.get(f"{DASH}/manifest.mpd")) for _ in range(5)]
    await bucket.asked.wait()
    bucket.objects[f"streams/{ID}/manifest.mpd"] = MANIFEST.encode()
    assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}


async def test_a_player_that_is_too_early_is_told_to_come_again(
    player: httpx.AsyncClient, starting: list[Stream | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "FIRST_S", 0.05)
    answer = await player.get(f"{HLS}/playlist.m3u8")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert (await player.get(f"{HLS}/0-0-0.m4s")).status_code == 404, "nobody waits for a segment"


@pytest.mark.parametrize("over", [True, False])
async def test_nobody_waits_for_a_stream_that_will_not_come(
    player: httpx.AsyncClient, starting: list[Stream | None], over: bool
) -> None:
    [stream] = starting
    assert stream is not None
    starting.append(replace(stream, status=StreamStatus.FAILED) if over else None)
    assert (await player.get(f"{HLS}/playlist.m3u8")).status_code == 404


async def counted(redis: FakeAsyncRedis, expected: Audience) -> None:
    """Wait until the players that came by are known."""
    async with asyncio.timeout(5):
        while await audience_of(redis, ID, now=time.time()) != expected:  # noqa: ASYNC110 - what Redis knows, is polled
            await asyncio.sleep(0.05)
