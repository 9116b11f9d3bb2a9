"""A sink that writes down what it is told, and tracks to tell it of."""

from collections.abc import Callable, Mapping
from typing import Any

from sfu.egress.sink import Track
from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import Encoding, HeaderExtension, RtpCodec, RtpParameters
from sfu.rtp.rtcp import SenderReport


def track(track_id: str = "t1", user_id: str = "alice") -> Track:
    """A camera in VP8."""
    codec = RtpCodec("video/VP8", 96, 90000, parameters=(("x", "1"),), feedback=("nack", "nack pli"))
    extension = HeaderExtension(3, "urn:ietf:params:rtp-hdrext:sdes:mid")
    parameters = RtpParameters("0", "video", (codec,), (extension,), (Encoding(7),), "alice")
    return Track(track_id, user_id, user_id.title(), f"peer-{user_id}", "video", "camera", parameters)


class Ledger:
    """A `Sink`."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.packets: list[tuple[str, RtpPacket]] = []
        self.reports: list[tuple[str, SenderReport]] = []
        self.ticks = 0
        self.configuration: dict[str, Any] = {}
        self.want_key_frame: Callable[[str], None] = lambda _: None
        self.fails_at = -1
        """The tick that raises."""
        self.missing = ""
        """What keeps it from being opened."""

    async def open(
        self, configuration: Mapping[str, Any], now: float, want_key_frame: Callable[[str], None]
    ) -> "Ledger":
        if self.missing:
            raise RuntimeError(self.missing)
        self.configuration = dict(configuration)
        self.want_key_frame = want_key_frame
        return self

    def begin(self, track: Track, now: float) -> None:
        self.told.append(("begin", track))

    def end(self, track_id: str, now: float) -> None:
        self.told.append(("end", track_id))

    def mute(self, track_id: str, muted: bool, now: float) -> None:
        self.told.append(("mute", track_id, muted))

    def rename(self, user_id: str, username: str, now: float) -> None:
        self.told.append(("rename", user_id, username))

    def rtp(self, track_id: str, packet: RtpPacket, now: float) -> None:
        self.packets.append((track_id, packet))
        self.want_key_frame(track_id)

    def report(self, track_id: str, report: SenderReport, now: float) -> None:
        self.reports.append((track_id, report))

    def tick(self, now: float) -> None:
        self.ticks += 1
        if self.ticks == self.fails_at:
            raise RuntimeError("a bug")

    def pause(self, now: float) -> None:
        self.told.append(("pause", now))

    def resume(self, now: float) -> None:
        self.told.append(("resume", now))

    def stats(self, now: float) -> dict[str, Any]:
        return {"size": len(self.packets)}

    async def close(self, now: float) -> dict[str, Any]:
        self.told.append(("close",))
        return self.stats(now) | {"error": None}
