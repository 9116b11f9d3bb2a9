"""DynamoDB as every store sees it: rows, the one connection of this process, and its errors in our words.

A store module declares its rows as private subclasses of `Row` and takes and returns domain values:

    class _UserRow(Row):
        table = "users"
        user_id = UnicodeAttribute(hash_key=True)

Errors that a store meets:

* `meet.errors.Unavailable` where DynamoDB can't be reached, is too busy or fails: raised here, nothing to do for it.
* pynamodb's own (`PutError`, `UpdateError`, `DeleteError`) where a condition didn't hold: see `condition_failed`.
* `TransactWriteError` where a transaction was cancelled: see `reasons`.

A write that collided with a transaction on the same item is repeated here, with jitter and a bound.
"""

import random
import time
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pkgutil import iter_modules
from threading import Lock
from typing import Any, ClassVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as EndpointError
from pynamodb.connection import Connection, TableConnection
from pynamodb.connection.base import MetaTable
from pynamodb.constants import PAY_PER_REQUEST_BILLING_MODE
from pynamodb.exceptions import PynamoDBException, TableError, TransactWriteError, VerboseClientError
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

import meet.store
from meet.config import settings
from meet.errors import Unavailable

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 5.0
RETRIES = 2
"""After the first attempt; botocore's `standard` mode backs off between them."""
POOL = 64
"""Sockets kept open: the gateway's worker threads share one connection."""

CONFLICT_ATTEMPTS = 12
CONFLICT_FIRST_S = 0.01
CONFLICT_MOST_S = 0.4

TABLE_WAIT_S = 60.0

_BUSY = frozenset(
    {
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
_PASSING = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"})
"""Reasons for a cancelled transaction that are over in a moment."""

TABLES: list[type["Row"]] = []
"""Every row class of the store modules imported so far; `every_row` imports them all."""


def _conflict_waits() -> Iterator[float]:
    """Seconds to wait before each further attempt: full jitter under a doubling bound."""
    bound = CONFLICT_FIRST_S
    while True:
        yield random.uniform(0, bound)  # noqa: S311 - spreads writers, guards nothing
        bound = min(2 * bound, CONFLICT_MOST_S)


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))


def _may_repeat(error: ClientError) -> bool:
    """Whether nothing was written because of others who were writing, and no condition failed."""
    code = _code(error)
    if code == "TransactionCanceledException" and isinstance(error, VerboseClientError):
        met = {reason.code for reason in error.cancellation_reasons if reason}
        return bool(met) and met <= _PASSING
    return code == "TransactionConflictException"


class _Connection(Connection):
    """pynamodb's connection, shared by all tables, that repeats conflicts and says `Unavailable`."""

    def add_meta_table(self, meta_table: MetaTable) -> None:
        self._tables[meta_table.table_name] = meta_table

    def dispatch(self, operation_name: str, operation_kwargs: dict[str, Any]) -> dict[str, Any]:
        for wait_s in islice(_conflict_waits(), CONFLICT_ATTEMPTS):
            try:
                # A copy: botocore writes the idempotency token of an attempt into what it is given.
                return super().dispatch(operation_name, dict(operation_kwargs))
            except (EndpointError, HTTPClientError) as error:
                raise Unavailable from error
            except ClientError as error:
                if not _may_repeat(error):
                    if _code(error) in _BUSY:
                        raise Unavailable from error
                    raise
            time.sleep(wait_s)
        raise Unavailable


@lru_cache(maxsize=1)
def _connect(region: str, endpoint_url: str) -> _Connection:
    access_key = secret_key = None
    if endpoint_url:
        # A local stack takes any keys. Without some, botocore would ask the metadata service of EC2 and wait for it.
        from localstack_client.session import Session  # noqa: PLC0415 - imports boto3, which AWS has no need of

        local = Session().get_credentials()
        access_key, secret_key = local.access_key, local.secret_key
    return _Connection(
        region=region,
        host=endpoint_url or None,
        connect_timeout_seconds=CONNECT_TIMEOUT_S,
        read_timeout_seconds=READ_TIMEOUT_S,
        max_retry_attempts=RETRIES,
        max_pool_connections=POOL,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )


def connection() -> Connection:
    """This process's connection to DynamoDB, of the current settings; safe to share between threads."""
    chosen = settings()
    return _connect(chosen.aws_region, chosen.aws_endpoint_url)


