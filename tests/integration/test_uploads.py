"""Uploads through the public port into a real bucket: what is accepted, refused, and never left behind."""

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.bucket import Bucket, eventually
from tests.conftest import StartSystem, System
from tests.contract.people import Caller, client, meeting_of, newcomer
from tests.data.samples import HEIGHT, MIME_TYPES, SECONDS, WIDTH, sample

UPLOAD = "/api/v1/media/upload"
DIRECT = "/api/v1/media/uploads"
LONG = b"".join(b"%015d\n" % number for number in range(1_100_000))
"""More than a part of either kind."""
LIMITS = '{"image": 2, "document": 20, "video": 20, "audio": 20}'
FILE_TYPES = {"video": ("mp4", "webm", "mkv", "avi", "mov", "flv"), "image": ("jpg", "png", "gif", "webp", "bmp")}
FILE_TYPES |= {"audio": ("mp3", "wav", "ogg", "flac", "aac", "m4a"), "document": ("pdf", "txt")}


@pytest.fixture(scope="module")
def small(start_system: StartSystem) -> Iterator[System]:
    """A system that takes small files only, and has a bucket of its own."""
    with start_system(MEET_UPLOAD_LIMITS=LIMITS, MEET_BUCKET="uploads-small") as system:
        yield system


@pytest.fixture(scope="module")
def bucket(small: System) -> Bucket:
    return Bucket(small.env)


@pytest.fixture(scope="module")
def api(small: System) -> Iterator[httpx.Client]:
    with client(small.base_url) as made:
        yield made


@pytest.fixture(scope="module")
def owner(api: httpx.Client) -> Caller:
    return newcomer(api, "owner")


def upload(caller: Caller, name: str, content: bytes, **options: Any) -> httpx.Response:
    return caller.call("POST", UPLOAD, files={"file": (name, content)}, **options)


@pytest.mark.parametrize("extension", MIME_TYPES)
def test_every_documented_format(owner: Caller, extension: str) -> None:
    answer = upload(owner, "no name tells.exe", sample(extension), headers={"X-Request-Id": "mine"})
    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert file["mime_type"] == MIME_TYPES[extension]
    assert extension in FILE_TYPES[file["file_type"]]
    assert file["size"] == len(sample(extension))
    assert file["uploaded_by"] == owner.user_id
    assert file["filename"] == "no name tells.exe"
    assert answer.headers["location"] == f"/api/v1/media/{file['media_id']}"
    assert answer.headers["x-request-id"] == "mine"
    if file["file_type"] in ("video", "image"):
        assert file["resolution"] == f"{WIDTH}x{HEIGHT}"
        picture = owner.call("GET", urlsplit(file["thumbnail_url"]).path)
        assert picture.status_code == 200
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.content.startswith(b"\xff\xd8\xff")
    else:
        assert file["thumbnail_url"] is None
    if file["file_type"] in ("video", "audio"):
        assert file["duration"] == SECONDS
    same = owner.call("GET", urlsplit(file["url"]).path)
    assert same.content == sample(extension)


