"""The queues of jobs (SQS): a message says which job is to be done, the table `jobs` says everything about it.

    send(job)               puts a job where it belongs: short ones for Lambda, long ones for a container
    receive(queue)          what a worker outside of Lambda asks; on Lambda the messages come in the event
    extend, done            by the message's receipt: keep it from others for longer, or take it off for good

A message is seen by one worker at a time as long as that worker extends it in time, may be delivered again all the
same, and goes to the queue `<name>-dead` when it was received `MOST_RECEIVES` times and never taken off. What makes
one output of several deliveries is the job's lease in `meet.store.jobs`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError

from meet import tracing
from meet.config import settings
from meet.domain.inference import FUNCTION_OF, Function
from meet.domain.job import Job
from meet.errors import Unavailable

MOST_RECEIVES = 5
"""After these a message is left to people, in the dead-letter queue."""
VISIBILITY_S = 900
"""The queue's own: as long as a Lambda may take, or AWS refuses to map the two. Workers set a shorter one."""
WORKER_VISIBILITY_S = 15
"""How long a worker may be silent before its message is given to another."""
WAIT_S = 20
"""The longest that SQS lets one wait for a message."""
DEAD_KEPT_S = 14 * 24 * 3600
"""The longest that SQS keeps a message."""

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 5.0
"""Beyond what SQS was asked to wait for a message."""
RETRIES = 2

_TRACE = "AWSTraceHeader"
"""What SQS calls the trace header that travels beside a message."""

_BUSY = frozenset(
    {"InternalError", "InternalFailure", "RequestThrottled", "ServiceUnavailable", "ThrottlingException"}
)
_GONE = frozenset(
    {
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
        "MessageNotInflight",
        "ReceiptHandleIsInvalid",
    }
)
"""What SQS says of a receipt that is no longer good; `InvalidParameterValue` where the message has expired."""

Answer = TypeVar("Answer")


class Queue(StrEnum):
    """The queues, by their names without the prefix."""

    FFMPEG = "ffmpeg"
    FFMPEG_LONG = "ffmpeg-long"
    """For a container: Lambda ends what takes more than 15 minutes."""
    SPEECH_RECOGNITION = "inference-speech-recognition"
    EMOTION_DETECTION = "inference-emotion-detection"
    SYNTHESIS_DETECTION = "inference-synthesis-detection"
    TRANSLATION = "inference-translation"
    SUMMARIZATION = "inference-summarization"
    SENTIMENT_ANALYSIS = "inference-sentiment-analysis"
    AUDIO_DENOISING = "inference-audio-denoising"
    VIDEO_ENHANCEMENT = "inference-video-enhancement"
    """For inference nodes, a queue each function: a node takes from those whose models it can run."""

    @property
    def full_name(self) -> str:
        """With the prefix of this system."""
        return settings().queue_prefix + self.value

    @property
    def dead_name(self) -> str:
        """Of the queue where messages end that nobody could work off."""
        return f"{self.full_name}-dead"

    @classmethod
    def of_job(cls, job: Job) -> "Queue":
        """Where a job belongs: by what a model must do for it, else by how long it is likely to take."""
        function = FUNCTION_OF.get(job.kind)
        if function is not None:
            return cls.of_function(function)
        return cls.FFMPEG_LONG if job.estimated_s > settings().job_long_s else cls.FFMPEG

    @classmethod
    def of_function(cls, function: Function) -> "Queue":
        """Where jobs for models of this function wait."""
        return cls[function.name]

    @classmethod
    def of_arn(cls, arn: str) -> "Queue":
        """The queue of a Lambda event's `eventSourceARN`; `ValueError` for one that isn't ours."""
        return cls(arn.rpartition(":")[2].removeprefix(settings().queue_prefix))


@dataclass(frozen=True, slots=True)
class Received:
    """A message that is kept from others for now."""

    message_id: str
    receipt: str
    """What `extend` and `done` know this delivery by."""
    body: str
    """As it was sent, by whomever: `job_id_of` reads it."""
    times: int
    """How often it was received, this time included."""
    trace: str | None = None
    """The trace header of who sent it, where that was traced."""


def send(job: Job, to: Queue | None = None) -> None:
    """Have a job done: where it belongs, unless a queue is named.

    Raises `Unavailable` where SQS can't be reached; the message may be there all the same.
    """
    body = json.dumps({"job_id": job.job_id})
    queue = to or Queue.of_job(job)
    trace = tracing.header()
    beside = {_TRACE: {"DataType": "String", "StringValue": trace}} if trace else {}
    _ask(lambda: client().send_message(QueueUrl=url(queue), MessageBody=body, MessageSystemAttributes=beside))