class _Meta:
    """What pynamodb wants in a model's `Meta`; the rest is in `_connect`, once for all tables."""

    table_name = ""
    billing_mode = PAY_PER_REQUEST_BILLING_MODE
    region: str | None = None
    host: str | None = None
    connect_timeout_seconds = CONNECT_TIMEOUT_S
    read_timeout_seconds = READ_TIMEOUT_S
    max_retry_attempts = RETRIES
    max_pool_connections = POOL
    extra_headers: None = None
    aws_access_key_id: None = None
    aws_secret_access_key: None = None
    aws_session_token: None = None


class Row(Model):
    """A row of a table. A subclass names its `table` (without the prefix) and declares attributes and indexes.

    The table's full name and the server are taken from `settings()` when they are used, not when the module is
    imported. A `TTLAttribute` turns DynamoDB's expiry on; that may come days late, so readers check the time too.
    """

    table: ClassVar[str]
    _binding: ClassVar[Lock] = Lock()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.Meta = type("Meta", (_Meta,), {})  # type: ignore[assignment]  # the protocol asks for ints and no None
        TABLES.append(cls)

    def __repr__(self) -> str:
        """The key alone: rows hold hashes of passwords, and what people wrote."""
        return f"<{type(self).__name__} {self._get_hash_range_key_serialized_values()}>"

    @classmethod
    def _get_connection(cls) -> TableConnection:
        shared = connection()
        name = settings().table_prefix + cls.table
        bound = cls._connection
        if bound is not None and bound.connection is shared and bound.table_name == name:
            return bound
        with cls._binding:
            cls.Meta.table_name = name
            cls._connection = None
            bound = super()._get_connection()
            shared.add_meta_table(bound.get_meta_table())
            bound.connection = shared
            return bound


def transaction() -> TransactWrite:
    """A transaction over any tables, to be used in a `with`; it is committed at its end.

    Raises `TransactWriteError` where it was cancelled, see `reasons`.
    """
    return TransactWrite(connection=connection())


def condition_failed(error: PynamoDBException) -> bool:
    """Whether a put, update or delete was refused because its condition didn't hold."""
    return error.cause_response_code == "ConditionalCheckFailedException"


def reasons(error: TransactWriteError) -> list[bool]:
    """Whose condition failed in a cancelled transaction, one entry an operation.

    The order is pynamodb's: condition checks, deletes, puts (`save`), updates, each as they were added. Any other
    reason than a failed condition is a bug of the caller or of the server, and `error` is raised again.
    """
    failed = [reason is not None and reason.code == "ConditionalCheckFailed" for reason in error.cancellation_reasons]
    if not any(failed):
        raise error
    return failed


def every_row() -> list[type[Row]]:
    """The row classes of all stores."""
    for module in iter_modules(meet.store.__path__):
        import_module(f"{meet.store.__name__}.{module.name}")
    return TABLES


def create_tables() -> None:
    """Create the tables of all stores that aren't there, wait for them, and turn expiry on. May be repeated.

    Raises `Unavailable` where DynamoDB can't be reached or a table isn't ready in time.
    """
    rows = every_row()
    for row in rows:
        _create(row)
    for row in rows:
        _wait_active(row)
        _expire(row)


def _create(row: type[Row]) -> None:
    if row.exists():
        return
    schema = row._get_schema()
    try:
        row._get_connection().create_table(
            attribute_definitions=schema["attribute_definitions"],
            key_schema=schema["key_schema"],
            global_secondary_indexes=schema["global_secondary_indexes"],
            local_secondary_indexes=schema["local_secondary_indexes"],
            billing_mode=PAY_PER_REQUEST_BILLING_MODE,
        )
    except TableError as error:
        if error.cause_response_code != "ResourceInUseException":  # another process was quicker
            raise


def _wait_active(row: type[Row]) -> None:
    deadline = time.monotonic() + TABLE_WAIT_S
    while row.describe_table()["TableStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise Unavailable(f"Table {row.Meta.table_name} is not ready. Please try again later.")
        time.sleep(0.2)


def _expire(row: type[Row]) -> None:
    attribute = row._ttl_attribute()  # type: ignore[no-untyped-call]
    if attribute is None:
        return
    table = row._get_connection()
    client: Any = table.connection.client
    now = client.describe_time_to_live(TableName=table.table_name)["TimeToLiveDescription"]
    if now["TimeToLiveStatus"] not in ("ENABLED", "ENABLING"):  # AWS refuses to enable it twice
        table.update_time_to_live(attribute.attr_name)
