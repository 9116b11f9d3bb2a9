"""FFmpeg, fed with pictures and sound as they are mixed: a process of its own that makes H.264 and AAC of them.

What goes in is one NUT stream (raw video, PCM) through a pipe, so that each picture has its time: one that is left
out because the encoder is behind moves nothing. What comes out is CMAF for HLS and DASH, put to a local address
(`sfu.egress.shelf`), and where it is wanted the same as FLV into a pipe (`sfu.egress.rtmp`). It is encoded once.
"""

import asyncio
import fcntl
import logging
import os
import queue
import subprocess
import threading
from asyncio.subprocess import Process
from fractions import Fraction

import av

from meet.domain.stream import PLAYLIST, Picture
from meet.ffmpeg import find

log = logging.getLogger("meet.sfu.egress")

SEGMENT_S = 1
"""Players begin three segments behind the last (RFC 8216 section 6.3.3): the latency is about five of them."""
LISTED = 6
"""Segments in a playlist: what a player that fell behind can go back to."""
KEPT = 20
"""Segments that stay for players whose playlist is older than the newest."""
SAMPLE_RATE = 48_000
AUDIO_BPS = 128_000
WAITING_PICTURES = 8
"""The most that wait for the encoder: 270 ms, and 11 MB at 720p."""
WAITING = 1000
"""The most that wait in all: 20 s of sound. Then the encoder is behind beyond hope, and sound is left out, too."""
PIPE_BYTES = 1 << 20
"""The most that Linux gives a pipe of anybody (pipe-max-size): every full pipe is a change of process."""
ERRORS_KEPT = 2048
ENDS_S = 10.0
"""What FFmpeg has for its last segments once there is no more input."""


class EncoderError(Exception):
    """FFmpeg ended, or could not be started; the text says what it said last."""


class Encoder:
    """One run of FFmpeg. `sound` and `picture` never wait."""

    def __init__(self, process: Process, pipe: int, picture: Picture) -> None:
        """`start` does this; `pipe` leads to the process."""
        assert process.stdout is not None  # noqa: S101 - `start` made pipes of both
        assert process.stderr is not None  # noqa: S101
        self.dropped_frames = 0
        """Pictures that came too fast for the encoder; those that came before it had begun do not count."""
        self.frame_rate = 0.0
        """Pictures a second that were encoded lately."""
        self._process = process
        self._picture = picture
        self._waiting: queue.SimpleQueue[tuple[int, int, bytes] | None] = queue.SimpleQueue()
        self._pictures_waiting = 0
        self._counting = threading.Lock()
        self._said = b""
        self._has_begun = self._broken = False
        self._readers = (
            asyncio.create_task(self._measure(process.stdout)),
            asyncio.create_task(self._listen(process.stderr)),
        )
        self._writer = threading.Thread(target=self._write, args=(pipe,), name="to-ffmpeg", daemon=True)
        self._writer.start()

    @classmethod
    async def start(cls, picture: Picture, manifest_url: str, take: int, flv: int | None = None) -> "Encoder":
        """Start FFmpeg. `flv` is the end of a pipe for FLV; it is closed here.

        Raises `EncoderError`, and `meet.ffmpeg.Missing`.
        """
        reading, writing = os.pipe()
        _widen(writing)
        try:
            process = await asyncio.create_subprocess_exec(
                find(),
                *arguments(picture, manifest_url, take, flv),
                stdin=reading,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"PATH": os.defpath},
                pass_fds=() if flv is None else (flv,),
            )
        except BaseException as error:
            os.close(writing)
            if isinstance(error, OSError):
                raise EncoderError(f"FFmpeg can't be started: {error}") from error
            raise
        finally:
            os.close(reading)
            if flv is not None:
                os.close(flv)
        return cls(process, writing, picture)

    def sound(self, at: int, samples: bytes) -> None:
        """16 bits, interleaved, two channels; `at` counts samples. Raises `EncoderError` where FFmpeg is gone."""
        self._check()
        if self._waiting.qsize() < WAITING:
            self._waiting.put((1, at, samples))

    def picture(self, at: int, pixels: bytes) -> None:
        """I420; `at` counts pictures. Raises `EncoderError` where FFmpeg is gone."""
        self._check()
        with self._counting:
            if self._pictures_waiting >= WAITING_PICTURES:
                self.dropped_frames += self._has_begun
                return
            self._pictures_waiting += 1
        self._waiting.put((0, at, pixels))

    async def close(self) -> None:
        """No more comes: wait until all is encoded and written, or end what does not end."""
        self._waiting.put(None)
        try:
            await asyncio.wait_for(self._process.wait(), ENDS_S)
        except TimeoutError:
            log.warning("FFmpeg did not end in %d s", ENDS_S)
            self._process.kill()
            await self._process.wait()
        await asyncio.to_thread(self._writer.join)  # with FFmpeg gone, its pipe is broken
        await asyncio.gather(*self._readers)

    def _check(self) -> None:
        if self._process.returncode is not None or self._broken:
            last = self._said.decode(errors="replace").strip().rpartition("\n")[2]
            raise EncoderError(f"FFmpeg ended with {self._process.returncode}: {last}")

    def _write(self, pipe: int) -> None:
        """The thread: what waits, into the pipe, which may take as long as it wants."""
        size = self._picture
        try:
            # Not by FFmpeg's own `pipe:`: PyAV ends a file without letting other threads run.
            with _Pipe(pipe) as raw, av.open(raw, "w", format="nut", buffer_size=PIPE_BYTES) as out:
                video = out.add_stream(
                    "rawvideo", rate=size.frame_rate, width=size.width, height=size.height, pix_fmt="yuv420p"
                )
                audio = out.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="stereo")
                bases = (Fraction(1, size.frame_rate), Fraction(1, SAMPLE_RATE))
                while (item := self._waiting.get()) is not None:
                    which, at, data = item
                    packet = av.Packet(data)
                    packet.stream = audio if which else video
                    packet.time_base = bases[which]
                    packet.pts = packet.dts = at
                    packet.is_keyframe = True
                    out.mux(packet)
                    if not which:
                        with self._counting:
                            self._pictures_waiting -= 1
        except (av.FFmpegError, OSError) as error:
            self._broken = True
            log.warning("FFmpeg takes nothing any more: %s", error)

    async def _measure(self, progress: asyncio.StreamReader) -> None:
        """FFmpeg's `-progress`: a block of lines each second, `frame=` among them."""
        clock = asyncio.get_running_loop().time
        before, frames_before = clock(), 0
        async for line in progress:
            name, _, value = line.strip().partition(b"=")
            if name == b"frame" and value.isdigit() and (now := clock()) > before:
                self._has_begun = self._has_begun or int(value) > 0
                self.frame_rate = (int(value) - frames_before) / (now - before)
                before, frames_before = now, int(value)

    async def _listen(self, errors: asyncio.StreamReader) -> None:
        while data := await errors.read(ERRORS_KEPT):
            self._said = (self._said + data)[-ERRORS_KEPT:]


