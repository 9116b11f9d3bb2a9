"""What was left behind: by media processes that died, recordings and streams; by others, jobs whose message was lost,
uploads that nobody completed, and objects that no row names.

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
from meet.domain.capture import RECORDINGS
from meet.domain.media import MediaStatus
from meet.domain.recording import Recording, RecordingStatus
from meet.domain.stream import STREAMS
from meet.errors import NotFound, Unavailable
from meet.recordings import finish_lapsed
from meet.store import jobs, media, recordings, streams

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


def finish_recordings(now: datetime) -> int:
    """Have the files of recordings made whose media process is gone, from what had reached the bucket."""
    finished = 0
    for recording in recordings.overdue(now):
        try:
            finished += finish_lapsed(recording.recording_id, now=now) is not None
        except Unavailable as error:  # the next sweep does it, and the others need not wait for that
            log.warning("recording %s can't be finished now: %s", recording.recording_id, error)
    return finished


def end_streams(now: datetime) -> int:
    """Note of streams whose media process is gone that they are over."""
    lapsed = [stream.stream_id for stream in streams.overdue(now)]
    return sum(streams.fail_lapsed(stream_id, streams.LOST, at=now) is not None for stream_id in lapsed)


def delete_nobodys_objects(now: datetime) -> int:
    """Delete objects that stand in no row, and never will: it lists the bucket, a thousand objects a request."""
    return sum(_delete_old(prefix, nobodys, now - NOBODYS) for prefix, nobodys in _OWNED.items())


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


def _delete_old(prefix: str, nobodys: Callable[[list[str]], Iterator[str]], before: datetime) -> int:
    old = (found.key for found in objects.every(prefix) if found.written_at < before)
    deleted = 0
    while keys := list(islice(old, ROWS_AT_ONCE)):
        doomed = list(nobodys(keys))
        objects.delete_many(doomed)
        deleted += len(doomed)
    return deleted


def _owners(keys: Iterable[str]) -> dict[str, str]:
    """The id in each key, which is its second part."""
    return {key: key.split("/", 2)[1] for key in keys}


def _of_no_file(keys: list[str]) -> Iterator[str]:
    """Those of these keys that are nobody's. What a job is at is its worker's to clean up."""
    by_key = _owners(keys)
    files = {file.media_id: file for file in media.find_many(by_key.values())}
    for key, media_id in by_key.items():
        file = files.get(media_id)
        if file is None or (file.status is not MediaStatus.PROCESSING and key not in media.keys_of(file)):
            yield key


def _of_no_recording(keys: list[str]) -> Iterator[str]:
    """The same of recordings."""
    by_key = _owners(keys)
    kept = {one.recording_id: _kept(one) for one in recordings.find_many(set(by_key.values()))}
    for key, recording_id in by_key.items():
        keep = kept.get(recording_id, frozenset())
        if keep is not None and key not in keep:
            yield key


def _kept(recording: Recording) -> frozenset[str] | None:
    """The keys that a recording needs; None for all that there are.

    Of a completed one its files are kept, and not what they were made of. Of one that failed somebody may still make
    something.
    """
    if recording.status is RecordingStatus.CANCELLED:
        return frozenset()
    return frozenset(recordings.keys_of(recording)) if recording.status is RecordingStatus.COMPLETED else None


def _of_no_stream(keys: list[str]) -> Iterator[str]:
    """The same of streams, of which nothing is kept."""
    by_key = _owners(keys)
    found = {one.stream_id: one for one in streams.find_many([*by_key.values()])}
    for key, stream_id in by_key.items():
        stream = found.get(stream_id)
        if stream is None or stream.is_over:
            yield key


_OWNED: Mapping[str, Callable[[list[str]], Iterator[str]]] = {
    objects.MEDIA: _of_no_file,
    RECORDINGS: _of_no_recording,
    STREAMS: _of_no_stream,
}
"""What the keys of the bucket begin with, and which of those are nobody's."""

SWEEPS: Mapping[str, Callable[[datetime], int]] = {
    "recordings": finish_recordings,
    "streams": end_streams,
    "jobs": send_lost_jobs,
    "uploads": abort_uploads,
    "objects": delete_nobodys_objects,
}
