import pytest

from sfu.rtp.layers import LayerId
from sfu.rtp.packet import PacketError
from sfu.rtp.vp8 import Vp8Descriptor

LONG = bytes.fromhex("90 e0 f86f a5 60") + b"data"
"""Sent by Chromium: picture id 30831, TL0PICIDX 165, TID 1, Y."""
SHORT = bytes.fromhex("80 80 11") + b"data"


def test_a_descriptor_of_chromium():
    d = Vp8Descriptor(LONG)
    assert (d.picture_id, d.picture_bits, d.tl0_picture, d.temporal, d.sync, d.size) == (30831, 15, 165, 1, True, 6)
    assert d.starts


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("10", (1, None, None, 0, True)),
        ("00", (1, None, None, 0, False)),
        ("13", (1, None, None, 0, False)),  # the start of the fourth partition
        ("90 00", (2, None, None, 0, True)),
        ("90 80 7f", (3, 127, None, 0, True)),
        ("90 80 ff ff", (4, 32767, None, 0, True)),
        ("90 40 05", (3, None, 5, 0, True)),
        ("90 20 80", (3, None, None, 2, True)),
        ("90 10 9f", (3, None, None, 0, True)),  # KEYIDX alone: the upper bits say nothing
        ("90 f0 80 01 ff e0", (6, 1, 255, 3, True)),
    ],
)
def test_each_field_may_be_there_or_not(text, fields):
    d = Vp8Descriptor(bytes.fromhex(text) + b"data")
    assert (d.size, d.picture_id, d.tl0_picture, d.temporal, d.starts) == fields


@pytest.mark.parametrize("text", ["", "80", "80 80", "80 80 80", "80 40", "80 30", "80 f0 80 01 02"])
def test_one_that_is_cut_is_refused(text: str):
    with pytest.raises(PacketError):
        Vp8Descriptor(bytes.fromhex(text))


def test_numbers_are_rewritten_in_place_and_wrap():
    d = Vp8Descriptor(LONG)
    d.picture, d.tl0 = 30831, 165
    assert d.rewritten(LONG, 0, 0) == LONG
    moved = d.rewritten(LONG, 2000, 100)
    assert moved == bytes.fromhex("90 e0 803f 09 60") + b"data"
    again = Vp8Descriptor(moved)
    assert (again.picture_id, again.tl0_picture) == ((30831 + 2000) % 32768, (165 + 100) % 256)
    short = Vp8Descriptor(SHORT)
    short.picture = 0x11
    assert short.rewritten(SHORT, 0x70, 5) == bytes.fromhex("80 80 01") + b"data"


def frame(temporal: int, *, sync: bool = False) -> Vp8Descriptor:
    return Vp8Descriptor(bytes((0x90, 0x20, temporal << 6 | sync << 5)) + b"data")


@pytest.mark.parametrize(
    ("limit", "goal", "temporal", "sync", "then"),
    [
        (2, 0, 2, False, 0),
        (0, 2, 0, False, 0),
        (0, 2, 1, False, 0),
        (0, 2, 1, True, 1),
        (0, 2, 2, True, 0),  # it needs no frame of layer 1, but what follows it may
        (1, 2, 2, True, 2),
        (0, 1, 1, True, 1),
        (1, 1, 2, True, 1),
    ],
)
def test_temporal_layers_go_at_once_and_come_where_they_can_begin(limit, goal, temporal, sync, then):
    found = frame(temporal, sync=sync).towards(LayerId(7, limit), LayerId(7, goal), fresh=True)
    assert found == (7, then)


def test_what_is_above_a_limit():
    assert frame(2).above(LayerId(7, 1))
    assert not frame(1).above(LayerId(0, 1))
