import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.parameters import RtpCodec, RtpParameters
from sfu.rtp.red import RedBlock, RedPassage, red_blocks, red_passage, red_primary

OPUS = RtpCodec("audio/opus", 111, 48000, 2)
OTHER_OPUS = RtpCodec("audio/opus", 109, 48000, 2)
RED = RtpCodec("audio/red", 63, 48000, 2, (("111/111", ""),))
OTHER_RED = RtpCodec("audio/red", 62, 48000, 2, (("109/109", ""),))


def red(*blocks: RedBlock) -> bytes:
    *older, primary = blocks
    heads = b"".join(
        bytes((0x80 | block.payload_type,)) + (block.offset << 10 | len(block.payload)).to_bytes(3, "big")
        for block in older
    )
    return heads + bytes((primary.payload_type,)) + b"".join(block.payload for block in blocks)


TWO = (RedBlock(111, 960, b"older"), RedBlock(111, 0, b"newest"))


def packet(payload: bytes, marker: int = 0) -> RtpPacket:
    return RtpPacket(63 | marker, 1, 2, 3, payload)


def parameters(*codecs: RtpCodec) -> RtpParameters:
    return RtpParameters("0", "audio", codecs)


def test_blocks_are_read_the_oldest_first():
    assert red_blocks(red(*TWO)) == list(TWO)
    assert red_blocks(b"\x6fopus") == [RedBlock(111, 0, b"opus")]
    assert red_primary(red(RedBlock(111, 1920, b"a"), *TWO)) == (111, b"newest")
    most = RedBlock(96, 0x3FFF, bytes(1023))
    assert red_blocks(red(most, *TWO)) == [most, *TWO]


@pytest.mark.parametrize("payload", [b"", b"\xef\x00", b"\xef\x00\x00\xff\x6f" + b"short"])
def test_a_cut_packet_is_refused(payload: bytes):
    with pytest.raises(PacketError):
        red_blocks(payload)


@given(st.binary(max_size=40))
def test_any_bytes_are_blocks_that_hold_them_or_an_error_of_ours(payload: bytes):
    try:
        blocks = red_blocks(payload)
    except PacketError:
        return
    assert red(*blocks) == payload


def test_red_passes_as_it_is_to_who_took_it_with_the_same_numbers():
    assert red_passage(parameters(OPUS, RED), parameters(RED, OPUS)) is None
    assert red_passage(parameters(OPUS), parameters(OPUS)) is None


def test_who_took_opus_alone_gets_the_newest_block():
    passage = red_passage(parameters(RED, OPUS), parameters(OTHER_OPUS))
    assert passage is not None
    assert passage.rewritten(packet(red(*TWO))) == (109, b"newest")
    assert passage.rewritten(packet(red(*TWO), marker=0x80)) == (0x80 | 109, b"newest")


def test_who_took_red_under_other_numbers_gets_them_inside_too():
    passage = red_passage(parameters(RED, OPUS), parameters(OTHER_RED, OTHER_OPUS))
    assert passage is not None
    expected = red(*(block._replace(payload_type=109) for block in TWO))
    assert passage.rewritten(packet(red(*TWO), marker=0x80)) == (0x80 | 62, expected)


@pytest.mark.parametrize("target", [None, 62])
def test_what_cannot_be_read_or_is_of_another_format_is_left_out(target: int | None):
    passage = RedPassage(63, target, {111: 109})
    assert passage.rewritten(packet(b"")) is None
    assert passage.rewritten(packet(b"\xef\x00\x00")) is None
    assert passage.rewritten(packet(b"\x70abc")) is None
    assert passage.rewritten(RtpPacket(111, 1, 2, 3, b"abc")) is None


def test_padding_of_a_stream_of_red_is_left_out():
    assert RedPassage(63, None, {111: 109}).rewritten(packet(b"\x6f")) is None


@given(st.binary(max_size=40), st.sampled_from([None, 62]))
def test_whatever_comes_is_passed_or_left_out(payload: bytes, target: int | None):
    found = RedPassage(63, target, {111: 109, 0: 0}).rewritten(packet(payload))
    assert found is None or found[1]
