import pytest

from sfu.rtp.bits import KeyFrame
from sfu.rtp.layers import LayerId
from sfu.rtp.packet import PacketError
from sfu.rtp.vp9 import Vp9Descriptor

DELTA_S1 = bytes.fromhex("f9 acdf 52 02") + b"data"
"""Sent by Chromium (L3T3_KEY, flexible mode): picture 11487, S1, T2, U, built on the picture before."""
KEY_S1 = bytes.fromhex("b8 ab2c 13") + b"data"
"""The same sender: S1 of a key picture, which builds on S0 of that picture."""


def test_descriptors_of_chromium():
    d = Vp9Descriptor(DELTA_S1)
    assert (d.picture_id, d.picture_bits, d.spatial, d.temporal, d.size) == (11487, 15, 1, 2, 5)
    assert (d.inter_picture, d.inter_layer, d.switch, d.starts, d.ends) == (True, False, True, True, False)
    assert d.references == (1,)
    assert d.tl0_picture is None
    d = Vp9Descriptor(KEY_S1)
    assert (d.inter_picture, d.inter_layer, d.spatial, d.temporal) == (False, True, 1, 0)


@pytest.mark.parametrize(
    ("text", "size", "picture", "tl0"),
    [
        ("0c", 1, None, None),
        ("8c 11", 2, 0x11, None),
        ("8c 8111", 3, 0x111, None),
        ("ac 11 00 05", 4, 0x11, 5),
        ("bc 11 00", 3, 0x11, None),  # flexible mode has no TL0PICIDX
        ("fc 11 00 03 05 06", 6, 0x11, None),  # three references
        ("0e 00", 2, None, None),  # a structure of one layer that says no more
        (
            "0e 18 0280 0168 02 00 84 01",
            10,
            None,
            None,
        ),  # with its size and two pictures
    ],
)
def test_each_field_may_be_there_or_not(text, size, picture, tl0):
    d = Vp9Descriptor(bytes.fromhex(text) + b"data")
    assert (d.size, d.picture_id, d.tl0_picture) == (size, picture, tl0)


def test_a_structure_has_the_size_of_each_layer():
    d = Vp9Descriptor(bytes.fromhex("0a 50 0140 00b4 0280 0168 0500 02d0"))
    assert d.structure == (KeyFrame(320, 180), KeyFrame(640, 360), KeyFrame(1280, 720))
    assert Vp9Descriptor(bytes.fromhex("0a 40")).structure == (KeyFrame(),) * 3
    assert Vp9Descriptor(b"\x08").structure is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "80", "80 80", "a0 01", "a0 01 00", "d0 01", "d0 01 03 03", "d0 01 03 03 03 03"),
        *("02", "02 50 0140", "02 08", "02 08 01", "02 08 01 08", "02 08 02 00"),
    ],
)
def test_one_that_is_cut_or_refers_too_far_is_refused(text: str):
    with pytest.raises(PacketError):
        Vp9Descriptor(bytes.fromhex(text))


def test_numbers_are_rewritten_in_place_and_wrap():
    d = Vp9Descriptor(DELTA_S1)
    d.picture = 11487
    assert d.rewritten(DELTA_S1, 0, 0) == DELTA_S1
    assert Vp9Descriptor(d.rewritten(DELTA_S1, 30000, 9)).picture_id == (11487 + 30000) % 32768
    payload = bytes.fromhex("ac 7f 00 ff") + b"data"
    d = Vp9Descriptor(payload)
    d.picture, d.tl0 = 127, 255
    assert d.rewritten(payload, 1, 1) == bytes.fromhex("ac 00 00 00") + b"data"


def frame(spatial: int, temporal: int, *, inter: bool = True, up: bool = True) -> Vp9Descriptor:
    first = 0x8C | 0x20 | (0x40 if inter else 0)
    return Vp9Descriptor(bytes((first, 1, temporal << 5 | up << 4 | spatial << 1, 1)) + b"data")


@pytest.mark.parametrize(
    ("limit", "goal", "packet", "fresh", "then"),
    [
        ((2, 2), (0, 0), frame(0, 2), True, (0, 0)),
        ((2, 2), (0, 2), frame(1, 2), False, (2, 2)),  # not in the middle of a picture
        ((0, 2), (2, 2), frame(1, 0), False, (0, 2)),  # it builds on a picture that was not sent
        ((0, 2), (2, 2), frame(1, 0, inter=False), False, (1, 2)),
        ((0, 2), (2, 2), frame(2, 0, inter=False), False, (0, 2)),  # it builds on the layer between
        ((0, 2), (0, 2), frame(1, 0, inter=False), False, (0, 2)),
        ((0, 0), (0, 2), frame(0, 0), True, (0, 2)),
        ((0, 0), (0, 2), frame(0, 0, up=False), True, (0, 0)),
        ((0, 0), (0, 2), frame(0, 1), True, (0, 0)),
        ((0, 1), (0, 2), frame(0, 1), True, (0, 2)),
    ],
)
def test_layers_go_with_a_picture_and_come_where_they_can_begin(limit, goal, packet, fresh, then):
    assert packet.towards(LayerId(*limit), LayerId(*goal), fresh=fresh) == then


def test_what_is_above_a_limit():
    assert frame(1, 0).above(LayerId(0, 2))
    assert frame(0, 2).above(LayerId(1, 1))
    assert not frame(1, 1).above(LayerId(1, 1))
