"""One track in a Matroska file that grows by fragments: its header, then whole clusters, none longer than a second.

Together they are one file at any moment, whatever became of the rest. PyAV writes it; nothing is decoded.
"""

from fractions import Fraction

import av

from sfu.rtp.bits import KeyFrame

CLUSTER_MS = 800
"""What a process that dies may lose, with what is on its way to the bucket: 2 s in all, though the machine be busy.
Each is an object, and a request that has its price."""
_CLUSTER_BYTES = 64 << 20
"""Never reached in that time: FFmpeg would begin a new cluster every 32 KB where it cannot seek."""
_OPTIONS = {
    "cluster_time_limit": str(CLUSTER_MS),
    "cluster_size_limit": str(_CLUSTER_BYTES),
    "live": "1",
    "flush_packets": "1",
}
_BUFFER_BYTES = 1 << 16
_MS = Fraction(1, 1000)
OPUS_RATE = 48000


class _Written:
    """Takes what the muxer writes; it cannot seek, as its buffer is gone from here."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class Matroska:
    """One track's file. Raises `av.FFmpegError` for what can't be written."""

    def __init__(self, codec: str, picture: KeyFrame | None = None) -> None:
        """`codec` as in `sfu.egress.frames.Frame`; of video, `picture` is the size of its first frame."""
        self._written = _Written()
        self._file = av.open(
            self._written, "w", format="matroska", container_options=_OPTIONS, buffer_size=_BUFFER_BYTES
        )
        self._stream: av.stream.Stream
        if picture is None:
            # An encoder that encodes nothing: it knows the header of its codec (RFC 7845 section 5.1).
            self._stream = self._file.add_stream("libopus", rate=OPUS_RATE, layout="stereo")
        else:
            self._stream = self._file.add_mux_stream(codec, width=picture.width, height=picture.height, time_base=_MS)
        if codec not in ("h264", "av1"):  # of these, the header is found in the first frame
            self._file.start_encoding()
        self._last_ms = -1

    def write(self, data: bytes, at_s: float, *, key_frame: bool) -> bytes:
        """Write a frame, at this time; the next fragment, where one is done, else b"". The first is the header."""
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.is_keyframe = self._stream, _MS, key_frame
        self._last_ms = packet.pts = packet.dts = max(round(at_s * 1000), self._last_ms + 1)
        self._file.mux_one(packet)
        return self._written.take()

    def close(self) -> bytes:
        """The last fragment."""
        self._file.close()
        return self._written.take()
