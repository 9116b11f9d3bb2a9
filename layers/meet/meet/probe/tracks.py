"""Video and sound, by PyAV: headers are read, and a first frame decoded."""

import time
from contextlib import suppress
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from meet.domain.media import Facts, FileType

from . import frames, kinds, pictures
from .container import codec_name, opened, tracks
from .kinds import Found, Kind, Unreadable

WALK_S = 15.0
"""For going over the packets of a file that doesn't say how long it is, which is to read the whole of it."""
MOST_LENGTH_S = 30 * 24 * 3600
"""What says to be longer is not believed."""
_GUESSED = {"mp3", "aac"}
"""Demuxers that guess the length by the bit rate of the first frames."""
_MOST_RATE = 240
"""Frames a second above which a rate is the clock's and not the camera's."""
_THUMBNAIL_AT, _THUMBNAIL_BY_S = 0.1, 10.0
"""The thumbnail is taken after this part of the video, but not later: the beginning is often black."""


def read_tracks(file: BinaryIO, size: int, kind: Kind) -> Found:
    """What is in the file, with a thumbnail where there is a picture.

    `Unreadable` where it can't be opened, has neither picture nor sound, or has a codec of no accepted file; where no
    frame of the picture (of the sound, where there is no picture) can be decoded; and where an MP4 is cut off.
    """
    with opened(file, kind) as container:
        video, audio = tracks(container)
        kind = _kind(kind, video, audio)
        if kind.reader == "mov":
            _check_whole(container, size)
        duration_s, rate = _said(container, video)
        main = video or audio
        frame = frames.first_frame(container, main) if main else None
        if frame is None:
            raise Unreadable("Nothing in the file can be decoded")
        if duration_s is None or kind.reader in _GUESSED:
            walked_s, count = _walk(container, video)
            duration_s = walked_s or duration_s
            rate = rate or (count / walked_s if walked_s and count else None)
        seen = frame if isinstance(frame, VideoFrame) else None
        width, height = frames.size(seen) if seen else (None, None)
        facts = Facts(
            duration_s=duration_s,
            width=width,
            height=height,
            bitrate_bps=round(8 * size / duration_s) if duration_s else None,
            codec=codec_name(video) if video else None,
            audio_codec=codec_name(audio) if audio else None,
            frame_rate=round(rate, 3) if rate else None,
        )
        if seen is None or video is None:
            return Found(kind, facts)
        if duration_s is not None:
            at_s = min(_THUMBNAIL_AT * duration_s, _THUMBNAIL_BY_S)
            with suppress(av.FFmpegError):  # it can't be entered in the middle: the first frame it is
                seen = frames.key_frame_near(container, video, at_s) or seen
        return Found(kind, facts, pictures.thumbnail(frames.picture(seen, video.sample_aspect_ratio)))


def picture_at(file: BinaryIO, kind: Kind, at_s: float) -> Image.Image:
    """What is seen `at_s` after the start; past the end, the last that was. `Unreadable` where nothing is."""
    with opened(file, kind) as container:
        video, _ = tracks(container)
        frame = frames.frame_at(container, video, at_s) if video else None
        if video is None or frame is None:
            raise Unreadable("The file has no picture")
        return frames.picture(frame, video.sample_aspect_ratio)


def _kind(kind: Kind, video: VideoStream | None, audio: AudioStream | None) -> Kind:
    """What a file is with these tracks, which its first bytes don't tell."""
    if video is None and audio is None:
        raise Unreadable("The file has neither picture nor sound")
    if video is None and kind.file_type is FileType.VIDEO:
        if kind not in kinds.SOUND:
            raise Unreadable(f"A file of {kind.mime_type} must have a picture")
        return kinds.SOUND[kind]
    if video is not None and kind.file_type is FileType.AUDIO:
        if kind is not kinds.M4A:
            raise Unreadable(f"A file of {kind.mime_type} may not have a picture")
        return kinds.MP4
    return kind


def _check_whole(container: InputContainer, size: int) -> None:
    """The index of an MP4 stands apart from what it points to."""
    for track in container.streams:
        entries = track.index_entries
        if len(entries) and entries[len(entries) - 1].pos + entries[len(entries) - 1].size > size:
            raise Unreadable("The file is cut off")


def _said(container: InputContainer, video: VideoStream | None) -> tuple[float | None, float | None]:
    """Length and frame rate as the file says, where that can be."""
    duration_s = (container.duration or 0) / av.time_base
    rate = float(video.average_rate or 0) if video else 0
    return (
        duration_s if 0 < duration_s <= MOST_LENGTH_S else None,
        rate if 0 < rate <= _MOST_RATE else None,
    )


def _walk(container: InputContainer, video: VideoStream | None) -> tuple[float | None, int]:
    """The length by the time stamps of all packets, and how many there are of video; None where `WALK_S` are over."""
    until = time.monotonic() + WALK_S
    first_s, last_s, count = float("inf"), 0.0, 0
    container.seek(container.start_time or 0, backward=True)
    for packet in container.demux():
        if time.monotonic() > until:
            return None, 0
        if packet.pts is None or packet.time_base is None:
            continue
        first_s = min(first_s, float(packet.pts * packet.time_base))
        last_s = max(last_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        count += video is not None and packet.stream_index == video.index
    length_s = last_s - first_s
    return (length_s if 0 < length_s <= MOST_LENGTH_S else None), count
