import random

import pytest

from sfu.tcp.framing import MAX_FRAME, Deframer, FramingError, frame

DATAGRAMS = [b"a", b"stun" * 25, bytes(MAX_FRAME), b"last"]


def framed(*datagrams: bytes) -> bytes:
    return b"".join(frame(len(datagram)) + datagram for datagram in datagrams)


def test_datagrams_that_arrive_together_are_told_apart() -> None:
    assert Deframer().feed(framed(*DATAGRAMS)) == DATAGRAMS


@pytest.mark.parametrize("seed", range(5))
def test_it_does_not_matter_how_the_stream_is_cut(seed: int) -> None:
    rng, stream, found = random.Random(seed), framed(*DATAGRAMS), []
    deframer = Deframer()
    while stream:
        size = rng.choice((1, 2, 3, 100, 3000))
        found += deframer.feed(stream[:size])
        stream = stream[size:]
    assert found == DATAGRAMS


def test_empty_frames_are_passed_over() -> None:
    assert Deframer().feed(framed(b"", b"one", b"", b"")) == [b"one"]


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00", b"\xff\xff", b"\x08\x01"])
def test_what_is_not_framed_or_too_long_is_refused_at_its_first_bytes(start: bytes) -> None:
    with pytest.raises(FramingError):
        Deframer().feed(start)
