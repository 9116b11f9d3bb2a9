"""What a room's media tells its signaling."""

from dataclasses import dataclass

from sfu.rtp.layers import LayerId
from sfu.rtp.parameters import TrackInfo


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
    """A user is to be sent this offer; `RoomMedia.answered` takes what comes back."""

    user_id: str
    sdp: str
    tracks: list[dict[str, str]]
    """All that this connection has now: mid, track_id, user_id, kind, source."""


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """A connection that has a name of its own is over: its client hung up or was lost."""

    connection: str


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    """Another user speaks, on this track; None: who did is gone."""

    user_id: str | None
    track_id: str | None


@dataclass(frozen=True, slots=True)
class LayersChanged:
    """Another layer of a video is sent to a user, or is meant to be as soon as it can begin; None: nothing is."""

    user_id: str
    track_id: str
    current: LayerId | None
    target: LayerId | None


MediaEvent = TrackPublished | TrackUnpublished | SubscribeOffer | ConnectionEnded | SpeakerChanged | LayersChanged
