"""An egress process that only notes what it is fed, for tests: `python noting.py SINK FD`.

What it measured, its `stats`, is what it noted: the configuration, and of each track the packets, the first of them,
gaps in their numbers, and how often the publisher's clock was told.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from sfu.egress.child import serve
from sfu.egress.sink import Track
from sfu.rtp.packet import RtpPacket
from sfu.rtp.rtcp import SenderReport


class Notes:
    """A `Sink`."""

    def __init__(self, configuration: Mapping[str, Any]) -> None:
        self._configuration = dict(configuration)
        self._tracks: dict[str, dict[str, Any]] = {}
        self._newest: dict[str, int] = {}
        self._pauses: list[str] = []
        self._slowest_s = 0.0

    def begin(self, track: Track, now: float) -> None:
        self._tracks[track.track_id] = {
            "user": track.user_id,
            "name": track.username,
            "kind": track.kind,
            "packets": 0,
            "gaps": 0,
            "reports": 0,
            "begins_with_key_frame": None,
            "muted": False,
            "ended": False,
        }

    def end(self, track_id: str, now: float) -> None:
        self._tracks[track_id]["ended"] = True

    def mute(self, track_id: str, muted: bool, now: float) -> None:
        self._tracks[track_id]["muted"] = muted

    def rename(self, user_id: str, username: str, now: float) -> None:
        pass

    def rtp(self, track_id: str, packet: RtpPacket, now: float) -> None:
        notes = self._tracks[track_id]
        if notes["begins_with_key_frame"] is None:
            notes["begins_with_key_frame"] = packet.key_frame
            self._newest[track_id] = packet.index - 1
        notes["gaps"] += packet.index > self._newest[track_id] + 1
        self._newest[track_id] = max(packet.index, self._newest[track_id])
        notes["packets"] += 1
        self._slowest_s = max(self._slowest_s, now - packet.arrival)

    def report(self, track_id: str, report: SenderReport, now: float) -> None:
        self._tracks[track_id]["reports"] += 1

    def tick(self, now: float) -> None:
        pass

    def pause(self, now: float) -> None:
        self._pauses.append("pause")

    def resume(self, now: float) -> None:
        self._pauses.append("resume")

    def stats(self, now: float) -> dict[str, Any]:
        return {
            "configuration": self._configuration,
            "tracks": list(self._tracks.values()),
            "pauses": self._pauses,
            "slowest_s": self._slowest_s,
            "status": "streaming",
        }

    async def close(self, now: float) -> dict[str, Any]:
        return self.stats(now)


async def open_sink(configuration: Mapping[str, Any], now: float, want_key_frame: Callable[[str], None]) -> Notes:
    """A sink that is ready."""
    return Notes(configuration)


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[2])), open_sink))
