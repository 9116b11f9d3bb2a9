"""The media of one room: everything that signaling sees of it.

Theory of operation: a user has one connection that receives, and one or several that send: the page's, and one for
each that was begun elsewhere under a name of its own (WHIP). `publish` answers a client's offer; the tracks that
begin or end with it are told as events, and every other user who subscribed gets an offer that follows, or will after
the answer that is still awaited. A track begins at negotiation: its packets may be a second away, and a subscriber
negotiates in the meantime. Nothing here waits; `tick` moves time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from meet.clock import utcnow
from sfu.data import DataRouter
from sfu.ortc import SdpError, read_publish_offer
from sfu.ortc.view import read_view_offer
from sfu.peer import Changes, Peer, PublishPeer, SubscribePeer, TransportFactory
from sfu.report import RoomReport, room_report, user_report
from sfu.router import Router
from sfu.rtp.parameters import Source, TrackInfo
from sfu.stage import Performer
from sfu.viewer import ViewerPeer

SIGNALED = "signaling"
"""The name of the connection that sends what a page's own offers have."""
SURVEY_S = 1.0
"""How often connections are looked at; packets and their timers are looked at on every tick."""

_STATES: dict[str, tuple[Source, ...]] = {
    "audio_enabled": ("microphone",),
    "video_enabled": ("camera",),
    "screen_sharing": ("screen", "screen-audio"),
}


@dataclass(frozen=True, slots=True)
class TrackPublished:
    """A track can be subscribed."""

    track: TrackInfo


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    """A track has ended."""

    track: TrackInfo


@dataclass(frozen=True, slots=True)
class SubscribeOffer:
    """A user is to be sent this offer; `answered` takes what comes back."""

    user_id: str
    sdp: str
    tracks: list[dict[str, str]]
    """All that this connection has now: mid, track_id, user_id, kind, source."""


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """A connection that has a name of its own is over: its client hung up or was lost."""

    connection: str


MediaEvent = TrackPublished | TrackUnpublished | SubscribeOffer | ConnectionEnded


class _User:
    """One user's connections, and what was switched off."""

    def __init__(self) -> None:
        self.publishers: dict[str, PublishPeer] = {}
        """By the name of the connection, the oldest first."""
        self.subscribe: SubscribePeer | None = None
        self.viewers: dict[str, ViewerPeer] = {}
        """Connections that only watch (WHEP), by name."""
        self.muted: set[Source] = set()

    @property
    def peers(self) -> list[Peer]:
        """All connections."""
        receiving = (self.subscribe,) if self.subscribe else ()
        return [*self.publishers.values(), *receiving, *self.viewers.values()]

    @property
    def tracks(self) -> list[TrackInfo]:
        """All that is published, in the order in which it began on each connection."""
        return [track for peer in self.publishers.values() for track in peer.tracks]


