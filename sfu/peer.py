"""One media connection of a user: what was agreed on it, and what is produced or consumed because of that.

A client offers what it publishes (`PublishPeer`); the SFU offers what can be received (`SubscribePeer`), one offer at
a time: what changes meanwhile goes into the next one, after the answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from meet.clock import new_id, utcnow
from sfu.data import DataPort, DataRouter
from sfu.ortc import (
    OfferedSection,
    Origin,
    PublishOffer,
    SdpError,
    consumer_parameters,
    publish_answer,
    read_subscribe_answer,
    subscribe_offer,
)
from sfu.ortc.answer_size import AnswerSize
from sfu.ortc.capabilities import sent_codecs
from sfu.rtp.parameters import (
    Kind,
    RemoteTransport,
    RtpParameters,
    RtpTransport,
    Source,
    TrackInfo,
    TransportParameters,
)
from sfu.transport import DataUser, PacketHandler, StateHandler, TransportState

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.producer import Producer
    from sfu.router import Router

DEFAULT_SOURCES: dict[Kind, Source] = {"audio": "microphone", "video": "camera"}
SOURCES: dict[Kind, frozenset[Source]] = {
    "audio": frozenset({"microphone", "screen-audio"}),
    "video": frozenset({"camera", "screen"}),
}


class PeerTransport(RtpTransport, Protocol):
    """What a peer asks of its transport; `sfu.transport.WebRtcTransport` is one."""

    @property
    def parameters(self) -> TransportParameters:
        """Our end, for the SDP."""

    @property
    def state(self) -> TransportState:
        """Where it stands."""

    @property
    def rtt_ms(self) -> float | None:
        """The round-trip time seen in the handshake, or None."""

    def start(self, remote: RemoteTransport) -> None:
        """Take the other end's parameters; again with another ufrag after `restart_ice`."""

    def restart_ice(self) -> TransportParameters:
        """Fresh ICE credentials; the old ones work until the new ones are used."""

    def carry(self, data: DataUser) -> None:
        """Give it what the peer sends inside of DTLS, and send what it has to say there."""

    def flush_data(self) -> None:
        """Send what it has to say now."""

    def close(self) -> None:
        """Leave. May be called again."""


class TransportFactory(Protocol):
    """How a peer gets its transport; `Endpoint.create_transport` is one."""

    def __call__(self, on_rtp: PacketHandler, on_rtcp: PacketHandler, on_state: StateHandler) -> PeerTransport:
        """A fresh transport that reports to these."""


