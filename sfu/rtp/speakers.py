"""Who speaks: the dominant speaker of a room, from the audio levels that senders write beside each packet.

After I. Volfin and I. Cohen, "Dominant speaker identification for multipoint videoconferencing" (IEEEI 2012), with
the audio level (RFC 6464) in the place of their speech detector, as Jitsi's videobridge and mediasoup have it. Three
looks at each voice, each at what the one before it found:

    immediate   the newest 20 ms                is it as loud as speech now?
    medium      the last 100 ms, 5 such units   was it so before, or is this a click?
    long        the last second, 10 such blocks does it go on, as speech does?

The paper gives each look a score, the log-likelihood of speech against silence (binomial against exponential), and a
challenger wins where the ratio of the scores passes a threshold in all three. With the constants that those two
projects use (p = 1/2; lambda = 0.78, 24 and 47; ratios above e^3, e^2 and e^0; scores cut off at 1e-10) no two scores
above the cut are that far apart, so the first two looks ask only who is above it, and the third who was more
active. So whole numbers are compared here, and no logarithms.

Four rules are ours, for a screen that doesn't jump and a floor that isn't stuck. Theirs gives the floor to a cough
while all are silent: here nobody takes it with less than `SPEECH_UNITS`, nor without a lead of `LEAD_UNITS` on who
has it. Who has just got it keeps it for `REIGN_S`. Their long look counts blocks that are active throughout, which a
dip between two syllables can halve; here it counts units. And their immediate look begins at -87 dBov, so that a hum
after the last word can hold the floor; here it asks for the loudness of speech, like the medium one.

The V bit is not read: libwebrtc sets it on every packet that isn't DTX, others never.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

UNIT_S = 0.02
"""One packet of Opus as browsers send it."""
UNITS = 5
"""A block of 100 ms: the paper's and Jitsi's N2."""
BLOCKS = 10
"""The long look, of one second: their N3."""
STEP_DB = 10
"""A step of level: 127 dB in 13 steps (N1)."""
AUDIBLE = 4 * STEP_DB
"""A sound at all, -87 dBov: where the paper's immediate score leaves its cut."""
ACTIVE = 8 * STEP_DB
"""As loud as speech: more than 7 steps (Jitsi's medium threshold), -47 dBov."""
SPEECH_UNITS = 32
"""0.64 s of the last second. A cough lasts 0.3 to 0.5 s and two of them are no louder for long; syllables fill four
fifths of a phrase, so speech has it after 0.8 s."""
LEAD_UNITS = 10
"""Of two who talk at once, one keeps the floor unless silent for a moment and outdone by 0.2 s of the last second."""
REIGN_S = 2.0
"""Nobody can follow quicker changes; Medooze's mixer waits as long."""
EVALUATE_S = 0.2
"""Jitsi and mediasoup decide every 0.3 s; two blocks are a little quicker where a pause between words is met."""

_HOLD_UNITS = 6
"""A level holds for as long as the longest Opus packet (120 ms, RFC 6716 section 2.1.4); then the voice is silent."""
_MOST_HEARD = 100
"""Levels taken between two evaluations; packets of 2.5 ms make 80. The rest of a flood is not looked at."""
_FLOOR_UNITS = 375
"""7.5 s. The noise floor is the quietest of one to two of these; Jitsi looks for a higher one for 15 s."""
_FALL_DB_PER_S = 20.0
"""How `Voice.loudness` fades: a voice outlasts noise that is 40 dB quieter for the 2 s of a pause between phrases."""


