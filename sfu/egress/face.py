"""One track's pictures: kept encoded until they are due, then decoded, and scaled to where they are shown."""

from collections import deque
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from meet.picture.canvas import Plane
from sfu.egress.frames import Frame

DECODERS = {"vp8": "vp8", "vp9": "vp9", "h264": "h264", "av1": "libdav1d"}
"""FFmpeg's own for AV1 needs hardware."""
MOST_PIXELS = 4096 * 2304
"""Of a picture; whoever claims more has none decoded."""
MOST_WAITING = 600
"""Frames; 20 s of them. More are none that will ever be due."""
PIXELS = "yuv420p"


class Face:
    """A camera or a screen while it is shown."""

    def __init__(self) -> None:
        self.picture: VideoFrame | None = None
        """What is to be seen now; None before the first."""
        self.errors = 0
        """Frames that could not be decoded."""
        self.wants_key_frame = True
        """Whether nothing can be decoded before the next one."""
        self._waiting: deque[Frame] = deque(maxlen=MOST_WAITING)
        self._codec = ""
        self._decoder: VideoCodecContext | None = None
        self._rotation = 0
        self._scaler = VideoReformatter()

    def receive(self, frame: Frame) -> None:
        """The next frame, which is due later."""
        if len(self._waiting) == MOST_WAITING:
            self._lose()
        self._waiting.append(frame)

    def advance(self, until: float) -> bool:
        """Decode what was captured until then. Whether there is another picture now."""
        before = self.picture
        while self._waiting and self._waiting[0].at <= until:
            self._decode(self._waiting.popleft())
        return self.picture is not before

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture as it is to be seen. `LookupError` where there is none yet."""
        if self.picture is None:
            raise LookupError("nothing was seen of it yet")
        size = (self.picture.width, self.picture.height)
        return size[::-1] if self._rotation % 180 else size

    def scaled(self, width: int, height: int) -> tuple[Plane, ...]:
        """The picture in this size, upright, as planes of 4:2:0. `LookupError` where there is none yet."""
        if self.picture is None:
            raise LookupError("nothing was seen of it yet")
        if self._rotation % 180:
            width, height = height, width
        frame = self._scaler.reformat(self.picture, width, height, PIXELS, interpolation="BILINEAR")
        if not self._rotation:
            return tuple(Plane(memoryview(plane), plane.line_size) for plane in frame.planes)
        return tuple(_turned(plane, self._rotation) for plane in frame.planes)

    def _decode(self, frame: Frame) -> None:
        if frame.key_frame:
            if frame.codec != self._codec or self._decoder is None:
                self._decoder, self._codec = _decoder(frame.codec), frame.codec
            self.wants_key_frame = False
        if self.wants_key_frame or self._decoder is None:
            return
        try:
            for picture in self._decoder.decode(av.Packet(frame.data)):
                self.picture, self._rotation = picture, frame.rotation
        except av.FFmpegError:
            self.errors += 1
            self._lose()

    def _lose(self) -> None:
        self._waiting.clear()
        self._decoder = None
        self.wants_key_frame = True


def _turned(plane: VideoPlane, clockwise: int) -> Plane:
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
    upright = np.rot90(lines, -clockwise // 90)
    return Plane(memoryview(upright.tobytes()), upright.shape[1])


def _decoder(codec: str) -> VideoCodecContext:
    decoder = cast(VideoCodecContext, av.CodecContext.create(DECODERS[codec], "r"))
    decoder.thread_count = 1  # threads would each hold a frame back
    decoder.options = {"max_pixels": str(MOST_PIXELS), "flags": "low_delay"}
    return decoder
