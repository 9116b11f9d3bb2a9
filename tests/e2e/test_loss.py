"""Chromium behind a path that loses packets: what it sends is seen, and what it is sent it sees.

Alice is near the servers; Bob and Carol are behind the link. So Bob's camera crosses it upwards on its way to Alice,
hers downwards on its way to him, and his both ways on its way to Carol. All signaling crosses it too.
"""

import os
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from playwright.sync_api import Browser

from tests.conftest import StartSystem
from tests.link import Link, need_link

from .frames import PREPARE, View, count_frames
from .person import Person

MakePerson = Callable[..., Person]
BrowserBehind = Callable[[Link, str], Browser]
Meet = Callable[..., list[View]]

LOSS = 0.05
SOAK = pytest.mark.skipif(not os.environ.get("MEET_SOAK"), reason="six minutes of calls: make soak")


@pytest.fixture
def link() -> Iterator[Link]:
    need_link()
    with Link(seed=1) as link:
        yield link


@pytest.fixture
def meet(
    link: Link, start_system: StartSystem, somebody: MakePerson, browser_behind: BrowserBehind
) -> Iterator[Meet]:
    """A call of these people, the first of them near the servers; answers who sees whom across the link."""
    with start_system(
        MEET_BIND_HOST="0.0.0.0",  # noqa: S104 - two networks at once, both of this machine
        MEET_ANNOUNCED_IP=f"127.0.0.1,{link.server_address}",
    ) as system:
        far_url = f"http://{link.server_address}:{system.env['MEET_PORT']}"
        far = browser_behind(link, far_url)

        def start(first: str, *others: str) -> list[View]:
            near = somebody(first, base_url=system.base_url)
            behind = [somebody(name, base_url=far_url, browser=far) for name in others]
            for person in (near, *behind):
                person.context.add_init_script(PREPARE)
            near.sign_up()
            address = near.create_meeting("Through the rain")
            near.join()
            for person in behind:
                person.enter(address)
            bob = behind[0]
            return [View(bob, near), View(near, bob), *(View(bob, other) for other in behind[1:])]

        yield start


def test_a_call_survives_five_percent_loss(link: Link, meet: Meet) -> None:
    views = meet("alice", "bob")
    link.set_rtt(0.05)

    def worsen() -> None:
        link.up.loss = link.down.loss = LOSS

    def mend() -> None:
        link.up.loss = link.down.loss = 0

    for seen in count_frames(views, 8, worsen=worsen, mend=mend):
        print(seen)
        assert seen.sent > 50
        assert seen.missing <= 1
        assert seen.recovered or seen.sender == "bob", "nothing was lost on the way to Bob, or nothing came again"
        assert seen.key_frames_asked == 0
        assert seen.longest_gap_s < 1  # half of it on a machine that does nothing else
    assert min(link.up.lost, link.down.lost) > 10


@SOAK
def test_more_ways_to_lose_packets(link: Link, meet: Meet, capsys: pytest.CaptureFixture[str]) -> None:
    views = meet("alice", "bob", "carol")
    failed = []
    for rtt_s, burst_s in product((0.02, 0.05, 0.15), (0.0, 0.04)):
        link.set_rtt(rtt_s)
        link.up.burst_s = link.down.burst_s = burst_s

        def worsen() -> None:
            link.up.loss = link.down.loss = LOSS

        def mend() -> None:
            link.up.loss = link.down.loss = 0

        for seen in count_frames(views, 60, worsen=worsen, mend=mend):
            with capsys.disabled():
                print(f"\n{rtt_s * 1000:4.0f} ms {'bursts' if burst_s else 'single'}: {seen}", end="", flush=True)
            if seen.share < (0.995 if rtt_s <= 0.05 else 0.99) or (rtt_s == 0.05 and seen.longest_gap_s > 0.5):
                failed.append((rtt_s, burst_s, seen))
    assert not failed
