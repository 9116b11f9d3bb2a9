"""Whether what stands behind a call is there: Redis, DynamoDB, S3, SQS, and a clock that agrees with theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException
from redis.asyncio import Redis
from redis.exceptions import RedisError

from meet import objects, queue
from meet.clock import new_id, utcnow
from meet.config import Settings, settings
from meet.errors import MeetError
from meet.presence import AsyncPresence
from meet.queue import Queue
from meet.store import base
from sfu.doctor.finding import Finding, bad, doubt, ok
from sfu.redis import connect

REFUSED = timedelta(minutes=5)
"""AWS takes no signature whose time is further off (SigV4)."""
NOTICED = timedelta(seconds=30)
"""Half of what a ticket for a socket lives."""


async def check_services(chosen: Settings) -> list[Finding]:
    """All of them, side by side."""
    results = await asyncio.gather(
        check_redis(chosen),
        asyncio.to_thread(_told, "DynamoDB", check_tables),
        asyncio.to_thread(_told, "S3", check_bucket),
        asyncio.to_thread(_told, "SQS", check_queues),
    )
    return [finding for findings in results for finding in findings]


async def check_redis(chosen: Settings) -> list[Finding]:
    """Whether it answers, and which media processes it knows."""
    redis: Redis = connect(chosen.redis_url)
    try:
        begun = time.monotonic()
        about = await redis.info("server")
        took_ms = (time.monotonic() - begun) * 1000
        nodes = await AsyncPresence(redis).nodes()
    except RedisError as error:
        return [bad(f"Redis does not answer ({error}): MEET_REDIS_URL says where it is.")]
    finally:
        await redis.aclose()
    version = about.get("valkey_version") or about.get("redis_version")
    findings = [ok(f"Redis {version} answers within {took_ms:.0f} ms.")]
    if nodes:
        rooms = sum(node.rooms for node in nodes)
        findings.append(ok(f"Media processes that say they are there: {len(nodes)}, with {rooms} rooms."))
    else:
        findings.append(doubt("No media process says that it is there: `python -m sfu` doesn't run, or not with it."))
    return findings


def check_tables() -> list[Finding]:
    """Whether every table is there. Blocks."""
    rows = base.every_row()
    missing = [row.Meta.table_name for row in rows if not row.exists()]
    if missing:
        return [
            bad(f"DynamoDB answers, but has no table {', '.join(missing)}: `sam deploy` or `make up` makes them.")
        ]
    return [ok(f"DynamoDB answers, and has all {len(rows)} tables.")]


def check_bucket() -> list[Finding]:
    """Whether objects can be written, read and deleted, and what time it is there. Blocks."""
    bucket = settings().bucket
    try:
        objects.client().head_bucket(Bucket=bucket)
    except ClientError as error:
        return [bad(f"S3 answers, but lets nobody into a bucket {bucket} ({error}): MEET_BUCKET says its name.")]
    key, data = f"doctor/{new_id()}", b"meet"
    objects.put_bytes(key, data, "text/plain")
    try:
        same = objects.read_bytes(key) == data
        answer = objects.client().head_object(Bucket=bucket, Key=key)
    finally:
        objects.delete(key)
    if not same:
        return [bad("S3 gives back other bytes than were written.")]
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    findings = [ok("S3 takes, gives and deletes objects.")]
    if date:
        findings.append(about_clock(utcnow(), parsedate_to_datetime(date)))
    return findings


def check_queues() -> list[Finding]:
    """Whether every queue is there. Blocks."""
    missing = []
    for each in Queue:
        try:
            queue.url(each)
        except ClientError:
            missing.append(each.full_name)
    if missing:
        return [bad(f"SQS answers, but has no queue {', '.join(missing)}: `sam deploy` or `make up` makes them.")]
    return [ok(f"SQS answers, and has all {len(Queue)} queues.")]


def about_clock(here: datetime, there: datetime) -> Finding:
    """What to think of two clocks that should agree."""
    off = abs(here - there)
    said = f"This machine's clock and S3's differ by {off.total_seconds():.0f} s"
    if off > REFUSED:
        return bad(f"{said}: AWS refuses every request that is signed with such a time. Let NTP set the clock.")
    if off > NOTICED:
        return doubt(f"{said}: tickets and TURN credentials are short-lived. Let NTP set the clock.")
    return ok(f"{said}.")


def _told(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except (MeetError, ClientError, BotoCoreError, PynamoDBException) as error:
        cause = error.__cause__ or error
        return [bad(f"{name} does not do what it should: {cause}")]
