import struct

import pytest

from sfu.egress.wire import Batch, Deframer, Entry, Message, What, WireError, message
from sfu.rtp.packet import PacketError, header

HEADER = header(0x80 | 96, 5, 1000, 7)


def read(data: bytes) -> list[Message | tuple[Entry, ...]]:
    return Deframer().feed(data)


def test_messages_come_out_as_they_went_in() -> None:
    stream = message("ready") + message("key-frame", track_id="ä") + message("stats", size=3, error=None)
    assert read(stream) == [
        {"type": "ready"},
        {"type": "key-frame", "track_id": "ä"},
        {"type": "stats", "size": 3, "error": None},
    ]


def test_a_batch_is_one_frame_of_its_packets_in_order() -> None:
    batch = Batch()
    batch.add(1, What.KEY_FRAME, 12.25, 65541, HEADER, b"first")
    batch.add(2, What.RTCP, 12.5, 0, b"report")
    assert batch.packets == 2
    entries = (
        Entry(1, What.KEY_FRAME, 12.25, 65541, HEADER + b"first"),
        Entry(2, What.RTCP, 12.5, 0, b"report"),
    )
    assert read(batch.take()) == [entries]
    assert (batch.packets, batch.size, batch.take()) == (0, 0, b"")


def test_an_entry_is_a_packet_as_a_sink_takes_it() -> None:
    packet = Entry(1, What.KEY_FRAME, 12.25, 65541, HEADER + b"payload").packet()
    assert (packet.index, packet.arrival, packet.key_frame) == (65541, 12.25, True)
    assert (packet.sequence_number, packet.timestamp, packet.ssrc, packet.payload) == (5, 1000, 7, b"payload")
    assert not Entry(1, What.RTP, 0.0, 0, HEADER + b"x").packet().key_frame
    with pytest.raises(PacketError):
        Entry(1, What.RTP, 0.0, 0, b"short").packet()


def test_a_stream_may_be_cut_anywhere() -> None:
    batch = Batch()
    batch.add(1, What.RTP, 1.0, 5, HEADER, b"x" * 300)
    stream = message("begin", number=1) + batch.take() + message("stop", at=3.5)
    whole = read(stream)
    assert len(whole) == 3
    for size in (1, 2, 7, 100):
        deframer = Deframer()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [frame for piece in pieces for frame in deframer.feed(piece)] == whole


def frame(kind: int, body: bytes) -> bytes:
    return struct.pack("!LB", len(body) + 1, kind) + body


@pytest.mark.parametrize(
    "stream",
    [
        struct.pack("!LB", 0, 0),
        struct.pack("!LB", 1 << 31, 0),
        frame(9, b"{}"),
        frame(0, b"no json"),
        frame(0, b"\xff\xfe"),
        frame(0, b"[]"),
        frame(0, b"{}"),
        frame(0, b'{"type":7}'),
        frame(1, b"short"),
        frame(1, struct.pack("!HHBdq", 10, 1, 0, 0.0, 0) + b"too few"),
        frame(1, struct.pack("!HHBdq", 1, 1, 77, 0.0, 0) + b"x"),
    ],
)
def test_what_is_not_the_protocol_is_refused(stream: bytes) -> None:
    with pytest.raises(WireError):
        read(stream)


def test_a_frame_that_is_too_long_is_refused_before_it_is_kept() -> None:
    deframer = Deframer(most_bytes=100)
    with pytest.raises(WireError, match="101"):
        deframer.feed(struct.pack("!LB", 101, 0))
    assert Deframer(most_bytes=100).feed(message("ready")) == [{"type": "ready"}]


def test_what_is_no_number_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="JSON"):
        message("stats", bitrate=float("nan"))
