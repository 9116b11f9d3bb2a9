"""One picture and one sound of everything in a room, at the pace of the clock.

All that was captured at one moment is shown `DELAY_S` later: by then what the network held up, or lost and sent once
more, is there. Nine tiles at most: screens first, then those whose cameras are on, then the others, each as the card
of their name. Where nobody is, a card says so, and there is silence.

    mixer = Mixer(picture, now)
    mixer.begin(track, now); mixer.rtp(track_id, packet, now); ...
    for made in mixer.mix(now): ...
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import av

from meet.domain.stream import Picture
from meet.picture.canvas import Canvas, Plane
from meet.picture.labels import bar, bar_height, card
from meet.picture.layout import Rect, fitted, grid
from sfu.egress.face import Face
from sfu.egress.frames import Frames
from sfu.egress.sink import Track
from sfu.egress.sound import RATE, Mix, Voice
from sfu.egress.sync import Sync
from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport

DELAY_S = 0.6
WAIT_S = 0.4
"""For a missing packet: the SFU has asked for it again some times by then. What is left of the delay is for senders
whose clocks are laid on ours, and for the tick."""
MOST_TILES = 9
BLOCK = RATE // 50
"""Samples that are made at once: 20 ms."""
BEHIND_S = 1.0
"""Where the mixer was held up for longer, it goes on with what is now, and leaves the rest out."""
ASKS_S = 1.0
"""Between two wishes for a key frame of one track."""
GROUND = 16
"""Luma of what is behind all: black."""
EMPTY = "Waiting for somebody to join"


@dataclass(frozen=True, slots=True)
class Heard:
    """Sound: 16 bits, interleaved, two channels. `at` counts samples."""

    at: int
    samples: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture in I420. `at` counts pictures."""

    at: int
    pixels: bytes


@dataclass(slots=True)
class _Member:
    """A track of the room."""

    track: Track
    name: str
    frames: Frames
    muted: bool = False
    voice: Voice | None = None
    face: Face | None = None
    """While it has a tile."""
    asked_at: float = 0.0


@dataclass(slots=True)
class _Tile:
    """A part of the picture; `track_id` is None for the card of who can't be seen."""

    name: str
    track_id: str | None
    place: Rect = field(default_factory=lambda: Rect(0, 0, 0, 0))
    painted: Rect | None = None
    """Where its picture is now; None while its card is there."""


