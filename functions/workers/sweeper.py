"""What was left behind: jobs whose message was lost, uploads that nobody completed, objects that no row names.

Everything else cleans up after itself; this is for what a process that was killed could not. On AWS a schedule calls
`handler` with the name of one of `SWEEPS`, locally `localstack/up.py` does. A sweep may run at any moment, twice at
once, and be cut off: it takes only what has been silent for so long that nobody can be at it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from meet import multipart, objects, queue
from meet.clock import utcnow
from meet.config import settings
from meet.domain.media import MediaStatus
from meet.errors import NotFound
from meet.store import jobs, media

log = logging.getLogger("meet.sweeper")

LOST = timedelta(minutes=10)
"""A queued job may wait for longer than this; sent twice it is still done once."""
SENT_AGAIN = timedelta(hours=1)
"""Until a job that was sent again is looked at again."""
NOBODYS = timedelta(days=1)
"""No object is written longer than this before its row is."""
ROWS_AT_ONCE = 100
"""What DynamoDB reads at once."""


def send_lost_jobs(now: datetime) -> int:
    """Queue again the jobs that are not over, that nobody works on, and of which nothing was heard lately."""
    sent = 0
    for job in jobs.overdue(now - LOST):
        if jobs.put_off(job, now=now, until=now + SENT_AGAIN):
            queue.send(job)
            log.warning("job %s, %s since %s, is queued again", job.job_id, job.status, job.created_at)
            sent += 1
    return sent


def abort_uploads(now: datetime) -> int:
    """Forget uploads in parts of which none has arrived for as long as a direct upload may take."""
    since = now - 4 * timedelta(seconds=settings().upload_url_s)
    aborted = 0
    for upload in multipart.every():
        if upload.begun_at < since and _is_silent(upload, since):
            multipart.abort(upload.key, upload.upload_id)
            aborted += 1
    return aborted


def delete_nobodys_objects(now: datetime) -> int:
    """Delete objects that stand in no row, and never will: it lists the bucket, a thousand objects a request."""
    old = (found.key for found in objects.every() if found.written_at < now - NOBODYS)
    deleted = 0
    while keys := list(islice(old, ROWS_AT_ONCE)):
        nobodys = list(_without_row(keys))
        objects.delete_many(nobodys)
        deleted += len(nobodys)
    return deleted


SWEEPS: Mapping[str, Callable[[datetime], int]] = {
    "jobs": send_lost_jobs,
    "uploads": abort_uploads,
    "objects": delete_nobodys_objects,
}


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Run the sweep that `event["sweep"]` names; how many things it swept."""
    name = event["sweep"]
    swept = SWEEPS[name](utcnow())
    log.info("%s: %d swept", name, swept)
    return {"swept": swept}


def _is_silent(upload: multipart.Upload, since: datetime) -> bool:
    try:
        return all(part.arrived_at < since for part in multipart.arrived(upload.key, upload.upload_id))
    except NotFound:  # completed since it was listed
        return False


def _without_row(keys: Iterable[str]) -> Iterator[str]:
    """Those of these keys that are nobody's. What a job is at is its worker's to clean up."""
    by_key = {key: key.removeprefix(objects.MEDIA).partition("/")[0] for key in keys}
    files = {file.media_id: file for file in media.find_many(by_key.values())}
    for key, media_id in by_key.items():
        file = files.get(media_id)
        if file is None or (file.status is not MediaStatus.PROCESSING and key not in media.keys_of(file)):
            yield key
