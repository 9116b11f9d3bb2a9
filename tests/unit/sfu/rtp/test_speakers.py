"""Who speaks, in conversations made of levels: one packet each 20 ms, dBov + 127."""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.speakers import ACTIVE, EVALUATE_S, REIGN_S, UNIT_S, Speakers

Level = Callable[[float], int]
"""What somebody's packet says at a time."""
STEP_UNITS = round(EVALUATE_S / UNIT_S)


def silence(_at: float) -> int:
    return 0


def hum(loudness: int = 60, seed: int = 1) -> Level:
    """A room with a fan."""
    rng = Random(seed)
    return lambda _at: loudness + rng.randint(-2, 2)


def speech(*spans: tuple[float, float], seed: int = 1, loudness: int = 100, background: int = 45) -> Level:
    """Phrases: syllables of 120 to 300 ms with the dips of 40 to 80 ms that consonants make, over a quiet room."""
    rng = Random(seed)
    loud: list[tuple[float, float]] = []
    for begin, end in spans:
        at = begin
        while at < end:
            syllable = rng.uniform(0.12, 0.3)
            loud.append((at, min(end, at + syllable)))
            at += syllable + rng.uniform(0.04, 0.08)

    def level(at: float) -> int:
        spoken = any(begin <= at < end for begin, end in loud)
        return loudness + rng.randint(-10, 6) if spoken else background + rng.randint(-3, 3)

    return level


def burst(*begins: float, lasts: float, loudness: int = 115, background: int = 45) -> Level:
    """A noise that begins loud and fades by 60 dB a second: a cough, a clap, a door."""

    def level(at: float) -> int:
        since = min((at - begin for begin in begins if at >= begin), default=lasts)
        return round(loudness - 60 * since) if since < lasts else background

    return level


class Meeting:
    """People whose levels are heard; who is dominant is noted whenever it changes."""

    def __init__(self, **people: Level) -> None:
        self.speakers = Speakers()
        self.people = people
        self.voices = {name: self.speakers.add(name) for name in people}
        self.changes: list[tuple[float, str | None]] = []
        self._unit = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / UNIT_S)):
            now = self._unit * UNIT_S + 0.001
            for name, level in self.people.items():
                if name in self.speakers.voices:
                    self.voices[name].hear(level(now), now)
            self._unit += 1
            if self._unit % STEP_UNITS == 0 and self.speakers.evaluate(self._unit * UNIT_S + 0.001):
                self.changes.append((self._unit * UNIT_S, self.speakers.dominant))

    @property
    def names(self) -> list[str | None]:
        return [name for _, name in self.changes]


@pytest.mark.parametrize("seed", range(20))
def test_who_begins_to_speak_has_the_floor_within_about_a_second(seed: int) -> None:
    meeting = Meeting(alice=speech((2.0, 8.0), seed=seed), bob=hum())
    meeting.run(8.0)
    ((at, name),) = meeting.changes
    assert name == "alice"
    assert 2.0 < at <= 3.3


@pytest.mark.parametrize("seed", range(20))
def test_the_next_speaker_takes_over_within_about_a_second(seed: int) -> None:
    meeting = Meeting(alice=speech((1.0, 6.0), seed=seed), bob=speech((6.3, 12.0), seed=seed + 100))
    meeting.run(12.0)
    assert meeting.names == ["alice", "bob"]
    assert 6.3 < meeting.changes[1][0] <= 7.7


