"""What FFmpeg puts, on its way into the bucket: no player is told of what is not there."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from botocore.exceptions import ClientError

from meet import objects
from meet.domain.media import Blob
from meet.domain.stream import MANIFEST, PLAYLIST
from meet.errors import Unavailable
from sfu.egress import shelf as shelving
from sfu.egress.shelf import Shelf
from tests.unit.sfu.egress.test_playlists import MANIFEST as MANIFEST_TEXT
from tests.unit.sfu.egress.test_playlists import MASTER, MEDIA

INIT, FIRST, SECOND = "0-init-0.mp4", "0-0-7.m4s", "0-0-8.m4s"


class Bucket:
    """It remembers in which order it was given what."""

    def __init__(self) -> None:
        self.away: Exception | None = None
        self.written: list[str] = []
        self.data: dict[str, bytes] = {}
        self.deleted: list[str] = []

    def put(self, key: str, data: bytes, mime: str, *, cache: str = "") -> Blob:
        if self.away is not None:
            raise self.away
        assert mime
        assert cache == (shelving.A_MOMENT if key.endswith(("m3u8", "mpd")) else shelving.FOREVER)
        self.written.append(key.removeprefix("streams/id/"))
        self.data[self.written[-1]] = data
        return Blob(key, len(data), "etag")

    def delete(self, keys: list[str]) -> None:
        if self.away is not None:
            raise self.away
        self.deleted += [key.removeprefix("streams/id/") for key in keys]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = Bucket()
    monkeypatch.setattr(objects, "put_bytes", made.put)
    monkeypatch.setattr(objects, "delete_many", made.delete)
    monkeypatch.setattr(shelving, "AGAIN_S", 0.01)
    return made


@pytest.fixture
async def shelf(bucket: Bucket) -> AsyncIterator[Shelf]:
    made = Shelf("id", 0, 0.0)
    made.begin()
    yield made
    bucket.away = None
    await made.close()
    made.check()


async def until(good: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not good():  # noqa: ASYNC110 - what is waited for happens in threads
            await asyncio.sleep(0.005)


async def test_a_playlist_follows_what_it_names(shelf: Shelf, bucket: Bucket) -> None:
    shelf.put(PLAYLIST, MASTER.encode())
    shelf.put("media_0.m3u8", MEDIA.encode())
    shelf.put("media_1.m3u8", MEDIA.replace("0-0-", "0-1-").replace("0-init-0", "0-init-1").encode())
    for name in (SECOND, INIT, "0-init-1.mp4", "0-1-7.m4s", "0-1-8.m4s"):
        shelf.put(name, b"data")
    await until(lambda: "media_1.m3u8" in bucket.written)
    assert "media_0.m3u8" not in bucket.written
    assert not shelf.on_air
    shelf.put(FIRST, b"data")
    await until(lambda: PLAYLIST in bucket.written)
    assert bucket.written[-3:] == [FIRST, "media_0.m3u8", PLAYLIST]


async def test_on_the_air_with_both_playlists(shelf: Shelf, bucket: Bucket) -> None:
    for name in ("1-init-0.mp4", *(f"1-0-{number}.m4s" for number in (7, 8, 9))):
        shelf.put(name, b"data")
    shelf.put(MANIFEST, MANIFEST_TEXT.encode())
    await until(lambda: MANIFEST in bucket.written)
    assert not shelf.on_air
    shelf.put(PLAYLIST, b"#EXTM3U\n")
    await until(lambda: shelf.on_air)


async def test_the_newest_playlist_counts_and_no_change_is_not_written(shelf: Shelf, bucket: Bucket) -> None:
    shelf.put(PLAYLIST, b"#EXTM3U\n")
    await until(lambda: bucket.written == [PLAYLIST])
    shelf.put(PLAYLIST, b"#EXTM3U\n")
    shelf.put("media_0.m3u8", b"#EXTM3U\nlater.m4s\n")
    shelf.put("media_0.m3u8", b"#EXTM3U\n0-0-1.m4s\n")
    shelf.put("0-0-1.m4s", b"data")
    await until(lambda: "media_0.m3u8" in bucket.written)
    assert bucket.data["media_0.m3u8"] == b"#EXTM3U\n0-0-1.m4s\n"
    assert bucket.written.count(PLAYLIST) == 1


async def test_a_bucket_that_comes_back(shelf: Shelf, bucket: Bucket) -> None:
    bucket.away = Unavailable("away")
    shelf.put(INIT, b"data")
    shelf.put(PLAYLIST, f"#EXTM3U\n{INIT}\n".encode())
    now = asyncio.get_running_loop().time
    await until(lambda: shelf.away_s(now()) > 0.05)
    assert bucket.written == []
    bucket.away = None
    await until(lambda: bucket.written == [INIT, PLAYLIST])
    assert shelf.away_s(now()) == 0
    assert shelf.errors == 0


async def test_a_bucket_that_does_not_come_back(
    shelf: Shelf, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too old is given up, and what comes later does not wait for it."""
    monkeypatch.setattr(shelving, "LOST_S", 0.05)
    bucket.away = ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject")
    shelf.put(INIT, b"data")
    await until(lambda: shelf.errors == 1)
    assert shelf.away_s(asyncio.get_running_loop().time()) > 0
    bucket.away = None
    shelf.put(PLAYLIST, f"#EXTM3U\n{INIT}\n".encode())
    await until(lambda: bucket.written == [PLAYLIST])


async def test_what_nobody_is_told_of_is_deleted(shelf: Shelf, bucket: Bucket) -> None:
    shelf.put(FIRST, b"data")
    await until(lambda: bucket.written == [FIRST])
    shelf.drop(FIRST)
    await until(lambda: bucket.deleted == [FIRST])
    bucket.away = Unavailable("away")
    shelf.drop(SECOND)
    await asyncio.sleep(0)
    bucket.away = None
    shelf.put(INIT, b"data")
    await until(lambda: INIT in bucket.written)


async def test_the_bit_rate_is_of_the_last_seconds(shelf: Shelf) -> None:
    shelf.put(FIRST, bytes(1000))
    shelf.put(SECOND, bytes(4000))
    now = asyncio.get_running_loop().time()
    assert shelf.bitrate_bps(now) == 8000
    assert shelf.bitrate_bps(now + 60) == 0


async def test_what_is_here_at_the_end_still_goes_up(bucket: Bucket) -> None:
    shelf = Shelf("id", 0, 0.0)
    shelf.begin()
    shelf.put(INIT, b"data")
    shelf.put(PLAYLIST, f"#EXTM3U\n{INIT}\n#EXT-X-ENDLIST\n".encode())
    await shelf.close()
    assert bucket.written == [INIT, PLAYLIST]
