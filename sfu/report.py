"""What is told of a room's media: the document's objects `peers`, `statistics` and `quality_metrics`.

All of it is measured. Of what a user sends: what arrives here. Of what a user receives: what is sent to them, and
what their receiver reports say of loss, jitter and round trip. Bit rates are of RTP payload, as `bytesSent` and
`bytesReceived` of a browser's statistics are, without what was sent again; those of layers are with RTP headers,
since they say what a link has to carry. Loss is before repair, of the last 10 s, and weighted by packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from meet.clock import iso
from sfu.peer import Peer, PublishPeer, SubscribePeer
from sfu.rtp.layers import Layer
from sfu.rtp.parameters import TrackInfo
from sfu.rtp.stats import ConsumerStats, TrackStats
from sfu.transport import TransportState
from sfu.viewer import ViewerPeer

Status = Literal["connecting", "connected", "disconnected", "failed"]
Quality = Literal["excellent", "good", "fair", "poor"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)

THRESHOLDS: tuple[tuple[Quality, float, float], ...] = (
    ("excellent", 0.01, 75.0),
    ("good", 0.03, 150.0),
    ("fair", 0.10, 400.0),
)
"""(quality, loss below, round trip in ms below); what is beyond them is poor.

Half a round trip up from the speaker and half down to the listener make one round trip of network delay between
mouth and ear, so ITU-T G.114's limits for one way hold for the round trip of a leg: 150 ms are good for everybody,
400 ms the end of what is acceptable. Excellent leaves half of the 150 ms to codecs and jitter buffers. Loss is by
ITU-T G.1010 table I.1: 1 % for video telephony, 3 % for conversational voice; Opus with its FEC is understood up to
about 10 %.
"""

_STATUS: dict[TransportState, Status] = {
    "new": "connecting",
    "connecting": "connecting",
    "connected": "connected",
    "disconnected": "disconnected",
    "failed": "failed",
    "closed": "disconnected",
}


@dataclass(frozen=True, slots=True)
class UserReport:
    """One user's connections and how their streams fare at one moment."""

    user_id: str
    publish: PublishPeer | None
    subscribe: SubscribePeer | ViewerPeer | None
    sent: Sequence[tuple[TrackInfo, TrackStats]]
    """What the user publishes."""
    received: Sequence[ConsumerStats]
    """What the user is sent."""

    @property
    def peer(self) -> Peer | None:
        """The connection that stands for the user: the one that sends, else the one that receives."""
        return self.publish or self.subscribe

    @property
    def rtt_ms(self) -> float | None:
        """The mean of the round trips that reports tell, else the longer of what the handshakes saw."""
        streams = [*(stats for _, stats in self.sent), *self.received]
        reported = [stats.rtt_ms for stats in streams if stats.rtt_ms is not None]
        if reported:
            return sum(reported) / len(reported)
        seen = [peer.rtt_ms for peer in (self.publish, self.subscribe) if peer and peer.rtt_ms is not None]
        return max(seen, default=None)

    @property
    def loss_rate(self) -> float:
        """The loss in the worse direction, 0 to 1."""
        return max(_loss_rate(stats for _, stats in self.sent), _loss_rate(self.received))

    @property
    def quality(self) -> Quality | None:
        """How well the user is served; None while still connecting. Who was lost is served poorly."""
        status = _STATUS[self.peer.state] if self.peer else "connecting"
        if status == "connecting":
            return None
        return quality(self.loss_rate, self.rtt_ms) if status == "connected" else "poor"


@dataclass(frozen=True, slots=True)
class RoomReport:
    """The document's objects of one room at one moment."""

    peers: list[dict[str, Any]]
    statistics: dict[str, float]
    quality_metrics: dict[str, int]


def room_report(users: Sequence[UserReport]) -> RoomReport:
    """All of it from the same figures."""
    return RoomReport(peers(users), statistics(users), quality_metrics(users))


def user_report(
    user_id: str, publish: PublishPeer | None, subscribe: SubscribePeer | ViewerPeer | None, now: float
) -> UserReport:
    """Ask a user's streams how they fare."""
    return UserReport(
        user_id=user_id,
        publish=publish,
        subscribe=subscribe,
        sent=[(producer.track, producer.stats(now)) for producer in publish.producers] if publish else [],
        received=[consumer.stats(now) for consumer in subscribe.consumers] if subscribe else [],
    )


