"""Ten in one room: three browsers, and seven peers that publish and receive as browsers do but decode nothing."""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from queue import SimpleQueue

import httpx
import pytest

from tests.bench.peers import Certificate, run
from tests.bench.room import Member, sign_up

from .person import Measured, Person

MakePerson = Callable[..., Person]

BROWSERS, PEERS = 3, 7
MOST_S = 60.0


@pytest.mark.skipif(not os.environ.get("MEET_SOAK"), reason="ten of us want a machine for themselves: make soak")
def test_ten_people_get_each_other(somebody: MakePerson, base_url: str) -> None:
    alice, *others = people = [somebody(f"person{number}") for number in range(BROWSERS)]
    alice.sign_up()
    address = alice.create_meeting("Ten of us")
    alice.join()
    for person in others:
        person.enter(address)
    url = "ws" + base_url.removeprefix("http") + "/ws/signaling"
    room = address.split("/")[2]
    certificate = Certificate()
    with ExitStack() as ending, httpx.Client(base_url=f"{base_url}/api/v1", timeout=30) as api:
        members = [ending.enter_context(closing(Member(url, sign_up(api), room, certificate))) for _ in range(PEERS)]
        published = [member.publish() for member in members]
        for _, video in published:
            video.interval_s, video.packets_per_frame = 1 / 10, 2  # two cores do all of this
        senders = list(zip((member.sender for member in members), published, strict=True))
        for member in members:
            member.subscribe(tracks=2 * (BROWSERS + PEERS - 1))
        receivers = [member.receiver for member in members]
        done, sent = threading.Event(), SimpleQueue[int]()
        generator = threading.Thread(
            target=lambda: sent.put(run(senders, receivers, MOST_S, stop=done.is_set)), daemon=True
        )
        generator.start()
        try:
            for person in people:
                for other in people:
                    if other is not person:
                        person.sees_and_hears(other)
                person.until(_everybody_arrives, "gets packets of all nine others, pictures and sound")
        finally:
            done.set()
            generator.join()
        others_of_one = sent.get(timeout=1) * (PEERS - 1) // PEERS
        for receiver in receivers:
            assert receiver.received > 0.95 * others_of_one  # and what the browsers sent


def _everybody_arrives(now: Measured) -> bool:
    arriving = [stream for stream in now.received if stream["packetsReceived"] > 100]
    return sorted(stream["kind"] for stream in arriving) == ["audio"] * 9 + ["video"] * 9
