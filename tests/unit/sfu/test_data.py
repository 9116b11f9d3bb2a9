import pytest

from sfu.data import BURST, RATE, DataPort, DataRouter
from sfu.ortc.data import DataAbility
from sfu.sctp.channels import DCEP, STRING, _open_message
from sfu.sctp.queue import MAX_BUFFERED, Reliability

from .sctp.conftest import Dialer, Wire

RELIABLE = Reliability()
LOSSY = Reliability(False, max_retransmits=0)


class Person:
    """A participant: a browser's association before a port of the room."""

    def __init__(self, router: DataRouter, name: str) -> None:
        self.flushes = 0
        self.near = Dialer()
        self.port: DataPort = router.join(name, DataAbility("2", 5000, 256 << 10), server=True, flush=self._flush)
        self.wire = Wire(self.near, self.port)  # type: ignore[arg-type]  # receive, tick and outgoing are alike
        self.wire.run(0.2)
        assert self.port.channels.connected

    def open(self, label: str = "chat", protocol: str = "", *, stream: int = 0, how: Reliability = RELIABLE) -> None:
        assert self.near.send(stream, DCEP, _open_message(label, protocol, how), RELIABLE, self.wire.now)

    def say(self, text: bytes, *, stream: int = 0) -> None:
        assert self.near.send(stream, STRING, text, RELIABLE, self.wire.now)
        self.wire.run(0.1)

    def hears(self) -> list[tuple[int, int, bytes]]:
        self.wire.run(0.1)
        return [tuple(message) for message in self.near.heard if message.protocol != DCEP]

    def openings(self) -> list[bytes]:
        self.wire.run(0.1)
        return [m.payload for m in self.near.heard if m.protocol == DCEP and m.payload[0] == 3]

    def _flush(self) -> None:
        self.flushes += 1


@pytest.fixture
def router() -> DataRouter:
    return DataRouter()


@pytest.fixture
def alice(router: DataRouter) -> Person:
    alice = Person(router, "alice")
    alice.open()
    return alice


@pytest.fixture
def bob(router: DataRouter) -> Person:
    return Person(router, "bob")


def test_a_message_reaches_the_others_with_its_senders_name(router: DataRouter, alice: Person, bob: Person) -> None:
    carol = Person(router, "carol")
    alice.say(b"hello")
    for other in (bob, carol):
        assert other.flushes == 1
        assert other.openings() == [_open_message("chat", "alice", RELIABLE)]
        assert other.hears() == [(1, STRING, b"hello")]
    assert alice.hears() == []
    alice.open("cursor", "x y", stream=2, how=LOSSY)
    alice.say(b"1,2", stream=2)
    assert bob.openings()[1:] == [_open_message("cursor", "alice x y", LOSSY)]
    assert bob.hears()[1:] == [(3, STRING, b"1,2")]


def test_nobody_hears_what_was_said_before_they_came(router: DataRouter, alice: Person) -> None:
    alice.say(b"early")
    bob = Person(router, "bob")
    alice.say(b"now")
    assert bob.hears() == [(1, STRING, b"now")]


def test_a_users_own_connections_do_not_hear_each_other(router: DataRouter, alice: Person) -> None:
    elsewhere = Person(router, "alice")
    alice.say(b"hello")
    assert elsewhere.hears() == []


def test_what_is_said_on_a_channel_of_ours_goes_nowhere(router: DataRouter, alice: Person, bob: Person) -> None:
    alice.say(b"hello")
    bob.hears()
    bob.say(b"to whom?", stream=1)
    assert alice.hears() == []


def test_a_channel_that_its_sender_closes_ends_behind_the_last_message(alice: Person, bob: Person) -> None:
    alice.say(b"hello")
    alice.near.send(0, STRING, b"goodbye", RELIABLE, alice.wire.now)
    alice.near.reset(0)
    alice.wire.run(1)
    assert [payload for _, _, payload in bob.hears()] == [b"hello", b"goodbye"]
    bob.wire.run(0.5)
    assert bob.near.ended == [1]


def test_a_sender_who_leaves_takes_the_channels_along(router: DataRouter, alice: Person, bob: Person) -> None:
    alice.say(b"hello")
    alice.port.leave()
    bob.wire.run(0.5)
    assert (bob.near.ended, router._spoken, list(router._ports)) == ([1], {}, [bob.port])
    assert alice.port.outgoing(alice.wire.now)  # an ABORT


def test_an_association_that_ends_is_a_sender_who_has_left(router: DataRouter, alice: Person, bob: Person) -> None:
    alice.say(b"hello")
    alice.near.close()
    alice.wire.run(0.2)
    bob.wire.run(0.5)
    assert bob.near.ended == [1]
    assert list(router._ports) == [bob.port]


def test_who_closes_a_channel_of_ours_hears_no_more_on_it(alice: Person, bob: Person) -> None:
    alice.say(b"hello")
    bob.hears()
    bob.near.reset(1)
    bob.wire.run(0.3)
    alice.say(b"are you there?")
    assert [payload for _, _, payload in bob.hears()] == [b"hello"]


def test_a_slow_reader_loses_a_reliable_channel_and_gets_it_back(alice: Person, bob: Person) -> None:
    alice.say(b"hello")
    bob.hears()
    bob.near.throttle(True)
    large = bytes(200_000)
    for _ in range(MAX_BUFFERED // len(large) + 2):
        alice.port._credit = BURST
        alice.near.send(0, STRING, large, RELIABLE, alice.wire.now)
        alice.wire.run(2, until=lambda: alice.near.buffered == 0 and not alice.near._outbound._flight)  # type: ignore[union-attr]
        bob.wire.run(0.1)
        assert bob.port.channels.buffered <= MAX_BUFFERED
    assert bob.port._carried == {}
    bob.near.throttle(False)
    bob.wire.run(3, until=lambda: bob.near.ended)
    assert bob.near.ended == [1]
    bob.wire.run(1)
    alice.say(b"and now?")
    assert bob.hears()[-1] == (3, STRING, b"and now?")


def test_a_slow_reader_loses_messages_of_a_channel_that_may_lose_some(alice: Person, bob: Person) -> None:
    alice.open("cursor", stream=2, how=LOSSY)
    alice.say(b"hello", stream=2)
    bob.near.throttle(True)
    bob.port.channels._association._outbound.queue.put(7, 53, bytes(MAX_BUFFERED - 500), RELIABLE, 0.0)  # type: ignore[union-attr]
    alice.say(bytes(1000), stream=2)
    assert len(bob.port._carried) == 1
    assert bob.near.ended == []


def test_who_says_too_much_is_made_to_wait(alice: Person, bob: Person) -> None:
    alice.say(b"hello")
    alice.port._credit = -RATE / 2
    for n in range(10):
        assert alice.near.send(0, STRING, str(n).encode(), RELIABLE, alice.wire.now)
    alice.wire.run(0.1)
    inbound = alice.port.channels._association._inbound
    assert inbound is not None
    assert inbound.throttled
    alice.wire.run(5, until=lambda: len(bob.hears()) == 11)
    assert [payload for _, _, payload in bob.hears()][1:] == [str(n).encode() for n in range(10)]
