import pytest

from sfu.rtp.bits import KeyFrame
from sfu.rtp.choice import LayerChoice
from sfu.rtp.ladder import Ladder
from sfu.rtp.layers import HIGHEST, Layer, LayerId, View
from sfu.rtp.stream import RtpStream

SIZES = (KeyFrame(320, 180), KeyFrame(640, 360), KeyFrame(1280, 720))


def ladder(*silent: str) -> Ladder:
    made = Ladder()
    made.rungs = tuple(
        RtpStream(ssrc, 90000, video=True, asks_again=False, rid=rid) for ssrc, rid in enumerate("qhf", 1)
    )
    for rung in made.rungs:
        rung.silent = rung.rid in silent
    return made


def chosen(choice: LayerChoice, rungs: Ladder) -> tuple[str, int] | None:
    found = choice.chosen(rungs, SIZES, simulcast=True)
    return None if found is None else (found.stream.rid, found.limit.temporal)


def test_it_begins_with_the_lowest():
    assert chosen(LayerChoice(), ladder()) == ("q", 0)
    assert LayerChoice().chosen(Ladder(), (), simulcast=True) is None


@pytest.mark.parametrize(
    ("target", "silent", "rid"),
    [(2, "", "f"), (2, "f", "h"), (2, "fh", "q"), (0, "q", "h"), (1, "qh", "f"), (2, "qhf", "f"), (9, "", "f")],
)
def test_the_best_that_is_sent_up_to_the_target_or_else_the_lowest_above(target: int, silent: str, rid: str):
    choice, rungs = LayerChoice(), ladder(*silent)
    choice.aim(LayerId(target, 1), rungs)
    assert chosen(choice, rungs) == (rid, 1)


def test_nothing_for_a_pause_or_where_nobody_looks():
    choice, rungs = LayerChoice(), ladder()
    choice.aim(None, rungs)
    assert chosen(choice, rungs) is None
    choice.aim(LayerId(1, 1), rungs)
    choice.view = View(visible=False)
    assert chosen(choice, rungs) is None


def test_a_target_is_the_encoding_that_it_meant():
    choice, rungs = LayerChoice(), ladder()
    low, *others = rungs.rungs
    rungs.rungs = tuple(others)
    choice.aim(LayerId(0, 1), rungs)
    rungs.rungs = (low, *others)
    assert chosen(choice, rungs) == ("h", 1)


@pytest.mark.parametrize(
    ("view", "rid", "temporal"),
    [
        (View(cap=LayerId(0, HIGHEST)), "q", 2),
        (View(cap=LayerId(HIGHEST, 1)), "f", 1),
        (View(width=300, height=150), "q", 2),
        (View(width=321, height=100), "h", 2),
        (View(height=181), "h", 2),
        (View(width=9000), "f", 2),
    ],
)
def test_the_view_bounds_it(view: View, rid: str, temporal: int):
    choice, rungs = LayerChoice(), ladder()
    choice.aim(LayerId(2, 2), rungs)
    choice.view = view
    assert chosen(choice, rungs) == (rid, temporal)


def test_inside_one_stream_layers_are_a_limit():
    choice, rungs = LayerChoice(), ladder()
    rungs.rungs = rungs.rungs[:1]
    choice.aim(LayerId(2, 2), rungs)
    choice.view = View(width=640, height=360)
    found = choice.chosen(rungs, SIZES, simulcast=False)
    assert found is not None
    assert found.limit == found.layer == (1, 2)


def test_what_is_allowed_is_never_empty_for_who_looks():
    choice = LayerChoice()
    layers = tuple(Layer(LayerId(s, 0), 100 * (s + 1), SIZES[s].width, SIZES[s].height, 30.0) for s in range(3))
    assert choice.allowed(layers, SIZES) == layers
    choice.view = View(width=640, height=360)
    assert choice.allowed(layers, SIZES) == layers[:2]
    choice.view = View(cap=LayerId(0, 0))
    assert choice.allowed(layers[1:], SIZES) == layers[1:2]
    choice.view = View(visible=False)
    assert choice.allowed(layers, SIZES) == ()
