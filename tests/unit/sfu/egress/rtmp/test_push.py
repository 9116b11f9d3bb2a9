"""What waits for a server that is slow: FFmpeg never does."""

import os
from collections.abc import AsyncIterator

import pytest

from sfu.egress.rtmp.chunks import AUDIO, VIDEO
from sfu.egress.rtmp.flv import Tag
from sfu.egress.rtmp.push import BACKLOG, PROVEN_S, STABLE_S, Push

SETUP = Tag(VIDEO, 0, b"\x17\x00setup")
KEY = Tag(VIDEO, 0, b"\x17\x01key")
DELTA = Tag(VIDEO, 40, b"\x27\x01delta")
SOUND = Tag(AUDIO, 45, b"\xaf\x01sound")


@pytest.fixture
async def push() -> AsyncIterator[Push]:
    """One whose server takes it, since the loop's time 0, and sends nothing on."""
    made = Push("rtmp://live.example.com/app/key")
    made._is_publishing, made._published_at, made._away_since = True, 0.0, -50.0
    yield made
    await made.close()


def test_it_begins_with_a_key_frame(push: Push) -> None:
    for tag in (SOUND, DELTA, SETUP, KEY, SOUND, DELTA):
        push._take(tag)
    assert list(push._backlog) == [KEY, SOUND, DELTA]
    assert list(push._setup.values()) == [SETUP]


def test_a_server_that_is_away_has_nothing_kept(push: Push) -> None:
    push._is_publishing = False
    push._take(SETUP)
    push._take(KEY)
    assert not push._backlog
    assert push._setup


def test_a_server_that_is_too_slow_goes_on_at_a_key_frame(push: Push) -> None:
    push._take(KEY)
    for _ in range(BACKLOG - 1):
        push._take(SOUND)
    push._take(DELTA)
    assert not push._backlog
    assert push.dropped_frames == 1
    push._take(DELTA)
    push._take(KEY)
    assert list(push._backlog) == [KEY]


def test_a_moment_of_a_stream_does_not_count(push: Push) -> None:
    assert not push.is_publishing(PROVEN_S - 0.1)
    assert not push.was_publishing
    assert push.is_publishing(PROVEN_S)
    assert push.was_publishing
    assert push.away_s(STABLE_S - 1) == STABLE_S - 1 + 50
    assert push.away_s(STABLE_S) == 0
    push._is_publishing = False
    assert not push.is_publishing(STABLE_S + 5)
    assert push.away_s(STABLE_S + 5) == 5


async def test_a_pipe_with_nonsense_is_told() -> None:
    reading, writing = os.pipe()
    push = Push("rtmp://127.0.0.1/app/key")  # where a stream may not go: nothing is sent
    await push.start(reading)
    os.write(writing, bytes(100))
    os.close(writing)
    work = push._works[0]
    with pytest.raises(ValueError, match="FLV"):
        await work
    with pytest.raises(ValueError, match="FLV"):
        push.check()
    await push.close()
