"""Downloads through the public port from a real bucket, and pictures made of what is there."""

import io
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from PIL import Image

from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.media import FileType, MediaFile, MediaStatus
from meet.store import base, media
from tests.bucket import Bucket, eventually
from tests.conftest import System
from tests.contract.people import Caller, client, meeting_of, newcomer
from tests.data.samples import image, sample

THUMBNAIL = "/api/v1/ffmpeg/thumbnail"
CONTENT = b"".join(b"%07d\n" % number for number in range(250_000))


@pytest.fixture(scope="module")
def api(system: System) -> Iterator[httpx.Client]:
    with client(system.base_url) as made:
        yield made


@pytest.fixture(scope="module")
def owner(api: httpx.Client) -> Caller:
    return newcomer(api, "owner")


@pytest.fixture(scope="module")
def stranger(api: httpx.Client) -> Caller:
    return newcomer(api, "stranger")


def upload(caller: Caller, name: str, content: bytes, **fields: str) -> dict[str, Any]:
    answer = caller.call("POST", "/api/v1/media/upload", files={"file": (name, content)}, data=fields)
    file: dict[str, Any] = answer.raise_for_status().json()
    return file


@pytest.fixture(scope="module")
def text(owner: Caller) -> dict[str, Any]:
    return upload(owner, "two million.txt", CONTENT)


@pytest.fixture(scope="module")
def video(owner: Caller) -> dict[str, Any]:
    return upload(owner, "会议 – schön.mp4", sample("mp4"))


def path_of(file: dict[str, Any]) -> str:
    return urlsplit(file["url"]).path


def test_the_whole_file(owner: Caller, text: dict[str, Any]) -> None:
    answer = owner.call("GET", path_of(text))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["content-disposition"] == 'attachment; filename="two million.txt"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-request-id"]


def test_head_says_the_same_without_the_bytes(owner: Caller, text: dict[str, Any]) -> None:
    head, whole = owner.call("HEAD", path_of(text)), owner.call("GET", path_of(text))
    assert (head.status_code, head.content) == (200, b"")
    same = ("content-type", "content-length", "content-disposition", "etag", "last-modified", "accept-ranges")
    assert [head.headers[name] for name in same] == [whole.headers[name] for name in same]


