"""A live room with its media and its sockets: does what `Room` decides, and tells it what the media plane says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from meet.clock import iso
from meet.domain.session import Session
from meet.presence import RoomSnapshot, SessionSnapshot
from sfu.clocks import Clocks
from sfu.guests import Guest
from sfu.media_events import (
    ConnectionEnded,
    LayersChanged,
    MediaEvent,
    SpeakerChanged,
    SubscribeOffer,
    TrackPublished,
    TrackUnpublished,
)
from sfu.ortc import SdpError
from sfu.peer import Peer
from sfu.report import RoomReport
from sfu.signaling import frames
from sfu.signaling.effects import (
    Choose,
    Departed,
    Effect,
    Hangup,
    Keep,
    Send,
    StartMedia,
    StopMedia,
    TellLayers,
    ToSfu,
    Unmute,
)
from sfu.signaling.frames import Frame, moment
from sfu.signaling.messages import Choice, Offer, RoomMessage, SetLayer, Subscribe, Unsubscribe, sdp_text
from sfu.signaling.outgoing import Kind, News
from sfu.signaling.participant import Newcomer
from sfu.signaling.room import Room
from sfu.subscriptions import VideoQuality
from sfu.tap import Outlet, Tap, Wanted
from sfu.writer import Record

log = logging.getLogger("meet.sfu.room")


class Socket(Protocol):
    """Where a session's frames go. Nothing here blocks or raises."""

    def send(self, frame: Frame) -> None:
        """Send a frame soon."""

    def hang_up(self, code: int) -> None:
        """Close, after what was sent."""


class Media(Protocol):
    """What a room asks of its media plane: `sfu.media.RoomMedia`. `now` is monotonic."""

    def publish(
        self, user_id: str, sdp: str, sources: Mapping[str, str], now: float, *, connection: str = ...
    ) -> str: ...
    def view(self, user_id: str, sdp: str, now: float, *, connection: str) -> str: ...
    def end(self, user_id: str, connection: str, now: float) -> None: ...
    def connection(self, user_id: str, connection: str) -> Peer | None: ...
    def subscribe(self, user_id: str, now: float) -> None: ...
    def answered(self, user_id: str, sdp: str, now: float) -> None: ...
    def restart(self, user_id: str, now: float) -> None: ...
    def leave(self, user_id: str, now: float) -> None: ...
    def close(self, now: float) -> None: ...
    def tick(self, now: float) -> None: ...
    def set_media_state(
        self,
        user_id: str,
        *,
        audio_enabled: bool | None = None,
        video_enabled: bool | None = None,
        screen_sharing: bool | None = None,
    ) -> None: ...
    def set_video_quality(self, user_id: str, quality: VideoQuality, now: float) -> None: ...
    def want(
        self, user_id: str, track_id: str, now: float, *, visible: bool, width: int | None, height: int | None
    ) -> None: ...
    def refuse(self, user_id: str, track_id: str, now: float) -> None: ...
    def cap(self, user_id: str, track_id: str, now: float, *, spatial: int | None, temporal: int | None) -> None: ...
    def tell_layers(self, user_id: str) -> None: ...
    def tap(self, wanted: Wanted, outlet: Outlet, name_of: Callable[[str], str], now: float) -> Tap: ...
    def untap(self, tap: Tap, now: float) -> None: ...
    def rename(self, user_id: str, username: str) -> None: ...
    def peer_of(self, peer_id: str) -> str | None: ...
    def connections_of(self, user_id: str) -> int: ...
    def report(self, now: float) -> RoomReport: ...


MediaFactory = Callable[[Callable[[MediaEvent], None]], Media]


