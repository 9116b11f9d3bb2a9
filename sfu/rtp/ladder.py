"""The encodings of a simulcast track in the order of their quality, and which of them are silent.

The order is measured: by the size of the picture, and by bit rate where that is the same. Neither rids nor their
order in SDP say it: Chromium's pages mostly list the smallest first, Firefox's the largest.
"""

from sfu.rtp.stream import RtpStream

SILENCE_S = 0.5
"""An encoding that sends nothing for so long is silent, if others go on. Chromium stops the upper ones when its
estimate falls, and pages do by `setParameters`."""
SKIPPING_S = 2.0
"""The same for one below another that goes on. Who has too little room stops the upper ones; a lower one only skips
frames, as libvpx does for up to a second after a key frame that was too large for its rate."""
SILENCE_FRAMES = 3
"""So many frames of the others have to come meanwhile: a still screen is sent about once a second."""
CLEARLY = 1.25
"""Of two encodings with pictures of one size, one is better where its bit rate is so many times the other's."""
TAKEOVER_S = 2.0
"""In a track without rids an SSRC takes another's place when that one sent nothing for so long."""


class Ladder:
    """The rungs, the lowest first. Whoever looks at it compares `revision`, which changes with it."""

    def __init__(self) -> None:
        self.rungs: tuple[RtpStream, ...] = ()
        """The encodings that have sent something, the silent ones among them: one for each rid."""
        self.revision = 0
        self._seen: dict[RtpStream, tuple[int, int]] = {}  # packets, and frames of the others, at the last look

    @property
    def active(self) -> tuple[RtpStream, ...]:
        """Those that send; all where none does."""
        return tuple(rung for rung in self.rungs if not rung.silent) or self.rungs

    def heard(self, stream: RtpStream, now: float) -> None:
        """A packet came of an encoding that is not on the ladder, or was silent."""
        stream.silent = False
        if stream not in self.rungs:
            before = next((rung for rung in self.rungs if rung.rid == stream.rid), None)
            if before is not None:
                if not stream.rid and stream.ssrc != before.ssrc and now - before.last_arrival < TAKEOVER_S:
                    return
                self._seen.pop(before, None)
            self.rungs = (*(rung for rung in self.rungs if rung is not before), stream)
        self.revision += 1
        self._order(now)

    def look(self, now: float) -> None:
        """Find the silent ones and put the rungs in order: a few times a second."""
        if len(self.rungs) < 2:
            return
        frames = sum(rung.frames for rung in self.rungs)
        for at, rung in enumerate(self.rungs):
            others = frames - rung.frames
            packets, before = self._seen.get(rung, (-1, 0))
            if rung.packets != packets:
                self._seen[rung] = rung.packets, others
                continue
            above_goes_on = any(now - above.last_arrival < SILENCE_S for above in self.rungs[at + 1 :])
            patience_s = SKIPPING_S if above_goes_on else SILENCE_S
            if not rung.silent and now - rung.last_arrival >= patience_s and others - before >= SILENCE_FRAMES:
                rung.silent = True
                self.revision += 1
        self._order(now)

    def _order(self, now: float) -> None:
        rates = {rung: rung.meter.bitrate_bps(lambda _: True, now) for rung in self.rungs}
        rungs = list(self.rungs)
        for end in range(len(rungs) - 1, 0, -1):
            for at in range(end):
                if _above(rungs[at], rungs[at + 1], rates):
                    rungs[at], rungs[at + 1] = rungs[at + 1], rungs[at]
        if tuple(rungs) != self.rungs:
            self.rungs = tuple(rungs)
            self.revision += 1


def _above(one: RtpStream, other: RtpStream, rates: dict[RtpStream, float]) -> bool:
    """Whether one is clearly better; a size that is not known and the bit rate of a silent one don't tell."""
    mine, theirs = one.picture.width * one.picture.height, other.picture.width * other.picture.height
    if mine and theirs and mine != theirs:
        return mine > theirs
    return not (one.silent or other.silent) and rates[one] > CLEARLY * rates[other] > 0
