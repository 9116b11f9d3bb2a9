"""What a recording costs the call: CPU of the media process with and without one, in a room of ten who all send.

Rounds with and without it take turns in one call, and the ratio is that of neighbours: the machines are shared, and
what they do otherwise moves slower than that. The recorder, a process of its own, is counted apart.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, closing

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
SETTLE_S = 2.0
"""Until a recorder has begun, or ended: what that costs is not what is measured here."""


@pytest.fixture(scope="module")
def alone(start_system: StartSystem) -> Iterator[System]:
    """A system whose media process has core 0 for itself."""
    with start_system(MEET_RECORDING_WAIT_S="0") as system:  # nobody waits for the files
        (media,) = media_processes(system.process.pid)
        os.sched_setaffinity(media, {0})
        os.sched_setaffinity(0, {1})
        yield system
        os.sched_setaffinity(0, {0, 1})


def test_cpu_of_a_room_with_and_without_a_recording(alone: System) -> None:
    (media,) = media_processes(alone.process.pid)
    plain, recorded, recorder, delivered = [], [], [], []
    with ExitStack() as open_members:
        room, users = meeting(alone, PEOPLE)
        number = int(room.removeprefix("meeting-"))
        url = "ws" + alone.base_url.removeprefix("http") + "/ws/signaling"
        certificate = Certificate()
        members = [open_members.enter_context(closing(Member(url, token, room, certificate))) for token in users]
        senders = [(member.sender, streams) for member, streams in [(each, each.publish()) for each in members]]
        for member in members:
            member.subscribe(tracks=2 * (PEOPLE - 1))
        receivers = [member.receiver for member in members]
        api = open_members.enter_context(
            httpx.Client(
                base_url=f"{alone.base_url}/api/v1", timeout=60, headers={"Authorization": f"Bearer {users[0]}"}
            )
        )

        def measure() -> float:
            """CPU of the media process for each packet that was delivered to people, in microseconds."""
            run(senders, receivers, SETTLE_S)
            for peer in receivers:
                peer.received = 0
            before = cpu_seconds(media)
            published = run(senders, receivers, ROUND_S)
            received = sum(peer.received for peer in receivers)
            delivered.append(received / published / (PEOPLE - 1))
            return (cpu_seconds(media) - before) / received * 1e6

        for _ in range(ROUNDS):
            plain.append(measure())
            body = {"meeting_id": number, "room_id": room, "quality": "high"}
            recording_id = api.post("/recording/start", json=body).raise_for_status().json()["recording_id"]
            (process,) = egress_processes(alone.process.pid)
            os.sched_setaffinity(process, {1})
            used = cpu_seconds(process)
            recorded.append(measure())
            recorder.append((cpu_seconds(process) - used) / (ROUND_S + SETTLE_S))
            status = api.get(f"/recording/status/{recording_id}").raise_for_status().json()
            assert status["participants"] == PEOPLE
            assert status["quality_metrics"]["dropped_frames"] == 0
            api.post("/recording/stop", json={"recording_id": recording_id}).raise_for_status()
            api.request("DELETE", f"/recording/{recording_id}")
    row = {
        "row": f"recording of {PEOPLE}×{PEOPLE}",
        "cpu_us_per_packet": round(statistics.median(plain), 2),
        "recorded_us_per_packet": round(statistics.median(recorded), 2),
        "ratio": round(
            statistics.median(with_it / without for with_it, without in zip(recorded, plain, strict=True)), 3
        ),
        "recorder_cpu": round(statistics.median(recorder), 2),
        "delivered": round(statistics.median(delivered), 4),
    }
    print("\n" + json.dumps(row))
    assert row["delivered"] > 0.99, "the row says nothing while packets are lost"
