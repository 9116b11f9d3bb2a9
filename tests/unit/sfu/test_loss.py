"""How much of a call survives a bad path, in virtual time; `MEET_SOAK=1` (`make soak`) runs hours of it."""

import os
from itertools import product

import pytest

from sfu.rtp.nack import DEFAULT_RTT_S, MAX_TRIES, PATIENCE
from tests.lossy_call import LossyCall, Outcome

LOSS = 0.05
BURST_S = 0.04
"""How long nothing passes where losses come in bursts: a collision or a handover of Wi-Fi, a frame of 25 a second."""
CASES = list(product((0.02, 0.05, 0.15), ("up", "down", "both"), (0.0, BURST_S)))
NAMES = [f"{rtt_s * 1000:.0f}ms-{where}-{'bursts' if burst_s else 'single'}" for rtt_s, where, burst_s in CASES]


def call(rtt_s: float, where: str, burst_s: float, seconds: float, seed: int) -> Outcome:
    """A call that loses 5 % between the publisher and us (`up`), us and the subscriber (`down`), or both."""
    lossy = LossyCall(rtt_s, seed)
    for way in {"up": [lossy.up, lossy.back], "down": [lossy.down, lossy.back_up]}.get(
        where, [lossy.up, lossy.back, lossy.down, lossy.back_up]
    ):
        way.loss, way.burst_s = LOSS, burst_s
    return lossy.run(seconds)


@pytest.mark.parametrize(("rtt_s", "where", "burst_s"), CASES, ids=NAMES)
def test_a_call_survives_five_percent_loss(rtt_s: float, where: str, burst_s: float):
    outcome = call(rtt_s, where, burst_s, 12, seed=3)
    assert outcome.share >= (0.995 if rtt_s <= 0.05 else 0.99)
    assert outcome.longest_gap_s <= (0.5 if rtt_s <= 0.05 else 1.0)
    assert outcome.key_frames <= 1, "a key frame was asked for although what was lost came again"


def test_a_call_without_loss_repeats_nothing():
    lossy = LossyCall(0.15, seed=1)
    outcome = lossy.run(10)
    assert outcome.share == 1
    assert outcome.repeated == 0
    assert outcome.latest_s < 0.17


def test_what_is_never_repeated_takes_a_key_frame_but_only_after_all_requests():
    lossy = LossyCall(0.05, seed=1)
    lossy.publisher.repeats = False
    lossy.up.loss = 0.01
    outcome = lossy.run(20)
    tries_s = MAX_TRIES * PATIENCE * DEFAULT_RTT_S
    assert 1 < outcome.key_frames <= 1 + 20 / tries_s
    assert tries_s < outcome.longest_gap_s < 3 * tries_s  # the key frame may have been hit too


@pytest.mark.skipif(not os.environ.get("MEET_SOAK"), reason="an hour of calls for each case: make soak")
def test_an_hour_of_each(capsys: pytest.CaptureFixture[str]):
    seconds, seeds = 600, 6
    failed = []
    with capsys.disabled():
        print("\n5 % loss         frames decoded  gap s  late ms  99 % ms  key frames  repeated")
        for name, (rtt_s, where, burst_s) in zip(NAMES, CASES, strict=True):
            all_of = [call(rtt_s, where, burst_s, seconds, seed) for seed in range(seeds)]
            share = sum(each.decoded for each in all_of) / sum(each.sent for each in all_of)
            gap = max(each.longest_gap_s for each in all_of)
            late = sum(each.late_s for each in all_of) / seeds
            latest = max(each.latest_s for each in all_of)
            keys = sum(each.key_frames for each in all_of)
            repeated = sum(each.repeated for each in all_of)
            print(
                f"{name:16} {share:15.3%} {gap:6.2f} {late * 1000:8.0f} {latest * 1000:8.0f} {keys:11} {repeated:9}",
                flush=True,
            )
            if share < (0.995 if rtt_s <= 0.05 else 0.99):
                failed.append(name)
    assert not failed
