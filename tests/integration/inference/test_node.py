"""Nodes against real queues, tables, Redis and S3: what they say, what they are told, what becomes of jobs."""

from __future__ import annotations

import os
import random
import signal
import wave
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from meet import objects, queue, results
from meet.clock import utcnow
from meet.control import Command
from meet.domain.inference import Function
from meet.domain.job import JobKind, JobStatus
from meet.queue import Queue
from meet.store import jobs
from tests.engines import SENSE, SENSE_SAYS, word_errors
from tests.nodes import PATIENCE_S, Nodes, node_bench, until

SOAK = bool(os.environ.get("MEET_SOAK"))
KILLS = 10 if SOAK else 2
SENTENCE = "The committee met on day {} and decided that the budget for project {} would be raised by {} euros. "


@pytest.fixture(scope="module")
def nodes(backend: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with node_bench(backend, tmp_path_factory.mktemp("home"), MEET_INFERENCE_PART_S="31") as made:
        yield made


@pytest.fixture(autouse=True)
def ended(nodes: Nodes) -> Iterator[None]:
    yield
    nodes.stop()


def minutes(sentences: int, seed: int = 1) -> str:
    """A text that takes about 30 ms a sentence."""
    numbers = random.Random(seed)
    return "".join(
        SENTENCE.format(number, numbers.randrange(99), numbers.randrange(999)) for number in range(sentences)
    )


def test_a_node_tells_of_itself_and_obeys(nodes: Nodes) -> None:
    began = utcnow()
    process, node = nodes.start(MEET_INFERENCE_MEMORY_BYTES="300000000")
    assert node.status(utcnow()) == "online"
    assert began - timedelta(seconds=1) <= node.started_at <= node.last_heartbeat
    assert {Function.SPEECH_RECOGNITION, Function.SUMMARIZATION, Function.AUDIO_DENOISING} <= set(node.functions)
    assert Function.SYNTHESIS_DETECTION not in node.functions
    assert "e5-prototype" in node.available
    assert {"hubert-emotion", "deepfake-audio-v2"} <= set(node.lacking)
    assert 0 < node.memory_percent <= 100
    assert node.disk_free_bytes > 0
    assert (node.loaded, node.active, node.free_bytes) == ((), 0, 300_000_000)

    reply = nodes.tell(node, Command("load-model", {"model_id": "e5-prototype"}))
    assert (reply.status, reply.data["memory_bytes"]) == ("ok", 130_000_000)
    assert reply.data["load_s"] > 0
    now = nodes.fleet.node(node.node_id)
    assert now is not None
    assert now.holds("e5-prototype")
    assert now.free_bytes == 170_000_000
    full = nodes.tell(node, Command("load-model", {"model_id": "whisper-base"}))
    assert (full.status, full.data["code"]) == ("refused", "insufficient-memory")
    lacking = nodes.tell(node, Command("load-model", {"model_id": "hubert-emotion"}))
    assert (lacking.status, lacking.data["code"]) == ("refused", "unavailable")
    assert nodes.tell(node, Command("load-model", {"model_id": "nobody"})).status == "not-found"
    health = nodes.tell(node, Command("check-health"))
    assert health.data["checks"] == {"connectivity": "pass", "memory": "pass", "disk": "pass"}
    assert nodes.tell(node, Command("unload-model", {"model_id": "e5-prototype"})).data == {
        "freed_bytes": 130_000_000
    }
    assert nodes.tell(node, Command("unload-model", {"model_id": "e5-prototype"})).status == "not-found"

    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert nodes.fleet.node(node.node_id) is None


def test_jobs_are_answered_in_the_words_of_the_document(nodes: Nodes, tmp_path: Path) -> None:
    mood = nodes.order(JobKind.SENTIMENT_ANALYSIS, "e5-prototype", text="What a wonderful meeting, I love it!")
    long = nodes.order(JobKind.SUMMARIZATION, "extractive", text=minutes(40), max_length=60)
    clean = nodes.order(JobKind.AUDIO_DENOISING, "deepfilternet3", path=SENSE, noise_reduction_level="high")
    wrong = nodes.order(JobKind.SUMMARIZATION, "extractive", text="?!")
    broken = nodes.order(JobKind.SPEECH_RECOGNITION, "whisper-base", path=SENSE, mime_type="image/png")
    absent = nodes.order(JobKind.EMOTION_DETECTION, "hubert-emotion", path=SENSE)
    _, node = nodes.start()

    body = results.result_of(nodes.ended(mood))
    assert body is not None
    assert body["sentiment"] == "positive"
    assert body["score"] > 0.5
    assert set(body) == {"sentiment", "score", "confidence", "emotions", "processing_time", "model", "engine"}
    body = results.result_of(nodes.ended(long))
    assert body is not None
    assert 0 < body["summary_length"] <= 60
    assert body["original_length"] == 40 * 20
    done = nodes.ended(clean)
    assert done.result is not None
    assert done.result["duration"] == 7.1
    assert done.result_key is not None
    with wave.open(BytesIO(objects.read_bytes(done.result_key))) as file:
        assert (file.getframerate(), file.getnframes()) == (48_000, 340_800)
    until(lambda: nodes.objects_of(clean) == [done.result_key], "the end of what was uploaded")

    assert nodes.ended(wrong).error == "There are no words in this text."
    assert (nodes.ended(broken).error or "").startswith("The sound of this file can't be read.")
    assert "No node can run hubert-emotion" in (nodes.ended(absent).error or "")

    def counted() -> bool:
        now = nodes.fleet.node(node.node_id)
        return now is not None and (now.total.succeeded, now.total.failed) == (3, 3) and now.minute == now.total

    until(counted, "the heartbeat that counts them")


def test_a_message_that_comes_twice_and_one_that_is_none(nodes: Nodes) -> None:
    job = nodes.order(JobKind.SUMMARIZATION, "extractive", text=minutes(20))
    queue.send(job)
    queue.client().send_message(QueueUrl=queue.url(Queue.SUMMARIZATION), MessageBody="not JSON")
    nodes.start()
    nodes.start()
    assert nodes.ended(job).attempt == 1
    other = nodes.order(JobKind.SENTIMENT_ANALYSIS, "e5-prototype", text="Fine.")
    assert nodes.ended(other).status is JobStatus.COMPLETED
    assert nodes.objects_of(job) == []


def test_a_long_recording_is_heard_in_parts_by_all_nodes(nodes: Nodes, tmp_path: Path) -> None:
    """Two minutes of a quiet room, in which somebody says one sentence: silence costs nothing."""
    with wave.open(str(SENSE)) as file:
        said = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    room = np.random.default_rng(3).normal(0, 3, 120 * 16_000).astype(np.int16)
    room[100 * 16_000 : 100 * 16_000 + len(said)] += said
    path = tmp_path / "room.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(room.tobytes())
    job = nodes.order(JobKind.TRANSCRIPTION, "whisper-base", path=path, language="en", format="srt")
    _, first = nodes.start()
    _, second = nodes.start()
    body = results.result_of(nodes.ended(job))
    assert body is not None
    [segment] = body["segments"]
    assert word_errors(SENSE_SAYS, segment["text"]) <= 0.1
    assert segment["start"] == pytest.approx(100, abs=0.6)
    assert segment["end"] == pytest.approx(107, abs=0.6)
    assert body["transcription"].startswith("1\n00:01:")
    assert (body["duration"], body["language"]) == (120, "en")
    workers = {part.worker for number in range(9) if (part := jobs.find(f"{job.job_id}-{number}")) is not None}
    assert workers <= {first.node_id, second.node_id}
    assert workers
    until(lambda: not nodes.objects_of(job), "the end of the parts' objects")


def test_another_node_goes_on_where_one_is_killed(nodes: Nodes) -> None:
    """Whatever a killed node was at is done by another, once, and it is told who died and how much it concerned."""
    for kill in range(KILLS):
        ordered = [
            nodes.order(JobKind.SUMMARIZATION, "extractive", text=minutes(40, seed), max_length=50)
            for seed in range(2)
        ]
        doomed, failed = nodes.start()
        held = until(
            lambda ordered=ordered, failed=failed: next(
                (
                    now
                    for job in ordered
                    if (now := jobs.get(job.job_id)).worker == failed.node_id and not now.is_over
                ),
                None,
            ),
            "a job in its hands",
        )
        doomed.kill()
        doomed.wait()
        was_over = {job.job_id for job in ordered if jobs.get(job.job_id).is_over}
        _, backup = nodes.start()
        for job in ordered:
            ended = nodes.ended(job)
            assert ended.status is JobStatus.COMPLETED, ended
            assert results.result_of(ended)
            assert ended.attempt == (2 if job.job_id == held.job_id else 1)
            assert ended.worker == (failed.node_id if job.job_id in was_over else backup.node_id)
        [event, *_] = nodes.fleet.failovers()
        assert (event.failed_node, event.backup_node) == (failed.node_id, backup.node_id), kill
        assert event.affected_requests == 1
        assert 0 < event.recovery_s < 90
        lost = nodes.fleet.node(failed.node_id)
        assert lost is not None
        nodes.stop()


def test_a_node_that_is_told_to_end_gives_its_job_back(nodes: Nodes) -> None:
    before = len(nodes.fleet.failovers())
    job = nodes.order(JobKind.SUMMARIZATION, "extractive", text=minutes(1000))
    process, first = nodes.start()
    until(lambda: jobs.get(job.job_id).worker == first.node_id, "the first node")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert not jobs.get(job.job_id).is_over
    _, second = nodes.start()
    until(lambda: jobs.get(job.job_id).worker == second.node_id, "the second node")
    jobs.cancel(jobs.get(job.job_id))
    until(lambda: (now := nodes.fleet.node(second.node_id)) and now.active == 0, "the end of the work")
    assert jobs.get(job.job_id).status is JobStatus.CANCELLED
    assert len(nodes.fleet.failovers()) == before
