"""What of each video one subscriber is sent, as the path to it changes.

`allocate` says what fits; here is when to follow it:

- Down at once, where what is sent does not fit. A little too much has to last for a moment, because the estimate
  falls by 15 % on the slightest suspicion.
- Up with care: where the better layers would fit with headroom, for some time, and the path was just seen to carry
  them, by a probe if need be. What had to be taken back soon is tried again only after a pause, each time twice as
  long.
- Nothing for a moment, where seconds are queued on the path: nobody can talk like that.

Who does not tell arrivals (no transport-wide feedback) is raised by trial, one layer at a time.
"""

from dataclasses import replace
from typing import Protocol

from sfu.rtp.allocation import HEADROOM, Claim, allocate, cost
from sfu.rtp.estimator import Estimator
from sfu.rtp.layers import Layer, LayerId
from sfu.rtp.prober import Prober

GRACE_S, GRACE = 1.0, 1.25
"""What exceeds the budget by no more than a quarter may do so for a second: a cut of 15 % may be a false alarm, for a
key frame that came; if it was none, the next follows within a round trip."""
HOLD_S = 0.5
"""How long there has to be room for more."""
STEADY_S = 2.0
"""Nothing is raised so soon after the path was found overused."""
PAUSE_S, MAX_PAUSE_S = 5.0, 80.0
"""From lowering a video to raising it again, for the first time, and at most."""
FAILED_S, PROVED_S = 4.0, 30.0
"""A video lowered so soon after it was raised was raised in vain; one that lasted so long was not."""
AHEAD_S = 2.0
"""So long before a pause ends, probes begin: when it ends, what the path carries is known."""
DRAIN_FROM_S, DRAIN_TO_S = 0.6, 0.2
"""Where so much is queued, all videos wait until it is gone;"""
DRAIN_AFTER_S = 0.5
"""if it is for so long: a receiver that was busy for a moment is no queue."""
DRAIN_MOST_S, DRAIN_AGAIN_S = 4.0, 30.0
"""No longer than that, and not again so soon: what does not go away is no queue but a longer way."""
TRIAL_S, TRIAL_LOSS = 5.0, 0.02
"""Between two trials; none while more is lost."""
TRIAL_GRACE_S = 3.0
"""After a trial REMB needs so long to grow to what is sent."""
LOWEST = LayerId(0, 0)


class Video(Protocol):
    """What is needed of a consumer of video; `sfu.consumer.Consumer` is one."""

    @property
    def target(self) -> LayerId | None:
        """What is to be sent; None: nothing."""

    @property
    def screen(self) -> bool:
        """Whether it shows a screen."""

    @property
    def speaking(self) -> bool:
        """Whether it shows who speaks."""

    def layers(self, now: float) -> tuple[Layer, ...]:
        """What could be sent, ascending in bit rate; () where nobody looks."""

    def set_target(self, target: LayerId | None, now: float) -> None:
        """Send this from now on."""

    def probe(self, size: int, now: float) -> int:
        """Send so many bytes to no purpose; how many it were."""


class _Shown:
    """One video and its history."""

    __slots__ = ("failures", "key", "lowered_at", "raised_at", "video")

    def __init__(self, video: Video, key: int) -> None:
        self.video = video
        self.key = key
        self.raised_at = self.lowered_at = float("-inf")
        self.failures = 0

    def claim(self, now: float) -> Claim:
        """What it could be, and is to be now: of layers that ended, the best below."""
        layers, target = _worthwhile(self.video.layers(now)), self.video.target
        if not layers and target != LOWEST:
            self.video.set_target(LOWEST, now)  # whoever looks at it again sees something at once
        held = None if target is None else max((each.id for each in layers if each.id <= target), default=None)
        return Claim(self.key, layers, screen=self.video.screen, speaking=self.video.speaking, held=held)

    def lower(self, target: LayerId | None, now: float) -> None:
        """It has to be, because the path carries less."""
        lasted = now - self.raised_at
        if lasted > PROVED_S:
            self.failures = 0
        elif lasted < FAILED_S and self.raised_at > self.lowered_at:
            self.failures += 1
        self.lowered_at = now
        self.video.set_target(target, now)

    def may_rise(self, at: float) -> bool:
        """Whether the pause after it was lowered is over."""
        return at - self.lowered_at >= min(PAUSE_S * (1 << min(self.failures, 8)), MAX_PAUSE_S)


