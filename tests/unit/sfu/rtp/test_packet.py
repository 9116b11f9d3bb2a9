import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.packet import (
    ONE_BYTE_PROFILE,
    TWO_BYTE_PROFILE,
    PacketError,
    header,
    padding,
    parse,
    read_elements,
    write_elements,
)

HEADER = bytes.fromhex("80e0 1234 00000102 deadbeef")


def test_the_fields_of_a_plain_packet():
    packet = parse(HEADER + b"hello")
    assert packet.marker
    assert packet.payload_type == 96
    assert packet.sequence_number == 0x1234
    assert packet.timestamp == 0x102
    assert packet.ssrc == 0xDEADBEEF
    assert packet.payload == b"hello"
    assert packet.csrcs == ()
    assert packet.elements == {}


def test_contributing_sources_extension_and_padding_are_taken_apart():
    data = bytes.fromhex(
        "b2 60 0001 00000002 00000003"  # padding, extension, two CSRCs
        "0000000a 0000000b"
        "bede 0002 22abcdef 40310000"
        "cafe 000003"
    )
    packet = parse(data)
    assert packet.csrcs == (10, 11)
    assert packet.elements == {2: b"\xab\xcd\xef", 4: b"1"}
    assert packet.payload == b"\xca\xfe"


def test_a_packet_of_padding_alone_has_no_payload():
    assert parse(b"\xa0" + HEADER[1:] + b"\0\0\0\x04").payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER[:11],
        b"\x40" + HEADER[1:],  # version 1
        b"\x8f" + HEADER[1:],  # fifteen CSRCs that aren't there
        b"\x90" + HEADER[1:],  # an extension that isn't there
        b"\x90" + HEADER[1:] + b"\xbe\xde\0\x01abc",  # and one that is cut
        b"\xa0" + HEADER[1:] + b"ab\0",  # padding of 0
        b"\xa0" + HEADER[1:] + b"ab\x04",  # padding beyond the payload
        b"\xa0" + HEADER[1:-1] + b"\x01",  # padding that would eat the header
    ],
)
def test_lengths_that_do_not_add_up_are_refused(data: bytes):
    with pytest.raises(PacketError):
        parse(data)


def test_two_byte_elements_may_be_empty_and_long():
    block = b"\x01\x00" + b"\x00" + b"\x10\x14" + bytes(range(20))
    assert read_elements(TWO_BYTE_PROFILE | 5, block) == {1: b"", 16: bytes(range(20))}


@pytest.mark.parametrize(
    ("profile", "block"),
    [
        (ONE_BYTE_PROFILE, b"\x10\xaa\x2f\x01\x02"),  # sixteen bytes claimed, two there
        (ONE_BYTE_PROFILE, b"\x10\xaa\xf0\xbb\x20\xcc"),  # id 15 ends the block
        (ONE_BYTE_PROFILE, b"\x10\xaa\x01\xbb\xcc\x20\xdd"),  # id 0 with a length too
        (TWO_BYTE_PROFILE, b"\x01\x01\xaa\x02"),  # no length
        (TWO_BYTE_PROFILE, b"\x01\x01\xaa\x02\x05\x01"),
    ],
)
def test_a_bad_element_ends_the_block_and_spares_what_stands_before(profile: int, block: bytes):
    assert read_elements(profile, block) == {1: b"\xaa"}


def test_a_foreign_profile_has_no_elements():
    assert read_elements(0x1234, b"\x10\xaa") == {}


def test_the_one_byte_form_is_taken_where_it_can_be():
    assert write_elements([(3, b"ab"), (14, b"c")]) == (ONE_BYTE_PROFILE, b"\x31ab\xe0c\0\0\0")
    assert write_elements([(3, b"ab"), (15, b"c")])[0] == TWO_BYTE_PROFILE
    assert write_elements([(3, b"")])[0] == TWO_BYTE_PROFILE
    assert write_elements([(3, bytes(17))])[0] == TWO_BYTE_PROFILE


@pytest.mark.parametrize("element", [(0, b"a"), (256, b"a"), (1, bytes(256))])
def test_elements_that_no_form_holds_are_refused(element: tuple[int, bytes]):
    with pytest.raises(PacketError):
        write_elements([element])


def test_padding_fills_words():
    assert [len(padding(size)) for size in range(9)] == [0, 3, 2, 1, 0, 3, 2, 1, 0]


@given(
    st.integers(0, 255),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=6),
    st.binary(max_size=60),
)
def test_what_is_built_is_read_back(second, number, timestamp, ssrc, elements, payload):  # noqa: PLR0917 - its fields
    profile, block = write_elements(elements.items())
    packet = parse(header(second, number, timestamp, ssrc, profile, block) + payload)
    assert (packet.marker_type, packet.sequence_number, packet.timestamp, packet.ssrc) == (
        second,
        number,
        timestamp,
        ssrc,
    )
    assert packet.payload == payload
    assert packet.elements == elements


@given(st.binary(max_size=200))
def test_no_bytes_bring_out_another_error(data: bytes):
    try:
        packet = parse(data)
    except PacketError:
        return
    assert all(0 < element_id < 256 for element_id in packet.elements)


@given(st.integers(0, 255), st.binary(max_size=100))
def test_no_header_byte_brings_out_another_error(first: int, rest: bytes):
    try:
        packet = parse(bytes((0x80 | first & 0x3F,)) + HEADER[1:] + rest)
    except PacketError:
        return
    assert len(packet.payload) <= len(rest)
    assert len(packet.elements) <= len(packet.extension)
