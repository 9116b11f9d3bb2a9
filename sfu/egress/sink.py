"""The seam between what comes from the room and what is made of it.

`now`, and a packet's `arrival`, are of the machine's monotonic clock, which the media process and this one share.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import (
    Encoding,
    HeaderExtension,
    Kind,
    RtpCodec,
    RtpParameters,
    Source,
)
from sfu.rtp.rtcp import SenderReport


@dataclass(frozen=True, slots=True)
class Track:
    """A track as it arrives here: one codec's payload at a time, one unbroken stream, neither RTX nor RED nor FEC."""

    track_id: str
    user_id: str
    username: str
    peer_id: str
    """Of the publishing connection: tracks of one share a clock."""
    kind: Kind
    source: Source
    parameters: RtpParameters

    def as_dict(self) -> dict[str, Any]:
        """For the wire: JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Track":
        """The inverse of `as_dict`, after JSON made lists of tuples."""
        parameters = values["parameters"]
        codecs = tuple(
            RtpCodec(
                **codec
                | {
                    "parameters": tuple((key, value) for key, value in codec["parameters"]),
                    "feedback": tuple(codec["feedback"]),
                }
            )
            for codec in parameters["codecs"]
        )
        extensions = tuple(HeaderExtension(**extension) for extension in parameters["header_extensions"])
        encodings = tuple(Encoding(**encoding) for encoding in parameters["encodings"])
        return cls(
            **values
            | {
                "parameters": RtpParameters(
                    mid=parameters["mid"],
                    kind=parameters["kind"],
                    codecs=codecs,
                    header_extensions=extensions,
                    encodings=encodings,
                    cname=parameters["cname"],
                )
            }
        )


class Sink(Protocol):
    """What is fed: a recorder or a streamer. Called from one event loop; only `close` may wait."""

    def begin(self, track: Track, now: float) -> None:
        """Somebody publishes a track; what was there before the sink came begins so, too."""

    def end(self, track_id: str, now: float) -> None:
        """A track is over."""

    def mute(self, track_id: str, muted: bool, now: float) -> None:
        """A track is switched off, so that nothing comes, or on again."""

    def rename(self, user_id: str, username: str, now: float) -> None:
        """Somebody has another name now."""

    def rtp(self, track_id: str, packet: RtpPacket, now: float) -> None:
        """A packet of a track, in the order of arrival: some are late, some never come. `packet.index` counts on
        where sequence numbers begin anew, `packet.key_frame` and `packet.arrival` are set.
        """

    def report(self, track_id: str, report: SenderReport, now: float) -> None:
        """The publisher's clocks: NTP time and RTP timestamp of the same moment, in the numbering of its packets."""

    def tick(self, now: float) -> None:
        """Every 20 ms."""

    def pause(self, now: float) -> None:
        """What follows is to be left out, until `resume`; paused already is fine."""

    def resume(self, now: float) -> None:
        """It is to be kept again."""

    def stats(self, now: float) -> dict[str, Any]:
        """JSON values for the media process, asked for every second: a recorder's are the fields of
        `meet.domain.recording.Measured`, a streamer's those of `meet.domain.stream.Aired` and `status`, `error`.
        """

    async def close(self, now: float) -> dict[str, Any]:
        """Keep what is still to be kept, and end; the last `stats`. Raises nothing: what failed is in `error`."""


class OpenSink(Protocol):
    """How a sink begins: `sfu.egress.recorder.open_sink`, and the streamer's."""

    async def __call__(
        self, configuration: Mapping[str, Any], now: float, want_key_frame: Callable[[str], None]
    ) -> Sink:
        """A sink that is ready to be fed. `configuration` is the message `configure` of `sfu.egress.wire`; its
        timeline stands at `configuration["begins_s"]` at the monotonic moment `configuration["begins_at"]`, which is
        a little before `now`: packets have come since then. `want_key_frame` takes a track id, and may be called at
        any time from the event loop.
        """
