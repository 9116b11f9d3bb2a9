"""Objects that come in parts: S3's multipart uploads.

What arrived of one is kept, and paid for, until it is completed or aborted; the sweeper aborts what was left behind.
Errors are those of `meet.objects`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from meet.clock import utcnow
from meet.config import settings
from meet.domain.media import Blob
from meet.errors import NotFound
from meet.objects import MEDIA, answers_in_our_words, client, public_client, there, unquoted


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload that has arrived. `etag` is without quotes."""

    number: int
    etag: str
    size: int
    arrived_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was begun, and neither completed nor aborted."""

    key: str
    upload_id: str
    begun_at: datetime


def begin(key: str, mime: str) -> str:
    """Begin a multipart upload: its id. What is begun is completed, or aborted, or swept."""
    with answers_in_our_words():
        answer = client().create_multipart_upload(Bucket=settings().bucket, Key=key, ContentType=mime)
    upload_id: str = answer["UploadId"]
    return upload_id


def put(key: str, upload_id: str, number: int, data: bytes | bytearray) -> Part:
    """Send part `number` (from 1), of 5 MiB or more unless it is the last."""
    with answers_in_our_words():
        answer = client().upload_part(
            Bucket=settings().bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=data
        )
    return Part(number, unquoted(answer["ETag"]), len(data), utcnow())


def presigned_part(key: str, upload_id: str, number: int, size: int, *, expires_s: int) -> str:
    """A URL that takes part `number` (from 1) by PUT, from a browser, of exactly `size` bytes: that is signed too."""
    url: str = public_client().generate_presigned_url(
        "upload_part",
        Params={
            "Bucket": settings().bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
            "ContentLength": size,
        },
        ExpiresIn=expires_s,
    )
    return url


def arrived(key: str, upload_id: str) -> list[Part]:
    """The parts that have arrived, by their numbers. `NotFound` where the upload was completed or aborted."""
    pages = client().get_paginator("list_parts").paginate(Bucket=settings().bucket, Key=key, UploadId=upload_id)
    with answers_in_our_words():
        return [
            Part(int(one["PartNumber"]), unquoted(one["ETag"]), int(one["Size"]), one["LastModified"])
            for page in pages
            for one in page.get("Parts", [])
        ]


def complete(key: str, upload_id: str, parts: Sequence[Part]) -> Blob:
    """Make one object of these parts, in this order. `NotFound` where the upload was completed or aborted."""
    listed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
    with answers_in_our_words():
        client().complete_multipart_upload(
            Bucket=settings().bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
        )
    return there(key)


def abort(key: str, upload_id: str) -> None:
    """Forget a multipart upload and all that arrived of it; fine where there is none."""
    with suppress(NotFound), answers_in_our_words():
        client().abort_multipart_upload(Bucket=settings().bucket, Key=key, UploadId=upload_id)


def every(prefix: str = MEDIA) -> Iterator[Upload]:
    """All multipart uploads that are open."""
    pages = client().get_paginator("list_multipart_uploads").paginate(Bucket=settings().bucket, Prefix=prefix)
    with answers_in_our_words():
        for page in pages:
            for one in page.get("Uploads", []):
                yield Upload(one["Key"], one["UploadId"], one["Initiated"])
