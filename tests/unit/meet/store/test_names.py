"""A name has one owner; a counter never says the same twice."""

import pytest
from pynamodb.exceptions import TransactWriteError

from meet.store import names
from meet.store.base import reasons, transaction

pytestmark = pytest.mark.usefixtures("tables")


def claim(name: str, owner: str) -> None:
    with transaction() as write:
        names.claim(write, name, owner)


def test_a_name_is_claimed_once_and_free_after_its_drop() -> None:
    assert names.owner("user#alice") is None
    claim("user#alice", "u1")
    with pytest.raises(TransactWriteError) as refused:
        claim("user#alice", "u2")
    assert reasons(refused.value) == [True]
    assert names.owner("user#alice") == "u1"
    with transaction() as write:
        names.drop(write, "user#alice")
    claim("user#alice", "u2")
    assert names.owner("user#alice") == "u2"


def test_a_name_longer_than_any_key_has_no_owner() -> None:
    assert names.owner("user#" + "é" * 1022) is None


def test_counters_count_from_one_each_for_itself() -> None:
    assert [names.count_up("a") for _ in range(3)] == [1, 2, 3]
    assert names.count_up("b") == 1