class LiveRoom:
    """One room of this process.

    `keep` takes what is to be written, `departed` is told of each user who is gone for good, `changed` is called when
    who is here or what they send is another.
    """

    def __init__(
        self,
        room: Room,
        create_media: MediaFactory,
        clocks: Clocks,
        *,
        keep: Callable[[Record], None],
        departed: Callable[[LiveRoom, str], None],
        changed: Callable[[], None],
    ) -> None:
        self.room = room
        self.media = create_media(self._on_media)
        self._clocks = clocks
        self._keep = keep
        self._departed = departed
        self._changed = changed
        self.guests: dict[str, Guest] = {}
        """Who came by HTTP, by session."""
        self._sockets: dict[str, Socket] = {}
        self._tracks = 0

    @property
    def has_tracks(self) -> bool:
        """Whether somebody publishes, so that media needs its frequent tick."""
        return self._tracks > 0

    # What sessions do

    def join(self, socket: Socket, newcomer: Newcomer) -> None:
        """Let somebody with a seat in; `Refused` where the room is full."""
        before = self.room.shown_as(newcomer.user_id) if self.room.has(newcomer.user_id) else None
        self._attach(socket, newcomer, self.room.join(newcomer, self._clocks.wall()))
        name = self.room.shown_as(newcomer.user_id)
        if before not in (None, name):
            self.media.rename(newcomer.user_id, name)

    def resume(self, socket: Socket, session_id: str, newcomer: Newcomer) -> None:
        """Let somebody go on; `Refused` where that session is gone."""
        self._attach(socket, newcomer, self.room.resume(session_id, newcomer, self._clocks.wall()))

    def receive(self, session_id: str, message: RoomMessage) -> None:
        """A session says something."""
        self._perform(self.room.receive(session_id, message, self._clocks.wall()))

    def seen(self, session_id: str) -> None:
        """A session's client gave a sign of life."""
        self.room.seen(session_id, self._clocks.wall())

    def leave(self, session_id: str) -> None:
        """A session says goodbye."""
        self._perform(self.room.leave(session_id, self._clocks.wall()))
        self._sockets.pop(session_id, None)

    def lose(self, session_id: str) -> None:
        """A session's socket is gone."""
        self._sockets.pop(session_id, None)
        self._perform(self.room.lose(session_id, self._clocks.wall()))

    def attach(self, guest: Guest, newcomer: Newcomer, sdp: str) -> str:
        """Let a connection by HTTP in, and answer its offer.

        Raises:
            Refused: the room is full.
            SdpError: the offer can't be used; it is as if nobody had come.
        """
        self._perform(self.room.attach(newcomer, self._clocks.wall()))
        self.guests[guest.session_id] = guest
        now = self._clocks.monotonic()
        try:
            if guest.protocol == "whip":
                return self.media.publish(guest.user_id, sdp, {}, now, connection=guest.session_id)
            return self.media.view(guest.user_id, sdp, now, connection=guest.session_id)
        except Exception:  # a bug, too: nobody else would end a session that has no connection
            self.detach(guest.session_id)
            raise

    def detach(self, session_id: str) -> None:
        """End a connection by HTTP; unknown is fine."""
        guest = self.guests.pop(session_id, None)
        if guest is not None:
            self.media.end(guest.user_id, session_id, self._clocks.monotonic())
            self._perform(self.room.detach(session_id, self._clocks.wall()))

    def peer_of(self, guest: Guest) -> Peer | None:
        """The media connection of a connection by HTTP."""
        return self.media.connection(guest.user_id, guest.session_id)

    # What leaves the room

    def tap(self, wanted: Wanted, outlet: Outlet) -> Tap:
        """Hand what is wanted of the media to an egress process."""
        return self.media.tap(wanted, outlet, self.room.shown_as, self._clocks.monotonic())

    def untap(self, tap: Tap) -> None:
        """Hand it no more; again: nothing."""
        self.media.untap(tap, self._clocks.monotonic())

    def want_key_frame(self, tap: Tap, track_id: str) -> None:
        """An egress process can't go on with a track."""
        tap.want_key_frame(track_id, self._clocks.monotonic())

    def announce(self, kind: Kind, egress_id: str, news: News, owner_id: str) -> None:
        """Tell everybody of a recording or a stream."""
        self._perform(self.room.outgoing_changed(kind, egress_id, news, owner_id, self._clocks.wall()))
        self._changed()

    # What the node does

    def remove(self, user_id: str, reason: str) -> None:
        """Send somebody away; unknown is fine."""
        self._perform(self.room.remove(user_id, reason, self._clocks.wall()))

    def close(self, reason: str) -> None:
        """Send everybody away."""
        self._perform(self.room.close(reason, self._clocks.wall()))

    def tick(self) -> None:
        """About every second."""
        self.media.tick(self._clocks.monotonic())
        self._perform(self.room.tick(self._clocks.wall()))

    def tick_media(self) -> None:
        """Every 20 ms while `has_tracks`."""
        self.media.tick(self._clocks.monotonic())

    def set_media_state(
        self, peer_id: str, said: Mapping[str, bool], video_quality: VideoQuality | None = None
    ) -> tuple[str, dict[str, Any]] | None:
        """Stop forwarding what a peer's user sends of a kind, or go on; bound the quality of what is forwarded.

        The user and their state now; None: no such peer.
        """
        user_id = self.media.peer_of(peer_id)
        if user_id is None or not self.room.has(user_id):
            return None
        self.media.set_media_state(user_id, **said)
        if video_quality is not None:
            self.media.set_video_quality(user_id, video_quality, self._clocks.monotonic())
        state, effects = self.room.set_media_state(user_id, said, self._clocks.wall(), video_quality=video_quality)
        self._perform(effects)
        self._changed()
        return user_id, state

    def sessions(self) -> list[Session]:
        """Everybody's current session."""
        return [self._with_connections(session) for session in self.room.sessions()]

    def snapshot(self, node_id: str, egress: list[dict[str, Any]]) -> RoomSnapshot:
        """What functions may know of the room now; `egress` is what leaves it, which the node knows."""
        report = self.media.report(self._clocks.monotonic())
        return RoomSnapshot(
            meeting_number=self.room.number,
            meeting_id=self.room.meeting_id,
            node_id=node_id,
            created_at=iso(moment(self.room.created_at)),
            total_messages=self.room.total_messages,
            sessions=[
                SessionSnapshot(
                    session_id=session.session_id,
                    user_id=session.user_id,
                    username=session.username,
                    participant_id=session.participant_id,
                    connected_at=iso(session.connected_at),
                    last_activity=iso(session.last_activity),
                    status=session.status.value,
                    peer_connections=session.peer_connections,
                    media_state=session.media_state.as_dict(),
                )
                for session in self.sessions()
            ],
            peers=report.peers,
            statistics=report.statistics,
            quality_metrics=report.quality_metrics,
            egress=egress,
        )

    # Inside

    def _attach(self, socket: Socket, newcomer: Newcomer, effects: list[Effect]) -> None:
        if newcomer.replaces is not None:
            self._sockets.pop(newcomer.replaces, None)
        self._sockets[newcomer.session_id] = socket
        self._perform(effects)

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        now = self._clocks.monotonic()
        match effect:
            case Send(session_id, frame):
                if socket := self._sockets.get(session_id):
                    socket.send(frame)
            case Hangup(session_id, code):
                if socket := self._sockets.pop(session_id, None):
                    socket.hang_up(code)
            case StartMedia(user_id, afresh):
                if afresh:
                    self.media.restart(user_id, now)
                self.media.subscribe(user_id, now)
            case StopMedia(user_id):
                self.media.restart(user_id, now)
            case ToSfu():
                self._negotiate(effect, now)
            case Choose(user_id, choice):
                self._choose(user_id, choice, now)
            case TellLayers(user_id):
                self.media.tell_layers(user_id)
            case Unmute(user_id, state):
                self.media.set_media_state(user_id, **state)
            case Departed(user_id):
                self.guests = {name: guest for name, guest in self.guests.items() if guest.user_id != user_id}
                self.media.leave(user_id, now)
                self._departed(self, user_id)
            case Keep(record):
                if isinstance(record, Session):
                    record = self._with_connections(record)
                    self._changed()
                self._keep(record)

    def _negotiate(self, effect: ToSfu, now: float) -> None:
        user_id, message = effect.user_id, effect.message
        try:
            if isinstance(message, Offer):
                answer = self.media.publish(user_id, sdp_text(message.sdp), dict(message.sources), now)
                self._perform(self.room.sfu_answer(user_id, answer, self._clocks.wall()))
            else:
                self.media.answered(user_id, sdp_text(message.sdp), now)
        except SdpError as error:
            why = frames.error(
                "INVALID_MESSAGE", f"The SDP can't be used: {error}", self._clocks.wall(), message.type
            )
            self._perform(self.room.tell(user_id, why))

    def _choose(self, user_id: str, choice: Choice, now: float) -> None:
        track_id = choice.track_id
        match choice:
            case Subscribe():
                self.media.want(
                    user_id, track_id, now, visible=choice.visible, width=choice.width, height=choice.height
                )
            case Unsubscribe():
                self.media.refuse(user_id, track_id, now)
            case SetLayer():
                self.media.cap(user_id, track_id, now, spatial=choice.spatial, temporal=choice.temporal)

    def _on_media(self, event: MediaEvent) -> None:
        wall = self._clocks.wall()
        match event:
            case TrackPublished(track):
                self._tracks += 1
                self._perform(self.room.track_published(track, wall))
                self._changed()
            case TrackUnpublished(track):
                self._tracks -= 1
                self._perform(self.room.track_unpublished(track, wall))
                self._changed()
            case SubscribeOffer(user_id, sdp, tracks):
                self._perform(self.room.sfu_offer(user_id, sdp, tracks, wall))
            case SpeakerChanged(user_id, track_id):
                self._perform(self.room.speaker_changed(user_id, track_id, wall))
            case LayersChanged(user_id, track_id, current, target):
                self._perform(self.room.tell(user_id, frames.layers(track_id, current, target, wall)))
            case ConnectionEnded(connection):
                self.detach(connection)

    def _with_connections(self, session: Session) -> Session:
        guest = self.guests.get(session.session_id)
        if guest is None:
            others = sum(other.user_id == session.user_id for other in self.guests.values())
            connections = self.media.connections_of(session.user_id) - others
            return replace(session, peer_connections=max(0, connections))
        peer = self.peer_of(guest)
        active = (peer and peer.last_activity) or session.last_activity
        return replace(session, peer_connections=1, last_activity=active)
