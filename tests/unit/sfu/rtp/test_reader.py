import pytest

from sfu.rtp.bits import KeyFrame
from sfu.rtp.layers import EVERYTHING, LayerId
from sfu.rtp.packet import PacketError, RtpPacket
from sfu.rtp.reader import PayloadReader

from .test_dependency import L1T3, L3T3, L3T3_KEY

KEY = bytes.fromhex("90 e0 8005 07 00 100200 9d012a 8002 6801") + bytes(20)
DELTA = bytes.fromhex("90 e0 8006 07 a0 110200") + bytes(20)
PLAIN = bytes.fromhex("10 110200") + bytes(20)


def read(reader: PayloadReader, payload: bytes, dependency: bytes | None = None) -> tuple[RtpPacket, KeyFrame | None]:
    packet = RtpPacket(96, 1, 0, 1, payload)
    return packet, reader.read(packet, payload, dependency)


def test_a_payload_that_says_nothing_of_layers_has_none():
    packet, found = read(PayloadReader("vp8"), PLAIN)
    assert found is None
    assert not packet.layered
    assert (packet.layer, packet.descriptor) == (None, None)


def test_vp8_names_layers_and_counts_on():
    reader = PayloadReader("vp8")
    packet, found = read(reader, KEY)
    assert found == KeyFrame(640, 360)
    assert reader.sizes == (KeyFrame(640, 360),)
    assert packet.layer is packet.descriptor is not None
    later, _ = read(reader, DELTA)
    assert later.layer is not None
    assert (later.layer.temporal, later.layer.starts) == (2, True)
    assert later.descriptor is not None
    assert (later.descriptor.picture, later.descriptor.tl0) == (6, 7)


def test_a_picture_id_alone_is_rewritten_but_is_no_layer():
    packet, _ = read(PayloadReader("vp8"), bytes.fromhex("90 80 05 110200") + bytes(20))
    assert packet.layer is None
    assert packet.descriptor is not None
    assert not packet.layered


def test_the_sizes_of_vp9_are_in_its_structure():
    reader = PayloadReader("vp9")
    _, found = read(reader, bytes.fromhex("aa 05 00 09 50 0140 00b4 0280 0168 0500 02d0") + bytes(20))
    assert found == KeyFrame(1280, 720)
    assert reader.sizes == (KeyFrame(320, 180), KeyFrame(640, 360), KeyFrame(1280, 720))
    assert reader.needs_key_frame(LayerId(0, 2), LayerId(1, 2))
    assert not reader.needs_key_frame(LayerId(2, 2), LayerId(0, 2))
    assert not reader.needs_key_frame(LayerId(2, 0), EVERYTHING)


@pytest.mark.parametrize("codec", ["vp8", "vp9", "av1", "h264"])
def test_a_dependency_descriptor_tells_key_frames_whatever_the_payload_is(codec: str):
    """As of what is encrypted end to end."""
    reader = PayloadReader(codec)
    encrypted = b"\x90\xe0\x80\x05\x07\x00" + b"\xa5" * 40
    packet, found = read(reader, encrypted, L1T3)
    assert found is not None
    assert packet.dependency is not None
    assert reader.sizes == (KeyFrame(640, 360),)
    later, found = read(reader, encrypted, bytes.fromhex("c30089"))
    assert found is None
    assert later.dependency is None, "a template of another structure"
    later, found = read(reader, encrypted, bytes.fromhex("cc0089"))
    assert found is None
    assert later.dependency is not None
    assert later.dependency.structure is packet.dependency.structure


def test_layers_are_told_by_the_dependency_descriptor_except_of_vp8():
    for codec, payload, told in (("vp8", KEY, False), ("vp9", bytes.fromhex("ac 05 00 09") + bytes(20), True)):
        reader = PayloadReader(codec)
        packet, _ = read(reader, payload, L3T3)
        assert (packet.layer is packet.dependency) == told
        assert packet.descriptor is not None
        assert (reader.structured is not None) == told


def test_a_k_svc_stream_needs_a_key_frame_in_both_directions():
    for structure, down in ((L3T3, False), (L3T3_KEY, True)):
        reader = PayloadReader("av1")
        read(reader, b"\x10" + bytes(20), structure)
        assert reader.needs_key_frame(LayerId(0, 2), LayerId(2, 2))
        assert reader.needs_key_frame(LayerId(2, 2), LayerId(0, 2)) == down
        assert not reader.needs_key_frame(LayerId(2, 0), LayerId(2, 2))


def test_a_descriptor_that_makes_no_sense_is_as_if_it_were_not_there():
    packet, found = read(PayloadReader("vp8"), KEY, b"\xc0")
    assert found == KeyFrame(640, 360)
    assert packet.dependency is None


def test_a_payload_that_is_cut_is_refused():
    with pytest.raises(PacketError):
        read(PayloadReader("vp8"), b"\x90\xe0")


def test_in_a_wrapper_nothing_is_rewritten():
    reader = PayloadReader("vp8")
    packet = RtpPacket(96, 1, 0, 1, b"\x60" + KEY)
    assert reader.read(packet, packet.payload[1:]) == KeyFrame(640, 360)
    assert packet.descriptor is None
