"""The recorder: every track of a room into the bucket as it arrives, nothing decoded (`meet.domain.capture`)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from meet import objects
from sfu.egress.book import Book
from sfu.egress.capture import Capture, Take
from sfu.egress.fragments import Fragments
from sfu.egress.sink import Track
from sfu.egress.timeline import Timeline
from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport

LEVELS_S = 2.0
"""How long a stretch of levels is. Its last second is left for the next one: packets are still waited for."""
LATE_S = 1.0


class Recorder:
    """A `Sink`: one take of a recording."""

    def __init__(
        self,
        configuration: Mapping[str, Any],
        fragments: Fragments,
        want_key_frame: Callable[[str], None],
    ) -> None:
        """Of `configuration`: {recording_id, take, begins_s, begins_at}."""
        self._fragments = fragments
        self._timeline = Timeline(configuration["begins_s"], configuration["begins_at"])
        self._book = Book(fragments, configuration["recording_id"], configuration["take"], configuration["begins_s"])
        self._book.dropped_frames = self._dropped_frames
        self._take = Take(self._timeline, self._book, want_key_frame)
        self._captures: dict[str, Capture] = {}
        self._dropped_before = 0
        """Of tracks that ended."""
        self._levels_at = self._timeline.begins_s

    def begin(self, track: Track, now: float) -> None:
        """Somebody publishes a track."""
        self.end(track.track_id, now)
        self._captures[track.track_id] = Capture(track, self._take)

    def end(self, track_id: str, now: float) -> None:
        """A track is over."""
        capture = self._captures.pop(track_id, None)
        if capture is not None:
            capture.end(now)
            self._dropped_before += capture.dropped

    def mute(self, track_id: str, muted: bool, now: float) -> None:
        """A track is switched off, or on again."""
        if track_id in self._captures:
            self._captures[track_id].mute(muted, now)

    def rename(self, user_id: str, username: str, now: float) -> None:
        """Somebody has another name now."""
        self._book.rename(user_id, username)
        for capture in self._captures.values():
            if capture.track.user_id == user_id:
                capture.rename(username)

    def rtp(self, track_id: str, packet: RtpPacket, now: float) -> None:
        """A packet of a track."""
        if track_id in self._captures:
            self._captures[track_id].receive(packet, now)

    def report(self, track_id: str, report: SenderReport, now: float) -> None:
        """A publisher's clocks."""
        if track_id in self._captures:
            self._captures[track_id].report(report, now)

    def tick(self, now: float) -> None:
        """Write what is whole."""
        for capture in self._captures.values():
            capture.tick(now)
        position = self._timeline.position(now)
        if position - self._levels_at >= LEVELS_S:
            self._levels_at = position
            self._book.levels(self._take.loudness.take(position - LATE_S))
        self._book.write(position)
        self._fragments.check()

    def pause(self, now: float) -> None:
        """What follows is left out."""
        self._timeline.pause(now)

    def resume(self, now: float) -> None:
        """It is recorded again."""
        self._timeline.resume(now)

    def stats(self, now: float) -> dict[str, Any]:
        """The fields of `Measured`, of this take, and {error}: why it can't go on, or None."""
        measured = self._book.measured(self._timeline.position(now))
        return asdict(measured) | {"error": self._fragments.error}

    async def close(self, now: float) -> dict[str, Any]:
        """Bring everything to the bucket."""
        for track_id in tuple(self._captures):
            self.end(track_id, now)
        self._book.levels(self._take.loudness.take())
        self._book.write(self._timeline.position(now), anyway=True)
        await self._fragments.drain()
        return self.stats(now)

    def _dropped_frames(self) -> int:
        return self._dropped_before + sum(capture.dropped for capture in self._captures.values())


async def open_sink(configuration: Mapping[str, Any], now: float, want_key_frame: Callable[[str], None]) -> Recorder:
    """A recorder that is ready (`sfu.egress.sink.OpenSink`)."""
    await asyncio.to_thread(objects.client)  # it takes half a second to load, and packets come soon
    return Recorder(configuration, Fragments(), want_key_frame)
