"""What is published in a room, as its signaling knows it: whose tracks there are, and who speaks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sfu.rtp.parameters import Source, TrackInfo
from sfu.signaling.messages import Choice, InvalidMessage, Refused, SetLayer

_SHOWN_BY: Mapping[str, frozenset[Source]] = {
    "audio_enabled": frozenset({"microphone"}),
    "video_enabled": frozenset({"camera"}),
    "screen_sharing": frozenset({"screen"}),
}
"""A client that doesn't say what it sends is judged by the tracks that it publishes."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks, or spoke last, and on which track."""

    user_id: str
    track_id: str


class Tracks:
    """The tracks of one room."""

    def __init__(self) -> None:
        self.speaker: Speaker | None = None
        """None: nobody has spoken yet, or who did is gone."""
        self._by_user: dict[str, dict[str, TrackInfo]] = {}

    def add(self, info: TrackInfo) -> None:
        """A track is published."""
        self._by_user.setdefault(info.user_id, {})[info.track_id] = info

    def remove(self, info: TrackInfo) -> bool:
        """A track has ended; False where it was not there."""
        theirs = self._by_user.get(info.user_id, {})
        if theirs.pop(info.track_id, None) is None:
            return False
        if not theirs:
            del self._by_user[info.user_id]
        return True

    def of(self, user_id: str) -> Iterator[TrackInfo]:
        """What a user publishes."""
        yield from self._by_user.get(user_id, {}).values()

    def shown_by(self, user_id: str) -> dict[str, bool]:
        """The media state of a user who doesn't say it: what is published is on."""
        published = {info.source for info in self.of(user_id)}
        return {name: bool(published & sources) for name, sources in _SHOWN_BY.items()}

    def check(self, user_id: str, choice: Choice) -> None:
        """Raise `Refused` where this is nothing that the user can choose."""
        holders = (theirs for theirs in self._by_user.values() if choice.track_id in theirs)
        found = next((theirs[choice.track_id] for theirs in holders), None)
        if found is None:
            raise Refused("TRACK_NOT_FOUND", "There is no such track in the room")
        if found.user_id == user_id:
            raise InvalidMessage("This is a track of one's own", choice.type)
        if isinstance(choice, SetLayer) and found.kind == "audio":
            raise InvalidMessage("Audio has no layers", choice.type)
