"""Media files come back as they were stored, change once, and are listed by owner and by meeting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pynamodb.exceptions import TransactWriteError

from meet.domain.media import Blob, Facts, FileType, MediaFile, MediaStatus
from meet.errors import Conflict, NotFound
from meet.store import media
from meet.store.base import reasons, transaction

pytestmark = pytest.mark.usefixtures("tables")

NOW = datetime(2025, 10, 5, 14, 30, tzinfo=UTC)
BYTES = Blob("media/one/abc", 52_428_800, "d41d8cd98f00b204e9800998ecf8427e-7")
THUMBNAIL = Blob("media/one/abc.thumb.jpg", 4000, "0cc175b9c0f1b6a831c399e269772661")
UPLOADED = MediaFile(
    media_id="one",
    owner_id="alice",
    filename="Größe 视频.mp4",
    file_type=FileType.VIDEO,
    mime_type="video/mp4",
    uploaded_at=NOW,
    blob=BYTES,
    thumbnail=THUMBNAIL,
    facts=Facts(1800.48, 1920, 1080, 2_500_000, "h264", "aac", 29.97),
    meeting_id="a-meeting",
    meeting_number=123,
    description="Meeting recording",
)
AWAITED = MediaFile(
    media_id="two",
    owner_id="alice",
    filename="video.mp3",
    file_type=FileType.AUDIO,
    mime_type="audio/mpeg",
    uploaded_at=NOW,
    status=MediaStatus.PROCESSING,
    job_id="a-job",
)
LATER = NOW + timedelta(minutes=1)
MADE = AWAITED.finished(Blob("media/two/1-x", 9, "e"), "audio/mpeg", Facts(duration_s=2.5), at=LATER)


@pytest.mark.parametrize("file", [UPLOADED, AWAITED], ids=["uploaded", "awaited"])
def test_what_is_stored_comes_back(file: MediaFile) -> None:
    media.create(file)
    assert media.get(file.media_id) == file


def test_an_id_is_taken_once() -> None:
    media.create(UPLOADED)
    with pytest.raises(Conflict):
        media.create(replace(UPLOADED, owner_id="mallory"))
    assert media.get("one").owner_id == "alice"


@pytest.mark.parametrize("media_id", ["nobody's", "", "x" * 5000])
def test_what_is_not_there(media_id: str) -> None:
    assert media.find(media_id) is None
    with pytest.raises(NotFound, match="Media file not found"):
        media.get(media_id)


def test_a_job_ends_its_file_once() -> None:
    media.create(AWAITED)
    assert media.finish(MADE)
    assert media.get("two") == MADE
    late = replace(MADE, blob=Blob("media/two/2-y", 1, "f"))
    assert not media.finish(late)
    assert not media.fail("two")
    assert media.get("two") == MADE


def test_a_thumbnail_comes_with_the_bytes() -> None:
    media.create(AWAITED)
    assert media.finish(replace(MADE, thumbnail=THUMBNAIL))
    assert media.get("two").thumbnail == THUMBNAIL


def test_a_file_that_failed_never_has_bytes() -> None:
    media.create(AWAITED)
    assert media.fail("two")
    assert not media.finish(MADE)
    assert media.get("two") == AWAITED.failed()


def test_an_end_that_comes_after_the_delete_brings_nothing_back() -> None:
    assert not media.finish(MADE)
    assert not media.fail("two")
    assert media.find("two") is None


def test_a_transaction_begins_and_ends_files() -> None:
    other = replace(AWAITED, media_id="three")
    with transaction() as write:
        media.add(write, AWAITED)
        media.add(write, other)
    with transaction() as write:
        media.finish_in(write, MADE)
        media.fail_in(write, "three")
    assert media.find_many(["three", "gone", "two"]) == [other.failed(), MADE]


def test_a_transaction_is_cancelled_by_a_file_that_ended() -> None:
    media.create(AWAITED)
    media.create(UPLOADED)
    write = transaction()
    media.finish_in(write, MADE)
    media.fail_in(write, "one")
    with pytest.raises(TransactWriteError) as caught, write:
        pass
    assert reasons(caught.value) == [False, True]
    assert media.get("two") == AWAITED


def test_downloads_are_counted() -> None:
    media.create(UPLOADED)
    media.touched("one", 2, NOW)
    media.touched("one", 1, LATER)
    assert media.get("one") == replace(UPLOADED, download_count=3, last_accessed=LATER)


def test_a_download_of_what_is_gone_makes_no_file() -> None:
    media.touched("one", 1, NOW)
    assert media.find("one") is None


def test_a_file_is_deleted_once_and_tells_its_objects() -> None:
    media.create(UPLOADED)
    assert media.keys_of(media.delete("one")) == [BYTES.key, THUMBNAIL.key]
    with pytest.raises(NotFound):
        media.delete("one")


def test_a_delete_sees_the_objects_of_a_job_that_ends_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    media.create(AWAITED)
    get = media.get

    def slow(media_id: str) -> MediaFile:
        found = get(media_id)
        media.finish(MADE)
        return found

    monkeypatch.setattr(media, "get", slow)
    assert media.keys_of(media.delete("two")) == ["media/two/1-x"]


def test_lists() -> None:
    bobs = replace(AWAITED, media_id="bobs", owner_id="bob", meeting_id="a-meeting", meeting_number=123)
    for file in (UPLOADED, AWAITED, bobs):
        media.create(file)
    assert {entry.media_id for entry in media.of_owner("alice")} == {"one", "two"}
    assert {entry.media_id for entry in media.of_meeting("a-meeting")} == {"one", "bobs"}
    assert {entry.media_id for entry in media.every()} == {"one", "two", "bobs"}
    assert media.of_owner("nobody") == []
    expected = media.Entry("one", "alice", FileType.VIDEO, NOW, "a-meeting", 123)
    assert [entry for entry in media.of_meeting("a-meeting") if entry.media_id == "one"] == [expected]
    assert expected in media.of_owner("alice")
    assert expected in media.every()
