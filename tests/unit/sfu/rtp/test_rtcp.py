import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp import rtcp, twcc
from sfu.rtp.packet import PacketError
from sfu.rtp.twcc import TransportFeedback

BLOCK = rtcp.ReportBlock(
    ssrc=7, fraction_lost=64, packets_lost=-3, highest_index=0x1FFFF, jitter=90, last_sr=0xABCD1234, delay=65536
)


def test_a_sender_report_is_read_back():
    report = rtcp.SenderReport(1, 0xE5F2_0000_8000_0000, 0xFFFFFFF0, 10, 1000, (BLOCK,))
    assert rtcp.parse(rtcp.sender_report(report)) == [report]


def test_a_compound_is_read_in_its_order():
    data = rtcp.receiver_report(rtcp.ReceiverReport(1, (BLOCK, BLOCK)))
    data += rtcp.source_description(1, "peer-1") + rtcp.picture_loss(1, 2) + rtcp.goodbye([1, 2])
    assert rtcp.parse(data) == [
        rtcp.ReceiverReport(1, (BLOCK, BLOCK)),
        rtcp.SourceDescription(((1, "peer-1"),)),
        rtcp.PictureLoss(1, 2),
        rtcp.Goodbye((1, 2)),
    ]


def test_losses_beyond_24_bits_stay_at_the_limit():
    for lost, expected in ((1 << 30, 0x7FFFFF), (-(1 << 30), -0x800000)):
        block = rtcp.ReportBlock(7, 0, lost, 0, 0, 0, 0)
        (report,) = rtcp.parse(rtcp.receiver_report(rtcp.ReceiverReport(1, (block,))))
        assert isinstance(report, rtcp.ReceiverReport)
        assert report.reports[0].packets_lost == expected


def test_a_nack_crosses_the_wrap():
    data = rtcp.nack(1, 2, [65534, 65535, 0, 1, 14, 15])
    assert len(data) == 12 + 2 * 4  # 65534 + 16 is 14; 15 needs an entry of its own
    assert rtcp.parse(data) == [rtcp.Nack(1, 2, (65534, 65535, 0, 1, 14, 15))]


def test_a_repeated_number_is_asked_for_once():
    assert rtcp.parse(rtcp.nack(1, 2, [5, 5, 6])) == [rtcp.Nack(1, 2, (5, 6))]


def test_unknown_kinds_are_skipped():
    feedback = bytes.fromhex("8bcd0003 00000001 00000002 00010001")  # RFC 8888, format 11
    extended_report = bytes.fromhex("80cf0002 00000001 04000000")
    assert rtcp.parse(feedback + extended_report + rtcp.picture_loss(1, 2)) == [rtcp.PictureLoss(1, 2)]


def test_fir_and_remb_are_read_back():
    assert rtcp.parse(rtcp.full_intra_request(1, 2, 258)) == [rtcp.FullIntraRequest(1, ((2, 2),))]
    assert rtcp.parse(rtcp.remb(1, 5_000_017, [2, 3])) == [rtcp.Remb(1, 5_000_000, (2, 3))]
    assert rtcp.parse(rtcp.remb(1, 1000, [])) == [rtcp.Remb(1, 1000, ())]


def test_padding_is_taken_off_wherever_it_stands():
    padded = bytes.fromhex("a1cb0002 00000009 00000004")
    assert rtcp.parse(padded) == [rtcp.Goodbye((9,))]
    assert rtcp.parse(padded + padded) == [rtcp.Goodbye((9,)), rtcp.Goodbye((9,))]