class Voice:
    """What is heard of one track. Loudness is 0 (silence) to 127 (the loudest): dBov + 127."""

    __slots__ = (
        "_block",
        "_blocks",
        "_floor",
        "_floor_before",
        "_floor_units",
        "_heard",
        "_level",
        "_level_unit",
        "_sound",
        "_unit",
        "loudness",
        "peak",
    )

    def __init__(self) -> None:
        self.peak = 0
        """The loudest since the last `advance`."""
        self.loudness = 0.0
        """The peak of what stood out from the noise, fading by 20 dB a second."""
        self._heard: list[tuple[float, int]] = []
        self._unit = 0
        """The next one to be looked at, counted since the clock's zero."""
        self._level = 0
        self._level_unit = 0
        self._sound = 0
        """What stood out from the noise in the newest unit."""
        self._block = 0
        self._blocks: deque[int] = deque([0] * BLOCKS, BLOCKS)
        """Active units of each block."""
        self._floor = self._floor_before = 127
        self._floor_units = 0

    @property
    def threshold(self) -> int:
        """What a sound must reach: a step above the noise floor. One level alone, however loud, is noise."""
        return max(AUDIBLE, min(self._floor, self._floor_before) + STEP_DB)

    @property
    def is_loud(self) -> bool:
        """The immediate look."""
        return self._sound >= ACTIVE

    @property
    def is_active(self) -> bool:
        """The medium look."""
        return self._blocks[-1] > 0

    @property
    def active_units(self) -> int:
        """The long look, 0 to 50."""
        return sum(self._blocks)

    def hear(self, loudness: int, now: float) -> None:
        """A packet came. The hot path: nothing is worked out here."""
        if loudness > self.peak:  # noqa: PLR1730 - max() is a call per packet
            self.peak = loudness
        if len(self._heard) < _MOST_HEARD:
            self._heard.append((now, loudness))

    def advance(self, now: float) -> None:
        """Take in what was heard until now."""
        end = int(now / UNIT_S)
        if end <= self._unit:
            return
        first = max(self._unit, end - UNITS * BLOCKS)  # after a long break only the last second counts
        loudest: dict[int, int] = {}
        for at, loudness in self._heard:
            unit = min(max(int(at / UNIT_S), first), end - 1)
            loudest[unit] = max(loudness, loudest.get(unit, 0))
        self._heard.clear()
        self.peak = 0
        self.loudness = max(0.0, self.loudness - _FALL_DB_PER_S * UNIT_S * (end - self._unit))
        for unit in range(first, end):
            self._take(unit, loudest.get(unit))
        self._unit = end

    def _take(self, unit: int, level: int | None) -> None:
        if level is not None:
            self._level, self._level_unit = level, unit
            self._learn_floor(level)
        elif unit - self._level_unit > _HOLD_UNITS:
            self._level = 0
        self._sound = self._level if self._level >= self.threshold else 0
        self.loudness = max(self.loudness, self._sound)
        self._block += self._sound >= ACTIVE
        if unit % UNITS == UNITS - 1:
            self._blocks.append(self._block)
            self._block = 0

    def _learn_floor(self, level: int) -> None:
        """Digital silence is a microphone that is off: it says nothing of the room's noise."""
        if level == 0:
            return
        self._floor = min(self._floor, level)
        self._floor_units += 1
        if self._floor_units >= _FLOOR_UNITS:
            self._floor_before, self._floor, self._floor_units = self._floor, 127, 0


class Speakers:
    """The voices of one room, and which of them is dominant."""

    def __init__(self) -> None:
        self.dominant: str | None = None
        """The track of who speaks, or spoke last; None before anybody did, or where that track is gone."""
        self._voices: dict[str, Voice] = {}
        self._changed_at = float("-inf")

    @property
    def voices(self) -> Mapping[str, Voice]:
        """By track."""
        return MappingProxyType(self._voices)

    def add(self, track_id: str) -> Voice:
        """A track whose levels will be heard."""
        self._voices[track_id] = voice = Voice()
        return voice

    def remove(self, track_id: str) -> None:
        """A track ended or was muted; unknown is fine."""
        self._voices.pop(track_id, None)
        if self.dominant == track_id:
            self.dominant, self._changed_at = None, float("-inf")

    def evaluate(self, now: float) -> bool:
        """Decide who is dominant now: whether that is another one. Call this every `EVALUATE_S`."""
        for voice in self._voices.values():
            voice.advance(now)
        if now - self._changed_at < REIGN_S:
            return False
        best = self._best(self._challengers())
        if best is None:
            return False
        self.dominant, self._changed_at = best, now
        return True

    def _challengers(self) -> Iterable[tuple[str, Voice]]:
        least = SPEECH_UNITS
        if self.dominant is not None:
            incumbent = self._voices[self.dominant]
            if incumbent.is_loud or incumbent.is_active:
                return
            least = max(least, incumbent.active_units + LEAD_UNITS)
        for track_id, voice in self._voices.items():
            if voice.is_loud and voice.is_active and voice.active_units >= least and track_id != self.dominant:
                yield track_id, voice

    @staticmethod
    def _best(challengers: Iterable[tuple[str, Voice]]) -> str | None:
        return max(challengers, key=lambda pair: (pair[1].active_units, pair[1].loudness), default=(None, None))[0]
