from sfu.sctp.queue import MAX_BUFFERED, MESSAGE_BYTES, Queue, Reliability

RELIABLE = Reliability()


def test_pieces_leave_in_order_and_the_count_follows() -> None:
    queue = Queue()
    assert queue.put(1, 51, b"abcde", RELIABLE, 0.0)
    assert queue.put(2, 51, b"xy", RELIABLE, 0.0)
    assert queue.buffered == 7 + 2 * MESSAGE_BYTES
    assert [queue.take(3), queue.take(3)] == [b"abc", b"de"]
    assert queue.buffered == 2 + MESSAGE_BYTES
    assert (queue.has(1), queue.has(2)) == (False, True)
    queue.take(3)
    assert (queue.buffered, queue.first) == (0, None)


def test_there_is_so_much_room_however_short_the_messages_are() -> None:
    queue = Queue()
    while queue.put(1, 51, b"x" * (100_000 if queue.buffered < MAX_BUFFERED // 2 else 1), RELIABLE, 0.0):
        assert queue.buffered <= MAX_BUFFERED
    assert queue.buffered > MAX_BUFFERED - MESSAGE_BYTES - 100_000


def test_what_has_begun_to_leave_is_not_forgotten_and_the_rest_of_its_stream_is() -> None:
    queue = Queue()
    for stream in (1, 1, 2):
        assert queue.put(stream, 51, b"abc", RELIABLE, 0.0)
    queue.take(1)
    queue.clear(1)
    assert queue.buffered == 2 + 3 + 2 * MESSAGE_BYTES
    assert [queue.take(9), queue.take(9)] == [b"bc", b"abc"]
    assert queue.buffered == 0


def test_what_waits_of_a_stream_is_known_through_all_that_happens_to_it() -> None:
    queue = Queue()
    for stream in (1, 2, 1, 3):
        assert queue.put(stream, 51, b"abc", RELIABLE, 0.0)
    queue.clear(1)
    assert [queue.has(stream) for stream in (1, 2, 3)] == [False, True, True]
    queue.drop()
    assert [queue.has(stream) for stream in (1, 2, 3)] == [False, False, True]
    queue.take(1)
    queue.clear(3)
    assert queue.has(3)
    queue.take(2)
    assert not queue.has(3)


def test_to_forget_what_does_not_wait_looks_at_nothing() -> None:
    queue = Queue()
    for stream in (1, 2):
        assert queue.put(stream, 51, b"abc", RELIABLE, 0.0)
    queue.take(1)
    before = queue._messages
    queue.clear(1)  # it has begun to leave, and nothing else waits
    queue.clear(9)
    assert queue._messages is before
