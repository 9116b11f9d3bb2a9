"""What becomes of a recording through the public port: its file and its tracks from a real bucket, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from meet import objects
from meet.clock import new_id, utcnow
from meet.config import settings
from meet.domain.capture import fragment_key, recording_prefix
from meet.domain.job import Job, JobKind, Step
from meet.domain.media import Facts
from meet.domain.recording import Measured, RecordedTrack, Recording, Wanted
from meet.store import base, jobs
from meet.store import recordings as store
from tests.bucket import Bucket
from tests.conftest import System
from tests.contract.people import Caller, client, meeting_of, newcomer

API = "/api/v1/recording"
FILE = b"".join(b"%07d\n" % number for number in range(50_000))
SOUND = b"one person alone"


@pytest.fixture(scope="module")
def api(system: System) -> Iterator[httpx.Client]:
    with client(system.base_url) as made:
        yield made


@pytest.fixture(scope="module")
def owner(api: httpx.Client) -> Caller:
    return newcomer(api, "owner")


@pytest.fixture(scope="module")
def participant(api: httpx.Client) -> Caller:
    return newcomer(api, "participant")


@pytest.fixture(scope="module", autouse=True)
def same_store(system: System) -> Iterator[None]:
    """This process reads and writes where the system does."""
    caches = [settings, base._connect, objects._connect]
    with pytest.MonkeyPatch.context() as environment:
        for name, value in system.env.items():
            environment.setenv(name, value)
        for cache in caches:
            cache.cache_clear()
        yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def begun(owner: Caller, participant: Caller) -> Recording:
    """A recording in a meeting of the owner's and the participant's; no media process knows of it."""
    meeting = meeting_of(owner)
    participant.call("POST", f"/api/v1/meetings/{meeting['meeting_id']}/join").raise_for_status()
    now = utcnow()
    until = now + timedelta(hours=1)
    made = Recording(
        new_id(),
        meeting["meeting_id"],
        meeting["meeting_number"],
        owner.user_id,
        now,
        Wanted(format="webm"),
        held_until=until,
    )
    store.create(made)
    recording = store.began(made.recording_id, at=now, until=until)
    assert recording is not None
    return recording


def stop(recording: Recording) -> tuple[Recording, Job]:
    """Stop it with a job that is in no queue: the system's own worker doesn't hear of it."""
    step = Step(recording.recording_id, "compose")
    job = Job(new_id(), JobKind.COMPOSE, recording.owner_id, (), (step,), 5, utcnow())
    stopped = recording.stopped(job.job_id, at=utcnow())
    assert jobs.create_composition(job, stopped)
    held = jobs.claim(job.job_id, now=utcnow(), lease_s=3600)
    assert held is not None
    return stopped, held


@pytest.fixture
def completed(begun: Recording) -> Recording:
    """The same, with its file."""
    prefix = recording_prefix(begun.recording_id)
    file = objects.put_bytes(f"{prefix}files/1-x.webm", FILE, "video/webm")
    sound = objects.put_bytes(f"{prefix}files/1-track-0.mkv", SOUND, "video/x-matroska")
    track = RecordedTrack("t", begun.owner_id, "Zoë/..", "audio", "microphone", "opus", 0.0, 1.0, sound)
    stopped, job = stop(begun)
    made = stopped.completed(file, "video/webm", Facts(duration_s=3.0), (track,), Measured())
    assert jobs.complete_composition(job, made)
    return made


def download(recording: Recording) -> str:
    return f"{API}/download/{recording.recording_id}"


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_the_whole_file(participant: Caller, completed: Recording) -> None:
    answer = participant.call("GET", download(completed))
    assert (answer.status_code, answer.content) == (200, FILE)
    assert answer.headers["content-type"] == "video/webm"
    assert answer.headers["content-length"] == str(len(FILE))
    assert answer.headers["content-disposition"] == f'attachment; filename="{completed.room_id}-recording.webm"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = participant.call("HEAD", download(completed))
    assert (head.status_code, head.content) == (200, b"")
    assert [head.headers[name] for name in ("etag", "content-length")] == [
        answer.headers[name] for name in ("etag", "content-length")
    ]
    shown = participant.call("HEAD", download(completed) + "?disposition=inline")
    assert shown.headers["content-disposition"].startswith("inline")


def test_ranges_of_it(owner: Caller, completed: Recording) -> None:
    url = download(completed)
    etag = owner.call("HEAD", url).headers["etag"]
    part = owner.call("GET", url, headers={"Range": "bytes=1000-1999", "If-Range": etag})
    assert (part.status_code, part.content) == (206, FILE[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(FILE)}"
    changed = owner.call("GET", url, headers={"Range": "bytes=1000-1999", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, FILE)
    beyond = owner.call("GET", url, headers={"Range": f"bytes={len(FILE)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(FILE)}")
    assert owner.call("GET", url, headers={"If-None-Match": etag}).status_code == 304
    assert owner.call("GET", url, headers={"If-Match": '"another"'}).status_code == 412


def test_one_person_alone(owner: Caller, completed: Recording) -> None:
    url = f"{download(completed)}/tracks/0"
    answer = owner.call("GET", url, headers={"Range": "bytes=4-9"})
    assert (answer.status_code, answer.content) == (206, SOUND[4:10])
    whole = owner.call("GET", url)
    assert (whole.content, whole.headers["content-type"]) == (SOUND, "video/x-matroska")
    assert "/" not in whole.headers["content-disposition"], "a name of a person is no path"
    for number in ("1", "-1", "x", "٣", "9" * 40):
        assert code(owner.call("GET", f"{download(completed)}/tracks/{number}")) == (404, "RESOURCE_NOT_FOUND")


def test_who_may_have_it(api: httpx.Client, system: System, completed: Recording) -> None:
    admin = Caller(api, system.admin_username, system.admin_password).sign_in()
    stranger = newcomer(api, "stranger")
    for url in (download(completed), f"{download(completed)}/tracks/0"):
        assert admin.call("GET", url).status_code == 200
        assert code(stranger.call("GET", url)) == (404, "RESOURCE_NOT_FOUND")
        assert code(Caller(api).call("GET", url)) == (401, "MISSING_TOKEN")
        assert admin.call("PUT", url).status_code == 405
    assert code(admin.call("GET", f"{API}/download/never-there")) == (404, "RESOURCE_NOT_FOUND")


def test_a_file_that_is_still_to_come(owner: Caller, begun: Recording) -> None:
    for step in ("recording", "being made"):
        answer = owner.call("GET", download(begun))
        assert code(answer) == (409, "RECORDING_PROCESSING"), step
        assert int(answer.headers["retry-after"]) > 0
        if begun.is_live:
            begun, job = stop(begun)
    assert jobs.fail(job, "Nothing was sent while it was recorded.")
    answer = owner.call("GET", download(begun))
    assert code(answer) == (409, "RESOURCE_CONFLICT")
    assert "retry-after" not in answer.headers, "there will never be one"
    assert "Nothing was sent" in answer.json()["error"]["details"]


def test_a_deleted_one_leaves_nothing_in_the_bucket(system: System, owner: Caller, completed: Recording) -> None:
    for number in range(3):
        objects.put_bytes(fragment_key(completed.recording_id, 0, 0, number), b"x", "video/x-matroska")
    prefix = recording_prefix(completed.recording_id)
    bucket = Bucket(system.env)

    def left() -> int:
        return sum(key.startswith(prefix) for key in sorted(bucket.keys()))

    assert left() == 5
    assert owner.call("DELETE", f"{API}/{completed.recording_id}").status_code == 200
    assert left() == 0
    assert code(owner.call("GET", download(completed))) == (404, "RESOURCE_NOT_FOUND")


def test_a_stop_is_answered_when_the_file_is_there(owner: Caller, begun: Recording, system: System) -> None:
    """Its media process is gone, and nothing had been sent: the worker says so, and who waits hears it at once."""
    answer = owner.call("POST", f"{API}/stop", json={"recording_id": begun.recording_id})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["interrupted"]) == ("failed", True)
    assert told["error"]
    waited_s = answer.elapsed.total_seconds()
    assert waited_s < float(settings().recording_wait_s), "it would have waited that long for a file"
