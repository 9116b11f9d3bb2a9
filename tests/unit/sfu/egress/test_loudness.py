"""How loud it was, over time."""

import json

from sfu.egress.loudness import Loudness


def test_the_loudest_of_each_tenth_of_a_second() -> None:
    loudness = Loudness()
    for at_s, level in ((1.0, 50), (1.02, 30), (1.08, 60), (1.15, 40)):
        loudness.heard(3, at_s, level)
    loudness.heard(1, 1.04, 20)
    assert json.loads(loudness.take()) == [[1.0, 1, 20], [1.0, 3, 30], [1.1, 3, 40]]
    assert loudness.take() == b""


def test_silence_is_left_out() -> None:
    loudness = Loudness()
    loudness.heard(0, 1.0, 127)
    assert loudness.take() == b""


def test_what_may_become_louder_yet_is_kept() -> None:
    loudness = Loudness()
    loudness.heard(0, 1.05, 50)
    loudness.heard(0, 1.15, 60)
    assert json.loads(loudness.take(1.15)) == [[1.0, 0, 50]]
    loudness.heard(0, 1.18, 10)
    assert json.loads(loudness.take(1.3)) == [[1.1, 0, 10]]