def test_a_description_with_many_items_and_chunks():
    chunk = bytes.fromhex("00000001") + b"\x02\x03bob\x01\x01a" + b"\0"  # NAME, then CNAME; ends on a word
    other = bytes.fromhex("00000002") + b"\x01\x02cd" + b"\0\0\0\0"
    body = chunk + b"\0" * (-len(chunk) % 4) + other
    data = bytes((0x82, 202)) + (len(body) // 4).to_bytes(2, "big") + body
    assert rtcp.parse(data) == [rtcp.SourceDescription(((1, "a"), (2, "cd")))]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc9",
        bytes.fromhex("40c90001 00000001"),  # version 1
        bytes.fromhex("80c90002 00000001"),  # longer than the datagram
        bytes.fromhex("81c90001 00000001"),  # a report block that isn't there
        bytes.fromhex("80c80001 00000001"),  # an SR without sender info
        bytes.fromhex("81cb0000"),  # a BYE of nobody
        bytes.fromhex("81ca0002 00000001 01ff6100"),  # a CNAME beyond the end
        bytes.fromhex("81ca0001 00000001"),  # items that never end
        bytes.fromhex("81cd0001 00000001"),  # feedback about nothing
        bytes.fromhex("8fce0004 00000001 00000000 52454d42 05000001"),  # five SSRCs that aren't there
        bytes.fromhex("8fcd0003 00000001 00000002 00010001"),  # transport feedback without its time
        bytes.fromhex("a0c90001 00000000"),  # padding of 0
    ],
)
def test_what_does_not_add_up_is_refused(data: bytes):
    with pytest.raises(PacketError):
        rtcp.parse(data)


@given(st.sets(st.integers(0, 60000), max_size=100), st.integers(0, 65535))
def test_any_ascending_losses_are_read_back(offsets: set[int], start: int):
    lost = tuple((start + offset) & 0xFFFF for offset in sorted(offsets))
    assert rtcp.parse(rtcp.nack(1, 2, lost)) == [rtcp.Nack(1, 2, lost)]


SAMPLES = [
    rtcp.sender_report(rtcp.SenderReport(1, 2, 3, 4, 5, (BLOCK,))),
    rtcp.receiver_report(rtcp.ReceiverReport(1, (BLOCK,))) + rtcp.source_description(1, "cname"),
    rtcp.nack(1, 2, [1, 5, 100]),
    rtcp.full_intra_request(1, 2, 3) + rtcp.remb(1, 10**6, [2]),
    twcc.write(TransportFeedback(1, 2, 65530, 40, 1, ((0, 700), (1, 705), (20, 1200), (39, 1100)))),
]


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6))
def test_changed_bytes_bring_out_no_other_error(sample: bytes, changes: list[tuple[int, int]]):
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    try:
        packets = rtcp.parse(bytes(data))
    except PacketError:
        return
    assert len(packets) <= len(data) // 4


@given(st.integers(192, 223), st.binary(max_size=120))
def test_random_bodies_bring_out_no_other_error(kind: int, body: bytes):
    body += b"\0" * (-len(body) % 4)
    for first in (0x80, 0x81, 0x84, 0x8F, 0x9F, 0xA1):
        try:
            packets = rtcp.parse(bytes((first, kind)) + (len(body) // 4).to_bytes(2, "big") + body)
        except PacketError:
            continue
        assert len(packets) <= 1


def test_a_reference_time_and_its_answer() -> None:
    asked = rtcp.reference_time(1, 0x0123456789ABCDEF)
    assert asked == bytes.fromhex("80cf0004 00000001 04000002 0123456789abcdef")
    assert rtcp.parse(asked) == []  # a question to senders
    answer = bytes.fromhex("80cf0008 00000007 05000006 00000001 456789ab 00010000 00000009 00000001 00000002")
    assert rtcp.parse(answer) == [
        rtcp.DelaySinceReference(7, ((1, 0x456789AB, 0x10000), (9, 1, 2))),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "80cf0000",  # nobody's
        "80cf0002 00000007 05000003",  # a block beyond the end
        "80cf0001 00000007 0500",  # the packet's own length
    ],
)
def test_a_broken_extended_report(text: str) -> None:
    with pytest.raises(PacketError):
        rtcp.parse(bytes.fromhex(text))


def test_blocks_that_say_nothing_of_the_round_trip_are_skipped() -> None:
    other = "07000008 " + "00000000" * 8
    assert rtcp.parse(bytes.fromhex("80cf000a 00000007" + other)) == []
    assert rtcp.parse(bytes.fromhex("80cf0002 00000007 05000000")) == []
