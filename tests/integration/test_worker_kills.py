"""Jobs whose workers are killed, against real queues and tables: one output each, never two and never none."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from meet import objects, orders, queue
from meet.domain.job import Job, JobKind, JobStatus
from meet.domain.media import MediaStatus
from meet.orders import Order
from meet.queue import Queue
from meet.store import jobs, media
from tests.workers import Bench, clip, until, worker_bench

SOAK = bool(os.environ.get("MEET_SOAK"))
KILLS = 20
SEED = 7


@pytest.fixture(scope="module")
def bench(backend: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with worker_bench(backend, tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture(scope="module")
def orderly(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[], Job]]:
    """A way to order a job of each kind."""
    folder = tmp_path_factory.mktemp("clips")
    film = bench.put(clip(folder / "film.mp4", seconds=1.5, size="320x180"), "film.mp4")
    other = bench.put(clip(folder / "other.webm", seconds=0.5, size="162x122", rate=10, sound=False), "other.webm")

    def of(kind: JobKind, *made: Order) -> Callable[[], Job]:
        inputs = [film, other] if kind is JobKind.MERGE else [film]
        return lambda: bench.order(kind, inputs, made)

    return {
        "transcode": of(JobKind.TRANSCODE, orders.transcode(film, "mkv", resolution="240p", preset="fast")),
        "extract_audio": of(JobKind.EXTRACT_AUDIO, orders.extract_audio(film, "ogg")),
        "extract_video": of(JobKind.EXTRACT_VIDEO, orders.extract_video(film)),
        "merge": of(JobKind.MERGE, orders.merge([film, other], "mp4", transition="fade", transition_duration=0.2)),
        "process": of(
            JobKind.PROCESS,
            orders.extract_audio(film, "mp3"),
            orders.thumbnail(film, "png", timestamp=0.5),
            orders.compress(film, None, "low"),
        ),
    }


def test_every_kind_of_job_survives_the_death_of_its_worker(
    bench: Bench, orderly: dict[str, Callable[[], Job]]
) -> None:
    """Each job loses a worker that has lately taken it, and another whose bytes are in the bucket already."""
    ordered = [order() for order in orderly.values()]
    for job in ordered:
        queue.send(job)
    workers = [bench.start_worker() for _ in ordered]
    until(lambda: all(jobs.get(job.job_id).attempt for job in ordered), "a worker for each")
    for worker in workers:
        kill(worker)
    left = list(ordered)
    while left:
        worker = bench.start_worker()
        with_bytes = until(lambda jobs=left: [job for job in jobs if bench.objects_of(job)], "bytes in the bucket")
        kill(worker)
        left = [job for job in left if job not in with_bytes]
    bench.start_worker()
    until(lambda: not bench.waiting(Queue.FFMPEG.full_name), "the end of the queue")
    for job in ordered:
        assert bench.assert_made_once(job).progress == 100
    assert bench.waiting(Queue.FFMPEG.dead_name) == 0
    bench.stop()
    assert not list(Path(bench.env["MEET_HOME"], "jobs").glob("*/*/*")), "files of jobs are left"


def kill(worker: BaseProcess) -> None:
    worker.kill()
    worker.join()


@pytest.mark.skipif(not SOAK, reason="takes minutes: MEET_SOAK=1")
@pytest.mark.parametrize("kind", ["transcode", "extract_audio", "extract_video", "merge", "process"])
def test_at_any_moment(bench: Bench, orderly: dict[str, Callable[[], Job]], kind: str) -> None:
    whole = orderly[kind]()
    began = time.monotonic()
    queue.send(whole)
    worker = bench.start_worker()
    until(lambda: jobs.get(whole.job_id).is_over, "the end")
    took_s = time.monotonic() - began
    kill(worker)
    moments = random.Random(SEED)
    ordered = []
    for _ in range(KILLS):
        job = orderly[kind]()
        queue.send(job)
        worker = bench.start_worker()
        worker.join(moments.uniform(0, 1.1 * took_s))
        kill(worker)
        # by the next one, before the next kill: whose workers die five times is left to people
        worker = bench.start_worker()
        until(lambda job=job: jobs.get(job.job_id).is_over, "the end")
        kill(worker)
        ordered.append(job)
    bench.start_worker()
    until(lambda: not bench.waiting(Queue.FFMPEG.full_name), "the end of the queue")
    for job in ordered:
        bench.assert_made_once(job)


def test_a_message_that_comes_twice_makes_one_output(bench: Bench, orderly: dict[str, Callable[[], Job]]) -> None:
    job = orderly["transcode"]()
    for _ in range(3):
        queue.send(job)
    workers = [bench.start_worker(), bench.start_worker()]
    until(lambda: jobs.get(job.job_id).is_over, "the end")
    until(lambda: not bench.waiting(Queue.FFMPEG.full_name), "the end of the queue")
    bench.assert_made_once(job)
    for worker in workers:
        worker.terminate()
        worker.join()
        assert worker.exitcode == 0


def test_poison_is_put_aside_and_holds_up_nothing(bench: Bench, orderly: dict[str, Callable[[], Job]]) -> None:
    dead = bench.waiting(Queue.FFMPEG.dead_name)
    poison = ["not JSON", {"job": "of a stranger"}, {"job_id": 7}]
    for body in poison:
        bench.send_raw(body)
    job = orderly["extract_audio"]()
    queue.send(job)
    worker = bench.start_worker()
    until(lambda: jobs.get(job.job_id).is_over, "the job behind the poison")
    until(lambda: bench.waiting(Queue.FFMPEG.dead_name) == dead + len(poison), "the poison among the dead")
    bench.assert_made_once(job)
    worker.terminate()
    worker.join()


def test_what_is_cancelled_stops_and_leaves_nothing(bench: Bench, orderly: dict[str, Callable[[], Job]]) -> None:
    job = orderly["merge"]()
    queue.send(job)
    worker = bench.start_worker()
    held = until(lambda: (now := jobs.get(job.job_id)).attempt and now, "the first worker")
    jobs.cancel(held)
    until(lambda: not bench.waiting(Queue.FFMPEG.full_name), "the end of the queue")
    assert bench.objects_of(job) == []
    assert jobs.get(job.job_id).status is JobStatus.CANCELLED
    assert media.get(job.steps[0].media_id).status is MediaStatus.FAILED
    worker.terminate()
    worker.join()


def test_a_worker_that_is_told_to_end_gives_its_job_back(bench: Bench, orderly: dict[str, Callable[[], Job]]) -> None:
    job = orderly["merge"]()
    queue.send(job)
    worker = bench.start_worker()
    until(lambda: jobs.get(job.job_id).attempt, "the first worker")
    os.kill(worker.pid or 0, signal.SIGTERM)
    worker.join()
    assert worker.exitcode == 0
    back = jobs.get(job.job_id)
    if not back.is_over:  # it may just have been done
        assert back.held_until is not None
        assert bench.objects_of(job) == []
    worker = bench.start_worker()
    until(lambda: jobs.get(job.job_id).is_over, "the second worker")
    until(lambda: not bench.waiting(Queue.FFMPEG.full_name), "the end of the queue")
    bench.assert_made_once(job)
    worker.terminate()
    worker.join()


def test_what_can_not_be_done_fails_with_a_sentence(
    bench: Bench, orderly: dict[str, Callable[[], Job]], tmp_path: Path
) -> None:
    film = bench.put(clip(tmp_path / "short.mp4", seconds=0.5), "short.mp4")
    gone = bench.order(JobKind.EXTRACT_AUDIO, [film], [orders.extract_audio(film)])
    objects.delete_many(media.keys_of(media.delete(film.media_id)))
    queue.send(gone)
    worker = bench.start_worker()
    ended = until(lambda: (now := jobs.get(gone.job_id)).is_over and now, "the end")
    assert (ended.status, ended.error) == (JobStatus.FAILED, "A file that the job is made of was deleted.")
    assert media.get(gone.steps[0].media_id).status is MediaStatus.FAILED
    assert bench.objects_of(gone) == []
    worker.terminate()
    worker.join()