class Share:
    """The videos of one subscriber. Made by `Downlink`."""

    def __init__(self, estimator: Estimator, prober: Prober) -> None:
        self.goal_bps: float | None = None
        """What the path would have to carry, audio and all, for more than is sent now; None: there is no more."""
        self.used_bps = 0
        """What the videos take."""
        self.paused = 0
        """Videos of which nothing is sent for want of room."""
        self.settled = False
        """Whether nothing is about to change: looking twice a second is enough."""
        self._estimator = estimator
        self._prober = prober
        self._shown: list[_Shown] = []
        self._next_key = 0
        self._short_since: float | None = None
        self._room_since: float | None = None
        self._raised_at = float("-inf")
        self._drains = False
        self._drained_at = float("-inf")
        self._queued_since: float | None = None

    @property
    def videos(self) -> tuple[Video, ...]:
        """The oldest first."""
        return tuple(shown.video for shown in self._shown)

    def add(self, video: Video) -> None:
        """One more; it begins with the layer that it has."""
        self._shown.append(_Shown(video, self._next_key))
        self._next_key += 1

    def remove(self, video: object) -> None:
        """One less."""
        self._shown = [shown for shown in self._shown if shown.video is not video]

    def look(self, audio_bps: float, now: float) -> None:
        """Lower what does not fit beside the audio, or raise what does. Call it a few times a second."""
        claims = [shown.claim(now) for shown in self._shown]
        self.used_bps = cost(claims)
        self.paused = sum(claim.held is None and bool(claim.layers) for claim in claims)
        self._weigh(claims, audio_bps, now)
        waits = self._short_since is not None or self._queued_since is not None or self._drains
        self.settled = self.goal_bps is None and not waits

    def _weigh(self, claims: list[Claim], audio_bps: float, now: float) -> None:
        budget_bps = self._estimator.bitrate_bps - audio_bps
        if self._drain(claims, budget_bps, now):
            self.goal_bps = self._short_since = self._room_since = None
        elif self.used_bps > budget_bps:
            self.goal_bps = self._room_since = None
            if self._estimator.informed and not self._tolerated(budget_bps, now):
                self._lower(claims, budget_bps, now)
        else:
            self._short_since = None
            if self._estimator.hears_arrivals or not self._estimator.informed:
                self._raise(claims, audio_bps, budget_bps, now)
            else:
                self._try(claims, now)

    def _drain(self, claims: list[Claim], budget_bps: float, now: float) -> bool:
        """Whether the videos wait for a queue to drain."""
        queue_s = self._estimator.queue_s
        if self._drains:
            if queue_s > DRAIN_TO_S and now - self._drained_at < DRAIN_MOST_S:
                return True
            self._drains = False
            lowest = allocate((replace(claim, layers=claim.layers[:1]) for claim in claims), HEADROOM * budget_bps)
            for shown in self._shown:
                if lowest[shown.key] is not None:
                    shown.video.set_target(lowest[shown.key], now)
        elif not self.used_bps or queue_s < DRAIN_FROM_S or now - self._drained_at < DRAIN_AGAIN_S:
            self._queued_since = None
        elif self._queued_since is None:
            self._queued_since = now
        elif now - self._queued_since >= DRAIN_AFTER_S:
            self._drains = True
            self._drained_at = now
            for shown, claim in zip(self._shown, claims, strict=True):
                if claim.held is not None:
                    shown.lower(None, now)
        return self._drains

    def _tolerated(self, budget_bps: float, now: float) -> bool:
        """Whether what is too much may be so for now."""
        if not self._estimator.hears_arrivals and now - self._raised_at < TRIAL_GRACE_S:
            return True
        if self._short_since is None:
            self._short_since = now
        return self.used_bps <= GRACE * budget_bps and now - self._short_since < GRACE_S

    def _lower(self, claims: list[Claim], budget_bps: float, now: float) -> None:
        fitting = allocate((_kept(claim) for claim in claims), budget_bps)
        for shown, claim in zip(self._shown, claims, strict=True):
            if claim.held is not None and fitting[claim.key] != claim.held:
                shown.lower(fitting[claim.key], now)

    def _raise(self, claims: list[Claim], audio_bps: float, budget_bps: float, now: float) -> None:
        """Raise what fits, where that is proven, and say what else would be of use."""
        if all(not claim.layers or claim.held == claim.layers[-1].id for claim in claims):
            self.goal_bps = self._room_since = None
            return
        best = _with(claims, allocate(self._rising(claims, now + AHEAD_S), float("inf")))
        wanted = _with(claims, allocate(self._rising(claims, now), budget_bps))
        if best == claims:
            self.goal_bps = self._room_since = None
            return
        needed_bps = audio_bps + cost(wanted)
        proven = cost(wanted) <= self.used_bps or self._prober.proven_bps(now) >= needed_bps
        self.goal_bps = HEADROOM * (audio_bps + cost(best) if proven else needed_bps)
        if not any(_above(want.held, claim.held) for want, claim in zip(wanted, claims, strict=True)):
            self._room_since = None
            return
        if self._room_since is None:
            self._room_since = now
        if proven and now - self._room_since >= HOLD_S and now - self._estimator.decreased_at >= STEADY_S:
            self._room_since = None
            self._change(claims, wanted, now)

    def _try(self, claims: list[Claim], now: float) -> None:
        """Raise the most important that may rise by one layer, and see.

        Where no video is sent, the loss may be of a time when one was: nothing else would ever show that it ended.
        """
        self.goal_bps = None
        if self._raised_at == float("-inf"):
            self._raised_at = now
        if now - self._raised_at < TRIAL_S or (self.used_bps and self._estimator.loss > TRIAL_LOSS):
            return
        for claim in sorted(self._rising(claims, now), key=lambda claim: claim.rank):
            better = next((layer.id for layer in claim.layers if _above(layer.id, claim.held)), None)
            if better is not None:
                self._change(claims, _with(claims, {claim.key: better}), now)
                return

    def _rising(self, claims: list[Claim], at: float) -> list[Claim]:
        """The claims, where a pause lasts until then without what is better."""
        return [
            claim if shown.may_rise(at) else _kept(claim) for shown, claim in zip(self._shown, claims, strict=True)
        ]

    def _change(self, claims: list[Claim], wanted: list[Claim], now: float) -> None:
        """Raise some, and lower others in favour of those."""
        for shown, claim, want in zip(self._shown, claims, wanted, strict=True):
            if want.held == claim.held:
                continue
            if _above(want.held, claim.held):
                shown.raised_at = self._raised_at = now
            else:
                shown.lowered_at = now
            shown.video.set_target(want.held, now)


