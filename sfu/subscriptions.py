"""What each subscriber of a room gets: everybody's audio and the last N videos, unless the client says otherwise.

A client that says nothing gets all audio that its connection has room for, and of the videos `last_n`: screens come
first, then the cameras of who spoke last, then of those who are there longest. One that is told to be wanted is there
whatever the others are, and takes one of the N places; one that is refused never is.

Nothing is remembered from one choice to the next, and yet tiles don't jump: the order changes only where the floor
passes to somebody else, who comes to the front. So each such change, and each video that ends, brings at most one new
video; somebody who comes into a full room brings none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from sfu.rtp.layers import HIGHEST, LayerId, View
from sfu.rtp.parameters import AUDIO_LEVEL_URI, TrackInfo

VideoQuality = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client said of one track."""

    wanted: bool | None = None
    """None: nothing, so the room decides."""
    view: View = field(default_factory=View)

    def looking(self, visible: bool, width: int | None, height: int | None, *, received: bool = False) -> "Wish":
        """Wanted, and seen so; the cap stays.

        Of a track that is received already, a size or that it is out of sight says how it is seen, and not that it
        is wanted: a page tells this of each tile that it shows, and leaves to the room whose videos those are.
        """
        only_seen = received and (not visible or width is not None or height is not None)
        return Wish(self.wanted if only_seen else True, View(visible, width, height, self.view.cap))

    def refused(self) -> "Wish":
        """Not wanted; the rest is kept for when it is again."""
        return replace(self, wanted=False)

    def capped(self, spatial: int | None, temporal: int | None) -> "Wish":
        """With other bounds on its layers; None: no bound."""
        cap = LayerId(HIGHEST if spatial is None else spatial, HIGHEST if temporal is None else temporal)
        return replace(self, view=replace(self.view, cap=cap))


NO_WISH = Wish()


def choose(
    tracks: Sequence[TrackInfo],
    wishes: Mapping[str, Wish],
    *,
    last_n: int,
    audio_room: int,
    spoke: Sequence[str],
    heard: Sequence[str],
) -> list[TrackInfo]:
    """Which of the others' `tracks` a subscriber gets, the most important first: audio, then video.

    `tracks` are in the order of who is there longest, `wishes` by track; `spoke` has users, who has the floor or had
    it last first; `heard` has audio tracks, those let in last first. `audio_room` is how many audio tracks the
    connection can hold: where that is not all, those that were not heard for longest wait until they are.
    """
    offered = [track for track in tracks if _wish(track, wishes).wanted is not False]
    audio = [track for track in offered if track.kind == "audio"]
    videos = [track for track in offered if track.kind == "video"]
    voices, faces = _places(heard), _places(spoke)

    def audio_rank(track: TrackInfo) -> tuple[bool, bool, int]:
        # What can't be judged is forwarded always, so it is wanted as what a screen plays is.
        judged = track.source == "microphone" and track.parameters.extension_id(AUDIO_LEVEL_URI) is not None
        return not _wish(track, wishes).wanted, judged, voices.get(track.track_id, len(voices))

    def video_rank(track: TrackInfo) -> tuple[bool, bool, int]:
        is_screen = track.source == "screen"
        place = 0 if is_screen else faces.get(track.user_id, len(faces))
        return not _wish(track, wishes).wanted, not is_screen, place

    wanted = sum(_wish(track, wishes).wanted is True for track in videos)
    return sorted(audio, key=audio_rank)[:audio_room] + sorted(videos, key=video_rank)[: max(last_n, wanted)]


def _wish(track: TrackInfo, wishes: Mapping[str, Wish]) -> Wish:
    return wishes.get(track.track_id, NO_WISH)


def _places(order: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(order)}


def quality_bound(quality: VideoQuality, spatial_layers: int) -> int:
    """The highest spatial layer that is forwarded of a video whose publisher's quality is bounded, counted from 0.

    Of the layers that it sends now, `low` is the lowest, `medium` the lower middle one (of three the second, of two
    and of one the lowest), `high` all. So a video of one layer alone, which nothing can be taken from, looks the same
    at any quality.
    """
    match quality:
        case "low":
            return 0
        case "medium":
            return max(0, spatial_layers - 1) // 2
        case "high":
            return HIGHEST


def bounded(view: View, bound: int) -> View:
    """A viewer's view under the publisher's bound: the lower of both caps."""
    cap = view.cap._replace(spatial=min(view.cap.spatial, bound))
    return view if cap == view.cap else replace(view, cap=cap)