def test_a_name_that_is_not_ascii(owner: Caller, video: dict[str, Any]) -> None:
    told = owner.call("HEAD", path_of(video)).headers["content-disposition"]
    assert told == f"attachment; filename=\"__ _ sch_n.mp4\"; filename*=UTF-8''{quote('会议 – schön.mp4')}"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-1048575", 0, 1_048_575),
        ("bytes=1999990-", 1_999_990, 1_999_999),
        ("bytes=-8", 1_999_992, 1_999_999),
        ("bytes=7-7", 7, 7),
        ("bytes=1000000-9999999", 1_000_000, 1_999_999),
    ],
)
def test_a_range(owner: Caller, text: dict[str, Any], asked: str, first: int, last: int) -> None:
    answer = owner.call("GET", path_of(text), headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.content == CONTENT[first : last + 1]


def test_a_range_beyond_the_end(owner: Caller, text: dict[str, Any]) -> None:
    answer = owner.call("GET", path_of(text), headers={"Range": "bytes=2000000-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */2000000"
    assert answer.json()["error"]["code"] == "RANGE_NOT_SATISFIABLE"


def test_conditions(owner: Caller, text: dict[str, Any]) -> None:
    path = path_of(text)
    head = owner.call("HEAD", path).headers
    part = {"Range": "bytes=5-9"}
    kept = owner.call("GET", path, headers={"If-None-Match": head["etag"]})
    assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", head["etag"])
    assert owner.call("GET", path, headers={"If-Modified-Since": head["last-modified"]}).status_code == 304
    assert owner.call("GET", path, headers={"If-Match": '"other"'}).status_code == 412
    assert owner.call("GET", path, headers=part | {"If-Range": head["etag"]}).status_code == 206
    assert owner.call("GET", path, headers=part | {"If-Range": '"other"'}).content == CONTENT


@pytest.mark.parametrize(("extension", "shown"), [("mp4", True), ("png", True), ("pdf", False), ("txt", False)])
def test_only_what_a_browser_cannot_run_is_shown_in_place(owner: Caller, extension: str, shown: bool) -> None:
    file = upload(owner, f"a.{extension}", sample(extension))
    answer = owner.call("HEAD", path_of(file) + "?disposition=inline")
    assert answer.headers["content-disposition"].split(";")[0] == ("inline" if shown else "attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_who_may(api: httpx.Client, owner: Caller, stranger: Caller, system: System) -> None:
    meeting = meeting_of(owner)
    participant = newcomer(api, "participant")
    participant.call("POST", f"/api/v1/meetings/{meeting['meeting_id']}/join").raise_for_status()
    admin = Caller(api, system.admin_username, system.admin_password).sign_in()
    own = upload(owner, "own.png", sample("png"))
    shared = upload(owner, "shared.png", sample("png"), meeting_id=str(meeting["meeting_number"]))
    callers = (owner, participant, stranger, admin)
    for file, statuses in ((own, (200, 404, 404, 200)), (shared, (200, 200, 404, 200))):
        for caller, status in zip(callers, statuses, strict=True):
            for path in (path_of(file), urlsplit(file["thumbnail_url"]).path):
                assert caller.call("GET", path).status_code == status
            made = caller.call("POST", THUMBNAIL, json={"media_id": file["media_id"]})
            assert made.status_code == status
    assert api.get(path_of(own)).status_code == 401
    hidden, absent = stranger.call("GET", path_of(own)), stranger.call("GET", "/api/v1/media/download/nothing")
    assert hidden.json()["error"]["message"] == absent.json()["error"]["message"] == "Media file not found"


def test_a_download_is_counted_once_whatever_its_ranges(owner: Caller) -> None:
    file = upload(owner, "counted.txt", CONTENT)
    path, info = path_of(file), f"/api/v1/media/info/{file['media_id']}"
    for asked in ("bytes=0-1", "bytes=0-99", "bytes=100-199", "bytes=-5", ""):
        owner.call("GET", path, headers={"Range": asked} if asked else {}).raise_for_status()
    owner.call("HEAD", path).raise_for_status()
    counted = eventually(lambda: owner.call("GET", info).json(), lambda info: info["download_count"] >= 2)
    assert counted["download_count"] == 2
    assert counted["last_accessed"] >= file["uploaded_at"]


def test_many_read_at_once(owner: Caller, text: dict[str, Any]) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: owner.call("GET", path_of(text)).content == CONTENT, range(16)))
    assert all(found)


def test_one_who_stops_reading_holds_up_nobody(system: System, owner: Caller, text: dict[str, Any]) -> None:
    address = urlsplit(system.base_url)
    with socket.create_connection((address.hostname, address.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = f"GET {path_of(text)} HTTP/1.1\r\nHost: meet\r\nAuthorization: Bearer {owner.token}\r\n\r\n"
        slow.sendall(asked.encode())
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        assert owner.call("GET", path_of(text)).content == CONTENT


def test_bytes_that_are_gone(owner: Caller, system: System) -> None:
    bucket = Bucket(system.env)
    before = bucket.keys()
    file = upload(owner, "gone.txt", b"text")
    [key] = bucket.keys() - before
    bucket.s3.delete_object(Bucket=bucket.name, Key=key)
    assert owner.call("GET", path_of(file)).status_code == 404


def test_a_file_without_bytes(system: System, owner: Caller) -> None:
    """A job is to make it, or was to."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in system.env.items():
            environment.setenv(name, value)
        settings.cache_clear()
        file = MediaFile(
            media_id=new_id(),
            owner_id=owner.user_id,
            filename="later.mp4",
            file_type=FileType.VIDEO,
            mime_type="video/mp4",
            uploaded_at=utcnow(),
            status=MediaStatus.PROCESSING,
            job_id="a job",
        )
        media.create(file)
        asked = [("GET", f"/api/v1/media/{kind}/{file.media_id}", None) for kind in ("download", "thumbnail")]
        asked.append(("POST", THUMBNAIL, {"media_id": file.media_id}))
        for method, path, body in asked:
            answer = owner.call(method, path, json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "MEDIA_PROCESSING")
            assert int(answer.headers["retry-after"]) > 0
        assert media.fail(file.media_id)
        for method, path, body in asked:
            answer = owner.call(method, path, json=body)
            assert (answer.status_code, answer.headers.get("retry-after")) == (409, None)
    settings.cache_clear()
    base._connect.cache_clear()


def test_no_thumbnail_of_a_text(owner: Caller, text: dict[str, Any]) -> None:
    answer = owner.call("GET", f"/api/v1/media/thumbnail/{text['media_id']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize("format", ["jpg", "png", "webp"])
def test_a_picture_of_a_moment(owner: Caller, video: dict[str, Any], format: str) -> None:
    """The video goes from black to white."""
    bright = []
    for moment in (0, 1.9):
        body = {"media_id": video["media_id"], "timestamp": moment, "width": 120, "height": 80, "format": format}
        answer = owner.call("POST", THUMBNAIL, json=body)
        made = answer.raise_for_status().json()
        assert (made["width"], made["height"], made["format"]) == (120, 80, format)
        content = owner.call("GET", urlsplit(made["url"]).path).content
        assert len(content) == made["size"]
        picture = Image.open(io.BytesIO(content))
        assert (picture.size, picture.format) == ((120, 80), {"jpg": "JPEG"}.get(format, format.upper()))
        bright.append(picture.convert("L").getpixel((60, 40)))
        info = owner.call("GET", f"/api/v1/media/info/{made['thumbnail_id']}").json()
        assert (info["file_type"], info["resolution"], info["size"]) == ("image", "120x80", made["size"])
    assert bright[0] < 60
    assert bright[1] > 190


def test_a_picture_of_a_picture_has_the_documented_defaults(owner: Caller) -> None:
    file = upload(owner, "wide.png", image("PNG", 640, 360))
    made = owner.call("POST", THUMBNAIL, json={"input_media_id": file["media_id"]}).raise_for_status().json()
    assert (made["width"], made["height"], made["format"]) == (320, 180, "jpg")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "media_id"),
        ({"timestamp": 3}, "timestamp"),
        ({"timestamp": -1}, "timestamp"),
        ({"timestamp": "soon"}, "timestamp"),
        ({"width": 0}, "width"),
        ({"width": 100_000}, "width"),
        ({"height": 1.5}, "height"),
        ({"format": "gif"}, "format"),
    ],
)
def test_pictures_that_are_refused(owner: Caller, video: dict[str, Any], body: dict[str, Any], field: str) -> None:
    named = {"media_id": video["media_id"]} if body else {}
    answer = owner.call("POST", THUMBNAIL, json=named | body)
    assert answer.status_code == 400, answer.text
    assert {name.split(".")[0] for name in answer.json()["error"]["details"]} == {field}


@pytest.mark.parametrize("extension", ["txt", "pdf", "mp3"])
def test_no_picture_of_what_shows_nothing(owner: Caller, extension: str) -> None:
    file = upload(owner, f"a.{extension}", sample(extension))
    answer = owner.call("POST", THUMBNAIL, json={"media_id": file["media_id"]})
    assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, ["media_id"])


def test_a_picture_that_is_asked_for_again_is_one_file(owner: Caller, video: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": f"picture-{video['media_id']}"}
    body = {"media_id": video["media_id"]}
    first, again = (owner.call("POST", THUMBNAIL, json=body, headers=headers) for _ in range(2))
    assert first.json()["thumbnail_id"] == again.json()["thumbnail_id"]
    other = owner.call("POST", THUMBNAIL, json=body | {"width": 10}, headers=headers)
    assert other.status_code == 409
