"""How each stream of a room is looked at: as who receives it said, within what is allowed of who sends it."""

from collections.abc import Iterable

from sfu.consumer import Consumer
from sfu.producer import Producer
from sfu.router import Router
from sfu.subscriptions import VideoQuality, Wish, bounded, quality_bound


class Views:
    """The views of one room's consumers, and the qualities of its publishers."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._qualities: dict[str, VideoQuality] = {}
        self._bounds: dict[str, int] = {}
        """Of the videos whose bound moves with the layers that are sent, by track."""

    def set_quality(self, user_id: str, quality: VideoQuality) -> None:
        """Bound what is forwarded of a user's videos; `show` their consumers then."""
        self._qualities[user_id] = quality

    def forget(self, user_id: str) -> None:
        """A user is gone."""
        self._qualities.pop(user_id, None)

    def show(self, consumer: Consumer, wish: Wish, speaker: str | None, now: float) -> None:
        """Let a consumer have its track as its subscriber wishes; the same again changes nothing."""
        producer = consumer.producer
        consumer.speaking = producer.track.user_id == speaker
        if producer.track.kind == "audio":
            self._router.insist(consumer, wish.wanted is True)
            return
        view = bounded(wish.view, self._bound(producer, now))
        if view != consumer.view:
            consumer.set_view(view, now)

    def moved(self, producers: Iterable[Producer], now: float) -> set[str]:
        """The users whose bound is another one, since other layers are sent; `show` their consumers then."""
        before = self._bounds
        self._bounds = {
            producer.track.track_id: self._bound(producer, now)
            for producer in producers
            if producer.track.kind == "video" and self._qualities.get(producer.track.user_id) == "medium"
        }
        changed = (track_id for track_id, bound in self._bounds.items() if before.get(track_id) != bound)
        return {self._router.producers[track_id].track.user_id for track_id in changed}

    def _bound(self, producer: Producer, now: float) -> int:
        quality = self._qualities.get(producer.track.user_id, "high")
        sent = {layer.id.spatial for layer in producer.layers(now)} if quality == "medium" else ()
        return quality_bound(quality, len(sent))
