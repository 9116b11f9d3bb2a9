"""Recordings from what a recorder left in the bucket to their files, by real workers against real servers."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.frame import VideoFrame

from meet import objects, recordings
from meet.clock import new_id, utcnow
from meet.domain.capture import recording_prefix
from meet.domain.recording import Measured, Recording, RecordingStatus, Wanted
from meet.store import jobs
from meet.store import recordings as store
from tests.captured import Take, ended, film, fragments, joined, voice
from tests.workers import Bench, until, worker_bench

SECONDS = 3


@pytest.fixture(scope="module")
def bench(backend: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with worker_bench(backend, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture
def take(bench: Bench) -> Take:
    """The first take of a recording that is about to be made, with a worker that waits for it."""
    if not bench.workers:
        bench.start_worker()
    return Take(new_id(), duration_s=float(SECONDS))


def stopped(take: Take, wanted: Wanted, *others: Take, interrupted: bool = False) -> Recording:
    """A recording whose takes are in the bucket, and whose job is queued."""
    for one in (take, *others):
        for key, data in one.objects().items():
            objects.put_bytes(key, data, "application/octet-stream")
    now = utcnow()
    store.create(Recording(take.recording_id, new_id(), 7, "alice", now, wanted, held_until=now))
    assert store.began(take.recording_id, at=now, until=now)
    measured = Measured(float(SECONDS), 100_000, 2)
    made = recordings.finish(take.recording_id, at=now, measured=measured, interrupted=interrupted)
    assert made is not None
    return made


def composed(recording: Recording) -> Recording:
    """The recording once its job is over."""
    assert recording.job_id is not None
    job_id = recording.job_id
    until(lambda: jobs.get(job_id).is_over, "the end")
    return store.get(recording.recording_id)


def left(recording: Recording) -> set[str]:
    """The keys of all objects that there are."""
    return {one.key for one in objects.every(recording_prefix(recording.recording_id))}


def content(key: str) -> Any:
    return av.open(BytesIO(objects.read_bytes(key)))


def colours(key: str, at_s: float, *places: tuple[float, float]) -> list[str]:
    """Which of the three it is at places of the picture, from 0 to 1 across and down."""
    with content(key) as container:
        for frame in container.decode(video=0):
            assert isinstance(frame, VideoFrame)
            if frame.time is not None and frame.time >= at_s:
                image: Any = frame.to_image()  # type: ignore[no-untyped-call]
                pixels = [image.getpixel((int(x * image.width), int(y * image.height))) for x, y in places]
                return [_name(*pixel) for pixel in pixels]
    raise AssertionError(f"there is no picture at {at_s} s")


def _name(red: int, green: int, blue: int) -> str:
    if max(red, green, blue) < 60:
        return "black"
    return "red" if red > blue else "blue"


def test_two_people_become_one_film(bench: Bench, take: Take) -> None:
    take.add("alice", "camera", "vp8", film(SECONDS, "red"), 0.0)
    take.add("alice", "microphone", "opus", voice(SECONDS), 0.0)
    take.add("bob", "camera", "h264", film(SECONDS - 1, "blue", codec="h264", begins_s=1), 1.0)
    made = composed(stopped(take, Wanted(quality="low")))
    assert (made.status, made.error, made.interrupted) == (RecordingStatus.COMPLETED, None, False)
    assert made.blob is not None
    assert (made.mime_type, made.facts.resolution) == ("video/mp4", "854x480")
    assert (made.facts.codec, made.facts.audio_codec) == ("h264", "aac")
    assert made.facts.duration_s == pytest.approx(SECONDS, abs=0.1)
    assert colours(made.blob.key, 0.5, (0.3, 0.5), (0.7, 0.5)) == ["red", "red"]
    assert colours(made.blob.key, 2, (0.25, 0.5), (0.75, 0.5), (0.5, 0.1)) == ["red", "blue", "black"]
    assert made.measured.participants == 2
    assert [(one.user_id, one.source, one.begins_s, one.mime_type) for one in made.tracks] == [
        ("alice", "camera", 0.0, "video/x-matroska"),
        ("alice", "microphone", pytest.approx(0.0, abs=0.01), "audio/x-matroska"),
        ("bob", "camera", 1.0, "video/x-matroska"),
    ]
    for track in made.tracks:
        with content(track.blob.key) as container:
            assert len(list(container.decode(container.streams[0]))) >= 15 * track.duration_s - 1
    until(lambda: left(made) == set(store.keys_of(made)), "the end of what the recorder left")


def test_one_person_in_webm_is_not_encoded_again(bench: Bench, take: Take) -> None:
    seen, heard = film(SECONDS, "red"), voice(SECONDS)
    take.add("alice", "camera", "vp8", seen, 0.0)
    take.add("alice", "microphone", "opus", heard, 0.0)
    made = composed(stopped(take, Wanted(format="webm")))
    assert made.blob is not None
    assert (made.mime_type, made.facts.codec, made.facts.audio_codec) == ("video/webm", "vp8", "opus")
    with content(made.blob.key) as container, av.open(BytesIO(seen)) as source:
        copied = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        assert copied == [bytes(packet) for packet in source.demux(video=0) if packet.size]


def test_sound_alone(bench: Bench, take: Take) -> None:
    take.add("alice", "microphone", "opus", voice(SECONDS), 0.0)
    take.add("bob", "microphone", "opus", voice(SECONDS, 880), 0.0)
    made = composed(stopped(take, Wanted(video=False, screen=False)))
    assert (made.mime_type, made.facts.codec, made.facts.audio_codec) == ("audio/mp4", None, "aac")
    assert made.facts.duration_s == pytest.approx(SECONDS, abs=0.1)


def test_a_recorder_that_died_and_began_anew(bench: Bench, take: Take) -> None:
    """The first take ends in the middle of a fragment and of a sentence of its manifest; the second goes on later."""
    parts = fragments(film(SECONDS, "red"))
    take.add("alice", "camera", "vp8", joined([*parts[:2], parts[2][:-50]]), 0.0)
    take.duration_s = 1.0
    second = Take(take.recording_id, 1, 4.0, 6.0)
    second.add("alice", "camera", "vp8", film(2, "blue", begins_s=4), 4.0)
    second.tracks[0] = ended(second.tracks[0][0], 6.0), second.tracks[0][1]
    third = Take(take.recording_id, 2, 6.0, 6.0)  # which died before anybody sent anything
    made = composed(stopped(take, Wanted(quality="low"), second, third, interrupted=True))
    assert (made.status, made.interrupted) == (RecordingStatus.COMPLETED, True)
    assert made.blob is not None
    assert made.facts.duration_s == pytest.approx(6, abs=0.1)
    assert colours(made.blob.key, 0.5, (0.5, 0.5)) == ["red"]
    assert colours(made.blob.key, 5, (0.5, 0.5)) == ["blue"]
    assert len(made.tracks) == 1


def test_of_nothing_there_is_no_file(bench: Bench, take: Take) -> None:
    made = composed(stopped(take, Wanted()))
    assert (made.status, made.blob) == (RecordingStatus.FAILED, None)
    assert made.error == "Nothing was recorded: nobody sent sound or pictures while it ran."


def test_the_death_of_a_worker_costs_nothing(bench: Bench, take: Take) -> None:
    take.add("alice", "camera", "vp8", film(SECONDS, "red"), 0.0)
    take.add("bob", "camera", "vp8", film(SECONDS, "blue"), 0.0)
    bench.stop()
    bench.workers.clear()
    recording = stopped(take, Wanted(quality="low"))
    worker = bench.start_worker()
    until(lambda: list(Path(bench.env["MEET_HOME"]).rglob("plan.json")), "the first pictures")
    worker.kill()
    worker.join()
    assert store.get(recording.recording_id).status is RecordingStatus.PENDING
    bench.start_worker()
    made = composed(recording)
    assert made.blob is not None
    assert objects.attempt_of(made.blob.key) == 2
    assert jobs.get(recording.job_id or "").progress == 100
    until(lambda: left(made) == set(store.keys_of(made)), "the end of what the recorder left")
