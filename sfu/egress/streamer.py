"""A live stream: what a room is, as one picture and one sound, encoded and given to the world.

    tracks -> `mixer` -> `encoder`, which is FFmpeg -> `shelf` -> the bucket: HLS and DASH
                                                    -> `rtmp.push` -> an RTMP server, where one was asked for

A bucket that is away, or an RTMP server that is, is waited for; after `AWAY_S` the stream has failed. An FFmpeg that
ends by itself ends this process, which the media process begins anew: the stream goes on in another take.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from meet.domain.stream import Aired, Picture, StreamStatus
from sfu.egress.encoder import Encoder
from sfu.egress.mixer import Heard, Mixer
from sfu.egress.rtmp.push import Push
from sfu.egress.shelf import Shelf
from sfu.egress.sink import Sink, Track
from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport

AWAY_S = 120.0
"""What is away for longer is taken to be gone."""


async def open_sink(
    configuration: Mapping[str, Any], now: float, want_key_frame: Callable[[str], None]
) -> "Streamer":
    """See `sfu.egress.sink.OpenSink`; the configuration is that of the command `start-stream`, with its take.

    Raises `meet.ffmpeg.Missing` and `EncoderError` where nothing can be encoded on this machine.
    """
    take = int(configuration["take"])
    shelf = Shelf(configuration["stream_id"], take, float(configuration["begins_s"]))
    picture = Picture(
        int(configuration["width"]),
        int(configuration["height"]),
        int(configuration["bitrate_bps"]),
        int(configuration["frame_rate"]),
    )
    push: Push | None = None
    writing: int | None = None
    manifest_url = await shelf.open()
    if configuration.get("rtmp_url"):
        reading, writing = os.pipe()
        push = Push(configuration["rtmp_url"])
        await push.start(reading)
    encoder = await Encoder.start(picture, manifest_url, take, writing)
    return Streamer(Mixer(picture, now), encoder, shelf, push, want_key_frame, is_first=take == 0)


class Streamer(Sink):
    """A `Sink`; `open_sink` makes one."""

    def __init__(
        self,
        mixer: Mixer,
        encoder: Encoder,
        shelf: Shelf,
        push: Push | None,
        want_key_frame: Callable[[str], None],
        *,
        is_first: bool,
    ) -> None:
        """`is_first`: nothing of the stream was there before."""
        self._mixer = mixer
        self._encoder = encoder
        self._shelf = shelf
        self._push = push
        self._want_key_frame = want_key_frame
        self._is_first = is_first
        self._error: str | None = None

    def begin(self, track: Track, now: float) -> None:
        self._mixer.begin(track, now)

    def end(self, track_id: str, now: float) -> None:
        self._mixer.end(track_id)

    def mute(self, track_id: str, muted: bool, now: float) -> None:
        self._mixer.mute(track_id, muted)

    def rename(self, user_id: str, username: str, now: float) -> None:
        self._mixer.rename(user_id, username)

    def rtp(self, track_id: str, packet: RtpPacket, now: float) -> None:
        self._mixer.rtp(track_id, packet, now)

    def report(self, track_id: str, report: SenderReport, now: float) -> None:
        self._mixer.report(track_id, report, now)

    def tick(self, now: float) -> None:
        """Raises `EncoderError` where FFmpeg is gone."""
        for made in self._mixer.mix(now):
            if isinstance(made, Heard):
                self._encoder.sound(made.at, made.samples)
            else:
                self._encoder.picture(made.at, made.pixels)
        for track_id in self._mixer.wanting(now):
            self._want_key_frame(track_id)
        self._shelf.check()
        if self._push is not None:
            self._push.check()

    def pause(self, now: float) -> None:
        """A stream has no pause."""

    def resume(self, now: float) -> None:
        """Nor this."""

    def stats(self, now: float) -> dict[str, Any]:
        """What is measured, where it stands, and why it failed if it did: then it is to be stopped."""
        status = self._status(now)
        dropped_frames = self._mixer.dropped_frames + self._encoder.dropped_frames
        if self._push is not None:
            dropped_frames += self._push.dropped_frames
        aired = Aired(
            bitrate_bps=self._shelf.bitrate_bps(now),
            frame_rate=round(self._encoder.frame_rate, 1),
            dropped_frames=dropped_frames,
            errors=self._mixer.errors + self._shelf.errors,
        )
        return asdict(aired) | {"status": str(status), "error": self._error}

    async def close(self, now: float) -> dict[str, Any]:
        """FFmpeg's last segments are uploaded, and playlists say that it is over."""
        last = self.stats(now)
        await self._encoder.close()
        if self._push is not None:
            await self._push.close()
        await self._shelf.close()
        return last if self._error else last | {"status": str(StreamStatus.STOPPED)}

    def _status(self, now: float) -> StreamStatus:
        """`now` is the event loop's time, too."""
        if self._error is not None:
            return StreamStatus.FAILED
        if self._push is not None:
            if self._push.is_publishing(now):
                return StreamStatus.STREAMING
            if self._push.away_s(now) >= AWAY_S:
                return self._failed(self._push.reason or "The RTMP server does not answer")
            began = self._push.was_publishing
        else:
            if self._shelf.away_s(now) >= AWAY_S:
                return self._failed("The file store does not answer")
            if self._shelf.on_air:
                return StreamStatus.STREAMING
            began = False
        return StreamStatus.STARTING if self._is_first and not began else StreamStatus.RECONNECTING

    def _failed(self, why: str) -> StreamStatus:
        self._error = why
        return StreamStatus.FAILED
