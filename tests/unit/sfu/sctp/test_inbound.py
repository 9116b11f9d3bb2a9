import random

import pytest

from sfu.sctp import packet as wire
from sfu.sctp.inbound import AHEAD_PER_PACKET, MAX_AHEAD, WINDOW, Inbound, after
from sfu.sctp.packet import BEGIN, END, UNORDERED, Data, Sack, SctpError

FIRST = 2**32 - 3
"""TSNs wrap soon."""


def piece(number: int, payload: bytes = b"x", flags: int = BEGIN | END, stream: int = 1) -> Data:
    """The chunk with the TSN `FIRST + number`."""
    return Data(flags, (FIRST + number) & 0xFFFFFFFF, stream, 0, 51, payload)


def heard(inbound: Inbound, *chunks: Data) -> list[bytes]:
    return [message.payload for chunk in chunks for message in inbound.receive(chunk)]


def sack(inbound: Inbound) -> Sack:
    chunk = inbound.sack(late=True)
    assert chunk is not None
    return wire.read_sack(chunk)


@pytest.fixture
def inbound() -> Inbound:
    return Inbound(FIRST, 1000)


def test_tsns_are_compared_around_their_end() -> None:
    assert after(0, 2**32 - 1)
    assert not after(2**32 - 1, 0)
    assert not after(5, 5)


def test_messages_come_out_in_order_however_they_arrive(inbound: Inbound) -> None:
    chunks = [piece(n, bytes([n])) for n in range(50)]
    shuffled = list(chunks)
    random.Random(3).shuffle(shuffled)
    assert heard(inbound, *shuffled) == [chunk.payload for chunk in chunks]
    assert (inbound.cumulative, inbound.window) == ((FIRST + 49) & 0xFFFFFFFF, WINDOW)


def test_pieces_are_put_together(inbound: Inbound) -> None:
    pieces = [piece(0, b"a", BEGIN), piece(1, b"b", 0), piece(2, b"c", END), piece(3, b"whole")]
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
        assert heard(Inbound(FIRST, 1000), *(pieces[n] for n in order)) == [b"abc", b"whole"]


def test_an_unordered_message_does_not_wait(inbound: Inbound) -> None:
    assert heard(inbound, piece(2, b"two", BEGIN | END | UNORDERED), piece(1, b"one")) == [b"two"]
    assert heard(inbound, piece(0, b"zero")) == [b"zero", b"one"]
    assert sack(inbound).gaps == ()


def test_what_comes_twice_is_heard_once_and_told(inbound: Inbound) -> None:
    assert heard(inbound, piece(0), piece(0), piece(2), piece(2)) == [b"x"]
    chunk = inbound.sack()
    assert chunk is not None
    assert len(chunk.body) == wire.SACK_HEADER.size + 4 + 2 * 4


def test_what_is_missing_is_told(inbound: Inbound) -> None:
    heard(inbound, *(piece(n) for n in (0, 2, 3, 7)))
    told = sack(inbound)
    assert (told.cumulative, told.gaps) == (FIRST, ((2, 3), (7, 7)))
    assert told.window == WINDOW - 3


def test_every_second_packet_is_acknowledged_and_the_last_one_later(inbound: Inbound) -> None:
    heard(inbound, piece(0))
    inbound.packet_received()
    assert inbound.sack() is None
    heard(inbound, piece(1))
    inbound.packet_received()
    assert inbound.sack() is not None
    assert inbound.sack(late=True) is None
    heard(inbound, piece(2))
    inbound.packet_received()
    assert inbound.sack(late=True) is not None


def test_what_the_peer_gives_up_is_passed_over(inbound: Inbound) -> None:
    heard(inbound, piece(0, b"a", BEGIN), piece(2, b"two"), piece(3, b"c", BEGIN), piece(5, b"five"))
    assert [message.payload for message in inbound.skip_to(piece(4).tsn)] == [b"two", b"five"]
    assert heard(inbound, piece(6, b"six")) == [b"six"]
    assert list(inbound.skip_to(FIRST)) == []  # an older one
    assert inbound.cumulative == piece(6).tsn


def test_a_piece_whose_beginning_is_lost_is_dropped(inbound: Inbound) -> None:
    assert heard(inbound, piece(0, b"b", 0), piece(1, b"c", END), piece(2, b"whole")) == [b"whole"]
    # a second beginning, and a piece of another stream
    broken = [piece(3, b"a", BEGIN), piece(4, b"b", BEGIN), piece(5, b"c", END, stream=2), piece(6, b"d", END)]
    assert heard(inbound, *broken) == []


def test_a_message_that_is_too_long_is_the_peers_fault(inbound: Inbound) -> None:
    heard(inbound, piece(0, bytes(1000), BEGIN))
    with pytest.raises(SctpError, match="too long"):
        heard(inbound, piece(1, b"x", END))


def test_what_is_far_ahead_is_not_kept_and_the_rest_within_the_window(inbound: Inbound) -> None:
    heard(inbound, piece(MAX_AHEAD), piece(2**31 + 5))
    assert inbound._ahead == {}
    assert sack(inbound).gaps == ()
    for n in range(2, 900):
        heard(inbound, piece(n, bytes(1000)))
    assert WINDOW // 2 <= inbound.window < WINDOW // 2 + 1000
    assert len(sack(inbound).gaps) == 1


def test_so_many_gaps_are_told_as_fit(inbound: Inbound) -> None:
    heard(inbound, *(piece(n) for n in range(1, MAX_AHEAD - 1, 2)))
    chunk = inbound.sack(late=True)
    assert chunk is not None
    assert len(wire.write(1, 2, 3, [chunk])) <= wire.MAX_PACKET


def test_who_is_throttled_is_told_so_and_not_heard(inbound: Inbound) -> None:
    inbound.throttled = True
    assert heard(inbound, piece(0)) == []
    told = sack(inbound)
    assert (told.window, told.cumulative) == (0, (FIRST - 1) & 0xFFFFFFFF)
    assert inbound.sack(late=True) is None
    inbound.throttled = False
    assert sack(inbound).window == WINDOW
    assert heard(inbound, piece(0)) == [b"x"]


def test_who_leaves_a_thousand_holes_is_not_told_of_all_of_them_for_each_packet(inbound: Inbound) -> None:
    told = [0]
    for number in range(1, MAX_AHEAD - 1, 2):
        heard(inbound, piece(number))
        inbound.packet_received()
        told.append(told[-1] + (inbound.sack() is not None))
    assert told[:9] == list(range(9))  # a hole is reported at once
    packets = len(told) - 1
    assert packets // AHEAD_PER_PACKET > told[-1] - told[packets // 2]
    assert inbound.sack(late=True) is not None  # and at the next tick, all of them


def test_what_is_given_up_far_ahead_takes_along_all_that_came(inbound: Inbound) -> None:
    heard(inbound, *(piece(n, bytes([n % 251])) for n in range(1, MAX_AHEAD, 2)))
    assert len(list(inbound.skip_to(piece(2**30).tsn))) == MAX_AHEAD // 2
    assert inbound.cumulative == piece(2**30).tsn
    assert inbound.window == WINDOW
    assert heard(inbound, piece(2**30 + 1, b"on")) == [b"on"]
