"""What it costs to move a file through the public port: MB/s against plain S3 with boto3, and the edge's memory.

Both move the same file between the same disk and the same S3 server; rounds are interleaved and the medians compared,
since the machines are shared. The edge's way has one process more on it, which parses, counts and copies every byte
besides: with a core of its own for each it is the S3 server that decides, with two cores for all it is not.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.bucket import Bucket
from tests.conftest import StartSystem, System
from tests.contract.people import Caller, client, newcomer
from tests.processes import cpu_seconds, descendants, resident_bytes

ROUNDS = 3
MEASURED_MB = 200
LARGEST_MB = 1000
MEGABYTE = 1_000_000
BLOCK = b"%015d\n" * 62_500 % tuple(range(62_500))
"""A megabyte of text: what it is takes no time to find out."""
MEMORY_MB = 120
"""What a transfer may add to the edge's memory, whatever its size."""
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="long.txt"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


@pytest.fixture(scope="module")
def alone(start_system: StartSystem) -> Iterator[System]:
    with start_system(MEET_BUCKET="bench-files") as system:
        yield system


@pytest.fixture(scope="module")
def somebody(alone: System) -> Iterator[Caller]:
    with client(alone.base_url) as api:
        yield newcomer(api, "bench")


@pytest.fixture(scope="module")
def edge(alone: System) -> int:
    """The process id of the edge."""
    [found] = [
        child
        for child in descendants(alone.process.pid)
        if Path(f"/proc/{child}/cmdline").read_bytes().endswith(b"\0-m\0sfu.edge\0")
    ]
    return found


def upload(caller: Caller, blocks: Iterator[bytes], size: int) -> str:
    """The path of the file that was made of these blocks."""
    address = urlsplit(str(caller.api.base_url))
    with closing(HTTPConnection(address.hostname or "", address.port, timeout=600)) as connection:
        connection.putrequest("POST", "/api/v1/media/upload")
        connection.putheader("Authorization", f"Bearer {caller.token}")
        connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        connection.putheader("Content-Length", str(len(HEAD) + size + len(TAIL)))
        connection.endheaders(HEAD)
        for block in blocks:
            connection.send(block)
        connection.send(TAIL)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 201, text
        location = answer.getheader("Location") or ""
        return location.replace("/media/", "/media/download/")


def download(caller: Caller, path: str, take: Callable[[HTTPResponse], None]) -> None:
    address = urlsplit(str(caller.api.base_url))
    with closing(HTTPConnection(address.hostname or "", address.port, timeout=600)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {caller.token}"})
        answer = connection.getresponse()
        assert answer.status == 200
        take(answer)


def blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(MEGABYTE):
            yield block


def written_to(path: Path) -> Callable[[HTTPResponse], None]:
    def write(answer: HTTPResponse) -> None:
        with path.open("wb") as file:
            while block := answer.read(MEGABYTE):
                file.write(block)

    return write


def timed(act: Callable[[], object]) -> float:
    """Megabytes a second of moving `MEASURED_MB`."""
    started = time.perf_counter()
    act()
    return MEASURED_MB / (time.perf_counter() - started)


@contextmanager
def most_memory(pid: int) -> Iterator[list[int]]:
    """A list whose one number grows to the most memory that the process was seen to have in this block."""
    seen = [0]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            seen[0] = max(seen[0], resident_bytes(pid))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield seen
    finally:
        ended.set()
        watch.join()


def test_megabytes_a_second(alone: System, somebody: Caller, edge: int, tmp_path: Path) -> None:
    bucket = Bucket(alone.env)
    source, taken = tmp_path / "source.txt", tmp_path / "taken.txt"
    source.write_bytes(BLOCK * MEASURED_MB)
    size = source.stat().st_size
    rates: dict[str, list[float]] = {"up": [], "boto3 up": [], "down": [], "boto3 down": []}
    cpu_s: dict[str, list[float]] = {"up": [], "down": []}
    for _ in range(ROUNDS):
        rates["boto3 up"].append(timed(lambda: bucket.s3.upload_file(str(source), bucket.name, "plain")))
        before = cpu_seconds(edge)
        started = time.perf_counter()
        path = upload(somebody, blocks_of(source), size)
        rates["up"].append(MEASURED_MB / (time.perf_counter() - started))
        cpu_s["up"].append(cpu_seconds(edge) - before)
        rates["boto3 down"].append(timed(lambda: bucket.s3.download_file(bucket.name, "plain", str(taken))))
        before = cpu_seconds(edge)
        rates["down"].append(timed(partial(download, somebody, path, written_to(taken))))
        cpu_s["down"].append(cpu_seconds(edge) - before)
        assert taken.stat().st_size == size
        somebody.call("DELETE", path.replace("/download/", "/")).raise_for_status()
    for way in ("up", "down"):
        ours, plain = statistics.median(rates[way]), statistics.median(rates[f"boto3 {way}"])
        cost = statistics.median(cpu_s[way]) / MEASURED_MB * 1000
        print(f"\n{way}: {ours:.0f} MB/s, boto3 {plain:.0f} MB/s, ratio {ours / plain:.2f}; edge {cost:.1f} ms/MB")


def test_memory_of_the_largest_file(somebody: Caller, edge: int) -> None:
    """Up and down once; the most that the edge's memory is above what it was after a small file."""
    upload(somebody, iter([BLOCK]), len(BLOCK))
    idle = resident_bytes(edge)
    with most_memory(edge) as most:
        path = upload(somebody, (BLOCK for _ in range(LARGEST_MB)), LARGEST_MB * len(BLOCK))
    uploaded = most[0] - idle
    with most_memory(edge) as most:
        download(somebody, path, lambda answer: all(iter(lambda: answer.read(MEGABYTE), b"")) or None)
    downloaded = most[0] - idle
    print(f"\nmemory of {LARGEST_MB} MB: {uploaded / 1e6:.0f} MB up, {downloaded / 1e6:.0f} MB down")
    assert uploaded < MEMORY_MB * MEGABYTE
    assert downloaded < MEMORY_MB * MEGABYTE
