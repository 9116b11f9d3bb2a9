"""Views under the qualities of publishers, on a router whose video has three layers."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sfu.rtp.layers import EVERYTHING, HIGHEST, Layer, LayerId, View
from sfu.rtp.parameters import Kind, RtpParameters, TrackInfo
from sfu.subscriptions import NO_WISH, VideoQuality, Wish
from sfu.views import Views


@dataclass
class Producer:
    track: TrackInfo
    spatial: int = 3

    def layers(self, now: float) -> tuple[Layer, ...]:
        return tuple(Layer(LayerId(s, t), 1, 0, 0, 0.0) for s in range(self.spatial) for t in range(2))


@dataclass
class Consumer:
    """Notes each view that it is given."""

    producer: Producer
    view: View = field(default_factory=View)
    speaking: bool = False
    given: list[View] = field(default_factory=list)

    def set_view(self, view: View, now: float) -> None:
        self.view = view
        self.given.append(view)


class Router:
    def __init__(self) -> None:
        self.insisting: list[tuple[Any, bool]] = []
        self.producers: dict[str, Producer] = {}

    def insist(self, consumer: Any, insists: bool) -> None:
        self.insisting.append((consumer, insists))

    def produce(self, name: str, kind: Kind = "video") -> Consumer:
        source = "camera" if kind == "video" else "microphone"
        track = TrackInfo(f"{name}-{kind}", name, name, kind, source, RtpParameters("0", kind, ()))
        self.producers[track.track_id] = Producer(track)
        return Consumer(self.producers[track.track_id])


@pytest.fixture
def router() -> Router:
    return Router()


@pytest.fixture
def views(router: Router) -> Views:
    return Views(router)


def show(views: Views, consumer: Consumer, wish: Wish = NO_WISH, speaker: str | None = None) -> None:
    views.show(consumer, wish, speaker, 0.0)


def test_a_wish_is_the_view_and_is_given_once(views: Views, router: Router) -> None:
    consumer = router.produce("alice")
    wish = Wish().looking(True, 320, 180)
    show(views, consumer, wish)
    show(views, consumer, wish)
    assert consumer.given == [View(True, 320, 180, EVERYTHING)]


@pytest.mark.parametrize(("quality", "highest"), [("low", 0), ("medium", 1), ("high", HIGHEST)])
def test_the_publishers_quality_bounds_what_everybody_gets(
    views: Views, router: Router, quality: VideoQuality, highest: int
) -> None:
    views.set_quality("alice", quality)
    alice, bob = router.produce("alice"), router.produce("bob")
    show(views, alice)
    show(views, bob)
    assert alice.view.cap.spatial == highest
    assert bob.view.cap == EVERYTHING


def test_of_both_caps_the_lower_one_counts(views: Views, router: Router) -> None:
    views.set_quality("alice", "medium")
    consumer = router.produce("alice")
    show(views, consumer, Wish().capped(0, 1))
    assert consumer.view.cap == LayerId(0, 1)
    show(views, consumer, Wish().capped(2, 1))
    assert consumer.view.cap == LayerId(1, 1)
    views.set_quality("alice", "high")
    show(views, consumer, Wish().capped(2, 1))
    assert consumer.view.cap == LayerId(2, 1)


def test_a_medium_bound_moves_with_the_layers_that_are_sent(views: Views, router: Router) -> None:
    for name in ("alice", "bob", "carol"):
        router.produce(name)
        views.set_quality(name, "high" if name == "carol" else "medium")
    router.produce("alice", "audio")
    producers = router.producers.values()
    assert views.moved(producers, 0.0) == {"alice", "bob"}
    assert views.moved(producers, 0.0) == set()
    router.producers["alice-video"].spatial = 2
    router.producers["carol-video"].spatial = 2
    assert views.moved(producers, 0.0) == {"alice"}


def test_a_user_who_is_gone_is_bound_no_more(views: Views, router: Router) -> None:
    views.set_quality("alice", "low")
    views.forget("alice")
    views.forget("alice")
    consumer = router.produce("alice")
    show(views, consumer)
    assert consumer.view.cap == EVERYTHING


def test_who_speaks_goes_first_and_audio_is_insisted_on_where_it_was_asked_for(views: Views, router: Router) -> None:
    video, audio = router.produce("alice"), router.produce("alice", "audio")
    show(views, video, speaker="alice")
    assert video.speaking
    show(views, video, speaker="bob")
    assert not video.speaking
    show(views, audio)
    show(views, audio, Wish(True))
    assert router.insisting == [(audio, False), (audio, True)]
    assert audio.given == []
