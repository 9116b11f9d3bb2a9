import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.bits import KeyFrame
from sfu.rtp.dependency import NOT_PRESENT, REQUIRED, SWITCH, Dependency
from sfu.rtp.layers import EVERYTHING, LayerId
from sfu.rtp.packet import PacketError

# Sent by Chromium 156 at the beginning of a key frame.
L3T3 = bytes.fromhex(
    "8102d180081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a0941b820"
    "ac1282503157f974000ca864330e222222eca8655304224230eca87753013f00b3027f016704ff02cf"
)
L3T3_KEY = bytes.fromhex(
    "8000f580081485214eaaaaa8000600004000100002aa80a8000600004000100002a000a800060000400016d549241b5524906d549231"
    "57e001974ca864330e222396eca8655304224390eca87753013f00b3027f016704ff02cf"
)
L3T3_TWO_ACTIVE = bytes.fromhex(
    "c10001c0081485214eafffaaaa863cf0430c10c302afc0aaa0063c00430010c002a000a80006000040001d954926e082b04a0941b820"
    "ac1282503157f974000ca864330e222222eca8655304224230eca87753013f00b3027f016704ff02cf1f80"
)
L1T3 = bytes.fromhex("8a0088814214eaa860414d1410208427027f0167")
SIZES = (KeyFrame(320, 180), KeyFrame(640, 360), KeyFrame(1280, 720))
LAYERS = tuple(LayerId(spatial, temporal) for spatial in range(3) for temporal in range(3))


def after(first: bytes, *others: str) -> list[Dependency]:
    structure = Dependency(first).structure
    return [Dependency(bytes.fromhex(text), structure) for text in others]


@pytest.mark.parametrize("data", [L3T3, L3T3_KEY])
def test_a_key_frame_of_three_by_three_layers(data: bytes):
    d = Dependency(data)
    assert d.structure.layers == LAYERS
    assert d.structure.sizes == SIZES
    assert len(d.structure.templates) == 15
    assert (d.starts, d.ends, d.attached, d.key_frame) == (True, False, True, True)
    assert (d.spatial, d.temporal, d.fdiffs, d.dtis) == (0, 0, (), (SWITCH,) * 9)
    assert (d.active, d.targets) == (0x1FF, 0x1FF)


def test_templates_that_do_not_begin_at_zero():
    d = Dependency(L1T3)
    assert d.structure.first_template == 10
    assert d.structure.layers == ((0, 0), (0, 1), (0, 2))
    assert d.structure.sizes == (KeyFrame(640, 360),)
    assert (d.frame_number, d.key_frame) == (0x88, True)


def test_packets_without_a_structure_name_a_template():
    start, end = after(L3T3, "c60002", "450014")
    assert (start.spatial, start.temporal, start.fdiffs, start.frame_number) == (1, 0, (1,), 2)
    assert (start.starts, start.ends, start.attached, start.key_frame) == (True, True, False, False)
    assert start.targets == 0x1F8
    assert (end.starts, end.ends, end.fdiffs) == (False, True, (12, 1))


def test_dependencies_of_their_own():
    (d,) = after(L3T3, "85000c12e800")
    assert (d.spatial, d.temporal, d.fdiffs) == (1, 0, (8, 1))
    assert d.dtis == (NOT_PRESENT,) * 3 + (SWITCH,) * 3 + (REQUIRED,) * 3


def test_chains_protect_targets():
    assert Dependency(L3T3).structure.protected_by == (0, 0, 0, 1, 1, 1, 2, 2, 2)


def test_some_targets_may_not_be_active():
    d = Dependency(L3T3_TWO_ACTIVE)
    assert d.active == 0b111111
    assert d.structure.target(EVERYTHING, d.active) == 5
    assert Dependency(bytes.fromhex("c60002"), d.structure, d.active).active == 0b111111
    assert Dependency(bytes.fromhex("c60002"), d.structure).active == 0x1FF


def test_the_target_of_a_limit():
    structure = Dependency(L3T3).structure
    everything = structure.everything
    for at, layer in enumerate(LAYERS):
        assert structure.target(layer, everything) == at
    assert structure.target(LayerId(1, 7), everything) == 5
    assert structure.target(LayerId(0, 0), 0b110000000) == 7, "the lowest of what is there"
    assert structure.target(LayerId(0, 0), 0) == 0


def test_who_may_go_down_at_any_time():
    nested, keyed = Dependency(L3T3).structure, Dependency(L3T3_KEY).structure
    assert nested.nested(0, 8)
    assert nested.nested(6, 8)
    assert not nested.nested(8, 6)
    assert keyed.nested(6, 8)
    assert not keyed.nested(0, 8), "only key pictures of the lowest layer are sent with the highest"


