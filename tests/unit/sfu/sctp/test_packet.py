import random

import pytest

from sfu.sctp import packet as wire
from sfu.sctp.packet import Chunk, Data, Init, Sack, SctpError


def repaired(packet: bytes) -> bytes:
    """The same with a checksum that is right."""
    return packet[:8] + wire._checksum(packet).to_bytes(4) + packet[12:]


def test_a_packet_is_read_as_it_was_written() -> None:
    chunks = (Chunk(wire.SACK, 0, b"abc"), Chunk(wire.COOKIE_ACK, 1, b""), Chunk(wire.DATA, 3, bytes(21)))
    packet = wire.parse(wire.write(1, 2, 3, chunks))
    assert (packet.source_port, packet.destination_port, packet.tag, packet.chunks) == (1, 2, 3, chunks)
    assert len(wire.write(1, 2, 3, chunks)) == wire.HEADER.size + sum(map(wire.size, chunks))


def test_the_checksum_is_the_one_of_the_rfc() -> None:
    # RFC 9260 appendix A: CRC32c, whose check value for "123456789" is E3069283, least significant byte first
    assert wire.crc32c(b"123456789") == 0xE3069283
    packet = wire.write(5000, 5000, 7, [Chunk(wire.COOKIE_ACK, 0, b"")])
    assert packet[8:12] == wire.crc32c(packet[:8] + bytes(4) + packet[12:]).to_bytes(4, "little")


def test_a_changed_packet_is_refused() -> None:
    packet = bytearray(wire.write(5000, 5000, 7, [Chunk(wire.DATA, 3, bytes(40))]))
    packet[30] ^= 1
    with pytest.raises(SctpError, match="checksum"):
        wire.parse(bytes(packet))


def test_chunks_are_written_as_they_are_read() -> None:
    data = Data(3, 2**32 - 1, 1, 2, 51, b"hello")
    assert wire.read_data(wire.data_chunk(data)) == data
    init = Init(1, 2, 3, 4, 5, ((7, b"cookie!"), (0xC000, b""), (0x8008, b"\x82\xc0")))
    assert wire.read_init(wire.init_chunk(wire.INIT, init)) == init
    sack = Sack(9, 8, ((2, 3), (5, 5)))
    assert wire.read_sack(wire.sack_chunk(sack, [1, 2])) == sack


@pytest.mark.parametrize("body", [b"\0\1\0\0", b"\0\1\0\3", b"\0\1\0\x05", b"\0\7\0\4\0\1\0\0"])
def test_a_parameter_of_a_wrong_length_is_refused_and_turns_nothing_for_ever(body: bytes) -> None:
    with pytest.raises(SctpError, match="parameter"):
        list(wire.read_parameters(body))


@pytest.mark.parametrize(
    ("read", "chunk"),
    [
        (wire.read_data, Chunk(wire.DATA, 3, bytes(11))),
        (wire.read_data, Chunk(wire.DATA, 3, bytes(12))),
        (wire.read_init, Chunk(wire.INIT, 0, bytes(15))),
        (wire.read_init, Chunk(wire.INIT, 0, bytes(16))),
        (wire.read_sack, Chunk(wire.SACK, 0, bytes(11))),
        (wire.read_sack, Chunk(wire.SACK, 0, bytes(8) + b"\0\2\0\0" + bytes(4))),
    ],
)
def test_chunks_that_are_cut_off_or_say_nothing_are_refused(read: object, chunk: Chunk) -> None:
    with pytest.raises(SctpError):
        read(chunk)  # type: ignore[operator]


def test_mutations_bring_out_no_other_error() -> None:
    rng = random.Random(7)
    init = wire.init_chunk(wire.INIT, Init(1, 2, 3, 4, 5, ((7, b"cookie!"), (0xC000, b""))))
    seeds = [wire.write(5000, 5000, 1, [init, wire.sack_chunk(Sack(9, 8, ((2, 3),)), [4]), Chunk(130, 0, bytes(20))])]
    for _ in range(3000):
        packet = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 5)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        del packet[rng.randrange(1, len(packet) + 1) :]
        try:
            parsed = wire.parse(repaired(bytes(packet)) if len(packet) > 12 else bytes(packet))
            for chunk in parsed.chunks:
                for read in (wire.read_data, wire.read_init, wire.read_sack):
                    try:
                        read(chunk)
                    except SctpError:
                        continue
        except SctpError:
            continue
