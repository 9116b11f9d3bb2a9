"""What Redis' absence costs."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from meet.web.redis import Circuit, RedisAway


class Server:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.here = True
        self.asked = 0

    def ask(self) -> str:
        self.asked += 1
        if not self.here:
            raise RedisConnectionError
        return "answer"


def test_after_a_failure_nobody_asks_for_a_while() -> None:
    now = 100.0
    server = Server()
    circuit = Circuit(1.0, lambda: now)
    assert circuit.call(server.ask) == "answer"

    server.here = False
    for _ in range(50):
        with pytest.raises(RedisAway):
            circuit.call(server.ask)
    assert server.asked == 2

    now += 1.0
    with pytest.raises(RedisAway):
        circuit.call(server.ask)
    assert server.asked == 3

    server.here = True
    with pytest.raises(RedisAway):
        circuit.call(server.ask)
    now += 1.0
    assert circuit.call(server.ask) == "answer"
    assert circuit.call(server.ask) == "answer"


def test_other_errors_pass_and_open_nothing() -> None:
    circuit = Circuit(1.0, lambda: 0.0)

    def wrong() -> str:
        raise KeyError

    with pytest.raises(KeyError):
        circuit.call(wrong)
    assert circuit.call(lambda: 1) == 1
