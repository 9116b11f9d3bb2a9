"""Single frames of video, as pictures."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

MOST_PACKETS = 2000
"""In which the first frame of a track must be."""
_QUARTERS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    -180: Image.Transpose.ROTATE_180,
    -90: Image.Transpose.ROTATE_270,
}
"""FFmpeg's rotation and Pillow's both go counterclockwise."""


def first_frame(container: InputContainer, track: VideoStream | AudioStream) -> VideoFrame | AudioFrame | None:
    """The first frame of a track from where the container stands that can be decoded; None where none can."""
    return next(_frames(container, track, MOST_PACKETS), None)


def frame_at(container: InputContainer, track: VideoStream, at_s: float) -> VideoFrame | None:
    """The frame that is seen `at_s` after the file's start: the last one that begins by then."""
    enter_s = at_s
    while (seen := _last_by(container, track, at_s, enter_s)) is None and enter_s > 0:
        enter_s = enter_s / 2 if enter_s > 1 else 0  # nothing follows: further back, at last at the start
    return seen


def _last_by(container: InputContainer, track: VideoStream, at_s: float, enter_s: float) -> VideoFrame | None:
    start_s = _start_s(container)
    try:
        _seek(container, start_s + enter_s)
    except av.FFmpegError:
        return None
    seen: VideoFrame | None = None
    for frame in _frames(container, track, None):
        if not isinstance(frame, VideoFrame):
            continue
        if seen is not None and frame.time is not None and frame.time - start_s > at_s:
            break
        seen = frame
    return seen


def key_frame_near(container: InputContainer, track: VideoStream, at_s: float) -> VideoFrame | None:
    """The key frame from which `at_s` would be decoded; None where the file can't be entered there."""
    _seek(container, _start_s(container) + at_s)
    frame = first_frame(container, track)
    return frame if isinstance(frame, VideoFrame) else None


def picture(frame: VideoFrame, aspect: Fraction | None) -> Image.Image:
    """The frame as it is to be seen: upright, and wider where its pixels are (`aspect`: of one pixel)."""
    image: Image.Image = frame.to_image(threads=1)  # type: ignore[no-untyped-call]  # it makes one of these
    if aspect and aspect != 1 and Fraction(1, 4) <= aspect <= 4:
        image = image.resize((max(1, round(image.width * aspect)), image.height))
    turn = _QUARTERS.get(frame.rotation)
    return image if turn is None else image.transpose(turn)


def size(frame: VideoFrame) -> tuple[int, int]:
    """Width and height of the frame when it is upright."""
    return (frame.height, frame.width) if abs(frame.rotation) == 90 else (frame.width, frame.height)


def _start_s(container: InputContainer) -> float:
    return (container.start_time or 0) / av.time_base


def _seek(container: InputContainer, at_s: float) -> None:
    container.seek(round(at_s * av.time_base), backward=True)


def _frames(
    container: InputContainer, track: VideoStream | AudioStream, most_packets: int | None
) -> Iterator[VideoFrame | AudioFrame]:
    """What can be decoded; packets that can't be are passed over, as players do."""
    for packet in islice(container.demux(track), most_packets):
        try:
            yield from track.decode(packet)
        except av.FFmpegError:
            continue
