"""Objects go in and come out as they are; what isn't there is said in our words. S3 is moto's here."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from moto import mock_aws

from meet import multipart, objects
from meet.config import settings
from meet.errors import NotFound, Unavailable

TEXT = "text/plain"


@pytest.fixture(autouse=True)
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_S3_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_S3_PUBLIC_URL", "https://files.example.org")
    settings.cache_clear()
    with mock_aws():
        objects.ensure_bucket()
        objects.ensure_bucket()
        yield
    settings.cache_clear()


def test_what_is_put_is_there() -> None:
    blob = objects.put_bytes("media/x/1", b"hello", TEXT)
    assert (blob.size, blob.etag) == (5, "5d41402abc4b2a76b9719d911017c592")
    assert objects.head("media/x/1") == blob
    assert objects.read_bytes("media/x/1") == b"hello"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(1, 2, b"el"), (2, None, b"llo"), (0, 0, b"h"), (3, 100, b"lo"), (5, None, b""), (9, 12, b"")],
)
def test_ranges(first: int, last: int | None, expected: bytes) -> None:
    objects.put_bytes("media/x/1", b"hello", TEXT)
    assert objects.read_bytes("media/x/1", first=first, last=last) == expected


def test_files_come_back(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 40_000)  # more than one part of boto3's
    blob = objects.upload_file(large, "media/x/1", "video/mp4")
    assert blob.size == 10_240_000
    objects.download_file("media/x/1", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


def test_what_is_not_there(tmp_path: Path) -> None:
    assert objects.head("media/x/none") is None
    with pytest.raises(NotFound):
        objects.read_bytes("media/x/none")
    with pytest.raises(NotFound):
        objects.download_file("media/x/none", tmp_path / "back")
    assert list(tmp_path.iterdir()) == []
    objects.delete("media/x/none")
    objects.delete_many(["media/x/none"])
    multipart.abort("media/x/none", "no such upload")


def test_objects_are_deleted_by_the_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "DELETED_AT_ONCE", 2)
    for number in range(5):
        objects.put_bytes(f"media/x/{number}", b"", TEXT)
    other = objects.put_bytes("elsewhere/1", b"", TEXT)
    objects.delete_many(found.key for found in list(objects.every()))
    assert [found.key for found in objects.every("")] == [other.key]


def test_keys_are_never_the_same() -> None:
    upload, output = objects.upload_key("x"), objects.output_key("x", 3)
    assert upload != objects.upload_key("x")
    assert output != objects.output_key("x", 3)
    assert upload.startswith("media/x/")
    assert objects.attempt_of(output) == objects.attempt_of(objects.thumbnail_key(output)) == 3


def test_an_object_comes_in_parts() -> None:
    upload_id = multipart.begin("media/x/1", TEXT)
    first = multipart.put("media/x/1", upload_id, 1, b"a" * 5 * 1024 * 1024)
    second = multipart.put("media/x/1", upload_id, 2, b"b")
    assert [part.number for part in multipart.arrived("media/x/1", upload_id)] == [1, 2]
    assert objects.head("media/x/1") is None
    blob = multipart.complete("media/x/1", upload_id, [first, second])
    assert blob.size == 5 * 1024 * 1024 + 1
    with pytest.raises(NotFound):
        multipart.arrived("media/x/1", upload_id)


def test_what_is_aborted_is_forgotten() -> None:
    upload_id = multipart.begin("media/x/1", TEXT)
    multipart.put("media/x/1", upload_id, 1, b"part")
    assert [upload.key for upload in multipart.every()] == ["media/x/1"]
    multipart.abort("media/x/1", upload_id)
    assert list(multipart.every()) == []
    with pytest.raises(NotFound):
        multipart.arrived("media/x/1", upload_id)


def test_a_presigned_part_signs_its_size_for_the_public_host() -> None:
    url = urlsplit(multipart.presigned_part("media/x/1", "the-upload", 2, 77, expires_s=900))
    query = parse_qs(url.query)
    assert (url.scheme, url.netloc, url.path) == ("https", "files.example.org", "/meet-media/media/x/1")
    assert (query["partNumber"], query["uploadId"], query["X-Amz-Expires"]) == (["2"], ["the-upload"], ["900"])
    assert "content-length" in query["X-Amz-SignedHeaders"][0].split(";")


def test_a_presigned_get_is_for_whom_it_was_asked() -> None:
    assert urlsplit(objects.presigned_get("k", expires_s=60, public=True)).netloc == "files.example.org"
    assert urlsplit(objects.presigned_get("k", expires_s=60)).netloc.endswith(".amazonaws.com")


def test_where_s3_is_away_it_is_said(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setattr(objects, "RETRIES", 0)
    monkeypatch.setenv("MEET_S3_ENDPOINT_URL", f"http://127.0.0.1:{unused_tcp_port}")
    settings.cache_clear()
    with pytest.raises(Unavailable):
        objects.put_bytes("k", b"", TEXT)
    with pytest.raises(Unavailable):
        list(objects.every())
