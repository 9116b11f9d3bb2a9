"""Every table, empty, in moto: made once a run and copied for each test, since making them takes a quarter second."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from meet.config import settings
from meet.store import base


@contextmanager
def empty_tables() -> Iterator[None]:
    """The tables of the settings in force, in a DynamoDB of this block's own. No judge of concurrency."""
    with mock_aws():
        backend = dynamodb_backends[DEFAULT_ACCOUNT_ID][settings().aws_region]
        backend.tables.update(deepcopy(_made(settings().aws_region, settings().table_prefix)))
        yield


@cache
def _made(region: str, prefix: str) -> dict[str, Any]:
    base.create_tables()
    return deepcopy(dict(dynamodb_backends[DEFAULT_ACCOUNT_ID][region].tables))