@pytest.mark.parametrize(
    ("name", "content", "field"),
    [
        ("empty.mp4", b"", "file"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "file"),
        ("page.jpg", b"<!doctype html><script>alert(1)</script>", "file"),
        ("picture.png", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "file"),
        ("archive.mp4", b"PK\x03\x04" + bytes(4000), "file"),
        ("half.mp4", sample("mp4")[: len(sample("mp4")) // 2], None),
        ("half.png", sample("png")[:100], None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_accepted_file_leaves_nothing(
    owner: Caller, bucket: Bucket, name: str, content: bytes, field: str | None
) -> None:
    before = bucket.keys()
    answer = upload(owner, name, content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    if field:
        assert list(answer.json()["error"]["details"]) == [field]
    assert bucket.keys() == before
    assert bucket.uploads() == []


def test_the_limit_of_a_type_is_refused_as_soon_as_it_is_passed(small: System, owner: Caller, bucket: Bucket) -> None:
    """The answer is there while most of the announced file hasn't been sent, nor ever is."""
    before = bucket.keys()
    with sending(small, owner, 15_000_000) as (connection, go_on):
        go_on(sample("png") + bytes(2_000_000))
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == 413
    assert b'"message":"File size exceeds maximum limit of 2MB"' in body
    assert b'"code":"PAYLOAD_TOO_LARGE"' in body
    assert bucket.keys() == before


def test_a_length_that_is_too_large_is_refused_before_a_byte(small: System, owner: Caller) -> None:
    with sending(small, owner, 30_000_000) as (connection, _):
        answer = connection.getresponse()
        assert (answer.status, b"limit of 20MB" in answer.read()) == (413, True)


def test_parts_of_a_file_that_is_too_large_are_deleted(owner: Caller, bucket: Bucket) -> None:
    before = bucket.keys()
    answer = upload(owner, "long.txt", b"line of text\n" * 1_600_000)
    assert answer.status_code == 413
    assert "20MB" in answer.json()["error"]["message"]
    assert bucket.keys() == before
    assert bucket.uploads() == []


def test_a_large_file_comes_in_parts_and_comes_back(owner: Caller, bucket: Bucket) -> None:
    file = upload(owner, "long.txt", LONG).raise_for_status().json()
    assert file["size"] == len(LONG)
    assert bucket.uploads() == []
    assert owner.call("GET", urlsplit(file["url"]).path).content == LONG


def test_a_client_that_goes_away_leaves_nothing(small: System, owner: Caller, bucket: Bucket) -> None:
    before = bucket.keys()
    with sending(small, owner, 18_000_000) as (_, go_on):
        go_on(b"line of text\n" * 1_000_000)
        eventually(bucket.uploads, lambda open_: len(open_) == 1)
    eventually(bucket.uploads, lambda open_: open_ == [])
    assert bucket.keys() == before


def test_three_at_once(small: System, owner: Caller) -> None:
    """The fourth is refused while three are open, and accepted when one of them has ended."""
    stranger = newcomer(owner.api, "other")
    with sending(small, owner, 1000), sending(small, owner, 1000), sending(small, owner, 1000):
        answer = upload(owner, "fourth.txt", b"text")
        assert answer.status_code == 429
        assert answer.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert "3 uploads" in answer.json()["error"]["message"]
        assert answer.headers["retry-after"] == "5"
        assert upload(stranger, "of another.txt", b"text").status_code == 201
    eventually(lambda: upload(owner, "fifth.txt", b"text"), lambda answer: answer.status_code == 201)


def test_a_file_of_a_meeting(owner: Caller) -> None:
    meeting = meeting_of(owner)
    number = meeting["meeting_number"]
    for name in (meeting["meeting_id"], str(number), f"meeting-{number}"):
        said = {"meeting_id": name, "description": "Notes — schön", "file_type": "document"}
        file = upload(owner, "notes.txt", b"text", data=said).raise_for_status().json()
        assert (file["meeting_id"], file["description"]) == (number, "Notes — schön")
    stranger = newcomer(owner.api, "stranger")
    assert upload(stranger, "notes.txt", b"text", data={"meeting_id": str(number)}).status_code == 404
    assert upload(owner, "notes.txt", b"text", data={"meeting_id": "no such"}).status_code == 404
    assert upload(owner, "notes.txt", b"text", data={"meeting_id": ""}).json()["meeting_id"] is None


@pytest.mark.parametrize(
    ("data", "field"), [({"file_type": "program"}, "file_type"), ({"description": "x" * 5001}, "description")]
)
def test_fields_are_checked(owner: Caller, bucket: Bucket, data: dict[str, str], field: str) -> None:
    before = bucket.keys()
    answer = upload(owner, "notes.txt", b"text", data=data)
    assert answer.status_code == 400
    assert list(answer.json()["error"]["details"]) == [field]
    assert bucket.keys() == before


def test_an_upload_that_is_repeated_is_one_file(owner: Caller, bucket: Bucket) -> None:
    key = {"Idempotency-Key": os.urandom(8).hex()}
    first = upload(owner, "a.txt", b"text", headers=key)
    before = bucket.keys()
    again = upload(owner, "a.txt", b"text", headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    for other in (("a.txt", b"other"), ("b.txt", b"text")):
        answer = upload(owner, *other, headers=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert bucket.keys() == before


def test_at_the_same_moment_under_one_key_it_is_one_file(owner: Caller, bucket: Bucket) -> None:
    key = {"Idempotency-Key": os.urandom(8).hex()}
    before = bucket.keys()
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: upload(owner, "a.txt", b"at once", headers=key), range(3)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    ids = {answer.json()["media_id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    assert len(bucket.keys() - before) == 1


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({}, b"", 415),
        ({"Content-Type": "multipart/form-data"}, b"", 400),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"no form", 400),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"", 400),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--\r\n", 400),
        ({"Content-Type": "multipart/form-data; boundary=" + "b" * 300}, b"", 400),
    ],
)
def test_what_is_no_form(owner: Caller, headers: dict[str, str], content: bytes, status: int) -> None:
    answer = owner.call("POST", UPLOAD, headers=headers, content=content)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_nobody_uploads_unknown(api: httpx.Client, owner: Caller) -> None:
    nobody = upload(Caller(api), "a.txt", b"text")
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "MISSING_TOKEN")
    wrong = owner.call("GET", UPLOAD)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@contextmanager
def sending(system: System, caller: Caller, length: int) -> Iterator[tuple[HTTPConnection, Callable[[bytes], None]]]:
    """A form of an announced length that has begun; closed at the end.

    Its client waits for the word to go on (RFC 9110 section 10.1.1), which isn't given before it may upload.
    """
    address = urlsplit(system.base_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
    connection.putrequest("POST", UPLOAD)
    connection.putheader("Authorization", f"Bearer {caller.token}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(length))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    told = connection.sock.recv(1 << 16, socket.MSG_PEEK)
    if told == b"HTTP/1.1 100 Continue\r\n\r\n":
        connection.sock.recv(len(told))
        connection.send(b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n')
    try:
        yield connection, connection.send
    finally:
        connection.close()


@pytest.fixture(scope="module")
def storage() -> Iterator[httpx.Client]:
    """What a browser is to the bucket: nobody it knows."""
    with httpx.Client(timeout=30, trust_env=False) as made:
        yield made


def begin(caller: Caller, content: bytes, **said: Any) -> httpx.Response:
    return caller.call("POST", DIRECT, json={"filename": "direct.txt", "size": len(content)} | said)


def send(storage: httpx.Client, begun: dict[str, Any], content: bytes) -> None:
    for part in begun["parts"]:
        start = (part["part_number"] - 1) * begun["part_size"]
        storage.put(part["url"], content=content[start : start + part["size"]]).raise_for_status()


def complete(caller: Caller, begun: dict[str, Any]) -> httpx.Response:
    return caller.call("POST", urlsplit(begun["complete_url"]).path)


def test_a_direct_upload(owner: Caller, bucket: Bucket, storage: httpx.Client) -> None:
    answer = begin(owner, LONG, description="direct")
    assert answer.status_code == 201, answer.text
    begun = answer.json()
    assert [part["size"] for part in begun["parts"]] == [16 << 20, len(LONG) - (16 << 20)]
    early = complete(owner, begun)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "UPLOAD_INCOMPLETE")
    first = begun["parts"][0]
    storage.put(first["url"], content=LONG[: first["size"]]).raise_for_status()
    rest = owner.call("GET", answer.headers["location"]).json()
    assert [part["part_number"] for part in rest["parts"]] == [2]
    send(storage, rest, LONG)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: complete(owner, begun), range(3)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    answers.append(complete(owner, begun))
    files = [answer.json() for answer in answers if answer.status_code == 201]
    assert all(file == files[0] for file in files)
    assert (files[0]["media_id"], files[0]["size"], files[0]["description"]) == (
        begun["upload_id"],
        len(LONG),
        "direct",
    )
    assert owner.call("GET", urlsplit(files[0]["url"]).path).content == LONG
    assert bucket.uploads() == []


def test_a_part_of_another_size_is_not_taken(owner: Caller, storage: httpx.Client) -> None:
    begun = begin(owner, b"text").json()
    [part] = begun["parts"]
    assert storage.put(part["url"], content=b"longer text").status_code == 403
    assert storage.put(part["url"] + "0", content=b"text").status_code == 403
    assert complete(owner, begun).status_code == 409
    assert owner.call("DELETE", f"{DIRECT}/{begun['upload_id']}").status_code == 204


def test_what_is_sent_directly_is_examined(owner: Caller, bucket: Bucket, storage: httpx.Client) -> None:
    before = bucket.keys()
    page = b"<!doctype html><script>alert(1)</script>"
    begun = begin(owner, page, filename="page.jpg").json()
    send(storage, begun, page)
    assert complete(owner, begun).status_code == 400
    assert complete(owner, begun).status_code == 404
    assert bucket.keys() == before


def test_who_may_go_on_with_a_direct_upload(owner: Caller, bucket: Bucket) -> None:
    stranger = newcomer(owner.api, "stranger")
    begun = begin(owner, b"text").json()
    path = f"{DIRECT}/{begun['upload_id']}"
    for method, target in (("GET", path), ("DELETE", path), ("POST", f"{path}/complete")):
        assert stranger.call(method, target).status_code == 404
    assert owner.call("DELETE", path).status_code == 204
    assert owner.call("DELETE", path).status_code == 404
    assert complete(owner, begun).status_code == 404
    assert bucket.uploads() == []


def test_direct_uploads_have_the_same_limits(owner: Caller) -> None:
    user = newcomer(owner.api, "busy")
    large = begin(user, b"", size=3_000_000, file_type="image")
    assert (large.status_code, large.json()["error"]["message"]) == (413, "File size exceeds maximum limit of 2MB")
    assert begin(user, b"").status_code == 400
    assert begin(user, b"x", filename="").status_code == 400
    assert begin(user, b"x", meeting_id=10**9).status_code == 404
    begun = [begin(user, b"text").json() for _ in range(3)]
    assert begin(user, b"text").status_code == 429
    assert user.call("DELETE", f"{DIRECT}/{begun[0]['upload_id']}").status_code == 204
    assert begin(user, b"text").status_code == 201