def quality(loss_rate: float, rtt_ms: float | None) -> Quality:
    """How good a connection is, by `THRESHOLDS`; a round trip that nobody measured does not count against it."""
    return next(
        (name for name, loss, rtt in THRESHOLDS if loss_rate < loss and (rtt_ms is None or rtt_ms < rtt)), "poor"
    )


def peers(users: Iterable[UserReport]) -> list[dict[str, Any]]:
    """The document's `peers`: one for each user, since the second connection only receives what others publish."""
    return [_peer(user, user.peer) for user in users if user.peer]


def statistics(users: Sequence[UserReport]) -> dict[str, float]:
    """The document's `statistics`. Jitter is a mean over streams, the round trip one over users."""
    present = [user for user in users if user.peer]
    sent = [pair for user in users for pair in user.sent]
    received = [stats for user in users for stats in user.received]
    inbound = sum(stats.bitrate_bps for _, stats in sent)
    outbound = sum(stats.bitrate_bps for stats in received)
    screens = sum(track.source == "screen" for track, _ in sent)
    streams: list[TrackStats] = [*(stats for _, stats in sent), *received]
    return {
        "total_peers": len(present),
        "active_peers": sum(user.peer is not None and user.peer.state == "connected" for user in present),
        "total_tracks": len(sent),
        "audio_tracks": sum(track.kind == "audio" for track, _ in sent),
        "video_tracks": sum(track.kind == "video" for track, _ in sent) - screens,
        "screen_tracks": screens,
        "total_bandwidth": inbound + outbound,
        "inbound_bandwidth": inbound,
        "outbound_bandwidth": outbound,
        "packet_loss_rate": round(_loss_rate(streams), 4),
        "average_jitter": round(_mean(stats.jitter_ms for stats in streams), 1),
        "average_rtt": round(_mean(rtt for rtt in (user.rtt_ms for user in users) if rtt is not None), 1),
    }


def quality_metrics(users: Iterable[UserReport]) -> dict[str, int]:
    """How many users are served how well. Who is still connecting isn't counted; who was lost is served poorly."""
    counts: dict[str, int] = dict.fromkeys(QUALITIES, 0)
    for user in users:
        if user.quality:
            counts[user.quality] += 1
    return counts


def _peer(user: UserReport, peer: Peer) -> dict[str, Any]:
    sources = {track.source for track, _ in user.sent}
    told: dict[str, Any] = {
        "peer_id": peer.peer_id,
        "user_id": user.user_id,
        "media_type": "video" if "camera" in sources else "screen" if "screen" in sources else "audio",
        "status": _STATUS[peer.state],
        "tracks": [_track(track, stats) for track, stats in user.sent],
        "packet_loss_rate": round(user.loss_rate, 4),
    }
    if user.rtt_ms is not None:
        told["rtt"] = round(user.rtt_ms, 1)
    if user.quality:
        told["quality"] = user.quality
    if peer.connected_at:
        told["connected_at"] = iso(peer.connected_at)
    if peer.last_activity:
        told["last_activity"] = iso(peer.last_activity)
    return told


def _track(track: TrackInfo, stats: TrackStats) -> dict[str, Any]:
    told: dict[str, Any] = {
        "track_id": track.track_id,
        "kind": track.kind,
        "source": track.source,
        "codec": stats.codec or track.parameters.codecs[0].name,
        "bitrate": stats.bitrate_bps,
        "packets": stats.packets,
        "packets_lost": stats.lost,
        "packet_loss_rate": round(stats.loss_rate, 4),
        "jitter": round(stats.jitter_ms, 1),
    }
    if track.kind == "video":
        told["resolution"] = _resolution(stats.width, stats.height)
        told["frame_rate"] = round(stats.frame_rate, 1)
        told["layers"] = [_layer(layer) for layer in stats.layers]
    return told


def _layer(layer: Layer) -> dict[str, Any]:
    """With all lower layers that it needs counted in, as a subscriber of it gets them."""
    return {
        "spatial": layer.id.spatial,
        "temporal": layer.id.temporal,
        "bitrate": layer.bitrate_bps,
        "resolution": _resolution(layer.width, layer.height),
        "frame_rate": layer.frame_rate,
    }


def _resolution(width: int, height: int) -> str:
    """Empty until a key frame told it."""
    return f"{width}x{height}" if width and height else ""


def _loss_rate(streams: Iterable[TrackStats]) -> float:
    """The share of all packets that was lost, 0 to 1."""
    found = [(stats.loss_rate, stats.expected) for stats in streams]
    expected = sum(packets for _, packets in found)
    return sum(rate * packets for rate, packets in found) / expected if expected else 0.0


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