@pytest.mark.parametrize(
    ("text", "limit", "goal", "fresh", "then"),
    [
        ("c00014", (2, 2), (0, 0), True, (0, 0)),
        ("c50014", (2, 2), (0, 0), False, (2, 2)),  # not in the middle of a picture
        ("c00014", (0, 0), (0, 2), True, (0, 2)),  # a switch for all of its temporal layers
        ("c00014", (0, 2), (2, 2), True, (0, 2)),  # required by the higher layers, no place to begin
        ("c50014", (0, 2), (1, 2), False, (0, 2)),  # a frame that was not going to be sent
    ],
)
def test_the_limit_moves_where_the_indications_allow_it(text, limit, goal, fresh, then):
    (d,) = after(L3T3, text)
    assert d.towards(LayerId(*limit), LayerId(*goal), fresh=fresh) == then


def test_down_from_a_layer_of_its_own_waits_for_a_key_frame():
    (delta,) = after(L3T3_KEY, "c10014")
    assert delta.towards(LayerId(2, 2), LayerId(0, 2), fresh=True) == (2, 2)
    key = Dependency(L3T3_KEY)
    assert key.towards(LayerId(2, 2), LayerId(0, 2), fresh=True) == (0, 2)
    assert key.towards(LayerId(0, 2), LayerId(2, 2), fresh=True) == (2, 2)


def test_frame_numbers_are_rewritten():
    (d,) = after(L3T3, "c5fffe12e800")
    d.frame = 0xFFFE
    assert d.rewritten(5, EVERYTHING) == bytes.fromhex("c5000312e800")
    assert d.rewritten(0, LayerId(0, 0)) == bytes.fromhex("c5fffe12e800")


@pytest.mark.parametrize("data", [L3T3, L3T3_TWO_ACTIVE, L3T3_KEY, L1T3])
@pytest.mark.parametrize("limit", [LayerId(0, 0), LayerId(0, 2), LayerId(1, 1), LayerId(2, 0)])
def test_what_a_limit_leaves_out_is_told_to_be_inactive(data: bytes, limit: LayerId):
    before = Dependency(data)
    written = Dependency(before.rewritten(7, limit))
    assert written.frame_number == before.frame_number + 7
    assert written.active == before.structure.served(limit, before.active)
    assert written.structure.templates == before.structure.templates
    assert written.structure.sizes == before.structure.sizes
    assert (written.dtis, written.fdiffs, written.key_frame) == (before.dtis, before.fdiffs, True)
    if len(before.structure.layers) == 9:
        left = [layer for at, layer in enumerate(LAYERS) if written.active >> at & 1]
        assert max(left) <= limit
        assert limit in left or not before.active >> LAYERS.index(limit) & 1
    assert before.rewritten(0, EVERYTHING) == data


def test_what_a_limit_leaves_is_found_out_once_for_all_subscribers(monkeypatch):
    structure = Dependency(L3T3).structure
    left = structure.served(LayerId(1, 1), structure.everything)
    monkeypatch.delattr(type(structure), "nested")
    assert structure.served(LayerId(1, 1), structure.everything) == left


def test_what_follows_the_bitmask_is_kept():
    first = Dependency(L3T3_TWO_ACTIVE)
    flags, active, fdiffs = "01010", "111111111", "01" + "0111" + "01" + "0000" + "00"
    bits = "11" + f"{5:06b}{12:016b}" + flags + active + fdiffs
    own = Dependency(int(bits.ljust(56, "0"), 2).to_bytes(7, "big"), first.structure)
    assert own.says_active
    assert (own.active, own.fdiffs) == (0x1FF, (8, 1))
    written = Dependency(own.rewritten(0, LayerId(0, 1)), first.structure)
    assert (written.active, written.fdiffs, written.dtis) == (0b11, own.fdiffs, own.dtis)


@pytest.mark.parametrize(
    "text", ["", "c0", "c000", "c00001", "c0000180", L3T3[:40].hex(), "c00001800814" + "00" * 60]
)
def test_what_makes_no_sense_is_refused(text: str):
    with pytest.raises(PacketError):
        Dependency(bytes.fromhex(text))


def test_a_template_that_is_not_there_is_refused():
    with pytest.raises(PacketError, match="template"):
        after(L1T3, "c90001")


@given(
    st.sampled_from([L3T3, L3T3_TWO_ACTIVE, L3T3_KEY, L1T3]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=8),
    st.integers(0, 120),
    st.tuples(st.integers(0, 7), st.integers(0, 7)),
)
def test_changed_and_cut_descriptors_bring_out_no_other_error(sample, changes, size, limit):
    data = bytearray(sample)
    for at, value in changes:
        data[at % len(data)] = value
    check(bytes(data[: size or None]), LayerId(*limit))


@given(st.binary(max_size=60))
def test_random_descriptors_bring_out_no_other_error(data: bytes):
    check(data, LayerId(1, 1))


def check(data: bytes, limit: LayerId) -> None:
    try:
        found = Dependency(data, Dependency(L3T3).structure)
    except PacketError:
        return
    found.above(limit)
    found.towards(limit, EVERYTHING, fresh=True)
    again = Dependency(found.rewritten(1, limit), found.structure)
    assert (again.spatial, again.temporal, again.fdiffs, again.dtis) == (
        found.spatial,
        found.temporal,
        found.fdiffs,
        found.dtis,
    )
