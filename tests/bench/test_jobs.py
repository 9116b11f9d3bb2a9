"""What a job costs beyond FFmpeg's own work: wall time against bare FFmpeg, and the wait before the first frame.

The machines are shared, so rounds are interleaved and medians compared; what counts is the ratio within a run.
"""

import shlex
import statistics
import subprocess
import time
from pathlib import Path

from functions.workers.ffmpeg.binary import find
from functions.workers.ffmpeg.commands import command
from functions.workers.ffmpeg.inputs import Input
from meet import orders, queue
from meet.domain.job import JobKind
from meet.store import jobs
from tests.bench.test_rest import show
from tests.conftest import StartSystem
from tests.contract.people import client, newcomer
from tests.workers import clip, until, worker_bench

ROUNDS = 3
SECONDS = 10
POSTS = 10


def test_a_transcoding_takes_what_ffmpeg_takes(backend: dict[str, str], tmp_path: Path) -> None:
    film = clip(tmp_path / "input-0.mp4", seconds=SECONDS, size="1280x720", rate=30)
    bare_s, job_s = [], []
    with worker_bench(backend, tmp_path / "home", MEET_JOB_LEASE_S="15") as bench:
        file = bench.put(film, "film.mp4")
        order = orders.transcode(file, "mp4", resolution="480p")
        bench.start_worker()
        for _ in range(ROUNDS):
            job = bench.order(JobKind.TRANSCODE, [file], [order])
            asked = command(job.steps[0], [Input(film.name, file.mime_type, file.facts)], "bare")
            began = time.perf_counter()
            subprocess.run([find(), *asked.arguments], cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
            bare_s.append(time.perf_counter() - began)
            queue.send(job)
            ended = until(lambda job=job: (now := jobs.get(job.job_id)).is_over and now, "the end")
            assert ended.started_at is not None
            assert ended.completed_at is not None
            job_s.append((ended.completed_at - ended.started_at).total_seconds())
    bare, job = statistics.median(bare_s), statistics.median(job_s)
    show(
        f"A job that makes 480p of {SECONDS} s of 720p",
        [{"row": "job transcode", "bare_s": round(bare, 2), "job_s": round(job, 2), "of_bare": round(job / bare, 3)}],
    )
    assert job / bare < 1.5  # far above what is aimed at, 1.05: the other core may be anybody's


def test_how_soon_a_job_is_begun(start_system: StartSystem, tmp_path: Path) -> None:
    ffmpeg = find()
    began = tmp_path / "began"
    watched = tmp_path / "ffmpeg"
    told = f"date +%s%N >> {shlex.quote(str(began))}"
    watched.write_text(f'#!/bin/sh\n[ "$1" = -encoders ] || {told}\nexec {shlex.quote(ffmpeg)} "$@"\n')
    watched.chmod(0o755)
    film = clip(tmp_path / "film.mp4", seconds=1)
    first_frame_s = statistics.median(_first_frame_s(ffmpeg, film) for _ in range(5))
    waited_s, answered_s = [], []
    with start_system(MEET_FFMPEG=str(watched)) as system, client(system.base_url) as api:
        somebody = newcomer(api, "bench")
        headers = {"Authorization": f"Bearer {somebody.token}"}
        with film.open("rb") as file:
            answer = api.post("/api/v1/media/upload", files={"file": ("film.mp4", file)}, headers=headers)
        media_id = answer.raise_for_status().json()["media_id"]
        body = {"input_media_id": media_id, "output_format": "mp4", "preset": "ultrafast"}
        for number in range(POSTS):
            asked = time.time_ns()
            answer = api.post("/api/v1/ffmpeg/transcode", json=body, headers=headers).raise_for_status()
            answered_s.append((time.time_ns() - asked) / 1e9)
            status = answer.json()["status_url"]
            starts = until(lambda number=number: _starts(began)[number:], "FFmpeg")
            waited_s.append((starts[0] - asked) / 1e9)
            until(lambda status=status: api.get(status, headers=headers).json()["status"] == "completed", "the end")
    waited = statistics.median(waited_s[1:])  # the first one fetches what the worker then keeps
    row = {
        "row": "job begins",
        "answered_ms": round(statistics.median(answered_s[1:]) * 1e3),
        "ffmpeg_started_ms": round(waited * 1e3),
        "ffmpeg_to_first_frame_ms": round(first_frame_s * 1e3),
        "first_frame_ms": round((waited + first_frame_s) * 1e3),
    }
    show("From POST to the first frame", [row])
    assert waited < 2


def _first_frame_s(ffmpeg: str, film: Path) -> float:
    """What FFmpeg itself needs from its start to the end of the first frame."""
    began = time.perf_counter()
    one = ["-v", "error", "-i", str(film), "-frames:v", "1", "-f", "null", "-"]
    subprocess.run([ffmpeg, *one], stdin=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _starts(began: Path) -> list[int]:
    return [int(line) for line in began.read_text().split()] if began.exists() else []
