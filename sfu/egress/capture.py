"""One published track being written down: packets in, a Matroska file out, or several one after the other.

A file is of one codec and one rotation, and a camera that is switched off ends it: so what is between two files is
what nobody saw. A file of video begins with a key frame, which is asked for.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import av

from sfu.egress.book import Book
from sfu.egress.frames import Frame, Frames
from sfu.egress.loudness import Loudness
from sfu.egress.matroska import Matroska
from sfu.egress.pictures import picture_of
from sfu.egress.sink import Track
from sfu.egress.sync import Sync
from sfu.egress.timeline import Timeline
from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport

log = logging.getLogger("meet.sfu.egress")

ASK_S = 1.0
"""Between two requests for a key frame; the media process makes them fewer still."""
EARLY_S = 2.0
"""A picture that was captured up to this long before the recording began is its first one: the key frame that a room
begins a new subscriber with may be older than the subscription."""
BETWEEN_S = 1.0
"""From the beginning of a track's file to that of its next one: somebody who flips a camera, or a codec, a hundred
times a second does not get a hundred files."""


@dataclass(frozen=True, slots=True)
class Take:
    """What the tracks of a take share."""

    timeline: Timeline
    book: Book
    want_key_frame: Callable[[str], None]
    """Takes a track id."""
    sync: Sync = field(default_factory=Sync)
    loudness: Loudness = field(default_factory=Loudness)


@dataclass(frozen=True, slots=True)
class _File:
    """The file that is being written."""

    number: int
    codec: str
    rotation: int
    matroska: Matroska


class Capture:
    """One track of a take."""

    def __init__(self, track: Track, take: Take) -> None:
        self.track = track
        self._frames = Frames(track, take.sync)
        self._timeline, self._book, self._loudness = take.timeline, take.book, take.loudness
        self._want_key_frame = take.want_key_frame
        self._video = track.kind == "video"
        self._file: _File | None = None
        self._muted_at: float | None = None
        self._needs_key_frame = self._video
        self._turned = False
        """Whether the picture is turned otherwise than its file says: the next key frame begins another."""
        self._opened_s = float("-inf")
        """Where its newest file begins."""
        self._asked_at = float("-inf")

    @property
    def dropped(self) -> int:
        """Frames of video that never came whole."""
        return self._frames.dropped

    def receive(self, packet: RtpPacket, now: float) -> None:
        """A packet came."""
        self._frames.receive(packet, now)

    def report(self, report: SenderReport, now: float) -> None:
        """A sender report came."""
        self._frames.report(report, now)

    def mute(self, muted: bool, now: float) -> None:
        """It is switched off, or on again. A microphone sends silence, or nothing; a camera's file ends."""
        if not muted:
            self._muted_at = None
        elif self._muted_at is None:
            self._write(self._frames.pop(now))
            self._muted_at = now
            if self._video:
                self._close(now)

    def tick(self, now: float) -> None:
        """Write what is whole."""
        self._write(self._frames.pop(now))
        wants = self._frames.wants_key_frame or self._needs_key_frame or self._turned
        wants = wants and self._muted_at is None and not self._timeline.paused
        if wants and now - self._asked_at >= ASK_S:
            self._asked_at = now
            self._want_key_frame(self.track.track_id)

    def rename(self, username: str) -> None:
        """Its publisher has another name."""
        self.track = replace(self.track, username=username)

    def end(self, now: float) -> None:
        """Nothing more will come."""
        self._write(self._frames.flush())
        self._close(now)

    def _write(self, frames: list[Frame]) -> None:
        for frame in frames:
            place = self._place(frame)
            if place is None:
                self._needs_key_frame = self._video
            elif not self._needs_key_frame or frame.key_frame:
                self._keep(frame, place)

    def _place(self, frame: Frame) -> float | None:
        """Where a frame belongs on the timeline; None for nowhere."""
        if self._video and self._muted_at is not None and frame.at >= self._muted_at:
            return None
        place = self._timeline.place(frame.at)
        begins_s = self._timeline.begins_s
        if place is None or place >= begins_s:
            return place
        return begins_s if self._video and place > begins_s - EARLY_S else None

    def _keep(self, frame: Frame, at_s: float) -> None:
        file = self._file
        turned = file is not None and file.rotation != frame.rotation
        if file is not None and (file.codec != frame.codec or (turned and frame.key_frame)):
            self._close(frame.at)
            file, turned = None, False
        if file is None and at_s - self._opened_s < BETWEEN_S:
            self._needs_key_frame = self._video
            return
        try:
            if file is None:
                file = self._opened(frame, at_s)
            else:
                self._book.fragment(file.number, file.matroska.write(frame.data, at_s, key_frame=frame.key_frame))
        except (av.FFmpegError, ValueError) as error:
            log.warning("a frame of track %s can't be written: %s", self.track.track_id, error)
            self._book.errors += 1
            self._needs_key_frame = self._video
            return
        self._needs_key_frame, self._turned = False, turned
        self._book.counted(len(frame.data), at_s)
        if frame.level is not None:
            self._loudness.heard(file.number, at_s, frame.level)

    def _opened(self, frame: Frame, at_s: float) -> _File:
        """A file that begins with this frame. Raises `av.FFmpegError`, or ValueError for a picture without a size."""
        picture = picture_of(frame.codec, frame.data) if self._video else None
        if self._video and picture is None:
            raise ValueError("its picture has no size")
        matroska = Matroska(frame.codec, picture)
        header = matroska.write(frame.data, at_s, key_frame=frame.key_frame)
        self._opened_s = at_s
        number = self._book.begin(self.track, frame.codec, at_s, frame.rotation)
        self._book.fragment(number, header)
        self._file = _File(number, frame.codec, frame.rotation, matroska)
        return self._file

    def _close(self, now: float) -> None:
        """End the file, if there is one; what comes next begins another."""
        file, self._file = self._file, None
        self._needs_key_frame, self._turned = self._video, False
        if file is None:
            return
        try:
            self._book.fragment(file.number, file.matroska.close())
        except av.FFmpegError as error:
            log.warning("the end of track %s can't be written: %s", self.track.track_id, error)
            self._book.errors += 1
        self._book.end(file.number, self._timeline.position(now))
