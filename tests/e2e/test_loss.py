"""Chromium behind a path that loses packets: what it sends is seen, and what it is sent it sees.

Alice is near the servers; Bob and Carol are behind the link. So Bob's camera crosses it upwards on its way to Alice,
hers downwards on its way to him, and his both ways on its way to Carol. All signaling crosses it too.
"""

import os
from collections.abc import Callable
from itertools import product

import pytest

from .conftest import Far
from .frames import PREPARE, View, count_frames
from .person import Person

MakePerson = Callable[..., Person]
Meet = Callable[..., list[View]]

LOSS = 0.05
SOAK = pytest.mark.skipif(not os.environ.get("MEET_SOAK"), reason="six minutes of calls: make soak")


@pytest.fixture
def meet(far: Far, somebody: MakePerson) -> Meet:
    """A call of these people, the first of them near the servers; answers who sees whom across the link."""

    def start(first: str, *others: str) -> list[View]:
        near = somebody(first, base_url=far.system.base_url)
        behind = [somebody(name, base_url=far.base_url, browser=far.browser) for name in others]
        for person in (near, *behind):
            person.context.add_init_script(PREPARE)
        near.sign_up()
        address = near.create_meeting("Through the rain")
        near.join()
        for person in behind:
            person.enter(address)
        bob = behind[0]
        return [View(bob, near), View(near, bob), *(View(bob, other) for other in behind[1:])]

    return start


def test_a_call_survives_five_percent_loss(far: Far, meet: Meet) -> None:
    far.link.set_rtt(0.05)
    views = meet("alice", "bob")

    def worsen() -> None:
        far.link.up.loss = far.link.down.loss = LOSS

    def mend() -> None:
        far.link.up.loss = far.link.down.loss = 0

    for seen in count_frames(views, 8, worsen=worsen, mend=mend):
        print(seen)
        assert seen.sent > 40
        assert seen.missing <= 1
        assert seen.recovered or seen.sender == "bob", "nothing was lost on the way to Bob, or nothing came again"
        assert seen.key_frames_asked == 0
        assert seen.longest_gap_s < 1  # half of it on a machine that does nothing else
    assert min(far.link.up.lost, far.link.down.lost) > 10


@SOAK
def test_more_ways_to_lose_packets(far: Far, meet: Meet, capsys: pytest.CaptureFixture[str]) -> None:
    views = meet("alice", "bob", "carol")
    ways = (far.link.up, far.link.down)
    failed = []
    for rtt_s, burst_s in product((0.02, 0.05, 0.15), (0.0, 0.04)):
        far.link.set_rtt(rtt_s)

        def worsen(burst_s: float = burst_s) -> None:
            for way in ways:
                way.loss, way.burst_s = LOSS, burst_s

        def mend() -> None:
            for way in ways:
                way.loss = 0

        for seen in count_frames(views, 60, worsen=worsen, mend=mend):
            with capsys.disabled():
                print(f"\n{rtt_s * 1000:4.0f} ms {'bursts' if burst_s else 'single'}: {seen}", end="", flush=True)
            if seen.share < (0.995 if rtt_s <= 0.05 else 0.99) or (rtt_s == 0.05 and seen.longest_gap_s > 0.5):
                failed.append((rtt_s, burst_s, seen))
    assert not failed
