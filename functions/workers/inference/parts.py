"""A long recording, transcribed in parts side by side: by this node, and by every other that has nothing to do.

The recording is cut where it is quiet, and each part is a job of its own in the queue. Whoever holds the whole does
the parts that nobody has begun, one after the other, and waits only for those that others are at; so one node alone
does all of it, two do it in half the time, and none waits for a thread that is waiting itself. Parts that are done
stay done when the holder dies: the next one finds them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from meet import objects, queue, results
from meet.clock import utcnow
from meet.config import settings
from meet.domain.job import Given, Job, JobStatus
from meet.domain.transcript import Transcript, joined
from meet.errors import Conflict, Unavailable
from meet.store import jobs

from .engines.base import Asked, Refused, Watch
from .engines.sound import Sound, cuts, decode, write_wav
from .work import WAV, part_result

log = logging.getLogger("meet.inference")

LOOK_S = 0.5
"""Between two looks at parts that others are at."""
DECODED = 0.05
"""The share of the work that is done once the parts are in the queue."""


@dataclass(frozen=True, slots=True)
class Parts:
    """How this node has recordings done in parts: `do` does the job of one, as any job of the queue is done."""

    do: Callable[[str], object]

    def __call__(self, job: Job, asked: Asked, watch: Watch) -> Transcript | None:
        """The transcript of a long recording; None where it is short enough to be heard at once."""
        sound = decode(asked.file, asked.mime_type, watch)
        spans = cuts(sound, settings().inference_part_s)
        if len(spans) == 1:
            return None
        ids = [f"{job.job_id}-{number}" for number in range(len(spans))]
        try:
            for part_id, span in zip(ids, spans, strict=True):
                watch.go_on()
                self._order(job, part_id, sound.part(*span), asked)
            watch.go_on(DECODED)
            heard = self._gather(ids, watch)
        except BaseException:
            if watch.stop.is_set() and (now := jobs.find(job.job_id)) is not None and now.is_over:
                _cancel(ids)  # its owner wants it no more
            raise
        return joined([(start, heard[part_id]) for part_id, (start, _) in zip(ids, spans, strict=True)])

    def _order(self, job: Job, part_id: str, sound: Sound, asked: Asked) -> None:
        if jobs.find(part_id) is not None:
            return  # by the attempt before this one
        path = asked.folder / "part.wav"
        write_wav(sound, path)
        given = Given(results.given_key(part_id), WAV)
        objects.upload_file(path, given.key, WAV)
        part = Job(
            job_id=part_id,
            kind=job.kind,
            owner_id=job.owner_id,
            inputs=(),
            steps=(),
            estimated_s=job.estimated_s,
            created_at=utcnow(),
            given=given,
            options=job.options,
            part_of=job.job_id,
        )
        jobs.create(part, [])
        queue.send(part)

    def _gather(self, ids: list[str], watch: Watch) -> dict[str, Transcript]:
        heard: dict[str, Transcript] = {}
        while len(heard) < len(ids):
            held = 0
            for part_id in ids:
                if part_id in heard:
                    continue
                watch.go_on(DECODED + (1 - DECODED) * len(heard) / len(ids))
                part = jobs.get(part_id)
                if part.status is JobStatus.COMPLETED:
                    heard[part_id] = part_result(part)
                elif part.is_over:
                    raise Refused(part.error or "A part of the recording could not be transcribed.")
                elif part.is_held(utcnow()):
                    held += 1
                else:
                    self.do(part_id)
            if held and len(heard) < len(ids):
                watch.stop.wait(LOOK_S)
        return heard


def clean_up(job: Job) -> None:
    """Delete what parts of a job that is over were given and gave; their rows go with time."""
    number = 0
    while (part := jobs.find(f"{job.job_id}-{number}")) is not None:
        results.discard(part)
        number += 1


def _cancel(ids: list[str]) -> None:
    for part_id in ids:
        try:
            part = jobs.find(part_id)
            if part is not None and not part.is_over:
                jobs.cancel(part)
        except (Conflict, Unavailable) as error:
            log.warning("part %s is left to its end: %s", part_id, error)
