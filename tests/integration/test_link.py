"""The link that other tests trust: what it claims to do to packets, it does."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.link import NAMESPACES, Link, need_link

ECHO = """
import socket, sys, time
address, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
    here.connect((address.split(":")[0], int(address.split(":")[1])))
    here.settimeout(1)
    started = time.monotonic()
    for number in range(count):
        here.send(number.to_bytes(2, "big") + bytes(size - 2))
    came = []
    try:
        while len(came) < count:
            came.append(int.from_bytes(here.recv(2048)[:2], "big"))
    except TimeoutError:
        started += 1
    print(time.monotonic() - started, *came)
"""
"""Sends `count` datagrams and prints how long the answers took, and which came."""


@pytest.fixture
def link() -> Iterator[Link]:
    need_link()
    with Link(seed=1) as link:
        yield link


@pytest.fixture
def echo(link: Link) -> Iterator[str]:
    """The address of something that sends back what it gets, until it gets an empty datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind((link.server_address, 0))
        port = ours.getsockname()[1]

        def answer() -> None:
            while True:
                data, sender = ours.recvfrom(2048)
                if not data:
                    return
                ours.sendto(data, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"{link.server_address}:{port}"
        ours.sendto(b"", (link.server_address, port))
        thread.join()


def exchange(link: Link, echo: str, count: int, size: int) -> tuple[float, list[int]]:
    """How long `count` datagrams took there and back, and the numbers of those that came."""
    command = [*link.inside, sys.executable, "-c", ECHO, echo, str(count), str(size)]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(words[0]), [int(word) for word in words[1:]]


def test_a_datagram_takes_the_round_trip(link: Link, echo: str):
    link.set_rtt(0.1)
    took, came = exchange(link, echo, 1, 100)
    assert came == [0]
    assert took >= 0.1


def test_what_is_lost_is_counted(link: Link, echo: str):
    link.up.loss, link.down.loss = 0.5, 0.2
    _, came = exchange(link, echo, 100, 100)
    assert link.up.offered == 100
    assert link.down.offered == link.up.delivered == 100 - link.up.lost
    assert len(came) == link.down.delivered == link.down.offered - link.down.lost
    assert 20 < link.up.lost < 80


def test_a_bottleneck_can_be_changed_while_the_link_is_used(link: Link, echo: str):
    link.up.rate_bps = 1_000_000
    link.up.queue_s = 10
    took, came = exchange(link, echo, 40, 1222)  # of 1250 bytes with their headers
    assert came == list(range(40))
    assert took >= 0.39
    link.up.queue_s = 0.1
    _, came = exchange(link, echo, 40, 1222)
    assert len(came) < 20
    assert link.up.dropped == 40 - len(came)


def test_nothing_is_left_of_a_link_or_of_one_whose_test_was_killed():
    need_link()
    abandon = (
        "import os, subprocess\nfrom tests.link import Link\nlink = Link().__enter__()\n"
        "subprocess.Popen([*link.inside, 'sleep', '600'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(link.namespace, flush=True)\nos.abort()"
    )
    run = subprocess.run([sys.executable, "-c", abandon], check=False, capture_output=True, text=True)
    orphan = run.stdout.strip()
    assert orphan in {path.name for path in NAMESPACES.iterdir()}, run.stderr
    with Link() as link:
        inside = subprocess.Popen([*link.inside, "sleep", "600"])
        left = {path.name for path in NAMESPACES.iterdir()}
        assert link.namespace in left
        assert orphan not in left
    assert inside.wait() == -signal.SIGKILL
    assert link.namespace not in {path.name for path in NAMESPACES.iterdir()}


def test_a_program_behind_the_link_is_started_by_its_path_alone(link: Link, tmp_path: Path):
    with link.program("/bin/ls", tmp_path) as path:
        shown = subprocess.run([path, "/sys/class/net"], check=True, capture_output=True, text=True).stdout.split()
    assert len(shown) == 2
    assert "lo" in shown
