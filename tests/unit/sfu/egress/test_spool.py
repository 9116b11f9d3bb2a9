"""What waits, in memory and on disk."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

import pytest

from sfu.egress.spool import Spool, SpoolFull

Spools = Callable[[int, int, int], Spool]


@pytest.fixture
def spool_of() -> Iterator[Spools]:
    """Makes one of so much memory, so much more where the disk takes none, and so much disk."""
    with ExitStack() as stack:
        yield lambda memory, most, disk: stack.enter_context(
            closing(Spool(memory=memory, memory_most=most, disk=disk))
        )


def test_a_little_is_in_memory_and_more_on_disk(spool_of: Spools) -> None:
    spool = spool_of(10, 20, 100)
    waiting = [spool.put(bytes([n]) * 8) for n in range(5)]
    assert [one.data is None for one in waiting] == [False, True, True, True, True]
    assert [spool.read(one) for one in waiting] == [bytes([n]) * 8 for n in range(5)]


def test_there_is_an_end_of_it(spool_of: Spools) -> None:
    spool = spool_of(10, 20, 16)
    for _ in range(4):
        spool.put(bytes(8))
    with pytest.raises(SpoolFull):
        spool.put(bytes(8))


def test_room_comes_back(spool_of: Spools) -> None:
    spool = spool_of(10, 10, 16)
    for round_ in range(10):
        waiting = [spool.put(bytes([round_]) * 8) for _ in range(3)]
        assert all(spool.read(one) == bytes([round_]) * 8 for one in waiting)
        for one in waiting:
            spool.remove(one)


@pytest.mark.parametrize("written", [None, 3])
def test_a_disk_that_is_full_leaves_the_memory(
    spool_of: Spools, monkeypatch: pytest.MonkeyPatch, written: int | None
) -> None:
    sizes: list[int] = []

    def pwrite(_file: int, data: Sequence[int], _offset: int) -> int:
        sizes.append(len(data))
        if written is None or len(sizes) > 1:
            raise OSError(28, "No space left on device")
        return written

    monkeypatch.setattr(os, "pwrite", pwrite)
    spool = spool_of(10, 20, 100)
    waiting = [spool.put(bytes([n]) * 8) for n in range(2)]
    assert sizes
    assert [spool.read(one) for one in waiting] == [bytes([n]) * 8 for n in range(2)]
    with pytest.raises(SpoolFull):
        spool.put(bytes(8))


def test_what_the_disk_does_not_give_back_is_an_error(spool_of: Spools, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = spool_of(0, 20, 100)
    waiting = spool.put(b"abc")
    monkeypatch.setattr(os, "pread", lambda _file, _size, _offset: b"ab")
    with pytest.raises(OSError, match="shorter"):
        spool.read(waiting)