class Mixer:
    """All tracks of a room."""

    def __init__(self, picture: Picture, now: float) -> None:
        """Its pictures and its sound are counted from `now` on."""
        self.dropped_frames = 0
        """Pictures that were left out because the mixer was held up."""
        self._errors = 0
        """Of voices, and of faces that are gone."""
        self._picture = picture
        self._began = now
        self._sync = Sync()
        self._mix = Mix()
        self._shown = 0
        """The number of the next picture."""
        self._members: dict[str, _Member] = {}
        self._canvas = Canvas(picture.width, picture.height)
        self._tiles: list[_Tile] | None = None
        self._changed = True
        """Whether somebody came or went, and the tiles are to be laid out anew."""

    @property
    def errors(self) -> int:
        """Frames that could not be decoded."""
        return self._errors + sum(one.face.errors for one in self._members.values() if one.face is not None)

    def begin(self, track: Track, now: float) -> None:
        """Somebody publishes a track."""
        frames = Frames(track, self._sync, wait_s=WAIT_S)
        member = _Member(track, track.username, frames, asked_at=now)  # a track begins with a wish for a key frame
        if track.kind == "audio":
            member.voice = Voice(self._mix, self._began - DELAY_S)
        self._members[track.track_id] = member
        self._changed = True

    def end(self, track_id: str) -> None:
        """A track is over."""
        if (member := self._members.pop(track_id, None)) is not None:
            self._blind(member)
            self._changed = True

    def mute(self, track_id: str, muted: bool) -> None:
        """A track is switched off or on."""
        if (member := self._members.get(track_id)) is not None:
            member.muted = muted
            self._changed = True

    def rename(self, user_id: str, username: str) -> None:
        """Somebody has another name."""
        for member in self._members.values():
            if member.track.user_id == user_id:
                member.name = username
                self._changed = True

    def rtp(self, track_id: str, packet: RtpPacket, now: float) -> None:
        """A packet of a track."""
        if (member := self._members.get(track_id)) is not None:
            member.frames.receive(packet, now)

    def report(self, track_id: str, report: SenderReport, now: float) -> None:
        """A sender report of a track."""
        if (member := self._members.get(track_id)) is not None:
            member.frames.report(report, now)

    def wanting(self, now: float) -> Iterator[str]:
        """The tracks that need a key frame now, each once in `ASKS_S`."""
        for track_id, member in self._members.items():
            if member.face is None or member.muted or now - member.asked_at < ASKS_S:
                continue
            if member.face.wants_key_frame or member.frames.wants_key_frame:
                member.asked_at = now
                yield track_id

    def mix(self, now: float) -> Iterator[Heard | Seen]:
        """All that is due by now."""
        if self._changed:
            self._changed = False
            self._lay_out()  # first of all: who has no tile has nothing kept, not even the key frame that just came
        for member in self._members.values():
            self._take(member, now)
        due = now - self._began
        self._catch_up(due)
        while self._mix.position + BLOCK <= due * RATE:
            position = self._mix.position
            yield Heard(position, self._mix.take(BLOCK))
        if self._shown <= due * self._picture.frame_rate:
            number = int(due * self._picture.frame_rate)
            self.dropped_frames += number - self._shown
            self._shown = number + 1
            self._paint(self._began - DELAY_S + number / self._picture.frame_rate)
            yield Seen(number, bytes(self._canvas.data))

    def _take(self, member: _Member, now: float) -> None:
        for frame in member.frames.pop(now):
            if member.voice is not None:
                try:
                    member.voice.say(frame)
                except av.FFmpegError:
                    self._errors += 1
            elif member.face is not None:
                member.face.receive(frame)

    def _catch_up(self, due: float) -> None:
        """Leave out what a mixer that was held up can't make any more."""
        if due - self._mix.position / RATE > BEHIND_S:
            self._mix.skip(int(due * RATE) // BLOCK * BLOCK - self._mix.position)

    def _paint(self, until: float) -> None:
        """What was captured until then."""
        for tile in self._tiles or ():
            face = self._face(tile)
            if face is not None and face.advance(until):
                self._paint_face(tile, face)

    def _paint_face(self, tile: _Tile, face: Face) -> None:
        place = fitted(*face.size, tile.place)
        if place != tile.painted:
            self._canvas.fill(tile.place, GROUND)
            tile.painted = place
        self._canvas.paste(face.scaled(place.width, place.height), place)
        self._paint_name(tile)

    def _paint_name(self, tile: _Tile) -> None:
        """Over the picture, along its lower edge."""
        place = tile.painted or tile.place
        height = bar_height(tile.place.height)
        line = Rect(place.x, place.y + place.height - height, place.width, height)
        self._grey(bar(tile.name, line.width, line.height), line)

    def _lay_out(self) -> None:
        tiles = list(self._wanted())[:MOST_TILES]
        places = grid(len(tiles), self._canvas.width, self._canvas.height)
        for tile, place in zip(tiles, places, strict=True):
            tile.place = place
        if self._tiles is not None and _look(tiles) == _look(self._tiles):
            return
        self._tiles = tiles
        shown = {tile.track_id for tile in tiles}
        for track_id, member in self._members.items():
            if track_id not in shown:
                self._blind(member)
            elif member.face is None:
                member.face = Face()
        whole = Rect(0, 0, self._canvas.width, self._canvas.height)
        self._canvas.fill(whole, GROUND)
        if not tiles:
            self._card(EMPTY, whole)
        for tile in tiles:
            face = self._face(tile)
            if face is not None and face.picture is not None:
                self._paint_face(tile, face)
            else:
                self._card(tile.name, tile.place)

    def _wanted(self) -> Iterator[_Tile]:
        """Everybody's tiles, those first that count most."""
        videos = [one for one in self._members.values() if one.track.kind == "video" and not one.muted]
        for screen in (one for one in videos if one.track.source == "screen"):
            yield _Tile(f"{screen.name}: screen", screen.track.track_id)
        cameras = [one for one in videos if one.track.source != "screen"]
        for camera in cameras:
            yield _Tile(camera.name, camera.track.track_id)
        seen = {camera.track.user_id for camera in cameras}
        unseen = {one.track.user_id: one.name for one in self._members.values() if one.track.user_id not in seen}
        for name in unseen.values():
            yield _Tile(name, None)

    def _face(self, tile: _Tile) -> Face | None:
        return None if tile.track_id is None else self._members[tile.track_id].face

    def _card(self, text: str, place: Rect) -> None:
        self._grey(card(text, place.width, place.height), place)

    def _grey(self, luma: bytes, place: Rect) -> None:
        self._canvas.paste((Plane(memoryview(luma), place.width),), place)

    def _blind(self, member: _Member) -> None:
        """It is shown no more."""
        if member.face is not None:
            self._errors += member.face.errors
            member.face = None


def _look(tiles: list[_Tile]) -> list[tuple[str, str | None]]:
    """What is seen where: places follow from it."""
    return [(tile.name, tile.track_id) for tile in tiles]
