import random
from typing import Any

import pytest

from sfu.sctp import packet as wire
from sfu.sctp.association import Association
from sfu.sctp.congestion import MAX_TIMEOUTS
from sfu.sctp.packet import Chunk, Init
from sfu.sctp.queue import MAX_BUFFERED, Reliability

from .conftest import Dialer, Wire

RELIABLE = Reliability()


@pytest.fixture
def connected(far: Association) -> Wire:
    """Both ends, which have met."""
    pair = Wire(Dialer(), far)
    pair.run(until=lambda: pair.near.state == far.state == "established")
    assert pair.near.state == far.state == "established"
    return pair


def payloads(association: Any) -> list[bytes]:
    return [message.payload for message in association.heard]


def test_messages_go_both_ways(connected: Wire) -> None:
    assert connected.near.send(2, 51, b"there", RELIABLE, connected.now)
    assert connected.far.send(3, 53, b"back", RELIABLE, connected.now)
    connected.run()
    assert connected.far.heard == [(2, 51, b"there")]  # type: ignore[attr-defined]
    assert connected.near.heard == [(3, 53, b"back")]


def test_nothing_is_sent_before_there_is_somebody(far: Association) -> None:
    assert not far.send(0, 51, b"early", RELIABLE, 0.0)
    assert far.outgoing(0.0) == []


def test_a_handshake_whose_packets_are_lost_is_repeated(far: Association) -> None:
    near = Dialer()
    (init,) = near.outgoing(0.0)
    far.receive(init, 0.0)
    assert len(far.outgoing(0.0)) == 1  # lost
    far.receive(init, 1.0)
    (answer,) = far.outgoing(1.0)
    near.receive(answer, 1.0)
    (echo,) = near.outgoing(1.0)
    for now in (1.0, 2.0):  # its answer is lost, so it comes again
        far.receive(echo, now)
        (ack,) = far.outgoing(now)
    near.receive(ack, 2.0)
    assert near.state == far.state == "established"
    far.receive(init, 3.0)
    assert far.outgoing(3.0) == []


@pytest.mark.parametrize(("seed", "loss"), [(1, 0.02), (2, 0.1)])
def test_whatever_is_lost_on_the_way_arrives_in_the_end_and_in_order(
    far: Association, seed: int, loss: float
) -> None:
    rng = random.Random(seed)
    pair = Wire(Dialer(), far, lambda number, packet: number > 5 and rng.random() < loss)
    pair.run(until=lambda: far.state == pair.near.state == "established")
    there = [rng.randbytes(rng.choice((1, 300, 3000, 60_000))) for _ in range(40)]
    back = [rng.randbytes(rng.choice((1, 300, 3000))) for _ in range(40)]
    for message in there:
        assert pair.near.send(2, 53, message, RELIABLE, pair.now)
    for message in back:
        assert far.send(3, 53, message, RELIABLE, pair.now)
    pair.run(120, until=lambda: len(payloads(far)) == len(payloads(pair.near)) == 40)
    assert (payloads(far), payloads(pair.near)) == (there, back)


def test_a_single_loss_is_repaired_without_a_timeout(far: Association) -> None:
    lost: list[int] = []

    def lose(number: int, packet: bytes) -> bool:
        if len(packet) == wire.MAX_PACKET and not lost:
            lost.append(number)
            return True
        return False

    pair = Wire(Dialer(), far, lose)
    pair.run(until=lambda: far.state == pair.near.state == "established")
    begun = pair.now
    assert pair.near.send(2, 53, bytes(10_000), RELIABLE, pair.now)
    pair.run(until=lambda: payloads(far))
    assert (payloads(far), len(lost)) == ([bytes(10_000)], 1)
    assert pair.now - begun < 0.2


