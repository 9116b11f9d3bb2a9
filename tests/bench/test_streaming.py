"""What a live stream costs the call: how much later packets are forwarded while a 1080p stream of it is encoded.

The streamer and its FFmpeg share the media process' core, and get what it leaves: SCHED_IDLE is to make that
harmless.
Rounds with and without the stream take turns in one call, and what counts is the difference of neighbours.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartSystem, System
from tests.processes import cpu_seconds, egress_processes, media_processes

from .peers import Certificate, run
from .room import Member
from .test_sfu import meeting

PEOPLE = 10
ROUNDS = 3
ROUND_S = 5.0
SETTLE_S = 3.0
"""Until FFmpeg has begun, or ended: what that costs is not what is measured here."""


@pytest.fixture(scope="module")
def alone(start_system: StartSystem) -> Iterator[System]:
    """A system whose media process has core 0 for itself, but for what it starts."""
    with start_system() as system:
        (media,) = media_processes(system.process.pid)
        os.sched_setaffinity(media, {0})
        os.sched_setaffinity(0, {1})
        yield system
        os.sched_setaffinity(0, {0, 1})


def test_forwarding_while_a_stream_is_encoded(alone: System) -> None:
    plain, streamed, used = [], [], []
    with ExitStack() as open_members:
        room, users = meeting(alone, PEOPLE)
        url = "ws" + alone.base_url.removeprefix("http") + "/ws/signaling"
        certificate = Certificate()
        members = [open_members.enter_context(closing(Member(url, token, room, certificate))) for token in users]
        senders = [(member.sender, streams) for member, streams in [(each, each.publish()) for each in members]]
        for member in members:
            member.subscribe(tracks=2 * (PEOPLE - 1))
        receivers = [member.receiver for member in members]
        api = open_members.enter_context(
            httpx.Client(
                base_url=f"{alone.base_url}/api/v1/streaming",
                timeout=60,
                headers={"Authorization": f"Bearer {users[0]}"},
            )
        )

        def p99_ms() -> float:
            """Of how long packets take from one person to another."""
            run(senders, receivers, SETTLE_S)
            for peer in receivers:
                peer.received, peer.latencies = 0, []
            published = run(senders, receivers, ROUND_S)
            delivered = sum(peer.received for peer in receivers) / published / (PEOPLE - 1)
            assert delivered > 0.99, "the row says nothing while packets are lost"
            return statistics.quantiles([age for peer in receivers for age in peer.latencies], n=100)[98] * 1e3

        number = int(room.removeprefix("meeting-"))
        for _ in range(ROUNDS):
            plain.append(p99_ms())
            body = {"meeting_id": number, "room_id": room, "stream_type": "hls", "quality": "high"}
            stream_id = api.post("/start", json=body).raise_for_status().json()["stream_id"]
            (streamer,) = egress_processes(alone.process.pid)
            both = (streamer, *children(streamer))
            assert [os.sched_getscheduler(pid) for pid in both] == [os.SCHED_IDLE] * 2
            assert [os.sched_getaffinity(pid) for pid in both] == [{0}] * 2
            before = sum(map(cpu_seconds, both))
            streamed.append(p99_ms())
            used.append((sum(map(cpu_seconds, both)) - before) / (SETTLE_S + ROUND_S))
            api.post("/stop", json={"stream_id": stream_id}).raise_for_status()
    row = {
        "row": f"stream of {PEOPLE}×{PEOPLE}",
        "latency_p99_ms": round(statistics.median(plain), 2),
        "streamed_p99_ms": round(statistics.median(streamed), 2),
        "moved_ms": round(statistics.median(one - other for one, other in zip(streamed, plain, strict=True)), 2),
        "streamer_cpu": round(statistics.median(used), 2),
    }
    print("\n" + json.dumps(row))


def children(pid: int) -> list[int]:
    """The processes that it started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
