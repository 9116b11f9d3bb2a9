"""The connection of somebody who only watches (WHEP): negotiated once, and then shown whatever is on stage.

Each section has one stream of ours for all of its life. A change of what it shows is a change of that stream's
source, from the new one's next key frame on; the viewer sees neither a gap nor another SSRC, and nothing is
negotiated again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from meet.clock import utcnow
from sfu.ortc.view import ViewOffer, view_answer, viewer_parameters
from sfu.peer import Peer, TransportFactory
from sfu.rtp.parameters import Encoding, Kind, RtpParameters, TrackInfo
from sfu.stage import Performer, cast, pictures, sounds
from sfu.transport import TransportState

if TYPE_CHECKING:
    from sfu.consumer import Consumer
    from sfu.router import Router


class ViewerPeer(Peer):
    """A connection on which a user receives what the room chooses."""

    def __init__(
        self, user_id: str, router: Router, create_transport: TransportFactory, clock: Callable[[], datetime] = utcnow
    ) -> None:
        super().__init__(user_id, router, create_transport, clock)
        self._sections: dict[str, RtpParameters] = {}
        """By mid, in the viewer's order."""
        self._consumers: dict[str, Consumer] = {}
        """By mid, from the first track that a section showed."""
        self._showing: dict[str, str] = {}
        """The track id by mid; of what is waited for already where it changes."""
        self._fitting: dict[tuple[str, str], RtpParameters | None] = {}
        """What a section would show a track with, by mid and track id: it stays so, and is asked for every second."""

    @property
    def consumers(self) -> tuple[Consumer, ...]:
        """What is being sent."""
        return tuple(self._consumers.values())

    def negotiate(self, offer: ViewOffer) -> str:
        """Answer the one offer of this connection. Raises `SdpError` where its fingerprint can't be used."""
        ssrcs = _distinct(2 * len(offer.parameters))
        for parameters in offer.parameters:
            ssrc, rtx_ssrc = ssrcs.pop(), ssrcs.pop()
            has_rtx = any(codec.name == "rtx" for codec in parameters.codecs)
            encoding = Encoding(ssrc, rtx_ssrc if has_rtx else None)
            self._sections[parameters.mid] = replace(parameters, encodings=(encoding,), cname=self.peer_id)
        self._start(offer.remote)
        self._heard = True
        chosen = list(self._sections.values())
        return view_answer(offer, chosen, self._transport.parameters, self._next_origin(), self.peer_id)

    def show(self, performers: Sequence[Performer], speaker: str | None, now: float) -> None:
        """Show what is on stage now; the same again changes nothing."""
        present = {performer.track.track_id for performer in performers}
        self._showing = {mid: track_id for mid, track_id in self._showing.items() if track_id in present}
        for mid, track_id in [key for key in self._fitting if key[1] not in present]:
            del self._fitting[mid, track_id]
        seen = pictures(performers, speaker)
        chosen = cast(self._mids("video"), seen, self._showing, self._fits)
        main = next(iter(chosen.values()), seen[0] if seen else None)
        heard = sounds(performers, speaker, main.user_id if main else None)
        chosen |= cast(self._mids("audio"), heard, self._showing, self._fits)
        for mid, track in chosen.items():
            if self._showing.get(mid) != track.track_id:
                self._change(mid, track, now)

    def close(self, now: float) -> None:
        """Stop sending and leave."""
        for consumer in self._consumers.values():
            self._router.close_consumer(consumer, now)
        self._consumers.clear()
        self._showing.clear()
        self._transport.close()

    def _on_state(self, state: TransportState) -> None:
        super()._on_state(state)
        self._router.connected(self.peer_id, state == "connected")

    def _mids(self, kind: Kind) -> list[str]:
        return [mid for mid, parameters in self._sections.items() if parameters.kind == kind]

    def _fits(self, mid: str, track: TrackInfo) -> bool:
        return self._parameters(mid, track) is not None

    def _parameters(self, mid: str, track: TrackInfo) -> RtpParameters | None:
        key = mid, track.track_id
        if key not in self._fitting:
            self._fitting[key] = viewer_parameters(self._sections[mid], track.parameters)
        return self._fitting[key]

    def _change(self, mid: str, track: TrackInfo, now: float) -> None:
        parameters = self._parameters(mid, track)
        if parameters is None:
            return
        consumer = self._consumers.get(mid)
        if consumer is None:
            consumer = self._router.consume(track.track_id, parameters, self._transport, now, peer_id=self.peer_id)
            consumer.outlives_track = True
            self._consumers[mid] = consumer
        else:
            self._router.follow(consumer, track.track_id, parameters, now)
        self._showing[mid] = track.track_id


def _distinct(count: int) -> list[int]:
    """As many SSRCs."""
    found: set[int] = set()
    while len(found) < count:
        found.add(secrets.randbits(32))
    return list(found)
