import pytest

from sfu.rtp.departures import OVERHEAD, Departures
from sfu.rtp.extensions import HeaderWriter, send_time
from sfu.rtp.packet import TWO_BYTE_PROFILE, RtpPacket, parse, write_elements
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    HeaderExtension,
    RtpParameters,
)

SOURCE_IDS = {
    AUDIO_LEVEL_URI: 1,
    ABS_SEND_TIME_URI: 2,
    TRANSPORT_CC_URI: 3,
    MID_URI: 4,
    DEPENDENCY_DESCRIPTOR_URI: 8,
}


def parameters(mid: str, ids: dict[str, int]) -> RtpParameters:
    return RtpParameters(mid, "audio", (), tuple(HeaderExtension(id_, uri) for uri, id_ in ids.items()))


def packet(*elements: tuple[int, bytes]) -> RtpPacket:
    made = RtpPacket(111, 1, 2, 3, b"payload", *write_elements(elements))
    made.arrival = 10.0
    return made


def written(packet: RtpPacket, target: RtpParameters) -> dict[int, bytes]:
    writer = HeaderWriter(parameters("0", SOURCE_IDS), target, 0xABCD, {})
    header = writer.write(packet, 0x80 | 96, 77, 88)
    assert len(header) % 4 == 0
    read = parse(header)
    assert (read.marker, read.payload_type, read.sequence_number, read.timestamp, read.ssrc) == (
        True,
        96,
        77,
        88,
        0xABCD,
    )
    return read.elements


FULL = packet((1, b"\x85"), (2, b"\1\2\3"), (3, b"\0\7"), (4, b"0"), (9, b"unknown"))


def test_the_subscriber_gets_its_own_numbers_and_nothing_else():
    target = parameters("12", {MID_URI: 5, ABS_SEND_TIME_URI: 6, AUDIO_LEVEL_URI: 7, TRANSPORT_CC_URI: 8})
    assert written(FULL, target) == {5: b"12", 6: send_time(10.0).to_bytes(3, "big"), 7: b"\x85"}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({}, {}),
        ({MID_URI: 5}, {5: b"1"}),
        ({ABS_SEND_TIME_URI: 6}, {6: send_time(10.0).to_bytes(3, "big")}),
        ({AUDIO_LEVEL_URI: 7}, {7: b"\x85"}),
        ({MID_URI: 5, AUDIO_LEVEL_URI: 7}, {5: b"1", 7: b"\x85"}),
    ],
)
def test_each_alone(ids: dict[str, int], expected: dict[int, bytes]):
    assert written(FULL, parameters("1", ids)) == expected


@pytest.mark.parametrize("mid", ["0", "10", "mid-3", "sixteen-bytes-16"])
def test_a_mid_of_any_length_is_padded_to_words(mid: str):
    ids = {MID_URI: 5, ABS_SEND_TIME_URI: 6, AUDIO_LEVEL_URI: 7}
    assert written(FULL, parameters(mid, ids))[5] == mid.encode()
    assert written(packet(), parameters(mid, ids)).keys() == {5, 6}


def test_a_long_dependency_descriptor_takes_the_two_byte_form():
    target = parameters("1", {MID_URI: 5, ABS_SEND_TIME_URI: 6, DEPENDENCY_DESCRIPTOR_URI: 9})
    long = packet((8, bytes(range(30))), (3, b"\0\7"))
    assert long.profile == TWO_BYTE_PROFILE
    assert written(long, target) == {5: b"1", 6: send_time(10.0).to_bytes(3, "big"), 9: bytes(range(30))}


def test_subscribers_alike_share_the_work_and_get_their_own_headers():
    sharing = {}
    source, ids = parameters("0", SOURCE_IDS), {MID_URI: 5, ABS_SEND_TIME_URI: 6, AUDIO_LEVEL_URI: 7}
    one = HeaderWriter(source, parameters("1", ids), 1, sharing)
    other = HeaderWriter(source, parameters("2", ids), 2, sharing)
    longer = HeaderWriter(source, parameters("100", ids), 3, sharing)
    assert len(sharing) == 2
    for writer, mid in ((one, b"1"), (other, b"2"), (longer, b"100"), (one, b"1")):
        assert parse(writer.write(FULL, 111, 1, 1)).elements[5] == mid