@pytest.mark.parametrize(
    "reliability", [Reliability(False, max_retransmits=0), Reliability(True, lifetime_s=0.1), Reliability(True, 1)]
)
def test_what_need_not_arrive_is_given_up_and_the_rest_goes_on(far: Association, reliability: Reliability) -> None:
    rng = random.Random(4)
    losing = [False]
    pair = Wire(Dialer(), far, lambda number, packet: losing[0] and len(packet) > 200 and rng.random() < 0.5)
    pair.run(until=lambda: far.state == pair.near.state == "established")
    losing[0] = True
    messages = [rng.randbytes(300) for _ in range(50)]
    for message in messages:
        assert pair.near.send(2, 53, message, reliability, pair.now)
    assert pair.near.send(4, 53, b"the last of all", RELIABLE, pair.now)
    pair.run(20, until=lambda: b"the last of all" in payloads(far))
    heard = [payload for payload in payloads(far) if len(payload) == 300]
    assert payloads(far)[-1] == b"the last of all"
    assert 5 < len(heard) < 50
    assert set(heard) <= set(messages)
    pair.run(5)
    assert pair.near._outbound is not None
    assert pair.near._outbound._flight == {}


def test_a_message_of_many_pieces_is_given_up_as_a_whole(far: Association) -> None:
    lost = [0]

    def lose(number: int, packet: bytes) -> bool:
        lost[0] += len(packet) == wire.MAX_PACKET
        return len(packet) == wire.MAX_PACKET and lost[0] == 3

    pair = Wire(Dialer(), far, lose)
    pair.run(until=lambda: far.state == pair.near.state == "established")
    assert pair.near.send(2, 53, bytes(50_000), Reliability(True, max_retransmits=0), pair.now)
    assert pair.near.send(2, 53, b"next", Reliability(True, max_retransmits=0), pair.now)
    pair.run(5, until=lambda: payloads(far))
    assert payloads(far) == [b"next"]
    assert pair.near.buffered == 0


def test_who_does_not_know_of_giving_up_gets_everything(far: Association) -> None:
    lost: list[int] = []

    def lose(number: int, packet: bytes) -> bool:
        if len(packet) > 250 and not lost:
            lost.append(number)
            return True
        return False

    pair = Wire(Dialer(gives_up=False), far, lose)
    pair.run(until=lambda: far.state == pair.near.state == "established")
    assert far.send(3, 53, bytes(300), Reliability(True, max_retransmits=0), pair.now)
    pair.run(5, until=lambda: payloads(pair.near))
    assert (payloads(pair.near), len(lost)) == ([bytes(300)], 1)


def test_so_much_waits_for_who_does_not_read_and_no_more(connected: Wire) -> None:
    count = 0
    while connected.far.send(3, 53, bytes(10_000), RELIABLE, connected.now):
        count += 1
    assert count == MAX_BUFFERED // 10_064
    connected.far.reset(3, at_once=True)
    assert connected.far.buffered == 0
    for _ in range(100_000):
        if not connected.far.send(5, 53, b"x", RELIABLE, connected.now):
            break
    assert connected.far.buffered <= MAX_BUFFERED


def test_a_peer_that_falls_silent_is_given_up(connected: Wire) -> None:
    connected.lose = lambda number, packet: True
    assert connected.far.send(3, 53, b"anybody there?", RELIABLE, connected.now)
    connected.run(20)
    assert connected.far.state == "established"
    connected.run(20)
    assert (connected.far.state, connected.far.reason) == ("closed", "the peer has not answered")
    assert MAX_TIMEOUTS == 10


def test_a_peer_without_room_is_asked_now_and_then(connected: Wire) -> None:
    connected.near.throttle(True)
    assert connected.far.send(3, 53, bytes(30_000), RELIABLE, connected.now)
    before = connected.bytes
    connected.run(30)
    assert payloads(connected.near) == []
    assert connected.bytes - before < 50_000
    assert connected.far.state == "established"
    connected.near.throttle(False)
    connected.run(5, until=lambda: payloads(connected.near))
    assert payloads(connected.near) == [bytes(30_000)]