class RoomMedia:
    """The media of one room. `now` is monotonic, in seconds: the clock of the endpoint's packets."""

    def __init__(
        self,
        create_transport: TransportFactory,
        emit: Callable[[MediaEvent], None],
        *,
        router: Router | None = None,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        """`create_transport` is `Endpoint.create_transport`; `emit` is called within the methods below."""
        self._create_transport = create_transport
        self._emit = emit
        self._clock = clock
        self._router = router or Router()
        self._data = DataRouter()
        self._users: dict[str, _User] = {}
        self._surveyed_at = float("-inf")
        self._speaker: str | None = None
        """The user who speaks."""
        self._stage_moved = False
        """Whether who watches may have to be shown something else."""

    def publish(
        self, user_id: str, sdp: str, sources: Mapping[str, str], now: float, *, connection: str = SIGNALED
    ) -> str:
        """Answer a user's offer; the first one of a name opens that connection, which sends.

        One with another certificate under the same name replaces the connection. Other names are other connections
        of the same user, beside the page's. A page whose offer restarts ICE has moved to another network, so the
        connection on which it receives is offered an ICE restart, too.

        Raises:
            SdpError: the offer cannot be used; nothing was changed.
        """
        offer = read_publish_offer(sdp)
        user = self._users.get(user_id) or _User()
        before = user.publishers.get(connection)
        if before and before.continues(offer):
            peer = before
        else:
            peer = PublishPeer(user_id, self._router, self._create_transport, self._clock, self._data)
        ice = peer.remote_ice
        try:
            answer, changes = peer.negotiate(offer, sources, now)
        except SdpError:
            if peer is not before:
                peer.close(now)
            raise
        replaced = before.close(now) if before and peer is not before else ()
        self._users[user_id] = user
        user.publishers[connection] = peer
        self._tracks_changed(user, Changes((*replaced, *changes.ended), changes.begun))
        if connection == SIGNALED and ice not in (None, peer.remote_ice) and user.subscribe:
            user.subscribe.offer_ice_restart()
            self._offer(user_id)
        return answer

    def unpublish(self, user_id: str, connection: str, now: float) -> None:
        """End one connection that sends; unknown is fine."""
        user = self._users.get(user_id)
        peer = user.publishers.pop(connection, None) if user else None
        if user and peer:
            self._tracks_changed(user, Changes(peer.close(now)))

    def view(self, user_id: str, sdp: str, now: float, *, connection: str) -> str:
        """Answer the offer of a connection that only watches: it is shown what is on stage, without another word.

        Raises:
            SdpError: the offer cannot be used; nothing was changed.
        """
        offer = read_view_offer(sdp)
        peer = ViewerPeer(user_id, self._router, self._create_transport, self._clock)
        answer = peer.negotiate(offer)
        self._users.setdefault(user_id, _User()).viewers[connection] = peer
        peer.show(self._performers(), self._speaker, now)
        return answer

    def end(self, user_id: str, connection: str, now: float) -> None:
        """End a connection of either kind that has a name of its own; unknown is fine."""
        self.unpublish(user_id, connection, now)
        user = self._users.get(user_id)
        viewer = user.viewers.pop(connection, None) if user else None
        if viewer:
            viewer.close(now)

    def connection(self, user_id: str, connection: str) -> Peer | None:
        """A connection by its name."""
        user = self._users.get(user_id)
        return (user.publishers.get(connection) or user.viewers.get(connection)) if user else None

    def subscribe(self, user_id: str, now: float) -> None:
        """Send a user all that the others publish, now and later; again: nothing."""
        user = self._users.setdefault(user_id, _User())
        if user.subscribe is None:
            user.subscribe = SubscribePeer(user_id, self._router, self._create_transport, self._clock)
            self._offer(user_id)

    def answered(self, user_id: str, sdp: str, now: float) -> None:
        """Take a user's answer to the last `SubscribeOffer`; what changed meanwhile leads to the next one.

        Raises:
            SdpError: there was no offer, or this is no answer to it; another answer may follow.
        """
        user = self._users.get(user_id)
        if user is None or user.subscribe is None:
            raise SdpError("there is no offer that waits for an answer")
        user.subscribe.answered(sdp, self._tracks_for(user_id), now)
        self._offer(user_id)

    def restart(self, user_id: str, now: float) -> None:
        """Drop the connections of a user's page, which is gone; others go on. What was switched off stays so."""
        user = self._users.get(user_id)
        if user is None:
            return
        if user.subscribe:
            user.subscribe.close(now)
            user.subscribe = None
        self.unpublish(user_id, SIGNALED, now)

    def leave(self, user_id: str, now: float) -> None:
        """Forget a user and close all their connections; unknown is fine."""
        self.restart(user_id, now)
        user = self._users.get(user_id)
        for connection in [*user.publishers, *user.viewers] if user else ():
            self.end(user_id, connection, now)
        self._users.pop(user_id, None)

    def close(self, now: float) -> None:
        """Everybody leaves."""
        for user_id in list(self._users):
            self.leave(user_id, now)

    def set_media_state(
        self,
        user_id: str,
        *,
        audio_enabled: bool | None = None,
        video_enabled: bool | None = None,
        screen_sharing: bool | None = None,
    ) -> None:
        """Stop forwarding what a user publishes of a kind, or go on with it; None leaves it as it is.

        It holds for tracks published later, too, until the user leaves.
        """
        user = self._users.setdefault(user_id, _User())
        said = {"audio_enabled": audio_enabled, "video_enabled": video_enabled, "screen_sharing": screen_sharing}
        for name, enabled in said.items():
            if enabled is None:
                continue
            change = user.muted.difference_update if enabled else user.muted.update
            change(_STATES[name])
        for track in user.tracks:
            self._router.mute(track.track_id, track.source in user.muted)
        self._stage_moved = True

    def tick(self, now: float) -> None:
        """Time passes. Call this every 20 ms."""
        self._router.tick(now)
        if self._stage_moved:
            self._show_stage(now)
        if now - self._surveyed_at < SURVEY_S:
            return
        self._surveyed_at = now
        for user_id, user in list(self._users.items()):
            self._survey(user_id, user, now)
        self._stage_moved = True  # somebody may have begun to send

    def peer_of(self, peer_id: str) -> str | None:
        """The user of a connection, or None."""
        return next(
            (user_id for user_id, user in self._users.items() for peer in user.peers if peer.peer_id == peer_id),
            None,
        )

    def connections_of(self, user_id: str) -> int:
        """How many media connections a user has."""
        user = self._users.get(user_id)
        return len(user.peers) if user else 0

    def report(self, now: float) -> RoomReport:
        """What the document's `peers`, `statistics` and `quality_metrics` are to say."""
        reports = []
        for user_id, user in self._users.items():
            first, *others = user.publishers.values() or (None,)
            reports.append(user_report(user_id, first, user.subscribe, now))
            reports += [user_report(user_id, peer, None, now) for peer in others]
            reports += [user_report(user_id, None, viewer, now) for viewer in user.viewers.values()]
        return room_report(reports)

    def _survey(self, user_id: str, user: _User, now: float) -> None:
        for name, peer in [*user.publishers.items(), *user.viewers.items()]:
            peer.refresh_activity()
            # Nobody begins a lost one of these anew: its client asks for another (RFC 9725 section 4.3.3).
            if name != SIGNALED and peer.state in ("disconnected", "failed", "closed"):
                self.end(user_id, name, now)
                self._emit(ConnectionEnded(name))
        for publisher in user.publishers.values():
            if publisher.state in ("failed", "closed"):
                # Consent is lost (RFC 7675) or the client hung up; the page begins a new one.
                self._tracks_changed(user, Changes(publisher.end_all(now)))
            else:
                self._tracks_changed(user, publisher.follow_codecs(now))
        if user.subscribe:
            user.subscribe.refresh_activity()
            if user.subscribe.state == "closed":
                user.subscribe.close(now)
                user.subscribe = None

    def _tracks_changed(self, user: _User, changes: Changes) -> None:
        for track in changes.begun:
            if track.source in user.muted:
                self._router.mute(track.track_id, True)
        for track in changes.ended:
            self._emit(TrackUnpublished(track))
        for track in changes.begun:
            self._emit(TrackPublished(track))
        if changes.ended or changes.begun:
            self._stage_moved = True
            for user_id, other in self._users.items():
                if other is not user:
                    self._offer(user_id)

    def _tracks_for(self, user_id: str) -> list[TrackInfo]:
        """What others publish, the longest there first."""
        return [track for other, user in self._users.items() if other != user_id for track in user.tracks]

    def _show_stage(self, now: float) -> None:
        self._stage_moved = False
        viewers = [viewer for user in self._users.values() for viewer in user.viewers.values()]
        if not viewers:
            return
        performers = self._performers()
        for viewer in viewers:
            viewer.show(performers, self._speaker, now)

    def _performers(self) -> list[Performer]:
        """All that is published and not held back; who watches also sees what the same user sends elsewhere."""
        producers = self._router.producers
        return [
            Performer(track, flows=producers[track.track_id].active is not None)
            for user in self._users.values()
            for track in user.tracks
            if track.source not in user.muted
        ]

    def _offer(self, user_id: str) -> None:
        peer = self._users[user_id].subscribe
        sdp = peer.offer(self._tracks_for(user_id)) if peer else None
        if peer and sdp:
            self._emit(SubscribeOffer(user_id, sdp, peer.tracks))
