"""One user who receives: what they said they want, what they are offered of it, and how often."""

from collections.abc import Sequence

from sfu.media_events import LayersChanged, SubscribeOffer
from sfu.peer import SubscribePeer
from sfu.rtp.layers import LayerId
from sfu.rtp.parameters import TrackInfo
from sfu.speech import Speech
from sfu.subscriptions import NO_WISH, Wish, choose

OFFER_PAUSE_S = 0.1
OFFER_PAUSE_PER_SECTION_S = 0.01
"""After an offer there is none for so long; what changes meanwhile goes into the next. An offer of 100 sections has
70 kB and takes a browser a while: where a hundred people come at once, each is offered them in a few goes."""


class Subscriber:
    """What one user gets of a room, by one connection."""

    def __init__(self, peer: SubscribePeer, *, last_n: int) -> None:
        self.peer = peer
        self.is_due = False
        """Whether there may be something else to offer: tracks, wishes, or who speaks have changed."""
        self.has_all_audio = True
        """Whether the connection has room for all audio: otherwise who begins to be heard may be missing from it."""
        self._last_n = last_n
        self._wishes: dict[str, Wish] = {}
        self._quiet_until = float("-inf")
        self._told: dict[str, tuple[LayerId | None, LayerId | None]] = {}
        """The layers last told of each track."""

    def wish(self, track_id: str) -> Wish:
        """What was said of a track."""
        return self._wishes.get(track_id, NO_WISH)

    def set_wish(self, track_id: str, wish: Wish) -> None:
        """Something was said of a track, which exists."""
        self._wishes[track_id] = wish

    def forget(self, track_id: str) -> None:
        """A track ended."""
        self._wishes.pop(track_id, None)
        self._told.pop(track_id, None)

    def tell_anew(self) -> None:
        """What was told of layers may be lost."""
        self._told.clear()

    def layers_changed(self) -> list[LayersChanged]:
        """Whose layers are other ones than the user knows. Call this no more than five times a second."""
        changes = []
        for consumer in self.peer.consumers:
            track = consumer.producer.track
            if track.kind == "video":
                layers = consumer.current, consumer.target
                if layers != self._told.get(track.track_id, (None, None)):
                    self._told[track.track_id] = layers
                    changes.append(LayersChanged(self.peer.user_id, track.track_id, *layers))
        return changes

    def may_offer(self, now: float) -> bool:
        """Whether another offer may be made: the last one is answered, and not too recent."""
        return not self.peer.awaits_answer and now >= self._quiet_until

    def offer(self, tracks: Sequence[TrackInfo], speech: Speech, now: float) -> SubscribeOffer | None:
        """The next offer, of what is chosen among `tracks`, the longest there first; None where nothing changes."""
        peer = self.peer
        self.is_due = False
        room = peer.audio_room
        self.has_all_audio = sum(track.kind == "audio" for track in tracks) <= room
        chosen = choose(
            tracks, self._wishes, last_n=self._last_n, audio_room=room, spoke=speech.spoke, heard=speech.heard
        )
        sdp = peer.offer(chosen)
        if sdp is None:
            return None
        self._quiet_until = now + OFFER_PAUSE_S + OFFER_PAUSE_PER_SECTION_S * peer.sections
        return SubscribeOffer(peer.user_id, sdp, peer.tracks)
