"""One subscriber behind a bottleneck, in virtual time (`tests.simulation`)."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from sfu.downlink import Downlink
from sfu.rtp.layers import Layer, LayerId
from sfu.rtp.rtcp import ReportBlock
from sfu.rtp.twcc import TransportFeedback
from tests.simulation import HIGH, LOW, MIDDLE, SIMULCAST, Call, Camera, Connected, Link


def steps(*pairs: tuple[float, float]) -> Callable[[float], float]:
    """A rate that changes: (from when, bits per second)."""
    return lambda now: next(rate for at, rate in reversed(pairs) if now >= at)


def flaps(call: Call, camera: int = 0) -> int:
    """The most flaps, each down and up again or the other way round, that a camera made within 5 s."""
    turns = call.turns(camera)
    return max((sum(turn <= other < turn + 5 for other in turns) // 2 for turn in turns), default=0)


FALLS = steps((0, 3e6), (8, 300e3), (18, 3e6))


@pytest.mark.parametrize("queue_s", [0.05, 0.3, 1.0])
def test_a_link_that_falls_keeps_audio_and_one_low_video_and_is_back_soon(queue_s: float):
    call = Call(Link(FALLS, queue_s=queue_s))
    call.run(28)
    assert call.when(0, HIGH, 0) < 3
    assert call.when(0, LOW, 8) < 8 + 3
    assert call.target(at=17.9) == LOW
    assert call.gap(call.microphone, 8, 18) < 0.5
    assert call.delay(call.microphone, 8 + 3, 18) < 0.5
    assert call.gap(call.cameras[0], 8 + 3, 18) < 0.5
    assert call.when(0, HIGH, 18) < 18 + 10
    assert flaps(call) <= 1


def test_seconds_of_queue_are_drained_before_video_goes_on():
    call = Call(Link(FALLS, queue_s=3.0))
    call.run(18)
    assert call.delay(call.microphone, 8, 12) > 1.5  # what had been sent before anybody could know
    assert call.delay(call.microphone, 13, 18) < 0.5
    assert call.target() == LOW


def test_of_many_videos_the_most_important_is_left():
    call = Call(Link(steps((0, 5e6), (6, 300e3), (16, 5e6))), cameras=4)
    call.cameras[2].speaking = True
    call.run(15)
    assert [call.target(n) for n in range(4)] == [None, None, LOW, None]
    assert call.gap(call.microphone, 6, 15) < 0.5
    call.run(26)
    assert None not in [call.target(n) for n in range(4)]
    assert call.target(2) == HIGH
    assert all(flaps(call, n) <= 1 for n in range(4))


def test_a_slow_ramp_is_followed_up():
    call = Call(Link(lambda now: 200e3 + 150e3 * now))
    call.run(22)
    assert call.when(0, MIDDLE, 0) < 7  # 635 kbit/s from 3 s on
    assert call.when(0, HIGH, 0) < 18  # 2.0 Mbit/s from 12 s on
    assert call.turns() == []
    assert call.delay(call.microphone, 1, 22) < 0.4


def test_a_slow_fall_is_followed_down():
    call = Call(Link(lambda now: max(200e3, 3e6 - 150e3 * now)))
    call.run(20)
    assert call.target(at=7) == HIGH
    assert call.target() in (LOW, None)
    assert len(call.turns()) == 1
    assert call.delay(call.microphone, 1, 20) < 0.6


def test_where_audio_alone_fits_nothing_is_sent_in_vain():
    call = Call(Link(lambda now: 110e3))
    call.run(12)
    assert call.target() is None
    assert call.delay(call.microphone, 5, 12) < 0.3
    assert call.cameras[0].probes < 30_000


@pytest.mark.parametrize("loss", [0.02, 0.05])
def test_random_loss_without_a_queue_costs_no_layer(loss: float):
    call = Call(Link(lambda now: 5e6, loss=loss))
    call.run(15)
    assert call.when(0, HIGH, 0) < 6
    assert call.turns() == []


def test_a_link_of_a_middle_rate_is_used_without_flapping_and_hardly_probed():
    call = Call(Link(lambda now: 1e6))
    call.run(25)
    assert call.target() == MIDDLE
    assert call.turns() == []
    assert call.cameras[0].probes * 8 / 25 < 0.05 * 1e6
    assert call.delay(call.microphone, 3, 25) < 0.25


@pytest.mark.parametrize("up", [Link(lambda now: 1e7, delay_s=0.5), Link(lambda now: 1e7, loss=0.3)], ids=str)
def test_late_or_lost_feedback_is_only_slower(up: Link):
    call = Call(Link(FALLS), up)
    call.run(29)
    assert call.when(0, LOW, 8) < 8 + 4
    assert call.target(at=17.9) == LOW
    assert call.when(0, HIGH, 18) < 18 + 11
    assert flaps(call) <= 1


def test_without_feedback_less_and_less_is_sent_until_it_is_back():
    call: Call = Call(Link(lambda now: 3e6), mend=lambda feedback: None if 4 < call.now < 16 else feedback)
    call.run(16)
    assert call.when(0, HIGH, 0) < 3
    assert call.target(at=6.9) == HIGH
    assert call.target() in (LOW, None)
    call.run(26)
    assert call.target() == HIGH


RANDOM = Random(3)
LIES: dict[str, Callable[[TransportFeedback], TransportFeedback]] = {
    "all at once": lambda told: replace(told, received=tuple((n, 1000) for n, _ in told.received)),
    "anything": lambda told: replace(told, received=tuple((n, RANDOM.randrange(1 << 30)) for n, _ in told.received)),
    "never sent": lambda told: replace(told, base=told.base + 20_000 & 0xFFFF),
    "everything": lambda told: replace(told, base=0, count=65535, received=tuple((n, n) for n in range(2000))),
}


@pytest.mark.parametrize("lie", LIES)
def test_who_lies_gets_no_more_than_there_is_to_send(lie: str):
    call = Call(Link(lambda now: 3e6), mend=LIES[lie])
    call.run(8)
    assert 50_000 <= call.downlink.stats().bitrate_bps <= 20_000_000
    assert call.cameras[0].probes * 8 / 8 < 500_000
    assert call.gap(call.microphone, 1, 8) < 0.5


def test_a_clock_that_is_set_is_no_congestion():
    call = Call(Link(lambda now: 3e6), clock=lambda now: now + (3600 if now > 5 else 0) - (7000 if now > 8 else 0))
    call.run(14)
    assert call.target() == HIGH
    assert call.turns() == []


def test_what_was_raised_in_vain_is_tried_ever_more_rarely():
    """A link that shows 3 Mbit/s to a short probe, and carries 1 for longer."""
    call = Call(Link(lambda now: 1e6))
    call.downlink._prober.proven_bps = lambda now: 1e7  # type: ignore[method-assign]  # a path that deceives
    call.downlink._estimator.probed = lambda bps, *, limited: call.downlink._estimator._rate.set(3e6)  # type: ignore[method-assign]
    call.run(60)
    raised = [at for at, target in call.cameras[0].changes if target == HIGH]
    pauses = [later - earlier for earlier, later in pairwise(raised)]
    assert len(raised) >= 3
    assert pauses == sorted(pauses)
    assert pauses[-1] > 1.5 * pauses[0]


class Told:
    """A downlink without transport-wide feedback, and one camera."""

    def __init__(self) -> None:
        self.downlink = Downlink(Connected())
        self.camera = Camera(Call(Link(lambda now: 1e6)))
        self.downlink.add_video(self.camera)
        self.now = 0.0
        self.sent = 0

    def run(self, seconds: float, *, remb_bps: int | None = None, loss: float | None = None) -> None:
        until = self.now + seconds
        lost = 0
        while self.now < until:
            self.now += 1.0
            self.sent += 100
            if remb_bps is not None:
                self.downlink.hear_remb(remb_bps)
            if loss is not None:
                lost += round(100 * loss)
                self.downlink.hear_report(ReportBlock(1, 0, lost, self.sent, 0, 0, 0), self.now)
            for n in range(50):
                self.downlink.tick(self.now + n / 50)

    @property
    def target(self) -> LayerId | None:
        return self.camera.target


def test_with_remb_alone_layers_are_raised_by_trial_and_lowered_by_what_it_says():
    told = Told()
    told.run(4, remb_bps=3_000_000)
    assert told.target == LOW
    told.run(5, remb_bps=3_000_000)
    assert told.target == MIDDLE
    told.run(5, remb_bps=3_000_000)
    assert told.target == HIGH
    told.run(5, remb_bps=200_000)
    assert told.target == LOW
    told.run(1, remb_bps=0)
    assert told.target is None


def test_with_reports_alone_much_loss_lowers_and_a_little_raises_nothing():
    told = Told()
    told.run(15, loss=0.0)
    assert told.target == HIGH
    told.run(10, loss=0.3)
    assert told.target in (LOW, None)
    told = Told()
    told.run(15, loss=0.05)
    assert told.target == LOW


def test_a_loss_of_the_past_does_not_keep_all_video_away():
    told = Told()
    told.camera.offered = SIMULCAST[-1:]
    told.camera.target = HIGH
    told.run(6, loss=0.3)
    assert told.target is None
    for _ in range(90):  # nobody reports on what is not sent
        told.run(1)
        if told.target is not None:
            break
    assert told.target == HIGH


def test_what_nobody_looks_at_costs_nothing_and_begins_low_again():
    call = Call(Link(lambda now: 3e6), cameras=2)
    call.run(4)
    assert call.target(0) == HIGH
    call.cameras[0].offered = ()
    call.run(8)
    assert call.target(0) == LOW
    assert call.target(1) == HIGH
    call.cameras[0].offered = SIMULCAST
    call.run(8.5)
    assert call.target(0) == LOW


def test_a_consumer_that_left_is_not_counted_any_more():
    call = Call(Link(lambda now: 3e6), cameras=2)
    call.run(2)
    call.downlink.remove(call.cameras[0])
    call.downlink.remove(call.microphone)
    before = list(call.cameras[0].changes)
    call.run(5)
    assert call.cameras[0].changes == before
    assert call.downlink.stats().videos == 1


def test_what_is_known_of_the_path_is_told():
    call = Call(Link(lambda now: 3e6, delay_s=0.04))
    assert call.downlink.stats().rtt_ms is None
    call.run(6)
    stats = call.downlink.stats()
    assert 1_700_000 < stats.bitrate_bps < 4_500_000
    assert stats.rtt_ms is not None
    assert 65 < stats.rtt_ms < 65 + 110  # and what the receiver waited
    assert stats.loss_rate == 0
    assert stats.queue_ms < 100
    assert (stats.videos, stats.paused) == (1, 0)


@pytest.mark.parametrize(
    ("sent", "chosen"),
    [
        # a large picture at a quarter of its pace is no better than a small one that moves
        ([(0, 0, 40, 7.5), (1, 0, 60, 7.5), (0, 2, 100, 30), (1, 2, 250, 30)], (0, 2)),
        # what costs less and is larger makes the smaller one useless
        ([(1, 0, 30, 5), (0, 0, 60, 5)], (1, 0)),
        # what has no bit rate yet could cost anything
        ([(1, 0, 0, 0), (0, 0, 60, 25)], (0, 0)),
        ([(1, 0, 0, 0), (0, 0, 0, 0)], (0, 0)),
    ],
)
def test_only_layers_that_are_worth_their_bits_are_chosen(sent, chosen: tuple[int, int]):
    call = Call(Link(lambda now: 230e3))
    call.cameras[0].offered = tuple(
        Layer(LayerId(spatial, temporal), kbps * 1000, 0, 0, fps) for spatial, temporal, kbps, fps in sent
    )
    call.cameras[0].target = call.cameras[0].current = None
    call.run(9)
    assert call.cameras[0].target == chosen
