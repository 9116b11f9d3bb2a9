import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.allocation import HEADROOM, SCANT, Claim, allocate, cost
from sfu.rtp.layers import Layer, LayerId

L = [LayerId(n, 0) for n in range(3)]
RATES = (150_000, 500_000, 1_700_000)
LAYERS = tuple(Layer(layer, bps, 0, 0, 25) for layer, bps in zip(L, RATES, strict=True))


def claim(key: int, *, held: LayerId | None = None, screen: bool = False, speaking: bool = False) -> Claim:
    return Claim(key, LAYERS, held=held, screen=screen, speaking=speaking)


def test_one_video_gets_the_best_that_fits_with_headroom():
    for layer, bps in zip(L, RATES, strict=True):
        assert allocate([claim(1)], HEADROOM * bps) == {1: layer}
    assert allocate([claim(1)], HEADROOM * 500_000 - 1) == {1: L[0]}
    assert allocate([claim(1)], 1.7e6) == {1: L[1]}


def test_of_the_most_important_something_is_sent_though_it_fits_only_just_not():
    assert allocate([claim(1)], SCANT * 150_000) == {1: L[0]}
    assert allocate([claim(1)], SCANT * 150_000 - 1) == {1: None}
    assert allocate([claim(1), claim(2, speaking=True)], SCANT * 150_000) == {1: None, 2: L[0]}
    assert allocate([Claim(1, ()), claim(2)], SCANT * 150_000) == {1: None, 2: L[0]}
    assert allocate([Claim(1, ())], 1e6) == {1: None}


def test_what_it_has_it_keeps_without_headroom():
    assert allocate([claim(1, held=L[2])], 1.7e6) == {1: L[2]}
    assert allocate([claim(1, held=L[2])], 1.7e6 - 1) == {1: L[1]}


def test_everybody_is_seen_before_anybody_is_seen_better():
    assert allocate([claim(n) for n in range(4)], 4 * 150_000 * HEADROOM) == dict.fromkeys(range(4), L[0])


def test_where_not_all_fit_screens_and_speakers_are_left():
    claims = [claim(1), claim(2, speaking=True), claim(3, screen=True), claim(4)]
    room = 150_000 * HEADROOM
    assert allocate(claims, 1 * room) == {1: None, 2: None, 3: L[0], 4: None}
    assert allocate(claims, 2 * room) == {1: None, 2: L[0], 3: L[0], 4: None}
    assert allocate(claims, 3 * room) == {1: L[0], 2: L[0], 3: L[0], 4: None}


def test_all_rise_together_the_important_first():
    claims = [claim(1), claim(2, speaking=True), claim(3)]
    budget = HEADROOM * (2 * 500_000 + 150_000)
    assert allocate(claims, budget) == {1: L[1], 2: L[1], 3: L[0]}
    assert allocate(claims, HEADROOM * (1_700_000 + 2 * 500_000) + 1) == {1: L[1], 2: L[2], 3: L[1]}


def test_among_equals_who_has_more_keeps_it():
    claims = [claim(1, held=L[0]), claim(2, held=L[1])]
    assert allocate(claims, 700_000) == {1: L[0], 2: L[1]}


def test_what_does_not_fit_leaves_room_for_less():
    big = Claim(1, LAYERS[2:], screen=True)
    assert allocate([big, claim(2)], 700_000) == {1: None, 2: L[1]}


def test_who_has_nothing_to_send_gets_nothing():
    assert allocate([Claim(1, ())], 1e9) == {1: None}
    assert allocate([], 1e9) == {}


def test_the_cost_is_that_of_what_is_held():
    assert cost([claim(1, held=L[1]), claim(2), claim(3, held=LayerId(7, 7)), claim(4, held=L[0])]) == 650_000


CLAIMS = st.lists(
    st.builds(
        lambda rates, held, screen, speaking: (
            tuple(Layer(LayerId(n, 0), bps, 0, 0, 25) for n, bps in enumerate(sorted(rates))),
            held,
            screen,
            speaking,
        ),
        st.lists(st.integers(1000, 3_000_000), max_size=4, unique=True),
        st.one_of(st.none(), st.integers(0, 3)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)


@given(CLAIMS, st.floats(0, 1e7))
def test_no_share_exceeds_the_budget_and_none_is_lower_than_it_has_to_be(drawn, budget_bps: float):
    claims = [
        Claim(key, layers, held=None if held is None else LayerId(held, 0), screen=screen, speaking=speaking)
        for key, (layers, held, screen, speaking) in enumerate(drawn)
    ]
    shares = allocate(claims, budget_bps)
    assert shares.keys() == {claim.key for claim in claims}
    spent = sum(layer.bitrate_bps for claim in claims for layer in claim.layers if layer.id == shares[claim.key])
    shown = [claim for claim in claims if shares[claim.key]]
    if spent > budget_bps:  # of the most important video alone, rather than that nobody is seen
        assert [each.rank for each in shown] == [min(claim.rank for claim in claims if claim.layers)]
        assert shares[shown[0].key] == shown[0].layers[0].id
        assert SCANT * spent <= budget_bps
        return
    for each in claims:
        reached = [layer.id for layer in each.layers].index(shares[each.key]) if shares[each.key] else -1
        if reached + 1 < len(each.layers):
            more = each.layers[reached + 1].bitrate_bps - (each.layers[reached].bitrate_bps if reached >= 0 else 0)
            assert HEADROOM * more > (budget_bps - HEADROOM * spent)


def test_a_budget_below_zero_is_none():
    assert allocate([claim(1, held=L[0])], -1.0) == {1: None}


@pytest.mark.parametrize("count", [25])
def test_many_videos_share_what_there_is(count: int):
    shares = allocate([claim(n) for n in range(count)], 10e6)
    assert sum(share == L[1] for share in shares.values()) == 14
    assert sum(share == L[0] for share in shares.values()) == 11
