"""Which queue a job goes to, and what becomes of a message; SQS is moto's here."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from meet import queue
from meet.config import settings
from meet.domain.inference import FUNCTION_OF
from meet.domain.job import Job, JobKind
from meet.errors import Unavailable
from meet.queue import MOST_RECEIVES, Queue


def job(estimated_s: int = 30) -> Job:
    return Job("j1", JobKind.MERGE, "u1", ("m1",), (), estimated_s, datetime(2026, 1, 1, tzinfo=UTC))


def take(which: Queue, visibility_s: int = 30) -> list[queue.Received]:
    return queue.receive(which, wait_s=0, visibility_s=visibility_s)


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_QUEUE_PREFIX", "unit-")
    settings.cache_clear()
    queue._connect.cache_clear()
    with mock_aws():
        queue.ensure_queues()
        yield
    settings.cache_clear()
    queue._connect.cache_clear()


@pytest.mark.parametrize(("estimated_s", "which"), [(1, Queue.FFMPEG), (480, Queue.FFMPEG), (481, Queue.FFMPEG_LONG)])
def test_long_jobs_have_a_queue_of_their_own(queues: None, estimated_s: int, which: Queue) -> None:
    queue.send(job(estimated_s))
    [other] = {Queue.FFMPEG, Queue.FFMPEG_LONG} - {which}
    assert take(other) == []
    [message] = take(which)
    assert queue.job_id_of(message.body) == "j1"
    assert message.times == 1


@pytest.mark.parametrize("kind", FUNCTION_OF)
def test_jobs_for_models_wait_by_what_the_model_does(kind: JobKind) -> None:
    where = Queue.of_job(replace(job(9999), kind=kind))
    assert where is Queue.of_function(FUNCTION_OF[kind])
    assert where.value == f"inference-{FUNCTION_OF[kind].value.replace('_', '-')}"


def test_what_is_received_is_hidden_until_it_is_given_back(queues: None) -> None:
    queue.send(job())
    [first] = take(Queue.FFMPEG)
    assert take(Queue.FFMPEG) == []
    assert queue.extend(Queue.FFMPEG, first.receipt)
    assert take(Queue.FFMPEG) == []
    assert queue.extend(Queue.FFMPEG, first.receipt, visibility_s=0)
    [second] = take(Queue.FFMPEG)
    assert (second.message_id, second.times) == (first.message_id, 2)


def test_what_is_done_does_not_come_again(queues: None) -> None:
    queue.send(job())
    [message] = take(Queue.FFMPEG)
    assert queue.done(Queue.FFMPEG, message.receipt)
    assert not queue.extend(Queue.FFMPEG, message.receipt)
    assert take(Queue.FFMPEG) == []


def test_a_receipt_of_nothing_is_told(queues: None) -> None:
    assert not queue.extend(Queue.FFMPEG, "nonsense")
    assert not queue.done(Queue.FFMPEG, "nonsense")


def test_what_nobody_works_off_is_left_to_people(queues: None) -> None:
    queue.client().send_message(QueueUrl=queue.url(Queue.FFMPEG), MessageBody="poison")
    for times in range(1, MOST_RECEIVES + 1):
        [message] = take(Queue.FFMPEG, visibility_s=0)
        assert message.times == times
    assert take(Queue.FFMPEG) == []
    dead = queue.client().get_queue_url(QueueName="unit-ffmpeg-dead")["QueueUrl"]
    [kept] = queue.client().receive_message(QueueUrl=dead)["Messages"]
    assert kept["Body"] == "poison"


def test_queues_are_made_once(queues: None) -> None:
    queue.send(job())
    queue.ensure_queues()
    assert len(take(Queue.FFMPEG)) == 1


def test_a_queue_that_is_not_there_is_nobodys_passing_trouble(queues: None) -> None:
    queue.client().delete_queue(QueueUrl=queue.url(Queue.FFMPEG))
    with pytest.raises(ClientError, match="NonExistentQueue"):
        queue.send(job())


@pytest.mark.parametrize("body", ["", "{", "[]", "1", "null", "{}", '{"job_id": 7}', '{"job_id": ""}'])
def test_a_body_that_is_none_of_ours(body: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        queue.job_id_of(body)


def test_the_queue_of_an_event() -> None:
    assert Queue.of_arn("arn:aws:sqs:us-east-1:000000000000:meet-ffmpeg-long") is Queue.FFMPEG_LONG
    with pytest.raises(ValueError, match="meet-other"):
        Queue.of_arn("arn:aws:sqs:us-east-1:000000000000:meet-meet-other")


def test_a_queue_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # bound and not listening: refuses
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")
        monkeypatch.setattr(queue, "RETRIES", 0)
        settings.cache_clear()
        with pytest.raises(Unavailable):
            queue.send(job())
    settings.cache_clear()
