"""The bucket: every file's bytes, in S3 or in whatever server stands for it.

An object is written once and never changed: whoever makes a file takes a key that nobody else has, and the row in
`meet.store.media` says whose key counts. So a reader that knows a key reads the same bytes at any time, and who lost
a race deletes its own object and no other's. All calls block; a process with an event loop runs them in threads.

Errors: `meet.errors.Unavailable` where S3 can't be reached, is too busy or fails; `NotFound` where an object that
must be there isn't. What comes in parts is in `meet.multipart`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError

from meet.config import settings
from meet.domain.media import Blob
from meet.errors import NotFound, Unavailable

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 30.0
RETRIES = 3
"""After the first attempt; botocore's `standard` mode backs off between them."""
POOL = 64
"""Sockets kept open, shared by all threads of a process."""

DELETED_AT_ONCE = 1000
"""The most that one DeleteObjects takes."""
CORS_AGE_S = 3600

MEDIA = "media/"
"""Before the keys of all media files."""
THUMBNAIL_SUFFIX = ".thumb.jpg"

_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload", "NotFound"})
_BUSY = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"})


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells of it."""

    key: str
    size: int
    written_at: datetime


def upload_key(media_id: str) -> str:
    """A key of its own for what somebody uploads."""
    return f"{MEDIA}{media_id}/{secrets.token_urlsafe(12)}"


def output_key(media_id: str, attempt: int) -> str:
    """A key of its own for what an attempt at a job makes: two workers at one job never write the same object."""
    return f"{MEDIA}{media_id}/{attempt}-{secrets.token_urlsafe(12)}"


def attempt_of(key: str) -> int:
    """The attempt that wrote the object of an `output_key`, or its thumbnail."""
    return int(key.rpartition("/")[2].partition("-")[0])


def thumbnail_key(key: str) -> str:
    """Where the thumbnail of the file under `key` is."""
    return key + THUMBNAIL_SUFFIX


@lru_cache(maxsize=4)
def _connect(region: str, endpoint_url: str) -> Any:
    # Imported here: it costs a cold start 0.1 s, and most requests never need the bucket.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    # Keys are found as boto3 always finds them: unlike the rest of a local stack, its S3 looks at them.
    # A session of its own: boto3's default one may not be used by two threads while it makes a client.
    return boto3.session.Session().client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_url or None,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 1 + RETRIES},
            max_pool_connections=POOL,
            signature_version="s3v4",
            # Other servers than AWS have no name in DNS for each bucket.
            s3={"addressing_style": "path" if endpoint_url else "virtual"},
            # The checksums of trailers are younger than many servers that stand for S3.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def client() -> Any:
    """This process's boto3 client of S3, by the current settings; safe to share between threads."""
    chosen = settings()
    return _connect(chosen.aws_region, chosen.s3_endpoint_url or chosen.aws_endpoint_url)


def public_client() -> Any:
    """For signing alone: a presigned URL is good for the host that it was signed for, and no other."""
    chosen = settings()
    return _connect(chosen.aws_region, chosen.s3_public_url) if chosen.s3_public_url else client()


@contextmanager
def answers_in_our_words() -> Iterator[None]:
    """Turns botocore's errors of this block, and aiobotocore's, into the module's."""
    try:
        yield
    except (EndpointError, HTTPClientError) as error:
        raise Unavailable("The file store does not answer. Please try again later.") from error
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise NotFound("The file's bytes are not there") from error
        if code in _BUSY or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise Unavailable("The file store does not answer. Please try again later.") from error
        raise


def put_bytes(key: str, data: bytes, mime: str, *, cache: str = "") -> Blob:
    """Write a small object, whole; `cache`: the Cache-Control for who reads it straight from the bucket."""
    extra = {"CacheControl": cache} if cache else {}
    with answers_in_our_words():
        answer = client().put_object(Bucket=settings().bucket, Key=key, Body=data, ContentType=mime, **extra)
    return Blob(key, len(data), unquoted(answer["ETag"]))