NOISES = {
    "a cough": burst(3.0, lasts=0.4),
    "two coughs": burst(3.0, 3.6, lasts=0.3),
    "clapping": burst(*(3.0 + 0.25 * n for n in range(12)), lasts=0.12),
    "a door": burst(3.0, lasts=0.2, loudness=125),
    "typing": burst(*(3.0 + 0.13 * n for n in range(30)), lasts=0.04, loudness=95),
    "a fan": hum(90),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("phase", [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15])
def test_short_noises_take_nothing(noise: str, phase: float) -> None:
    def shifted(at: float) -> int:
        return NOISES[noise](at - phase)

    nobody = Meeting(alice=silence, bob=shifted)
    nobody.run(8.0)
    assert nobody.changes == []
    somebody = Meeting(alice=speech((0.5, 2.5), seed=3), bob=shifted)
    somebody.run(8.0)
    assert somebody.names == ["alice"]


def test_silence_keeps_the_last() -> None:
    meeting = Meeting(alice=speech((1.0, 3.0)), bob=hum(70))
    meeting.run(60.0)
    assert meeting.names == ["alice"]
    assert meeting.speakers.dominant == "alice"


def test_a_hum_after_the_last_word_does_not_hold_the_floor() -> None:
    meeting = Meeting(alice=speech((1.0, 3.0), background=70), bob=speech((5.0, 8.0), seed=2))
    meeting.run(8.0)
    assert meeting.names == ["alice", "bob"]


@pytest.mark.parametrize("seed", range(20))
def test_cross_talk_does_not_flap(seed: int) -> None:
    """Both talk for 20 s without a pause."""
    meeting = Meeting(alice=speech((1.0, 21.0), seed=seed), bob=speech((1.5, 21.0), seed=seed + 50))
    meeting.run(21.0)
    assert meeting.names[0] == "alice"
    assert len(meeting.names) <= 3


@given(st.lists(st.lists(st.integers(0, 127), min_size=1, max_size=40), min_size=1, max_size=5), st.integers(1, 12))
def test_whatever_is_said_nobody_is_followed_for_less_than_a_reign(scripts: list[list[int]], repeat: int) -> None:
    """Levels of any kind: changes come no closer together, and the floor goes to nobody who is never loud."""

    def script(levels: list[int]) -> Level:
        return lambda at: levels[int(at / UNIT_S) // repeat % len(levels)]

    meeting = Meeting(**{f"p{n}": script(levels) for n, levels in enumerate(scripts)})
    meeting.run(6.0)
    times = [at for at, _ in meeting.changes]
    assert all(later - earlier >= REIGN_S - UNIT_S for earlier, later in pairwise(times))
    for name in meeting.names:
        assert name is not None
        assert max(scripts[int(name[1:])]) >= ACTIVE


def test_who_is_gone_has_the_floor_no_more_and_the_next_need_not_wait() -> None:
    meeting = Meeting(alice=speech((1.0, 9.0)), bob=speech((1.0, 9.0), seed=2, loudness=95))
    meeting.run(2.4)
    first = meeting.speakers.dominant
    assert first is not None
    meeting.speakers.remove(first)
    assert meeting.speakers.dominant is None
    meeting.run(0.8)
    assert meeting.speakers.dominant == ({"alice", "bob"} - {first}).pop()
    meeting.speakers.remove("unknown")


@pytest.mark.parametrize("loudness", [80, 100, 127])
def test_who_claims_to_be_loud_always_is_noise(loudness: int) -> None:
    meeting = Meeting(liar=lambda _at: loudness, alice=speech((2.0, 6.0)))
    meeting.run(40.0)
    assert meeting.names == ["alice"]


def test_a_flood_counts_no_more_than_its_time_and_is_not_kept() -> None:
    speakers = Speakers()
    flooder, alice = speakers.add("flooder"), speakers.add("alice")
    levels = speech((0.5, 6.0))
    for unit in range(300):
        now = unit * UNIT_S + 0.001
        alice.hear(levels(now), now)
        if unit < 10:
            for number in range(10_000):
                flooder.hear(127 if number % 2 else 10, now + number * 1e-6)
        if unit % STEP_UNITS == STEP_UNITS - 1:
            assert len(flooder._heard) <= 100
            speakers.evaluate(now + UNIT_S)
    assert speakers.dominant == "alice"


def test_packets_of_60_ms_and_a_burst_of_late_ones_are_speech_too() -> None:
    speakers = Speakers()
    alice, bob = speakers.add("alice"), speakers.add("bob")
    levels = speech((1.0, 5.0))
    for unit in range(250):
        now = unit * UNIT_S + 0.001
        if unit % 3 == 0:
            alice.hear(levels(now), now)
        bob.hear(45, now)
        if unit % STEP_UNITS == STEP_UNITS - 1:
            speakers.evaluate(now + UNIT_S)
    assert speakers.dominant == "alice"


def test_who_stops_sending_is_silent() -> None:
    """A connection that is lost in the middle of a word does not hold the floor."""
    meeting = Meeting(alice=speech((1.0, 3.0)), bob=speech((3.5, 7.0), seed=2))
    meeting.run(2.5)
    assert meeting.speakers.dominant == "alice"
    del meeting.people["alice"]
    meeting.run(4.0)
    assert meeting.speakers.dominant == "bob"


def test_a_long_break_between_evaluations_is_not_worked_through() -> None:
    meeting = Meeting(alice=speech((1.0, 3.0)), bob=hum())
    meeting.run(3.0)
    assert meeting.voices["alice"].active_units > 0
    meeting.speakers.evaluate(1e9)
    assert meeting.voices["alice"].active_units == 0
    assert meeting.speakers.dominant == "alice"


def test_loudness_fades_by_20_db_a_second() -> None:
    meeting = Meeting(alice=speech((1.0, 2.0), loudness=100), bob=silence)
    meeting.run(2.0)
    loud = meeting.voices["alice"].loudness
    meeting.run(2.0)
    assert loud - meeting.voices["alice"].loudness == pytest.approx(40, abs=8)
    assert meeting.voices["bob"].loudness == 0
