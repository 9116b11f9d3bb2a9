"""The caller's half, with real children."""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from meet.errors import Unavailable
from meet.probe import child as children
from meet.probe import client
from meet.probe.child import Child
from meet.probe.kinds import Unreadable
from tests.data.samples import sample


class Given:
    """A source that calls `then` when it is read."""

    def __init__(self, content: bytes, then: Callable[[], None] = lambda: None) -> None:
        self.content = content
        self.size = len(content)
        self.then = then
        self.given = 0

    def read(self, offset: int, length: int) -> bytes:
        self.then()
        self.given += length
        return self.content[offset : offset + length]


@pytest.fixture
def film_path(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(sample("mp4"))
    return path


def child_of(child: Child) -> int:
    assert child._process is not None
    return child._process.pid


def test_a_file_is_examined_and_pictured(film_path: Path) -> None:
    found = client.examine_file(film_path)
    assert (found.kind.mime_type, found.facts.resolution, found.facts.codec) == ("video/mp4", "96x64", "h264")
    assert found.thumbnail is not None
    assert Image.open(BytesIO(found.thumbnail)).format == "JPEG"
    picture = client.thumbnail_file(film_path, at_s=1, width=32, height=18, format="webp")
    assert Image.open(BytesIO(picture)).size == (32, 18)


async def test_a_source_afar_is_read_where_it_matters_and_no_more() -> None:
    free = 64 << 20
    content = sample("mp4") + free.to_bytes(4, "big") + b"free" + bytes(free - 8)
    source = Given(content)
    found, picture = await asyncio.gather(
        client.examine(source), client.thumbnail(Given(content), at_s=1.9, width=20, height=20)
    )
    assert found.facts.duration_s == 2
    assert Image.open(BytesIO(picture)).size == (20, 20)
    assert source.given < 1 << 20


def test_what_is_none_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"\x7fELF\0")
    with pytest.raises(Unreadable, match="no supported format") as caught:
        client.examine_file(path)
    assert (caught.value.status, caught.value.code) == (400, "VALIDATION_ERROR")


def test_a_child_has_no_secrets_and_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = secrets.token_hex()
    monkeypatch.setenv("MEET_JWT_SECRET", secret)
    seen: dict[str, str] = {}

    def look() -> None:
        proc = Path("/proc") / str(child_of(child))
        seen["environment"] = (proc / "environ").read_text()
        seen["files"] = " ".join(sorted(os.listdir(proc / "fd")))
        seen["limits"] = (proc / "limits").read_text()

    child = Child(Given(sample("png"), look), "examine")
    child.run()
    assert secret not in seen["environment"]
    assert seen["environment"].startswith("PYTHONPATH=")
    assert seen["files"] == "0 1 2"
    limits = {line[:26].strip(): line[26:].split() for line in seen["limits"].splitlines()[1:]}
    for name in ("Max open files", "Max processes", "Max file size", "Max core file size"):
        assert limits[name][:2] == ["0", "0"]
    assert limits["Max cpu time"][:2] == ["30", "30"]


def test_what_ends_its_child_is_unreadable() -> None:
    def kill() -> None:
        os.kill(child_of(child), 11)

    child = Child(Given(sample("png"), kill), "examine")
    with pytest.raises(Unreadable, match="broken"):
        child.run()


def test_a_fault_of_the_source_is_the_callers_to_see() -> None:
    def fail() -> None:
        raise ConnectionAbortedError("S3 is away")

    child = Child(Given(sample("png"), fail), "examine")
    with pytest.raises(ConnectionAbortedError, match="away"):
        child.run()
    assert child._process is not None
    assert child._process.returncode is not None


def test_too_few_bytes_are_a_fault_of_the_source() -> None:
    source = Given(sample("png"))
    source.size += 1
    with pytest.raises(RuntimeError, match="came where"):
        Child(source, "examine").run()


def test_a_busy_machine_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch, film_path: Path) -> None:
    monkeypatch.setattr(children, "MOST_S", 0.0)
    with pytest.raises(Unavailable):
        client.examine_file(film_path)


async def test_a_caller_that_goes_away_ends_the_child() -> None:
    reading, gone = threading.Event(), threading.Event()

    def wait() -> None:
        reading.set()
        assert gone.wait(30)

    child = Child(Given(sample("mp4"), wait), "examine")
    task = asyncio.create_task(client._outcome(child))
    assert await asyncio.to_thread(reading.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gone.set()
    assert child._process is not None
    assert await asyncio.to_thread(child._process.wait, 30) == -9


def test_a_picture_larger_than_the_memory_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(sample("png"))
    with pytest.raises(Unreadable, match=r"memory|broken"):
        client.thumbnail_file(path, width=60_000, height=60_000, format="png")