def job_id_of(body: str) -> str:
    """The job that a message names; `ValueError` for a body that `send` did not write."""
    message = json.loads(body)
    if not isinstance(message, dict) or not isinstance(job_id := message.get("job_id"), str) or not job_id:
        raise ValueError("the message names no job")
    return job_id


def receive(
    queue: Queue, *, most: int = 1, wait_s: int = WAIT_S, visibility_s: int = WORKER_VISIBILITY_S
) -> list[Received]:
    """Up to `most` (1 to 10) messages, or none after `wait_s`; others don't see them for `visibility_s`.

    Raises `Unavailable`.
    """
    answer = _ask(
        lambda: client(wait_s=wait_s).receive_message(
            QueueUrl=url(queue),
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=visibility_s,
            MessageSystemAttributeNames=["ApproximateReceiveCount", _TRACE],
        )
    )
    return [
        Received(
            message_id=message["MessageId"],
            receipt=message["ReceiptHandle"],
            body=message["Body"],
            times=int(message["Attributes"]["ApproximateReceiveCount"]),
            trace=message["Attributes"].get(_TRACE),
        )
        for message in answer.get("Messages", ())
    ]


def extend(queue: Queue, receipt: str, *, visibility_s: int = WORKER_VISIBILITY_S) -> bool:
    """Keep a message from others for `visibility_s` from now; 0 gives it back at once.

    False where this delivery is over: the message was taken off, or was given to another. Raises `Unavailable`.
    """
    return _of_delivery(
        lambda: client().change_message_visibility(
            QueueUrl=url(queue), ReceiptHandle=receipt, VisibilityTimeout=visibility_s
        )
    )


def done(queue: Queue, receipt: str) -> bool:
    """Take a message off the queue; False where this delivery is over. Raises `Unavailable`."""
    return _of_delivery(lambda: client().delete_message(QueueUrl=url(queue), ReceiptHandle=receipt))


def ensure_queues() -> None:
    """Make the queues that aren't there, each with its dead-letter queue. May be repeated. Raises `Unavailable`.

    On AWS the template makes them.
    """
    for queue in Queue:
        arn = _create(queue.dead_name, {"MessageRetentionPeriod": str(DEAD_KEPT_S)})
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MOST_RECEIVES})
        _create(queue.full_name, {"VisibilityTimeout": str(VISIBILITY_S), "RedrivePolicy": redrive})


def _create(name: str, attributes: dict[str, str]) -> str:
    """Make a queue where there is none; its ARN."""
    made = _ask(lambda: client().create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]
    told = _ask(lambda: client().get_queue_attributes(QueueUrl=made, AttributeNames=["QueueArn"]))
    return str(told["Attributes"]["QueueArn"])


def client(*, wait_s: int = 0) -> Any:
    """This process's client of SQS, of the current settings, that waits `wait_s` longer for an answer.

    It is safe to share between threads.
    """
    chosen = settings()
    return _connect(chosen.aws_region, chosen.aws_endpoint_url, READ_TIMEOUT_S + wait_s)


@lru_cache(maxsize=4)
def _connect(region: str, endpoint_url: str, read_timeout_s: float) -> Any:
    # Imported here: it costs a cold start 0.1 s, and most requests have nothing to send.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    keys = {}
    if endpoint_url:
        # A local stack takes any keys. Without some, botocore would ask the metadata service of EC2 and wait for it.
        from localstack_client.session import Session  # noqa: PLC0415 - of the local stack only

        local = Session().get_credentials()
        keys = {"aws_access_key_id": local.access_key, "aws_secret_access_key": local.secret_key}
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        retries={"total_max_attempts": 1 + RETRIES, "mode": "standard"},
    )
    session = boto3.session.Session(region_name=region, **keys)
    return session.client("sqs", endpoint_url=endpoint_url or None, config=config)


def url(queue: Queue) -> str:
    """The queue's URL, asked for once. Raises `Unavailable`; botocore's error where there is no such queue."""
    return _url(client(), queue.full_name)


@cache
def _url(client: Any, name: str) -> str:
    found: str = _ask(lambda: client.get_queue_url(QueueName=name))["QueueUrl"]
    return found


def _ask(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except (EndpointError, HTTPClientError) as error:
        raise Unavailable from error
    except ClientError as error:
        if _code(error) in _BUSY:
            raise Unavailable from error
        raise


def _of_delivery(call: Callable[[], object]) -> bool:
    try:
        _ask(call)
    except ClientError as error:
        if _code(error) in _GONE:
            return False
        raise
    return True


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))
