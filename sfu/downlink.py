"""The way from us to one subscriber: what it carries, and what is sent over it because of that.

Audio is always sent. What the path carries besides is shared among the videos (`Share`); where more would be of use
than is known to fit, the prober finds out.
"""

from dataclasses import dataclass
from typing import Protocol

from sfu.rtp.departures import OVERHEAD, Departures
from sfu.rtp.estimator import Estimator
from sfu.rtp.parameters import RtpTransport
from sfu.rtp.prober import Prober
from sfu.rtp.rtcp import ReportBlock
from sfu.rtp.stats import Rate
from sfu.rtp.twcc import TransportFeedback
from sfu.share import Share, Video

LOOK_S, SETTLED_S = 0.2, 0.5
"""How often the share is looked at: rarely where nothing is about to change, at once where the path is overused."""
AUDIO_HEADER = 12 + 12
"""Bytes of an audio packet's RTP header with its extensions."""


class Audio(Protocol):
    """What is needed of a consumer of audio; `sfu.consumer.Consumer` is one."""

    @property
    def packets(self) -> int:
        """Sent so far."""

    @property
    def octets(self) -> int:
        """Of payload."""


@dataclass(frozen=True, slots=True)
class DownlinkStats:
    """A path as it is known now."""

    bitrate_bps: int
    """What it is estimated to carry, with UDP and IP headers."""
    rtt_ms: float | None
    """None before transport-wide feedback came."""
    loss_rate: float
    """0 to 1."""
    queue_ms: float
    """How much longer than at best packets take."""
    videos: int
    paused: int
    """Of these, those of which nothing is sent for want of room."""


class Downlink:
    """One subscribing transport. Made by `Router.consume`."""

    def __init__(self, transport: RtpTransport) -> None:
        self._transport = transport
        self.departures = Departures()
        """For the consumers to number their packets with."""
        self._estimator = Estimator(self.departures)
        self._prober = Prober(self.departures, self._estimator)
        self._share = Share(self._estimator, self._prober)
        self._audios: dict[Audio, int] = {}
        self._audio_octets = 0
        self._audio_rate = Rate()
        self._audio_bps = 0.0
        self._look_at = float("-inf")

    @property
    def connected(self) -> bool:
        """Whether anything can be sent."""
        return self._transport.connected

    def add_video(self, video: Video) -> None:
        """A video more; it begins with the layer that it has, its lowest."""
        self._share.add(video)

    def add_audio(self, audio: Audio) -> None:
        """An audio more."""
        self._audios[audio] = _octets(audio)

    def remove(self, consumer: object) -> None:
        """One of either less."""
        self._share.remove(consumer)
        self._audios = {audio: octets for audio, octets in self._audios.items() if audio is not consumer}

    def hear(self, feedback: TransportFeedback, now: float) -> None:
        """Transport-wide feedback."""
        self._estimator.hear(feedback, now)
        if self._estimator.decreased_at == now:
            self._look(now)

    def hear_remb(self, bps: int) -> None:
        """REMB."""
        self._estimator.hear_remb(bps)

    def hear_report(self, block: ReportBlock, now: float) -> None:
        """A receiver report about one of the consumers."""
        self._estimator.hear_report(block, self._audio_bps + self._share.used_bps, now)

    def tick(self, now: float) -> None:
        """What time brings: call it every 20 ms or so."""
        if not self._transport.connected:
            return
        if now >= self._look_at:
            self._estimator.tick(now)
            self._look(now)
        octets = self._prober.tick(self._share.goal_bps, now)
        if octets > 0:
            for video in self._share.videos:
                octets -= video.probe(octets, now)
                if octets <= 0:
                    return

    def stats(self) -> DownlinkStats:
        """What is known of the path."""
        estimator, share = self._estimator, self._share
        return DownlinkStats(
            bitrate_bps=round(estimator.bitrate_bps),
            rtt_ms=estimator.rtt_s * 1000 if estimator.hears_arrivals else None,
            loss_rate=estimator.loss,
            queue_ms=estimator.queue_s * 1000,
            videos=len(share.videos),
            paused=share.paused,
        )

    def _look(self, now: float) -> None:
        self._measure_audio(now)
        self._share.look(self._audio_bps, now)
        self._look_at = now + (SETTLED_S if self._share.settled else LOOK_S)

    def _measure_audio(self, now: float) -> None:
        for audio, before in self._audios.items():
            octets = _octets(audio)
            self._audio_octets += octets - before
            self._audios[audio] = octets
        self._audio_rate.sample(self._audio_octets, now)
        self._audio_bps = 8 * self._audio_rate.per_second(self._audio_octets, now)


def _octets(audio: Audio) -> int:
    return audio.octets + audio.packets * (AUDIO_HEADER + OVERHEAD)