def test_a_stream_ends_behind_what_was_said_on_it(connected: Wire) -> None:
    for n in range(100):
        assert connected.near.send(2, 53, bytes([n]) * 5000, RELIABLE, connected.now)
    connected.near.reset(2)
    connected.near.reset(4)
    connected.run(10, until=lambda: connected.far.ended)  # type: ignore[attr-defined]
    connected.run()
    assert sorted(connected.far.ended) == [2, 4]  # type: ignore[attr-defined]
    assert len(payloads(connected.far)) == 100
    assert connected.near.send(2, 53, b"anew", RELIABLE, connected.now)
    connected.run()
    assert payloads(connected.far)[-1] == b"anew"


def test_resets_that_are_lost_are_asked_for_again(far: Association) -> None:
    losing = [False]
    pair = Wire(Dialer(), far, lambda number, packet: losing[0])
    pair.run(until=lambda: far.state == pair.near.state == "established")
    pair.near.reset(2)
    far.reset(3)
    losing[0] = True
    pair.run(0.3)
    losing[0] = False
    pair.run(5)
    assert (far.ended, pair.near.ended) == ([2], [3])  # type: ignore[attr-defined]


def test_an_end_is_told_and_heard(connected: Wire) -> None:
    connected.far.close()
    connected.run(0.1)
    assert (connected.near.state, connected.near.reason) == ("closed", "the peer has ended it")
    assert not connected.near.send(2, 53, b"late", RELIABLE, connected.now)


def test_a_shutdown_is_answered(connected: Wire, far: Association) -> None:
    connected.near._control.append(Chunk(wire.SHUTDOWN, 0, bytes(4)))
    (packet,) = connected.near.outgoing(connected.now)
    far.receive(packet, connected.now)
    assert far.state == "closed"
    (answer,) = far.outgoing(connected.now)
    assert [chunk.type for chunk in wire.parse(answer).chunks] == [wire.SHUTDOWN_ACK]


def test_a_heartbeat_is_answered_with_what_it_said(connected: Wire, far: Association) -> None:
    connected.near._control.append(Chunk(wire.HEARTBEAT, 0, b"\0\1\0\x08time"))
    far.receive(*connected.near.outgoing(connected.now), connected.now)
    (answer,) = far.outgoing(connected.now)
    assert wire.parse(answer).chunks == (Chunk(wire.HEARTBEAT_ACK, 0, b"\0\1\0\x08time"),)


def test_another_tag_or_port_is_not_heard(connected: Wire, far: Association) -> None:
    abort = [Chunk(wire.ABORT, 0, b"")]
    for packet in (
        wire.write(5000, 5000, far._tag ^ 1, abort),
        wire.write(5001, 5000, far._tag, abort),
        wire.write(5000, 5001, far._tag, abort),
    ):
        far.receive(packet, connected.now)
    assert far.state == "established"


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(wire.SACK, 0, b"\x7f" * 12),
        Chunk(wire.SACK, 0, bytes(3)),
        Chunk(wire.DATA, 3, bytes(12)),
        Chunk(wire.FORWARD_TSN, 0, b"\0"),
        Chunk(wire.RE_CONFIG, 0, b"\0\x0d\0\4"),
        Chunk(wire.RE_CONFIG, 0, b"\0\1\0\0"),
        Chunk(wire.RE_CONFIG, 0, b"\0\x10\0\x06ab"),
    ],
)
def test_a_peer_that_breaks_the_protocol_is_told_to_go(connected: Wire, far: Association, chunk: Chunk) -> None:
    if chunk.type == wire.SACK and len(chunk.body) == 12:
        assert far._outbound is not None
        chunk = wire.sack_chunk(wire.Sack((far._outbound.last_tsn + 1) & 0xFFFFFFFF, 0, ()), [])
    far.receive(wire.write(5000, 5000, far._tag, [chunk]), connected.now)
    assert far.state == "closed"
    assert far.reason
    (answer,) = far.outgoing(connected.now)
    assert wire.parse(answer).chunks == (Chunk(wire.ABORT, 0, b""),)


