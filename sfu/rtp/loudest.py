"""Whose audio a big room hears: the loudest few, so that 100 open microphones don't cost 100 streams each.

A voice that stands out is let in at once, within one tick, so that no first syllable is lost. In small rooms
everybody is let in, always.
"""

from collections.abc import Mapping

from sfu.rtp.speakers import Voice

MOST_VOICES = 8
"""More at once are a murmur: Jitsi's videobridge routes three where it routes the loudest only. Eight let a laugh be
heard, and leave room for those who made a noise a moment ago."""
MARGIN_DB = 6.0
"""How much louder (twice the amplitude) somebody must be to take the place of another."""


class Loudest:
    """Chooses the voices of one room that are forwarded."""

    def __init__(self, most: int = MOST_VOICES) -> None:
        self._most = most
        self.chosen: set[str] = set()
        """Their tracks."""

    def choose(self, voices: Mapping[str, Voice]) -> set[str]:
        """Who is forwarded from now on. Call this on every tick: it costs a look at each voice."""
        self.chosen &= voices.keys()
        if len(voices) <= self._most:
            self.chosen.update(voices)
            return self.chosen
        loudness = {track_id: _loudness(voice) for track_id, voice in voices.items()}
        shut_out = [track_id for track_id in voices if track_id not in self.chosen]
        shut_out.sort(key=loudness.__getitem__, reverse=True)  # of equals, who came first
        while len(self.chosen) < self._most:
            self.chosen.add(shut_out.pop(0))
        for track_id in shut_out:
            quietest = min(self.chosen, key=loudness.__getitem__)
            if loudness[track_id] < loudness[quietest] + MARGIN_DB:
                break
            self.chosen.remove(quietest)
            self.chosen.add(track_id)
        return self.chosen


def _loudness(voice: Voice) -> float:
    """Of what stood out lately, what came since the last evaluation among it."""
    return max(voice.loudness, voice.peak if voice.peak >= voice.threshold else 0)
