"""What those who only watch are shown: the room's main picture first, then other people.

A viewer by WHEP negotiates once and says nothing after that. So the room decides what its sections show: the first
picture is a screen where one is shared, else the camera of who speaks, else of who is there longest; the first sound
is who speaks, else who is seen. Further sections show further people, who stay where they are as long as they are
among the first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sfu.rtp.parameters import Kind, TrackInfo


@dataclass(frozen=True, slots=True)
class Performer:
    """A track that could be shown, and whether anything has come of it yet."""

    track: TrackInfo
    flows: bool = True


Fits = Callable[[str, TrackInfo], bool]
"""Whether the section of a mid can show a track."""


def pictures(performers: Sequence[Performer], speaker: str | None) -> list[TrackInfo]:
    """The videos, the main picture first. `performers` come in the order in which they were published."""

    def place(performer: Performer) -> tuple[bool, bool, bool]:
        track = performer.track
        return not performer.flows, track.source != "screen", track.user_id != speaker

    return _ranked(performers, "video", place)


def sounds(performers: Sequence[Performer], speaker: str | None, seen: str | None) -> list[TrackInfo]:
    """The audio tracks, the first to be heard first: who speaks, then who is `seen`; voices before what they play."""

    def place(performer: Performer) -> tuple[bool, bool, bool, bool]:
        track = performer.track
        return not performer.flows, track.user_id != speaker, track.user_id != seen, track.source != "microphone"

    return _ranked(performers, "audio", place)


def cast(
    sections: Sequence[str], ranked: Sequence[TrackInfo], showing: Mapping[str, str], fits: Fits
) -> dict[str, TrackInfo]:
    """Which track each section is to show, by mid. A section that nothing is left for is not among them.

    `sections` are the mids of one kind, in the viewer's order; `showing` says by track id what they show now. The
    first section gets the first track that it can show; the others keep theirs while it is among the first.
    """
    free = list(ranked)
    chosen: dict[str, TrackInfo] = {}

    def give(mid: str, among: Sequence[TrackInfo]) -> None:
        track = next((track for track in among if fits(mid, track)), None)
        if track is not None:
            chosen[mid] = track
            free.remove(track)

    for mid in sections[:1]:
        give(mid, free)
    leading = free[: len(sections) - 1]
    for mid in sections[1:]:
        give(mid, [track for track in leading if track.track_id == showing.get(mid) and track in free])
    for mid in sections[1:]:
        if mid not in chosen:
            give(mid, free)
    return chosen


def _ranked(
    performers: Sequence[Performer], kind: Kind, place: Callable[[Performer], tuple[bool, ...]]
) -> list[TrackInfo]:
    """Sorting is stable: among equals, who came first is first."""
    return [performer.track for performer in sorted(performers, key=place) if performer.track.kind == kind]