def test_an_unknown_chunk_is_passed_over_or_ends_its_packet_as_its_number_says(
    connected: Wire, far: Association
) -> None:
    heartbeat = Chunk(wire.HEARTBEAT, 0, b"\0\1\0\4")
    far.receive(wire.write(5000, 5000, far._tag, [Chunk(0x3F, 0, b""), heartbeat]), connected.now)
    assert far.outgoing(connected.now) == []
    far.receive(wire.write(5000, 5000, far._tag, [Chunk(0xBF, 0, b""), heartbeat]), connected.now)
    assert len(far.outgoing(connected.now)) == 1


def test_gap_blocks_without_sense_cost_little_and_harm_nothing(connected: Wire, far: Association) -> None:
    for _ in range(50):
        assert far.send(3, 53, bytes(1000), RELIABLE, connected.now)
    far.outgoing(connected.now)
    assert far._outbound is not None
    gaps = tuple((1, 65535) if n % 2 else (65535, 1) for n in range(250))
    sack = wire.Sack(far._outbound._acknowledged, 1 << 20, gaps)
    for _ in range(200):
        far.receive(wire.write(5000, 5000, far._tag, [wire.sack_chunk(sack, [])]), connected.now)
    assert far.state == "established"
    connected.run(30, until=lambda: len(payloads(connected.near)) == 50)
    assert len(payloads(connected.near)) == 50


def test_mutations_of_what_a_browser_sends_raise_nothing_and_keep_within_bounds() -> None:
    rng = random.Random(11)
    for _ in range(25):
        far: Any = Association(lambda m: None, lambda s: None, port=5000, peer_port=5000, max_message_size=256 << 10)
        pair = Wire(Dialer(), far)
        pair.run(until=lambda far=far, pair=pair: far.state == pair.near.state == "established")  # type: ignore[misc]
        seeds = [
            wire.data_chunk(wire.Data(3, rng.randrange(2**32), 1, 1, 51, bytes(40))),
            wire.sack_chunk(wire.Sack(far._outbound.last_tsn, 1000, ((1, 3), (5, 9))), [1]),
            Chunk(wire.FORWARD_TSN, 0, rng.randbytes(12)),
            Chunk(wire.RE_CONFIG, 0, b"\0\x0d\0\x14" + rng.randbytes(16)),
            wire.init_chunk(wire.INIT, Init(1, 2, 3, 4, 5, ((7, b"cookie!"),))),
            Chunk(wire.COOKIE_ECHO, 0, bytes(16)),
            Chunk(wire.HEARTBEAT, 0, bytes(8)),
        ]
        for _ in range(150):
            chunks = []
            for seed in rng.sample(seeds, rng.randrange(1, 4)):
                body = bytearray(seed.body)
                for _ in range(rng.randrange(3)):
                    body[rng.randrange(len(body))] = rng.randrange(256)
                del body[rng.randrange(len(body) + 1) :]
                chunks.append(Chunk(rng.choice((seed.type, rng.randrange(256))), rng.randrange(8), bytes(body)))
            far.receive(wire.write(5000, 5000, rng.choice((far._tag, far._tag, 0)), chunks), pair.now)
            far.tick(pair.now)
            far.outgoing(pair.now)
            pair.now += 0.01
            if far.state == "closed":
                break


def test_one_packet_has_one_sack_and_one_forward_tsn(connected: Wire, far: Association) -> None:
    assert far._inbound is not None
    assert far._outbound is not None
    sack = wire.Sack(far._outbound._acknowledged, 1 << 20, ())
    wrong = wire.Sack((far._outbound.last_tsn + 1) & 0xFFFFFFFF, 0, ())  # alone it ends the association
    far.receive(
        wire.write(5000, 5000, far._tag, [wire.sack_chunk(sack, []), wire.sack_chunk(wrong, [])]), connected.now
    )
    assert far.state == "established"
    first = far._inbound.cumulative
    skips = [Chunk(wire.FORWARD_TSN, 0, ((first + n) & 0xFFFFFFFF).to_bytes(4)) for n in (1, 2, 3)]
    far.receive(wire.write(5000, 5000, far._tag, skips), connected.now)
    assert far._inbound.cumulative == (first + 1) & 0xFFFFFFFF
