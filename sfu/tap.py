"""What one recording or live stream gets of a room: a subscriber whose transport is the wire to its egress process.

It has a consumer for each track that is wanted, as any subscriber, with three differences. There is no path to share
and to estimate, so it gets the layer of its quality at once; it insists on audio that is hushed for others; and it
takes neither RTX nor FEC nor RED: what was lost on the way here was asked for again by the producer, and what is lost
on a socket of this machine is lost for want of time to read it.

Packets are put together and leave with each tick. What the outlet has no room for is dropped, and to the egress
process that is a loss like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Any, Protocol

from meet.domain.recording import HEIGHTS, Quality
from sfu.egress.sink import Track
from sfu.egress.wire import Batch, message
from sfu.router import Router
from sfu.rtp.layers import HIGHEST, LayerId, View
from sfu.rtp.parameters import AUDIO_LEVEL_URI, VIDEO_ORIENTATION_URI, Encoding, RtpParameters, Source, TrackInfo
from sfu.subscriptions import Wish, quality_bound
from sfu.views import Views
from sfu.wired import TrackWire, WiredConsumer

LOOK_S = 0.2
"""How often layers are looked at, which come and go by themselves."""
MOST_TILES = 9
"""Of a streamed picture."""
_ALL: frozenset[Source] = frozenset({"microphone", "camera", "screen", "screen-audio"})
_REPAIRS = frozenset({"rtx", "red", "ulpfec", "flexfec-03"})
_KEPT_EXTENSIONS = frozenset({AUDIO_LEVEL_URI, VIDEO_ORIENTATION_URI})
"""What an egress process reads of a packet besides its payload."""


class Outlet(Protocol):
    """The way to an egress process. Nothing here blocks or raises."""

    def send(self, frame: bytes) -> None:
        """Send a message; it arrives, or the process is gone."""

    def pour(self, frame: bytes, packets: int) -> None:
        """Send so many packets, unless too much waits already."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a room an egress process is to have."""

    sources: frozenset[Source] = _ALL
    quality: Quality = "high"
    """Which spatial layer of a video: the lowest, the middle one, the highest."""
    height: int | None = None
    """Lines of the one picture that shows all videos: no layer is wanted above the first that fills its tile."""

    @classmethod
    def recorded(cls, asked: Mapping[str, Any]) -> "Wanted":
        """What the command `start-recording` asks for. ValueError where it makes no sense."""
        if asked["quality"] not in HEIGHTS:
            raise ValueError("quality")
        sources: set[Source] = set()
        sources |= {"microphone"} if asked["audio"] else set()
        sources |= {"camera"} if asked["video"] else set()
        sources |= {"screen"} if asked["screen"] else set()
        sources |= {"screen-audio"} if asked["screen"] and asked["audio"] else set()
        return cls(frozenset(sources), asked["quality"])

    @classmethod
    def streamed(cls, asked: Mapping[str, Any]) -> "Wanted":
        """What the command `start-stream` asks for."""
        return cls(height=int(asked["height"]))

    def view(self, spatial_layers: int, videos: int) -> View:
        """How a video is looked at that has so many layers, and is one of so many."""
        if self.height is not None:
            return View(height=self.height // ceil(sqrt(min(max(videos, 1), MOST_TILES))))
        return View(cap=LayerId(quality_bound(self.quality, spatial_layers), HIGHEST))


class Tap:
    """What one egress process gets, from its beginning to its end. Made by `RoomMedia.tap`."""

    def __init__(
        self,
        wanted: Wanted,
        outlet: Outlet,
        router: Router,
        views: Views,
        name_of: Callable[[str], str],
        *,
        peer_id: str,
    ) -> None:
        """`name_of` gives the name that a user is shown by; `peer_id` is nobody else's in the router."""
        self.user_ids: set[str] = set()
        """Of whom there was a track."""
        self._wanted = wanted
        self._outlet = outlet
        self._router = router
        self._views = views
        self._name_of = name_of
        self._peer_id = peer_id
        self._batch = Batch()
        self._consumers: dict[str, WiredConsumer] = {}
        self._numbered = 0
        self._looked_at = float("-inf")

    @property
    def consumers(self) -> Mapping[str, WiredConsumer]:
        """What is had, by track id."""
        return self._consumers

    def begin(self, info: TrackInfo, now: float) -> None:
        """A track is published, or was so before the tap; nothing where it is not wanted."""
        parameters = _plain(info.parameters, ssrc=self._numbered + 1, cname=info.peer_id)
        if info.source not in self._wanted.sources or not parameters.codecs:
            return
        self._numbered += 1
        producer = self._router.producers[info.track_id]
        wire = TrackWire(self._numbered, self._batch)
        view = self._wanted.view(len(producer.layers(now)), self._videos + 1)
        consumer = self._router.wire(info.track_id, parameters, wire, view, now, peer_id=self._peer_id)
        self._consumers[info.track_id] = consumer
        self.user_ids.add(info.user_id)
        name = self._name_of(info.user_id)
        track = Track(info.track_id, info.user_id, name, info.peer_id, info.kind, info.source, consumer.parameters)
        # At once: the batch, which may have packets of it by now, comes after.
        self._outlet.send(message("begin", number=wire.number, track=track.as_dict(), muted=producer.muted))

    def end(self, track_id: str, now: float) -> None:
        """A track is over, in the router, too; unknown is fine."""
        consumer = self._consumers.pop(track_id, None)
        if consumer is not None:
            self._router.close_consumer(consumer, now)
            self._say("end", track_id=track_id)

    def mute(self, track_id: str, muted: bool) -> None:
        """A track is held back, or no more; unknown is fine."""
        if track_id in self._consumers:
            self._say("mute", track_id=track_id, muted=muted)

    def rename(self, user_id: str, username: str) -> None:
        """Somebody has another name now."""
        self._say("rename", user_id=user_id, username=username)

    def want_key_frame(self, track_id: str, now: float) -> None:
        """The egress process can't go on with a track; unknown is fine, since it may be over by now."""
        consumer = self._consumers.get(track_id)
        if consumer is not None:
            consumer.request_key_frame(now)

    def tick(self, now: float) -> None:
        """Send what came. Call this every 20 ms."""
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            self._look(now)
        for consumer in self._consumers.values():
            if not consumer.wire.reported:  # the router's own first report may be more than a second away
                consumer.report(now)
        self._flush()

    def close(self, now: float) -> None:
        """Have no more; what came is sent."""
        self._flush()
        for consumer in self._consumers.values():
            self._router.close_consumer(consumer, now)
        self._consumers.clear()

    def _look(self, now: float) -> None:
        for consumer in self._consumers.values():
            layers = {layer.id.spatial for layer in consumer.producer.layers(now)}
            view = self._wanted.view(len(layers), self._videos)
            self._views.show(consumer, Wish(wanted=True, view=view), None, now)

    @property
    def _videos(self) -> int:
        return sum(consumer.producer.track.kind == "video" for consumer in self._consumers.values())

    def _say(self, kind: str, /, **values: Any) -> None:
        self._flush()
        self._outlet.send(message(kind, **values))

    def _flush(self) -> None:
        packets = self._batch.packets
        if packets:
            self._outlet.pour(self._batch.take(), packets)


def _plain(parameters: RtpParameters, *, ssrc: int, cname: str) -> RtpParameters:
    """The publisher's own parameters, of one stream that nothing repairs."""
    return replace(
        parameters,
        codecs=tuple(codec for codec in parameters.codecs if codec.name not in _REPAIRS),
        header_extensions=tuple(one for one in parameters.header_extensions if one.uri in _KEPT_EXTENSIONS),
        encodings=(Encoding(ssrc),),
        cname=cname,
    )
