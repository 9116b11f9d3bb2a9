"""Rows find their table and server late, errors speak our words, conflicts are repeated."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from pynamodb.attributes import NumberAttribute, TTLAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import CancellationReason as Reason
from pynamodb.exceptions import PutError, TransactWriteError, VerboseClientError

from meet.config import settings
from meet.errors import Unavailable
from meet.store import base

registered = len(base.TABLES)


class ThingRow(base.Row):
    table = "things"
    thing_id = UnicodeAttribute(hash_key=True)
    count = NumberAttribute(default=0)
    ttl = TTLAttribute(null=True)


class OtherRow(base.Row):
    table = "others"
    other_id = UnicodeAttribute(hash_key=True)


del base.TABLES[registered:]


@pytest.fixture
def things(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(base, "TABLES", [ThingRow, OtherRow])
    monkeypatch.setattr(base, "iter_modules", lambda path: [])
    monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", "")
    monkeypatch.setenv("MEET_TABLE_PREFIX", "unit-")
    settings.cache_clear()
    base._connect.cache_clear()
    with mock_aws():
        base.create_tables()
        yield
    settings.cache_clear()
    base._connect.cache_clear()


@pytest.mark.usefixtures("things")
def test_tables_are_created_once_with_prefix_and_expiry() -> None:
    base.create_tables()
    client: Any = base.connection().client
    assert sorted(client.list_tables()["TableNames"]) == ["unit-others", "unit-things"]
    described = client.describe_table(TableName="unit-things")["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    expiry = client.describe_time_to_live(TableName="unit-things")["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert (
        client.describe_time_to_live(TableName="unit-others")["TimeToLiveDescription"]["TimeToLiveStatus"]
        == "DISABLED"
    )


@pytest.mark.usefixtures("things")
def test_rows_follow_the_settings_and_share_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    ThingRow(thing_id="a", ttl=timedelta(hours=1)).save()
    assert ThingRow.get("a").count == 0
    assert ThingRow._get_connection().connection is OtherRow._get_connection().connection

    monkeypatch.setenv("MEET_TABLE_PREFIX", "elsewhere-")
    settings.cache_clear()
    assert not ThingRow.exists()
    base.create_tables()
    with pytest.raises(ThingRow.DoesNotExist):
        ThingRow.get("a")


@pytest.mark.usefixtures("things")
def test_a_failed_condition_is_told_from_other_errors() -> None:
    ThingRow(thing_id="a").save()
    with pytest.raises(PutError) as refused:
        ThingRow(thing_id="a").save(ThingRow.thing_id.does_not_exist())
    assert base.condition_failed(refused.value)
    monstrous = ThingRow(thing_id="x" * 3000)  # keys end at 2048 bytes
    with pytest.raises(PutError) as invalid:
        monstrous.save()
    assert not base.condition_failed(invalid.value)


@pytest.mark.usefixtures("things")
def test_a_cancelled_transaction_says_which_operation_failed_and_wrote_nothing() -> None:
    OtherRow(other_id="taken").save()
    write = base.transaction()
    write.save(ThingRow(thing_id="new"), ThingRow.thing_id.does_not_exist())
    write.save(OtherRow(other_id="taken"), OtherRow.other_id.does_not_exist())
    with pytest.raises(TransactWriteError) as refusal, write:
        pass
    assert base.reasons(refusal.value) == [False, True]
    with pytest.raises(ThingRow.DoesNotExist):
        ThingRow.get("new")


def test_an_unreachable_server_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:  # bound and not listening: refuses
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MEET_AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setattr(base, "RETRIES", 0)
        settings.cache_clear()
        base._connect.cache_clear()
        with pytest.raises(Unavailable):
            ThingRow.get("a")
    settings.cache_clear()
    base._connect.cache_clear()


class Scripted:
    """Stands for botocore below `dispatch`: raises what it was given, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        arguments["ClientRequestToken"] = f"token-{self.calls}"  # as botocore does
        if self.errors:
            raise self.errors.pop(0)
        return {"answered": arguments["ClientRequestToken"]}


def cancelled(*codes: str | None) -> VerboseClientError:
    return VerboseClientError(
        {"Error": {"Code": "TransactionCanceledException", "Message": ""}},
        "TransactWriteItems",
        cancellation_reasons=[Reason(code) if code else None for code in codes],
    )


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "UpdateItem")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(base.time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize(
    "conflict",
    [
        cancelled(None, "TransactionConflict"),
        cancelled("ThrottlingError", "TransactionConflict"),
        refused("TransactionConflictException"),
    ],
)
def test_a_conflict_is_repeated_afresh(
    conflict: ClientError, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Scripted(conflict, conflict)
    monkeypatch.setattr(Connection, "dispatch", server)
    asked: dict[str, Any] = {"TransactItems": []}
    assert base._Connection(region="x").dispatch("TransactWriteItems", asked) == {"answered": "token-3"}
    assert "ClientRequestToken" not in asked
    assert len(waits) == 2


def test_conflicts_without_end_are_unavailable(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    server = Scripted(*[cancelled("TransactionConflict")] * 100)
    monkeypatch.setattr(Connection, "dispatch", server)
    with pytest.raises(Unavailable):
        base._Connection(region="x").dispatch("TransactWriteItems", {})
    assert server.calls == len(waits) == base.CONFLICT_ATTEMPTS
    assert max(waits) <= base.CONFLICT_MOST_S


def test_a_conflict_beside_a_failed_condition_is_the_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Scripted(cancelled("TransactionConflict", "ConditionalCheckFailed"))
    monkeypatch.setattr(Connection, "dispatch", server)
    with pytest.raises(VerboseClientError):
        base._Connection(region="x").dispatch("TransactWriteItems", {})
    assert server.calls == 1


@pytest.mark.parametrize("code", sorted(base._BUSY))
def test_a_busy_server_is_unavailable(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Scripted(refused(code))
    monkeypatch.setattr(Connection, "dispatch", server)
    with pytest.raises(Unavailable):
        base._Connection(region="x").dispatch("UpdateItem", {})


def test_a_transaction_that_failed_for_another_reason_is_no_condition() -> None:
    odd = TransactWriteError("", cancelled("ValidationError"))
    with pytest.raises(TransactWriteError):
        base.reasons(odd)
