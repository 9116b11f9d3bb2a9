"""Whose audio a big room hears."""

from sfu.rtp.loudest import Loudest
from sfu.rtp.speakers import Speakers


class Hall:
    """Many microphones; `say` lets one or several be heard for a moment."""

    def __init__(self, people: int, most: int) -> None:
        self.speakers = Speakers()
        self.loudest = Loudest(most)
        self.now = 0.0
        for number in range(people):
            self.come(number)

    def come(self, number: int) -> None:
        self.speakers.add(f"p{number}").hear(50, self.now)

    def pass_time(self, seconds: float, *loud: tuple[int, int]) -> None:
        levels = dict(loud)
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            for track_id, voice in self.speakers.voices.items():
                voice.hear(levels.get(int(track_id[1:]), 50), self.now)
        self.speakers.evaluate(self.now)

    def heard(self) -> set[str]:
        return set(self.loudest.choose(self.speakers.voices))


def test_in_a_small_room_everybody_is_heard() -> None:
    hall = Hall(4, most=4)
    assert hall.heard() == {"p0", "p1", "p2", "p3"}
    hall.speakers.remove("p1")
    assert hall.heard() == {"p0", "p2", "p3"}


def test_in_a_big_room_as_many_as_agreed() -> None:
    hall = Hall(100, most=8)
    assert len(hall.heard()) == 8
    hall.pass_time(1.0, (50, 100), (51, 100))
    assert {"p50", "p51"} <= hall.heard()
    assert len(hall.heard()) == 8


def test_a_first_syllable_is_let_in_before_the_next_evaluation() -> None:
    hall = Hall(20, most=4)
    hall.pass_time(1.0)
    assert "p17" not in hall.heard()
    hall.speakers.voices["p17"].hear(95, hall.now)
    assert "p17" in hall.heard()
    assert len(hall.heard()) == 4


def test_who_is_a_little_louder_takes_no_place() -> None:
    hall = Hall(5, most=2)
    hall.pass_time(1.0, (0, 100), (1, 100))
    assert hall.heard() == {"p0", "p1"}
    hall.pass_time(0.2, (0, 100), (1, 100), (4, 104))
    assert hall.heard() == {"p0", "p1"}
    hall.pass_time(0.2, (0, 100), (1, 100), (4, 107))
    assert "p4" in hall.heard()


def test_a_pause_between_phrases_keeps_the_place_against_noise() -> None:
    hall = Hall(6, most=1)
    hall.pass_time(1.0, (2, 105))
    assert hall.heard() == {"p2"}
    hall.pass_time(1.8, (3, 62))
    assert hall.heard() == {"p2"}


def test_who_claims_to_be_loud_always_is_not_heard_more_than_others() -> None:
    hall = Hall(0, most=1)
    for name in ("liar", "alice", "bob"):
        hall.speakers.add(name)
    for unit in range(500):
        now = unit * 0.02
        hall.speakers.voices["liar"].hear(127, now)
        hall.speakers.voices["bob"].hear(50, now)
        hall.speakers.voices["alice"].hear(100 if unit > 400 and unit % 9 else 50, now)
        if unit % 10 == 9:
            hall.speakers.evaluate(now)
    assert hall.heard() == {"alice"}


def test_who_left_makes_room() -> None:
    hall = Hall(9, most=2)
    hall.pass_time(1.0, (0, 100), (1, 90))
    assert hall.heard() == {"p0", "p1"}
    hall.pass_time(0.2, (5, 70))
    hall.speakers.remove("p0")
    assert hall.heard() == {"p1", "p5"}
