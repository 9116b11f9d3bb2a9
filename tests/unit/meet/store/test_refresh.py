"""Refresh tokens: used once, and the end of all where one is used twice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pynamodb.connection import Connection

from meet.clock import new_id
from meet.errors import InvalidToken
from meet.store import base, refresh

pytestmark = pytest.mark.usefixtures("tables")

NOW = datetime(2025, 10, 5, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


def test_a_token_is_swapped_for_the_next() -> None:
    first = refresh.start("u1", 2, now=NOW)
    second = refresh.rotate(first.token, now=NOW)
    third = refresh.rotate(second.token, now=NOW)
    assert (third.family_id, third.user_id, third.password_epoch) == (first.family_id, "u1", 2)
    assert len({first.token, second.token, third.token}) == 3


def test_a_token_is_opaque_and_kept_by_hash_alone() -> None:
    family = refresh.start("u1", 0, now=NOW)
    client: Any = base.connection().client
    [row] = client.scan(TableName="unit-refresh")["Items"]
    assert family.token not in str(row)
    assert family.token not in repr(family)
    assert refresh.family_of(family.token) == family.family_id


def test_a_spent_token_ends_the_family_for_both() -> None:
    first = refresh.start("u1", 0, now=NOW)
    second = refresh.rotate(first.token, now=NOW)
    with pytest.raises(refresh.SpentToken) as spent:
        refresh.rotate(first.token, now=NOW)
    assert spent.value.family_id == first.family_id
    for token in (first.token, second.token):
        with pytest.raises(InvalidToken) as gone:
            refresh.rotate(token, now=NOW)
        assert not isinstance(gone.value, refresh.SpentToken)


def test_each_use_gives_another_week_and_then_it_is_over() -> None:
    first = refresh.start("u1", 0, now=NOW)
    second = refresh.rotate(first.token, now=NOW + WEEK - timedelta(seconds=1))
    third = refresh.rotate(second.token, now=NOW + 2 * WEEK - timedelta(seconds=2))
    with pytest.raises(InvalidToken) as expired:
        refresh.rotate(third.token, now=NOW + 4 * WEEK)
    assert not isinstance(expired.value, refresh.SpentToken)


def test_garbage_is_refused() -> None:
    for token in ("", "x", "A" * 63, "A" * 65, "é" * 64, "\ud800" * 64, "!" * 64, "=" * 64, "A" * 64):
        with pytest.raises(InvalidToken):
            refresh.rotate(token, now=NOW)


def test_a_revoked_family_is_over_however_often_it_is_revoked() -> None:
    family = refresh.start("u1", 0, now=NOW)
    refresh.revoke(family.family_id)
    refresh.revoke(family.family_id)
    with pytest.raises(InvalidToken):
        refresh.rotate(family.token, now=NOW)


def test_a_write_that_is_repeated_unheard_is_no_second_use(monkeypatch: pytest.MonkeyPatch) -> None:
    family = refresh.start("u1", 4, now=NOW)
    dispatch = Connection.dispatch

    def twice(self: Connection, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if operation == "UpdateItem":
            dispatch(self, operation, dict(arguments))  # arrives; its answer doesn't, so botocore asks again
        return dispatch(self, operation, arguments)

    monkeypatch.setattr(Connection, "dispatch", twice)
    after = refresh.rotate(family.token, now=NOW)
    assert (after.user_id, after.password_epoch) == ("u1", 4)


def test_a_new_password_ends_the_users_other_sign_ins() -> None:
    mine, other, another = (refresh.start("u1", 0, now=NOW) for _ in range(3))
    strangers = refresh.start("u2", 0, now=NOW)
    ended = refresh.revoke_others("u1", keep=mine.family_id, password_epoch=1)
    assert sorted(ended) == sorted([other.family_id, another.family_id])
    assert refresh.rotate(mine.token, now=NOW).password_epoch == 1
    assert refresh.rotate(strangers.token, now=NOW).password_epoch == 0
    with pytest.raises(InvalidToken):
        refresh.rotate(other.token, now=NOW)


def test_a_sign_in_that_ended_meanwhile_is_not_brought_back() -> None:
    gone = new_id()
    assert refresh.revoke_others("u1", keep=gone, password_epoch=1) == []
    client: Any = base.connection().client
    assert client.scan(TableName="unit-refresh")["Items"] == []
