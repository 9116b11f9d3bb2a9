import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.av1 import av1
from sfu.rtp.bits import KeyFrame
from sfu.rtp.codecs import detector
from sfu.rtp.h264 import h264
from sfu.rtp.packet import PacketError
from sfu.rtp.vp8 import vp8
from sfu.rtp.vp9 import vp9

VP8_KEY = bytes.fromhex("10 02 00 9d012a 8002 6801")  # frame tag with P = 0, start code, 640 x 360


def vp8_packet(descriptor: str, frame: bytes = VP8_KEY) -> bytes:
    return bytes.fromhex(descriptor) + frame + bytes(20)


@pytest.mark.parametrize(
    "descriptor",
    [
        "10",
        "90 80 11",  # picture id of 7 bits
        "90 80 8111",  # of 15 bits
        "90 e0 8111 05 40",  # with TL0PICIDX and TID
        "90 f0 8111 05 41",  # and KEYIDX
        "90 10 01",  # KEYIDX alone
    ],
)
def test_a_vp8_key_frame_behind_any_descriptor(descriptor: str):
    assert vp8(vp8_packet(descriptor)) == KeyFrame(640, 360)


def test_vp8_scaling_bits_are_no_part_of_the_size():
    assert vp8(b"\x10" + bytes.fromhex("100200 9d012a 8042 6881")) == KeyFrame(640, 360)


@pytest.mark.parametrize(
    "payload",
    [
        vp8_packet("10", b"\x11" + VP8_KEY[1:]),  # P = 1: predicted
        vp8_packet("00"),  # not the start of the partition
        vp8_packet("11"),  # the second partition
    ],
)
def test_other_vp8_packets_are_no_key_frame(payload: bytes):
    assert vp8(payload) is None


def test_a_vp8_key_frame_without_its_start_code_is_refused():
    with pytest.raises(PacketError):
        vp8(vp8_packet("10", bytes(10)))


VP9_KEY_HEADER = bytes.fromhex("82498342") + (0b001_0 << 44 | 1279 << 28 | 719 << 12).to_bytes(6, "big")
"""frame_marker 2, profile 0, key frame, shown; colour space 1, studio range; 1280 x 720."""


@pytest.mark.parametrize(
    "payload",
    [
        b"\x08" + VP9_KEY_HEADER,
        bytes.fromhex("88 11") + VP9_KEY_HEADER,  # picture id of 7 bits
        bytes.fromhex("88 8111") + VP9_KEY_HEADER,  # of 15 bits
        bytes.fromhex("a8 11 00 05") + VP9_KEY_HEADER,  # layer indices, TL0PICIDX
        bytes.fromhex("b8 11 00") + VP9_KEY_HEADER,  # layer indices, flexible mode
        bytes.fromhex("0a 10 0500 02d0"),  # a scalability structure with one layer
        bytes.fromhex("0a 30 0280 0168 0500 02d0"),  # with two: the higher
    ],
)
def test_a_vp9_key_frame_behind_any_descriptor(payload: bytes):
    assert vp9(payload + bytes(8)) == KeyFrame(1280, 720)


def test_a_vp9_structure_may_have_no_size():
    assert vp9(bytes.fromhex("0a 08 00")) == KeyFrame()


@pytest.mark.parametrize(
    "payload",
    [
        b"\x48" + VP9_KEY_HEADER,  # P: predicted
        b"\x00" + VP9_KEY_HEADER,  # not the start of a frame
        bytes.fromhex("a8 11 02 05") + VP9_KEY_HEADER,  # a higher spatial layer
        b"\x08" + b"\x88" + bytes(8),  # an existing frame shown again
        b"\x08" + b"\x86" + bytes(8),  # an intra-only frame
    ],
)
def test_other_vp9_packets_are_no_key_frame(payload: bytes):
    assert vp9(payload) is None


def test_vp9_of_higher_profiles():
    profile_1_444 = 0b10_1_0_0_0_1_0 << 24 | 0x498342
    # colour space 1, range, subsampling x, y, reserved
    rest = (0b001_0_000 << 41 | 1919 << 25 | 1079 << 9).to_bytes(6, "big")
    assert vp9(b"\x08" + profile_1_444.to_bytes(4, "big") + rest) == KeyFrame(1920, 1080)


# Chromium's constrained baseline at 640 x 480, and x264's high profile at 1920 x 1080 (cropped from 1088)
SPS_640 = bytes.fromhex("6742c01f8c8d40501e900f08846a")
SPS_1080 = bytes.fromhex("67640028acd940780227e5c05a808080a0000003002000000781e30632c0")
PPS = bytes.fromhex("68ce3c80")
IDR = bytes.fromhex("65b8000400")


def test_h264_parameter_sets_alone_aggregated_and_fragmented():
    assert h264(SPS_640) == KeyFrame(640, 480)
    aggregate = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (PPS, SPS_640, IDR))
    assert h264(aggregate) == KeyFrame(640, 480)
    assert h264(b"\x7c\x87" + SPS_640[1:]) == KeyFrame(640, 480)
    assert h264(SPS_1080) == KeyFrame(1920, 1080)