class _Pipe:
    """One end of a pipe, which takes all that it is given, or raises `OSError`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> "_Pipe":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, data: bytes) -> int:
        """All of it, which may take as long as the other end wants."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return len(data)


def arguments(picture: Picture, manifest_url: str, take: int, flv: int | None) -> list[str]:
    """What FFmpeg is told, after its name."""
    rate, bitrate = str(picture.frame_rate), str(picture.bitrate_bps)
    dash = {
        "seg_duration": str(SEGMENT_S),
        "window_size": str(LISTED),
        "extra_window_size": str(KEPT),
        "use_template": "1",
        "use_timeline": "1",
        "hls_playlist": "1",
        "hls_master_name": PLAYLIST,
        "init_seg_name": f"{take}-init-$RepresentationID$.mp4",
        "media_seg_name": f"{take}-$RepresentationID$-$Number$.m4s",
        "method": "PUT",
        "http_persistent": "0",  # at its end FFmpeg would reset a connection whose answers it has not read
        "ignore_io_errors": "1",
    }
    options = ":".join(f"{name}={value}" for name, value in {"f": "dash", **dash}.items())
    outputs = [f"[{options}]{manifest_url}"]
    if flv is not None:
        # Whoever reads it never lets it wait; a reader that is gone is no reason to end the rest.
        outputs.append(f"[f=flv:flvflags=no_duration_filesize:onfail=ignore]pipe:{flv}")
    return [
        *("-hide_banner", "-nostdin", "-loglevel", "warning", "-progress", "pipe:1", "-stats_period", "1"),
        *("-fflags", "nobuffer", "-analyzeduration", "0", "-probesize", "32", "-f", "nut", "-i", "pipe:0"),
        *("-map", "0:v", "-vf", f"fps={rate}"),  # one that was left out is the one before it once more
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"),
        *("-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate),
        # Segments begin with key frames, and there are no others.
        *("-g", str(picture.frame_rate * SEGMENT_S), "-keyint_min", rate, "-sc_threshold", "0"),
        *("-map", "0:a", "-af", "aresample=async=1", "-c:a", "aac", "-b:a", str(AUDIO_BPS)),
        *("-flags", "+global_header", "-f", "tee", "|".join(outputs)),
    ]


def _widen(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except PermissionError:  # the user has too many of these (pipe-user-pages-soft); it goes without
        log.info("the pipe to FFmpeg stays small")
