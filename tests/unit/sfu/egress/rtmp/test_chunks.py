"""Messages in chunks and back, however the network cuts them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.egress.rtmp.chunks import AUDIO, COMMAND, MOST_BYTES, ChunkError, Message, Reader, chunked

messages = st.builds(
    Message,
    kind=st.sampled_from([AUDIO, COMMAND]),
    stream=st.integers(0, 2**32 - 1),
    timestamp=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=600),
)


@given(st.lists(messages, max_size=5), st.integers(1, 300), st.integers(3, 63))
def test_messages_come_back(sent: list[Message], cut: int, channel: int) -> None:
    data = b"".join(chunked(message, channel, 128) for message in sent)
    reader = Reader()
    got = [message for at in range(0, len(data), cut) for message in reader.feed(data[at : at + cut])]
    assert got == sent


def test_the_bytes_of_a_message() -> None:
    data = chunked(Message(AUDIO, 1, 5, bytes(130)), 4, 128)
    assert data[:12] == bytes([4, 0, 0, 5, 0, 0, 130, AUDIO, 1, 0, 0, 0])
    assert data[12 + 128] == 0xC4
    assert len(data) == 12 + 130 + 1


def test_a_late_time_stands_in_every_chunk() -> None:
    data = chunked(Message(AUDIO, 1, 0x01020304, bytes(130)), 4, 128)
    assert data[1:4] == b"\xff\xff\xff"
    assert data[12:16] == b"\x01\x02\x03\x04"
    assert data[16 + 128 :][:5] == b"\xc4\x01\x02\x03\x04"


def test_headers_that_leave_things_out() -> None:
    """Forms 1, 2 and 3 of section 5.3.1.2; the specification's own example in section 5.3.2.1."""
    first = bytes([3]) + (1000).to_bytes(3, "big") + bytes([0, 0, 2, AUDIO, 57, 48, 0, 0]) + b"ab"
    second = bytes([0x80 | 3]) + (20).to_bytes(3, "big") + b"cd"
    third = bytes([0xC0 | 3]) + b"ef"
    fourth = bytes([0x40 | 3]) + (5).to_bytes(3, "big") + bytes([0, 0, 1, COMMAND]) + b"g"
    got = list(Reader().feed(first + second + third + fourth))
    assert [(one.timestamp, one.kind, one.stream, one.payload) for one in got] == [
        (1000, AUDIO, 12345, b"ab"),
        (1020, AUDIO, 12345, b"cd"),
        (1040, AUDIO, 12345, b"ef"),
        (1045, COMMAND, 12345, b"g"),
    ]


def test_numbers_of_chunk_streams_above_63() -> None:
    rest = bytes(3) + bytes([0, 0, 1, AUDIO, 0, 0, 0, 0]) + b"x"
    assert [one.payload for one in Reader().feed(b"\x00\x05" + rest + b"\x01\x05\x01" + rest)] == [b"x", b"x"]


def test_a_server_may_set_its_size_and_give_a_message_up() -> None:
    size = chunked(Message(1, 0, 0, (4096).to_bytes(4, "big")), 2, 128)
    abort = chunked(Message(2, 0, 0, (5).to_bytes(4, "big")), 2, 4096)
    large = chunked(Message(AUDIO, 1, 0, bytes(5000)), 5, 4096)
    reader = Reader()
    assert list(reader.feed(size + large[:4200])) == []
    assert list(reader.feed(large[4200:])) == [Message(AUDIO, 1, 0, bytes(5000))]
    assert list(reader.feed(large[: 12 + 4096] + abort + large)) == [Message(AUDIO, 1, 0, bytes(5000))]


@pytest.mark.parametrize(
    "data",
    [
        b"\xc3",  # nothing that it could go on with
        bytes([3]) + bytes(3) + (MOST_BYTES + 1).to_bytes(3, "big") + bytes([AUDIO]) + bytes(5),
        chunked(Message(1, 0, 0, b"\x01"), 2, 128),
        chunked(Message(AUDIO, 1, 0, bytes(200)), 5, 128)[:140] + b"\x05" + bytes(20),
    ],
)
def test_what_is_no_chunk_stream(data: bytes) -> None:
    with pytest.raises(ChunkError):
        list(Reader().feed(data))


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with suppress(ChunkError):
        assert all(isinstance(one, Message) for one in Reader().feed(data))
