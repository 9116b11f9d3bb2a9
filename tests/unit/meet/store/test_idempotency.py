"""One runs, the others wait or get its answer; a lease that ends is taken over."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from meet.store.idempotency import InProgress, KeyReused, StoredAnswer, claim, finish, release

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANSWER = StoredAnswer(201, {"content-type": "application/json"}, b'{"\xc3\xa9": 1}')

pytestmark = pytest.mark.usefixtures("tables")


def begin(owner: str, *, request: str = "request", after_s: int = 0) -> StoredAnswer | None:
    now = NOW + timedelta(seconds=after_s)
    return claim("key", request, owner=owner, now=now, lease_s=35, keep_s=3600)


def test_the_first_runs_and_the_next_gets_its_answer() -> None:
    assert begin("one") is None
    assert finish("key", ANSWER, owner="one")
    assert begin("two", after_s=3599) == ANSWER


def test_an_empty_answer() -> None:
    begin("one")
    finish("key", StoredAnswer(204, {}, b""), owner="one")
    assert begin("two") == StoredAnswer(204, {}, b"")


def test_while_the_first_runs_the_next_is_told_to_wait() -> None:
    begin("one")
    with pytest.raises(InProgress) as caught:
        begin("two", after_s=34)
    assert (caught.value.status, caught.value.retry_after_s) == (409, 1)


def test_a_claim_whose_answer_was_lost_may_be_repeated() -> None:
    assert begin("one") is None
    assert begin("one") is None
    assert finish("key", ANSWER, owner="one")


def test_another_request_under_the_key() -> None:
    begin("one")
    with pytest.raises(KeyReused):
        begin("two", request="other")
    finish("key", ANSWER, owner="one")
    with pytest.raises(KeyReused) as caught:
        begin("two", request="other")
    assert caught.value.status == 409


def test_a_lease_that_ended_is_taken_over_and_its_owner_comes_too_late() -> None:
    begin("killed")
    assert begin("heir", after_s=35) is None
    assert not finish("key", StoredAnswer(500, {}, b"late"), owner="killed")
    release("key", owner="killed")
    assert finish("key", ANSWER, owner="heir")
    assert begin("three", after_s=99) == ANSWER


def test_an_answer_is_forgotten_in_time_even_if_dynamodb_forgets_to() -> None:
    begin("one")
    finish("key", ANSWER, owner="one")
    assert begin("two", request="other", after_s=3600) is None


def test_a_released_key_is_free() -> None:
    begin("one")
    release("key", owner="one")
    assert begin("two") is None


def test_of_many_exactly_one_runs() -> None:
    def attempt(number: int) -> str:
        try:
            return "runs" if begin(f"owner {number}") is None else "answered"
        except InProgress:
            return "waits"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(24)))
    assert sorted(outcomes) == ["runs"] + 23 * ["waits"]