@pytest.mark.parametrize(
    "payload",
    [IDR, PPS, b"\x7c\x85" + IDR[1:], b"\x7c\x07" + SPS_640[1:], b"\x41\x9a", b"\x78\x00\x04" + PPS, b"\x78\x00\x00"],
)
def test_other_h264_packets_are_no_key_frame(payload: bytes):
    assert h264(payload) is None


def test_a_cut_h264_parameter_set_is_a_key_frame_of_unknown_size():
    assert h264(SPS_640[:5]) == KeyFrame()
    assert h264(b"\x67" + bytes(60)) == KeyFrame()


@pytest.mark.parametrize("payload", [b"\x78\x00\x09ab", b"\x78\x00", b"\x7c"])
def test_h264_lengths_that_do_not_add_up_are_refused(payload: bytes):
    with pytest.raises(PacketError):
        h264(payload)


def obu_sequence_header(width: int, height: int, *, reduced: bool = False) -> bytes:
    """seq_profile 0; no timing info; one operating point of level 8 (which has a tier bit)."""
    if reduced:
        text = "000" + "1" + "1" + "01000"
    else:
        text = "000" + "0" + "0" + "0" + "0" + "00000" + "0" * 12 + "01000" + "0"
    text += f"{11:04b}{11:04b}{width - 1:012b}{height - 1:012b}"
    text += "0" * (-len(text) % 8 + 8)
    return b"\x08" + int(text, 2).to_bytes(len(text) // 8, "big")


@pytest.mark.parametrize("reduced", [False, True])
def test_an_av1_sequence_starts_with_its_size(reduced: bool):
    obu = obu_sequence_header(1280, 720, reduced=reduced)
    frame = b"\x30" + bytes(30)
    assert av1(b"\x28" + bytes((len(obu),)) + obu + frame) == KeyFrame(1280, 720)  # W = 2
    assert av1(b"\x08" + bytes((len(obu),)) + obu + bytes((len(frame),)) + frame) == KeyFrame(1280, 720)  # W = 0
    assert av1(b"\x18" + obu) == KeyFrame(1280, 720)  # W = 1
    sized = b"\x0a" + bytes((len(obu) - 1,)) + obu[1:]
    assert av1(b"\x18" + sized) == KeyFrame(1280, 720)
    extended = b"\x0c\x00" + obu[1:]
    assert av1(b"\x18" + extended) == KeyFrame(1280, 720)


@pytest.mark.parametrize("header", ["0a0b0000002d4cfdb34fbf9004", "0a0b0000002d4cfdb34daf9004"])
def test_the_sequence_headers_of_svt_and_libaom(header: str):
    obu = bytes.fromhex(header)
    assert av1(b"\x28" + bytes((len(obu),)) + obu + b"\x32frame") == KeyFrame(1278, 718)


def test_an_av1_sequence_header_with_timing_and_a_decoder_model():
    text = "000" + "0" + "0" + "1" + "0" * 64 + "1" + "1" + "1" + f"{9:05b}" + "0" * 42 + "1"
    text += "00001"  # two operating points
    text += ("0" * 12 + "00101" + "1" + "0" * 21 + "1" + "0000") * 2
    text += f"{10:04b}{9:04b}{1919:011b}{1079 & 1023:010b}"
    text += "0" * (-len(text) % 8)
    obu = b"\x08" + int(text, 2).to_bytes(len(text) // 8, "big")
    assert av1(b"\x18" + obu) == KeyFrame(1920, (1079 & 1023) + 1)


def test_an_av1_sequence_whose_header_goes_on_is_of_unknown_size():
    assert av1(b"\x58" + obu_sequence_header(1280, 720)[:3]) == KeyFrame()
    assert av1(b"\x18\x30abc") == KeyFrame()


@pytest.mark.parametrize("payload", [b"\x10\x30abc", b"\x98\x30abc"])
def test_other_av1_packets_start_no_sequence(payload: bytes):
    assert av1(payload) is None


def test_audio_has_no_detector():
    assert detector("opus") is None
    assert detector("vp8") is vp8


SAMPLES = [
    vp8_packet("90 f0 8111 05 41"),
    bytes.fromhex("a8 11 00 05") + VP9_KEY_HEADER,
    bytes.fromhex("0a 30 0280 0168 0500 02d0"),
    SPS_1080,
    b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (PPS, SPS_1080, IDR)),
    b"\x28\x0b" + obu_sequence_header(1280, 720) + b"\x30abc",
]


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=8),
    st.integers(0, 40),
)
def test_changed_and_cut_payloads_bring_out_no_other_error(sample, changes, size):
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    check_every_reader(bytes(data[: size or None]))


@given(st.binary(max_size=100))
def test_random_payloads_bring_out_no_other_error(payload: bytes):
    check_every_reader(payload)


def check_every_reader(payload: bytes) -> None:
    for read in (vp8, vp9, h264, av1):
        try:
            found = read(payload)
        except PacketError:
            continue
        if found is not None:
            assert 0 <= found.width <= 65536
            assert 0 <= found.height <= 65536