class Peer:
    """What both directions have in common: an id, a transport, and since when it is there."""

    def __init__(
        self, user_id: str, router: Router, create_transport: TransportFactory, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self.peer_id = new_id()
        self.user_id = user_id
        self.connected_at: datetime | None = None
        """When media could first flow."""
        self.last_activity: datetime | None = None
        """When the last description or packet came, to about a second."""
        self._clock = clock
        self._router = router
        self._origin = Origin(secrets.randbits(62))
        self._remote: RemoteTransport | None = None
        self._heard = False
        self._transport = create_transport(self._on_rtp, self._on_rtcp, self._on_state)

    @property
    def state(self) -> TransportState:
        """The transport's."""
        return self._transport.state

    @property
    def rtt_ms(self) -> float | None:
        """The round trip to this peer that was seen in its handshake."""
        return self._transport.rtt_ms

    @property
    def ice(self) -> TransportParameters:
        """Our end of the ICE session that runs now."""
        return self._transport.parameters

    @property
    def remote_ice(self) -> tuple[str, str] | None:
        """The client's user fragment and password, once they are known."""
        return (self._remote.ice_ufrag, self._remote.ice_pwd) if self._remote else None

    def restart_ice(self, ufrag: str, pwd: str) -> TransportParameters:
        """Begin another ICE session, with these credentials of the client's, and without a description (RFC 9725
        section 4.3.3): our end of it."""
        if self._remote:
            self._remote = replace(self._remote, ice_ufrag=ufrag, ice_pwd=pwd)
        self._heard = True
        return self._transport.restart_ice()

    def refresh_activity(self) -> None:
        """Note that something was heard since the last call. Called about every second, so packets cost no clock."""
        if self._heard:
            self._heard = False
            self.last_activity = self._clock()

    def _start(self, remote: RemoteTransport) -> None:
        """Begin, or follow an ICE restart; nothing where nothing changed."""
        if self._remote and self._remote.fingerprints != remote.fingerprints:
            raise SdpError("the fingerprint changed: this is another connection")
        if self._remote is None or self._remote.ice_ufrag != remote.ice_ufrag:
            self._remote = remote
            self._transport.start(remote)

    def _next_origin(self) -> Origin:
        origin, self._origin = self._origin, self._origin.next
        return origin

    def _on_rtp(self, packet: bytes, now: float) -> None:
        self._heard = True
        self._router.receive_rtp(self.peer_id, packet, now)

    def _on_rtcp(self, packet: bytes, now: float) -> None:
        self._heard = True
        self._router.receive_rtcp(self.peer_id, packet, now)

    def _on_state(self, state: TransportState) -> None:
        if state == "connected" and self.connected_at is None:
            self.connected_at = self._clock()


@dataclass(frozen=True, slots=True)
class Changes:
    """Tracks that ended, and then tracks that began."""

    ended: tuple[TrackInfo, ...] = ()
    begun: tuple[TrackInfo, ...] = ()


class PublishPeer(Peer):
    """A connection on which a user sends. Its data channels, if it has any, go both ways."""

    def __init__(
        self,
        user_id: str,
        router: Router,
        create_transport: TransportFactory,
        clock: Callable[[], datetime] = utcnow,
        data: DataRouter | None = None,
    ) -> None:
        """`data` has the data channels of the room; without it nobody else is there."""
        super().__init__(user_id, router, create_transport, clock)
        self._data_router = data or DataRouter()
        self._data: DataPort | None = None
        self._published: dict[str, Producer] = {}
        """By mid."""

    @property
    def tracks(self) -> tuple[TrackInfo, ...]:
        """What is published now, in the order in which it began."""
        return tuple(producer.track for producer in self._published.values())

    @property
    def producers(self) -> tuple[Producer, ...]:
        """The producers of these tracks."""
        return tuple(self._published.values())

    def continues(self, offer: PublishOffer) -> bool:
        """Whether an offer speaks of this connection, not of a new one of the same user."""
        return not (self._remote and offer.remote and self._remote.fingerprints != offer.remote.fingerprints)

    def negotiate(self, offer: PublishOffer, sources: Mapping[str, str], now: float) -> tuple[str, Changes]:
        """Answer an offer; tracks begin and end with it.

        A section that sends as before keeps its track. `sources` says by mid what a track shows; where it is silent,
        audio is a microphone and video a camera.

        Raises:
            SdpError: a source does not fit, or the connection has ended.
        """
        chosen = {parameters.mid: _source(parameters, sources) for parameters in offer.tracks}
        if self.state in ("failed", "closed"):
            raise SdpError("this connection has ended: begin a new one")
        if self._remote and offer.remote and self._remote.ice_ufrag != offer.remote.ice_ufrag:
            self._transport.restart_ice()
        if offer.remote:
            self._start(offer.remote)
        self._heard = True
        sending = {parameters.mid: parameters for parameters in offer.tracks}
        ended = [
            self._end(mid, now)
            for mid, producer in list(self._published.items())
            if mid not in sending or not _continues(producer.track, sending[mid], chosen[mid])
        ]
        begun = [
            self._begin(parameters, chosen[mid], now)
            for mid, parameters in sending.items()
            if mid not in self._published
        ]
        if offer.data and offer.remote and self._data is None:
            server = offer.remote.setup != "passive"
            self._data = self._data_router.join(
                self.user_id, offer.data, server=server, flush=self._transport.flush_data
            )
            self._transport.carry(self._data)
        answer = publish_answer(offer, self._transport.parameters, self._next_origin())
        return answer, Changes(tuple(ended), tuple(begun))

    def follow_codecs(self, now: float) -> Changes:
        """Begin those tracks anew whose stream turned out to be of another codec than the first that was agreed.

        Subscribers were offered that first one. A client changes it by `setParameters`, or where an encoder gives up.
        """
        ended: list[TrackInfo] = []
        begun: list[TrackInfo] = []
        for mid, producer in list(self._published.items()):
            track, sent = producer.track, producer.codec
            if sent in sent_codecs(track.parameters.codecs):
                continue
            others = [codec for codec in track.parameters.codecs if codec != sent]
            ended.append(self._end(mid, now))
            begun.append(self._begin(replace(track.parameters, codecs=(sent, *others)), track.source, now))
        return Changes(tuple(ended), tuple(begun))

    def end_all(self, now: float) -> tuple[TrackInfo, ...]:
        """End every track; the connection stays."""
        return tuple(self._end(mid, now) for mid in list(self._published))

    def close(self, now: float) -> tuple[TrackInfo, ...]:
        """End every track and the connection."""
        ended = self.end_all(now)
        if self._data is not None:
            self._data.leave()
            self._transport.flush_data()
        self._transport.close()
        return ended

    def _on_state(self, state: TransportState) -> None:
        super()._on_state(state)
        if state in ("failed", "closed") and self._data is not None:
            self._data.leave()

    def _begin(self, parameters: RtpParameters, source: Source, now: float) -> TrackInfo:
        track = TrackInfo(new_id(), self.user_id, self.peer_id, parameters.kind, source, parameters)
        self._published[parameters.mid] = self._router.produce(track, self._transport, now)
        return track

    def _end(self, mid: str, now: float) -> TrackInfo:
        track = self._published.pop(mid).track
        self._router.close_producer(track.track_id, now)
        return track


def _source(parameters: RtpParameters, sources: Mapping[str, str]) -> Source:
    named = sources.get(parameters.mid, DEFAULT_SOURCES[parameters.kind])
    known = next((source for source in SOURCES[parameters.kind] if source == named), None)
    if known is None:
        raise SdpError(f"sources: {str(named)[:40]!r} is no source of the {parameters.kind} section {parameters.mid}")
    return known


def _continues(track: TrackInfo, parameters: RtpParameters, source: Source) -> bool:
    """Whether a section that was negotiated again still carries the same stream.

    A stream that was announced without an SSRC may get one later and is the same. Rids may come and go, and be paused
    or not: packets say which there are. Another order of codecs is nothing yet: `follow_codecs` sees what is sent.
    """
    before = track.parameters
    had_rids, has_rids = (any(e.rid for e in each.encodings) for each in (before, parameters))
    unknown = all(e.ssrc is None for e in before.encodings)
    same_streams = before.encodings == parameters.encodings or (unknown and had_rids == has_rids)
    return (
        track.source == source
        and same_streams
        and set(before.codecs) == set(parameters.codecs)
        and before.header_extensions == parameters.header_extensions
    )


class SubscribePeer(Peer):
    """A connection on which a user receives. Its sections are reused: they grow only to the most tracks at once."""

    def __init__(
        self,
        user_id: str,
        router: Router,
        create_transport: TransportFactory,
        clock: Callable[[], datetime] = utcnow,
        *,
        reserved_videos: int = 0,
    ) -> None:
        """`reserved_videos`: so many video sections have room, however much audio there is."""
        super().__init__(user_id, router, create_transport, clock)
        self._sections: tuple[OfferedSection, ...] = ()
        """As last offered."""
        self._unanswered = False
        self._restarting = False
        self._consumers: dict[str, Consumer] = {}
        """By track."""
        self._refused: set[str] = set()
        """Tracks that the client did not take; they are not offered again."""
        self._next_mid = 0
        self._ssrcs: set[int] = set()
        """Never used twice: an SSRC's packet index must not begin anew under the same key."""
        self._size = AnswerSize(reserved_videos)

    @property
    def consumers(self) -> tuple[Consumer, ...]:
        """What is being sent."""
        return tuple(self._consumers.values())

    @property
    def awaits_answer(self) -> bool:
        """Whether an offer is with the client: there is no other before its answer."""
        return self._unanswered

    @property
    def sections(self) -> int:
        """How many sections the last offer had."""
        return len(self._sections)

    @property
    def audio_room(self) -> int:
        """How many audio tracks can be received at once."""
        return self._room("audio", self._sections)

    @property
    def tracks(self) -> list[dict[str, str]]:
        """What the last offer has, for the client: mid, track_id, user_id, kind, source."""
        return [
            {
                "mid": section.parameters.mid,
                "track_id": section.track.track_id,
                "user_id": section.track.user_id,
                "kind": section.track.kind,
                "source": section.track.source,
            }
            for section in self._sections
            if section.track
        ]

    def offer_ice_restart(self) -> None:
        """Let the next offer restart ICE, and be made even if nothing else changes: the client is on another network.

        Media flows over the former path, if that still leads anywhere, until the client has tried the new ones.
        """
        self._restarting = bool(self._sections)

    def offer(self, tracks: Iterable[TrackInfo]) -> str | None:
        """The next offer, so that these can be received; None where nothing changes or an answer is awaited.

        What is received already and is not among them is sent until the answer.
        """
        available = {track.track_id: track for track in tracks}
        self._refused &= available.keys()
        self._forget_closed()
        if self._unanswered:
            return None
        sections = self._plan(available)
        if sections == self._sections and not self._restarting:
            return None
        if self._restarting:
            self._restarting = False
            self._transport.restart_ice()
        self._sections = sections
        self._unanswered = True
        return subscribe_offer(sections, self._transport.parameters, self._next_origin())

    def answered(self, sdp: str, now: float) -> None:
        """Take the client's answer: consume what it accepts of the tracks that are still there, and nothing else.

        Raises:
            SdpError: there was no offer, or this is not an answer to it; the offer then stays unanswered.
        """
        if not self._unanswered:
            raise SdpError("there is no offer that waits for an answer")
        answer = read_subscribe_answer(sdp, self._sections)
        if answer.remote:
            self._start(answer.remote)
        self._unanswered = False
        self._heard = True
        self._size.learn(sdp, [section.parameters.kind for section in self._sections])
        self._forget_closed()
        for track_id in self._consumers.keys() - {_track_id(section) for section in self._sections}:
            self._router.close_consumer(self._consumers.pop(track_id), now)
        for section in self._sections:
            if section.track and section.track.track_id in self._router.producers:
                self._apply(section.track, answer.accepted.get(section.parameters.mid), now)
        self._sections = tuple(
            replace(section, stopped=section.stopped or section.parameters.mid in answer.stopped)
            for section in self._sections
        )

    def close(self, now: float) -> None:
        """Stop sending and leave."""
        for consumer in self._consumers.values():
            self._router.close_consumer(consumer, now)
        self._consumers.clear()
        self._transport.close()

    def _on_state(self, state: TransportState) -> None:
        super()._on_state(state)
        self._router.connected(self.peer_id, state == "connected")

    def _forget_closed(self) -> None:
        """Those that the router ended with their producers."""
        self._consumers = {key: consumer for key, consumer in self._consumers.items() if not consumer.closed}

    def _apply(self, track: TrackInfo, parameters: RtpParameters | None, now: float) -> None:
        consumer = self._consumers.get(track.track_id)
        if parameters is None:
            self._refused.add(track.track_id)
            if consumer:
                self._router.close_consumer(self._consumers.pop(track.track_id), now)
        elif consumer is None:
            # A client may not change payload types later (RFC 3264 section 8.3.2): the first answer stays.
            self._consumers[track.track_id] = self._router.consume(
                track.track_id, parameters, self._transport, now, peer_id=self.peer_id
            )

    def _plan(self, available: Mapping[str, TrackInfo]) -> tuple[OfferedSection, ...]:
        """The sections of the next offer.

        A section whose track ended is offered inactive once, and is free after that: a browser tells its page of a
        track only where a section begins to receive. A refused section's place is taken by one of another mid.
        """
        wanted = available.keys() - self._refused
        sections = [
            replace(section, track=section.track if not section.stopped and _track_id(section) in wanted else None)
            for section in self._sections
        ]
        offered = {_track_id(section) for section in sections}
        waiting = [track for key, track in available.items() if key in wanted and key not in offered]
        # Everybody is heard before anybody more is seen.
        for track in sorted(waiting, key=lambda track: track.kind):
            place = self._place(sections, track.kind)
            if place is None:
                continue
            keeps_mid = place < len(sections) and not sections[place].stopped
            mid = sections[place].parameters.mid if keeps_mid else self._new_mid()
            parameters = consumer_parameters(track, mid, self._new_ssrc(), self._new_ssrc())
            if parameters is None:
                self._refused.add(track.track_id)
                continue
            sections[place : place + 1] = [OfferedSection(parameters, track)]
        return tuple(sections)

    def _place(self, sections: list[OfferedSection], kind: Kind) -> int | None:
        """Where the next track goes: a free section of its kind, a refused one, a new one; None: no room."""
        before = self._sections
        free = [
            index
            for index, section in enumerate(sections)
            if section.track is None and (before[index].stopped or before[index].track is None)
        ]
        same = (i for i in free if not sections[i].stopped and sections[i].parameters.kind == kind)
        refused = (i for i in free if sections[i].stopped)
        if (index := next(same, next(refused, None))) is not None:
            return index
        there = sum(section.parameters.kind == kind for section in sections)
        return len(sections) if there < self._room(kind, sections) else None

    def _room(self, kind: Kind, sections: Sequence[OfferedSection]) -> int:
        return self._size.room(kind, [section.parameters.kind for section in sections])

    def _new_mid(self) -> str:
        self._next_mid += 1
        return str(self._next_mid - 1)

    def _new_ssrc(self) -> int:
        ssrc = secrets.randbits(32)
        while ssrc in self._ssrcs:
            ssrc = secrets.randbits(32)
        self._ssrcs.add(ssrc)
        return ssrc


def _track_id(section: OfferedSection) -> str | None:
    return section.track.track_id if section.track else None