def upload_file(path: Path, key: str, mime: str) -> Blob:
    """Write a file of this machine, in parts where it is large; either all of it is there, or nothing."""
    from boto3.exceptions import S3UploadFailedError  # noqa: PLC0415 - see `_connect`

    with answers_in_our_words():
        try:
            client().upload_file(str(path), settings().bucket, key, ExtraArgs={"ContentType": mime})
        except S3UploadFailedError as error:
            raise error.__context__ or error from None  # what boto3 wraps in words alone
    return there(key)


def download_file(key: str, path: Path) -> None:
    """Write an object into a file of this machine, which appears when it is whole."""
    with answers_in_our_words():
        client().download_file(settings().bucket, key, str(path))


def read_bytes(key: str, *, first: int = 0, last: int | None = None) -> bytes:
    """The bytes of an object from `first` to `last`, both included; to its end where that comes before, or for None.

    Nothing where the object ends before `first`.
    """
    extra = {"Range": f"bytes={first}-{'' if last is None else last}"} if first or last is not None else {}
    with answers_in_our_words():
        try:
            body = client().get_object(Bucket=settings().bucket, Key=key, **extra)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRange":
                return b""
            raise
        with body:
            data: bytes = body.read()
    return data


def head(key: str) -> Blob | None:
    """What is under a key, or None."""
    try:
        return there(key)
    except NotFound:
        return None


def there(key: str) -> Blob:
    """What is under a key; else `NotFound`."""
    with answers_in_our_words():
        answer = client().head_object(Bucket=settings().bucket, Key=key)
    return Blob(key, int(answer["ContentLength"]), unquoted(answer["ETag"]))


def delete(key: str) -> None:
    """Remove an object; fine where there is none."""
    with answers_in_our_words():
        client().delete_object(Bucket=settings().bucket, Key=key)


def delete_many(keys: Iterable[str]) -> None:
    """Remove objects, a thousand a request; fine where there are none. `Unavailable` where one could not be."""
    waiting = iter(keys)
    while batch := [{"Key": key} for key in islice(waiting, DELETED_AT_ONCE)]:
        with answers_in_our_words():
            answer = client().delete_objects(Bucket=settings().bucket, Delete={"Objects": batch, "Quiet": True})
        if answer.get("Errors"):
            raise Unavailable("Some of a file's bytes could not be deleted. Please try again later.")


def every(prefix: str = MEDIA) -> Iterator[Listed]:
    """All objects whose keys begin so, in the order of the keys; read a thousand at a time, as they are taken."""
    pages = client().get_paginator("list_objects_v2").paginate(Bucket=settings().bucket, Prefix=prefix)
    with answers_in_our_words():
        for page in pages:
            for one in page.get("Contents", []):
                yield Listed(one["Key"], int(one["Size"]), one["LastModified"])


def presigned_get(key: str, *, expires_s: int, public: bool = False) -> str:
    """A URL that reads the object without credentials; `public`: as browsers reach S3, else as this process does."""
    signer = public_client() if public else client()
    url: str = signer.generate_presigned_url(
        "get_object", Params={"Bucket": settings().bucket, "Key": key}, ExpiresIn=expires_s
    )
    return url


def ensure_bucket() -> None:
    """Make the bucket of a local stack, that browsers may send parts to; infra/data.yaml has AWS's. May be repeated.

    Raises `Unavailable` where S3 can't be reached.
    """
    bucket, s3 = settings().bucket, client()
    with answers_in_our_words():
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            s3.create_bucket(Bucket=bucket)
        try:
            s3.put_bucket_cors(
                Bucket=bucket,
                CORSConfiguration={
                    "CORSRules": [
                        {
                            "AllowedOrigins": ["*"],  # a part's URL is the secret; no cookie counts here
                            "AllowedMethods": ["PUT"],
                            "AllowedHeaders": ["*"],
                            "ExposeHeaders": ["ETag"],
                            "MaxAgeSeconds": CORS_AGE_S,
                        }
                    ]
                },
            )
        except ClientError as error:
            # MinIO has one rule for all buckets, which lets every origin in, and refuses this call.
            if error.response["Error"]["Code"] != "NotImplemented":
                raise


def unquoted(etag: str) -> str:
    """An ETag as `Blob` has it."""
    return etag.strip('"')
