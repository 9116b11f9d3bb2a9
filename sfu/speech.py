"""Who speaks in one room, and whose audio is forwarded: what `sfu.rtp.speakers` and `sfu.rtp.loudest` find, done.

A microphone whose publisher writes audio levels is listened to. What has none can't be judged, so it is always
forwarded and never has the floor; nor has what a screen plays: who shows a film does not speak.
"""

from functools import partial
from typing import NamedTuple

from sfu.router import Router
from sfu.rtp.loudest import Loudest
from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import AUDIO_LEVEL_URI, TrackInfo
from sfu.rtp.speakers import EVALUATE_S, Speakers, Voice
from sfu.rtp.stream import RtpStream


class Heard(NamedTuple):
    """What a moment brought."""

    floor_passed: bool
    """Another one speaks, or nobody any more."""
    let_in: bool
    """Somebody is forwarded who was not."""


class Speech:
    """The voices of one room's router."""

    def __init__(self, router: Router) -> None:
        self.spoke: list[str] = []
        """Users, who has the floor or had it last first."""
        self.heard: list[str] = []
        """Audio tracks, those that were let in last first."""
        self._router = router
        self._speakers = Speakers()
        self._loudest = Loudest()
        self._tracks: dict[str, TrackInfo] = {}
        self._evaluated_at = float("-inf")
        self._told: str | None = None
        self._hushed: set[str] = set()

    @property
    def dominant(self) -> TrackInfo | None:
        """The track of who speaks, or spoke last; None before anybody did, or where that track is gone."""
        track_id = self._speakers.dominant
        return None if track_id is None else self._tracks[track_id]

    def begin(self, track: TrackInfo) -> None:
        """A track is published, or no longer muted; again: nothing."""
        element_id = track.parameters.extension_id(AUDIO_LEVEL_URI)
        if track.source != "microphone" or element_id is None or track.track_id in self._tracks:
            return
        self._tracks[track.track_id] = track
        voice = self._speakers.add(track.track_id)
        self._router.listen(track.track_id, partial(_hear, voice, element_id))

    def end(self, track: TrackInfo) -> None:
        """A track ended, or is muted; unknown is fine."""
        if self._tracks.pop(track.track_id, None):
            self._speakers.remove(track.track_id)
            self._hush(track.track_id, False)
            self.heard = [track_id for track_id in self.heard if track_id != track.track_id]

    def forget(self, user_id: str) -> None:
        """A user is gone."""
        self.spoke = [other for other in self.spoke if other != user_id]

    def tick(self, now: float) -> Heard:
        """Time passes. Call this every 20 ms."""
        if now - self._evaluated_at >= EVALUATE_S:
            self._evaluated_at = now
            self._speakers.evaluate(now)
        let_in = self._let_in()
        track = self.dominant
        track_id = track.track_id if track else None
        changed, self._told = track_id != self._told, track_id
        if track and changed:
            self.spoke = [track.user_id, *(other for other in self.spoke if other != track.user_id)]
        return Heard(changed, let_in)

    def _let_in(self) -> bool:
        before = set(self._loudest.chosen)
        chosen = self._loudest.choose(self._speakers.voices)
        hushed = self._tracks.keys() - chosen
        for track_id in self._hushed ^ hushed:
            self._hush(track_id, track_id in hushed)
        came = chosen - before
        if came:
            self.heard = [*came, *(track_id for track_id in self.heard if track_id not in came)]
        return bool(came)

    def _hush(self, track_id: str, hushed: bool) -> None:
        (self._hushed.add if hushed else self._hushed.discard)(track_id)
        if track_id in self._router.producers:
            self._router.hush(track_id, hushed)


def _hear(voice: Voice, element_id: int, _stream: RtpStream, packet: RtpPacket) -> None:
    """The hot path: once per packet of audio."""
    level = packet.elements.get(element_id)
    if level:
        voice.hear(127 - (level[0] & 0x7F), packet.arrival)
