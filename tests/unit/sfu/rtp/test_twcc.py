import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp import rtcp, twcc
from sfu.rtp.packet import PacketError
from sfu.rtp.twcc import TransportFeedback


def read(packet: bytes) -> TransportFeedback:
    (feedback,) = rtcp.parse(packet)
    assert isinstance(feedback, TransportFeedback)
    return feedback


def body(base: int, count: int, tail: str, *, reference: int = 0) -> bytes:
    """A feedback packet by hand: chunks and deltas as they stand on the wire."""
    rest = bytes.fromhex(tail)
    rest += bytes(-len(rest) % 4)
    head = bytes((0x8F, 205)) + (4 + len(rest) // 4).to_bytes(2, "big") + bytes.fromhex("00000001 00000002")
    return head + base.to_bytes(2, "big") + count.to_bytes(2, "big") + (reference << 8 | 7).to_bytes(4, "big") + rest


def test_the_drafts_figures_are_read():
    # section 3.1.3: a run of 221 packets that did not come, then one that did
    assert read(body(5, 222, "00dd 2001 04")).received == ((221, 4),)
    # section 3.1.4: one lost, five came, three lost, three came, two lost
    assert [n for n, _ in read(body(0, 14, "9f1c" + "01" * 8)).received] == [1, 2, 3, 4, 5, 9, 10, 11]


def test_two_bit_symbols_have_two_byte_deltas_with_a_sign():
    # lost, large, small, small, small, lost, lost
    feedback = read(body(65535, 7, "c950 fffe 01 02 03", reference=1))
    assert feedback.received == ((1, 254), (2, 255), (3, 257), (4, 260))
    assert (feedback.base, feedback.count, feedback.feedback_count) == (65535, 7, 7)


def test_what_comes_all_the_time_takes_one_chunk():
    received = tuple((n, 1000 + 4 * n) for n in range(100))
    packet = twcc.write(TransportFeedback(1, 2, 0, 100, 0, received))
    assert len(packet) == 20 + 2 + 100 + 2
    assert read(packet).received == received


def test_a_long_loss_takes_one_chunk():
    received = ((0, 0), (4000, 200))
    packet = twcc.write(TransportFeedback(1, 2, 0, 4001, 0, received))
    assert len(packet) <= 20 + 6 + 2 + 2
    assert read(packet).received == received


def test_the_reference_time_is_told_modulo_its_24_bits():
    wrapped = 1 << 32
    packet = twcc.write(TransportFeedback(1, 2, 0, 1, 0, ((0, wrapped + 300),)))
    assert read(packet).received == ((0, 300),)


def test_what_does_not_fit_is_refused():
    for count, received in ((1, ()), (0, ((0, 0),)), (2, ((0, 0), (1, 40_000))), (2, ((0, 40_000), (1, 0)))):
        with pytest.raises(ValueError, match=r"nothing to tell|too far"):
            twcc.write(TransportFeedback(1, 2, 0, count, 0, received))


@pytest.mark.parametrize(
    "packet",
    [
        body(0, 8, "2004"),  # a chunk is missing
        body(0, 4, "2004"),  # deltas are missing
        body(0, 3, "4003 0001"),  # large ones are
        body(0, 65535, "3fff 3fff"),  # thousands of packets with a delta each, in a few bytes
        body(0, 2, "6002 0001 0001"),  # the reserved symbol
    ],
)
def test_what_does_not_add_up_is_refused(packet: bytes):
    with pytest.raises(PacketError, match="transport feedback"):
        rtcp.parse(packet)


FATES = st.lists(st.one_of(st.none(), st.integers(0, 30_000)), min_size=1, max_size=200)


@given(FATES, st.integers(0, 65535), st.integers(0, 1 << 31))
def test_any_fate_of_packets_is_read_back(fates: list[int | None], base: int, start: int):
    received = tuple((n, start + ticks) for n, ticks in enumerate(fates) if ticks is not None)
    feedback = TransportFeedback(1, 2, base, len(fates), 9, received)
    if received:
        assert read(twcc.write(feedback)) == feedback


@given(
    st.lists(st.sampled_from(["00", "01", "20", "3f", "80", "9f", "c0", "d5", "ff"]), max_size=60),
    st.integers(0, 65535),
)
def test_random_chunks_bring_out_no_other_error(tail: list[str], count: int):
    try:
        feedback = read(body(1, count, "".join(tail)))
    except PacketError:
        return
    offsets = [n for n, _ in feedback.received]
    assert offsets == sorted(set(offsets))
    assert all(n < feedback.count for n in offsets)
    assert len(offsets) <= 2 * len(tail)
