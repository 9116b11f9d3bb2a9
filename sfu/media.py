"""The media of one room: everything that signaling sees of it.

Theory of operation: a user has one connection that receives, and one or several that send: the page's, and one for
each that was begun elsewhere under a name of its own (WHIP). `publish` answers a client's offer; the tracks that
begin or end with it are told as events, and every other user who subscribed gets an offer that follows, or will after
the answer that is still awaited. A track begins at negotiation: its packets may be a second away, and a subscriber
negotiates in the meantime. Nothing here waits; `tick` moves time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from datetime import datetime

from meet.clock import new_id, utcnow
from sfu.data import DataRouter
from sfu.media_events import ConnectionEnded, MediaEvent, SpeakerChanged, TrackPublished, TrackUnpublished
from sfu.ortc import SdpError, read_publish_offer
from sfu.ortc.view import read_view_offer
from sfu.peer import Changes, Peer, PublishPeer, SubscribePeer, TransportFactory
from sfu.report import RoomReport, room_report, user_report
from sfu.router import Router
from sfu.rtp.parameters import Source, TrackInfo
from sfu.speech import Speech
from sfu.stage import Performer
from sfu.subscriber import Subscriber
from sfu.subscriptions import NO_WISH, VideoQuality, Wish
from sfu.tap import Outlet, Tap, Wanted
from sfu.viewer import ViewerPeer
from sfu.views import Views

SIGNALED = "signaling"
"""The name of the connection that sends what a page's own offers have."""
LAST_N = 16
"""As `MEET_LAST_N` has it where nobody chose."""
LOOK_S = 0.2
"""How often who receives is told of other layers."""
SURVEY_S = 1.0
"""How often connections are looked at; packets and their timers are looked at on every tick."""

_STATES: dict[str, tuple[Source, ...]] = {
    "audio_enabled": ("microphone",),
    "video_enabled": ("camera",),
    "screen_sharing": ("screen", "screen-audio"),
}