def test_the_same_packet_gets_the_same_bytes_again_later():
    writer = HeaderWriter(
        parameters("0", SOURCE_IDS), parameters("1", {MID_URI: 5, ABS_SEND_TIME_URI: 6, AUDIO_LEVEL_URI: 7}), 1, {}
    )
    first = writer.write(FULL, 111, 1, 1)
    later = packet((1, b"\0"))
    later.arrival = 11.0
    assert writer.write(later, 111, 1, 1) != first
    assert writer.write(FULL, 111, 1, 1) == first
    assert writer.write(FULL, 111, 1, 1, 12.0) != first


def test_the_send_time_has_18_fractional_bits_and_wraps():
    assert send_time(0.5) == 1 << 17
    assert send_time(63.0) == 63 << 18
    assert send_time(64.0) == 0


@pytest.mark.parametrize("element", [b"\x85", bytes(30)])
def test_a_numbered_header_has_the_next_number_of_its_transport(element: bytes):
    departures, sharing = Departures(), {}
    ids = {MID_URI: 5, ABS_SEND_TIME_URI: 6, AUDIO_LEVEL_URI: 7, TRANSPORT_CC_URI: 8}
    source, sent = parameters("0", SOURCE_IDS), packet((1, element))
    media = HeaderWriter(source, parameters("1", ids), 1, sharing, departures)
    rtx = HeaderWriter(source, parameters("1", ids), 2, sharing, departures)
    other = HeaderWriter(source, parameters("1", ids), 3, sharing, Departures())
    assert media.numbered
    headers = [media.write(sent, 111, 1, 1), rtx.write(sent, 97, 1, 1, 10.5), media.write(sent, 111, 2, 1)]
    for number, head in enumerate(headers, 1):
        assert len(head) % 4 == 0
        elements = parse(head + b"payload").elements
        assert elements[8] == number.to_bytes(2, "big")
        assert (elements[5], elements[7]) == (b"1", element)
    assert parse(other.write(sent, 111, 1, 1)).elements[8] == b"\0\1"
    assert departures.next == 4
    assert departures.sent_between(1, 3) == 3 * (len(b"payload") + OVERHEAD) + sum(map(len, headers))


def test_without_departures_there_is_no_number():
    ids = {MID_URI: 5, TRANSPORT_CC_URI: 8}
    writer = HeaderWriter(parameters("0", SOURCE_IDS), parameters("1", ids), 1, {})
    assert not writer.numbered
    assert 8 not in parse(writer.write(FULL, 111, 1, 1)).elements
    unasked = HeaderWriter(parameters("0", SOURCE_IDS), parameters("1", {MID_URI: 5}), 1, {}, Departures())
    assert not unasked.numbered


@pytest.mark.parametrize("size", [1, 17, 255])
def test_padding_is_a_packet_without_a_payload(size: int):
    departures = Departures()
    ids = {MID_URI: 5, ABS_SEND_TIME_URI: 6, TRANSPORT_CC_URI: 8}
    writer = HeaderWriter(parameters("0", SOURCE_IDS), parameters("1", ids), 2, {}, departures)
    head = writer.write_padding(97, 7, 8, size, 10.0)
    read = parse(head + bytes(size - 1) + bytes((size,)))
    assert read.payload == b""
    assert (read.payload_type, read.sequence_number, read.timestamp, read.ssrc) == (97, 7, 8, 2)
    assert read.elements == {5: b"1", 6: send_time(10.0).to_bytes(3, "big"), 8: b"\0\1"}
    assert departures.sent_between(1, 1) == len(head) + size + OVERHEAD


def test_own_elements_fit_the_one_byte_form_or_are_refused():
    refused = (
        ({MID_URI: 15}, "1"),
        ({ABS_SEND_TIME_URI: 15}, "1"),
        ({TRANSPORT_CC_URI: 15}, "1"),
        ({MID_URI: 5}, "x" * 17),
    )
    for ids, mid in refused:
        with pytest.raises(ValueError, match="one-byte"):
            HeaderWriter(parameters("0", SOURCE_IDS), parameters(mid, ids), 1, {}, Departures())