def _worthwhile(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Those that are better than all that cost less. A larger picture that moves at a quarter of its pace is not.

    What has no bit rate yet could cost anything: of several such, only the lowest is tried.
    """
    pace: dict[int, float] = {}
    for layer in layers:
        pace[layer.id.spatial] = max(pace.get(layer.id.spatial, 0.0), layer.frame_rate)
    kept: list[Layer] = []
    for layer in layers:
        if layer.bitrate_bps <= 0:
            continue
        slow = 2.2 * layer.frame_rate < pace[layer.id.spatial]
        if not kept or (layer.id > kept[-1].id and not (slow and layer.id.spatial > kept[0].id.spatial)):
            kept.append(layer)
    return tuple(kept or sorted(layers, key=lambda layer: layer.id)[:1])


def _with(claims: list[Claim], held: dict[int, LayerId | None]) -> list[Claim]:
    """The claims, those that are named holding something else."""
    return [replace(claim, held=held.get(claim.key, claim.held)) for claim in claims]


def _kept(claim: Claim) -> Claim:
    """The claim, without what is better than it has."""
    if claim.held is None:
        return replace(claim, layers=())
    return replace(claim, layers=tuple(layer for layer in claim.layers if layer.bitrate_bps <= claim.held_bps))


def _above(one: LayerId | None, other: LayerId | None) -> bool:
    return one is not None and (other is None or one > other)