class _User:
    """One user's connections, and what was switched off."""

    def __init__(self) -> None:
        self.publishers: dict[str, PublishPeer] = {}
        """By the name of the connection, the oldest first."""
        self.subscriber: Subscriber | None = None
        self.viewers: dict[str, ViewerPeer] = {}
        """Connections that only watch (WHEP), by name."""
        self.muted: set[Source] = set()

    @property
    def peers(self) -> list[Peer]:
        """All connections."""
        receiving = (self.subscriber.peer,) if self.subscriber else ()
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
        last_n: int = LAST_N,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        """`create_transport` is `Endpoint.create_transport`; `emit` is called within the methods below.

        `last_n`: the videos that a user gets who asks for none.
        """
        self._create_transport = create_transport
        self._emit = emit
        self._clock = clock
        self._router = router or Router()
        self._data = DataRouter()
        self._users: dict[str, _User] = {}
        self._last_n = last_n
        self._speech = Speech(self._router)
        self._views = Views(self._router)
        self._taps: list[Tap] = []
        self._looked_at = float("-inf")
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
        self._tracks_changed(user, Changes((*replaced, *changes.ended), changes.begun), now)
        if connection == SIGNALED and ice not in (None, peer.remote_ice) and user.subscriber:
            user.subscriber.peer.offer_ice_restart()
            self._changed(user_id, user.subscriber, now)
        return answer

    def unpublish(self, user_id: str, connection: str, now: float) -> None:
        """End one connection that sends; unknown is fine."""
        user = self._users.get(user_id)
        peer = user.publishers.pop(connection, None) if user else None
        if user and peer:
            self._tracks_changed(user, Changes(peer.close(now)), now)

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
        """Send a user what the others publish, now and later, as `sfu.subscriptions` has it; again: nothing."""
        user = self._users.setdefault(user_id, _User())
        if user.subscriber is None:
            reserved = (
                self._last_n + 1
            )  # one more than are seen, so that another can come in the place of one at once
            peer = SubscribePeer(user_id, self._router, self._create_transport, self._clock, reserved_videos=reserved)
            user.subscriber = Subscriber(peer, last_n=self._last_n)
            self._changed(user_id, user.subscriber, now)

    def want(
        self, user_id: str, track_id: str, now: float, *, visible: bool, width: int | None, height: int | None
    ) -> None:
        """A user wants another's track, whoever speaks, and looks at it so; sizes are those of `View`."""
        user = self._users.get(user_id)
        offered = user.subscriber.peer.tracks if user and user.subscriber else ()
        received = any(track["track_id"] == track_id for track in offered)
        self._wish(user_id, track_id, lambda wish: wish.looking(visible, width, height, received=received), now)

    def refuse(self, user_id: str, track_id: str, now: float) -> None:
        """A user does not want another's track."""
        self._wish(user_id, track_id, Wish.refused, now)

    def cap(self, user_id: str, track_id: str, now: float, *, spatial: int | None, temporal: int | None) -> None:
        """A user wants no layer of a video above these; None: no bound."""
        self._wish(user_id, track_id, lambda wish: wish.capped(spatial, temporal), now)

    def tell_layers(self, user_id: str) -> None:
        """Tell a user of all layers anew: what was told before may be lost."""
        user = self._users.get(user_id)
        if user and user.subscriber:
            user.subscriber.tell_anew()

    def answered(self, user_id: str, sdp: str, now: float) -> None:
        """Take a user's answer to the last `SubscribeOffer`; what changed meanwhile leads to the next one.

        Raises:
            SdpError: there was no offer, or this is no answer to it; another answer may follow.
        """
        user = self._users.get(user_id)
        if user is None or user.subscriber is None:
            raise SdpError("there is no offer that waits for an answer")
        user.subscriber.peer.answered(sdp, now)
        self._show(user, now)
        self._changed(user_id, user.subscriber, now)

    def restart(self, user_id: str, now: float) -> None:
        """Drop the connections of a user's page, which is gone, and what it wanted; other connections go on.

        What was switched off stays so, and the bound on what is forwarded.
        """
        user = self._users.get(user_id)
        if user is None:
            return
        if user.subscriber:
            user.subscriber.peer.close(now)
            user.subscriber = None
        self.unpublish(user_id, SIGNALED, now)

    def leave(self, user_id: str, now: float) -> None:
        """Forget a user and close all their connections; unknown is fine."""
        self.restart(user_id, now)
        user = self._users.get(user_id)
        for connection in [*user.publishers, *user.viewers] if user else ():
            self.end(user_id, connection, now)
        self._users.pop(user_id, None)
        self._speech.forget(user_id)
        self._views.forget(user_id)

    def close(self, now: float) -> None:
        """Everybody leaves, and nothing is recorded or streamed any more."""
        for user_id in list(self._users):
            self.leave(user_id, now)
        for tap in list(self._taps):
            self.untap(tap, now)

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
            self._hold(track, track.source in user.muted)
        self._stage_moved = True

    def set_video_quality(self, user_id: str, quality: VideoQuality, now: float) -> None:
        """Bound what is forwarded of a user's videos, to everybody, until the user leaves: see `quality_bound`."""
        self._views.set_quality(user_id, quality)
        self._show_all({user_id}, now)

    def tap(self, wanted: Wanted, outlet: Outlet, name_of: Callable[[str], str], now: float) -> Tap:
        """Hand what is wanted of the room to an egress process, until `untap`; `name_of` tells a user's name."""
        tap = Tap(wanted, outlet, self._router, self._views, name_of, peer_id=new_id())
        self._taps.append(tap)
        for user in self._users.values():
            for track in user.tracks:
                tap.begin(track, now)
        return tap

    def untap(self, tap: Tap, now: float) -> None:
        """Hand it no more; again: nothing."""
        if tap in self._taps:
            self._taps.remove(tap)
            tap.close(now)

    def rename(self, user_id: str, username: str) -> None:
        """A user goes by another name, for those who write names down."""
        for tap in self._taps:
            tap.rename(user_id, username)

    def tick(self, now: float) -> None:
        """Time passes. Call this every 20 ms."""
        self._router.tick(now)
        for tap in self._taps:
            tap.tick(now)
        self._listen(now)
        for user_id, user in self._users.items():
            if user.subscriber and user.subscriber.is_due:
                self._offer(user_id, user.subscriber, now)
        if self._stage_moved:
            self._show_stage(now)
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._look(now)
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
            receiving = user.subscriber.peer if user.subscriber else None
            reports.append(user_report(user_id, first, receiving, now))
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
                self._tracks_changed(user, Changes(publisher.end_all(now)), now)
            else:
                self._tracks_changed(user, publisher.follow_codecs(now), now)
        if user.subscriber:
            receiving = user.subscriber.peer
            receiving.refresh_activity()
            if receiving.state == "closed":
                receiving.close(now)
                user.subscriber = None

    def _tracks_changed(self, user: _User, changes: Changes, now: float) -> None:
        for track in changes.begun:
            self._hold(track, track.source in user.muted)
        for track in changes.ended:
            self._speech.end(track)
            for tap in self._taps:
                tap.end(track.track_id, now)
            self._emit(TrackUnpublished(track))
        for track in changes.begun:
            for tap in self._taps:
                tap.begin(track, now)
            self._emit(TrackPublished(track))
        if changes.ended or changes.begun:
            self._stage_moved = True
            for user_id, other in self._users.items():
                if other is not user and other.subscriber:
                    for track in changes.ended:
                        other.subscriber.forget(track.track_id)
                    self._changed(user_id, other.subscriber, now)

    def _hold(self, track: TrackInfo, muted: bool) -> None:
        """Forward a track, or do not; who is muted does not speak."""
        if self._router.producers[track.track_id].muted != muted:
            for tap in self._taps:
                tap.mute(track.track_id, muted)
        self._router.mute(track.track_id, muted)
        if muted:
            self._speech.end(track)
        else:
            self._speech.begin(track)

    def _listen(self, now: float) -> None:
        heard = self._speech.tick(now)
        if heard.floor_passed:
            track = self._speech.dominant
            before, self._speaker = self._speaker, track.user_id if track else None
            self._show_all({before, self._speaker}, now)
            self._stage_moved = True
            self._emit(SpeakerChanged(self._speaker, track.track_id if track else None))
        for user_id, user in self._users.items():
            subscriber = user.subscriber
            if subscriber and (heard.floor_passed or (heard.let_in and not subscriber.has_all_audio)):
                self._changed(user_id, subscriber, now)

    def _wish(self, user_id: str, track_id: str, change: Callable[[Wish], Wish], now: float) -> None:
        """What a user says of a track; of one that has ended meanwhile, nothing."""
        user = self._users.get(user_id)
        if user and user.subscriber and track_id in self._router.producers:
            user.subscriber.set_wish(track_id, change(user.subscriber.wish(track_id)))
            self._show(user, now)
            self._changed(user_id, user.subscriber, now)

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

    def _look(self, now: float) -> None:
        """Follow what changes by itself: layers that come and go, and what those are shown who only watch."""
        moved = self._views.moved(self._router.producers.values(), now)
        if moved:
            self._show_all(moved, now)
        for user in self._users.values():
            for viewer in user.viewers.values():
                for consumer in viewer.consumers:
                    self._views.show(consumer, NO_WISH, self._speaker, now)
            for change in user.subscriber.layers_changed() if user.subscriber else ():
                self._emit(change)

    def _show(self, user: _User, now: float) -> None:
        """Let a user's page have all its tracks as it wishes."""
        if user.subscriber:
            for consumer in user.subscriber.peer.consumers:
                wish = user.subscriber.wish(consumer.producer.track.track_id)
                self._views.show(consumer, wish, self._speaker, now)

    def _show_all(self, publishers: Container[str | None], now: float) -> None:
        """Let everybody have the tracks of these users as it is now."""
        for user in self._users.values():
            receiver = user.subscriber
            for consumer in receiver.peer.consumers if receiver else ():
                track = consumer.producer.track
                if receiver and track.user_id in publishers:
                    self._views.show(consumer, receiver.wish(track.track_id), self._speaker, now)

    def _changed(self, user_id: str, subscriber: Subscriber, now: float) -> None:
        """A user may have to be offered something else: now, or as soon as another offer may be made."""
        subscriber.is_due = True
        self._offer(user_id, subscriber, now)

    def _offer(self, user_id: str, subscriber: Subscriber, now: float) -> None:
        if subscriber.may_offer(now):
            offer = subscriber.offer(self._tracks_for(user_id), self._speech, now)
            if offer:
                self._emit(offer)
