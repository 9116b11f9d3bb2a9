"""What a forwarded packet costs: CPU microseconds of the media process, against the bare library in the same run.

One publisher sends 1.5 Mbit/s of VP8 and Opus through a whole running system; receivers do real ICE, DTLS and SRTP
and do not decode. The media process has core 0 for itself, the generator core 1. The bare library is a loop that does
for each packet what nobody can leave out: one AES-GCM encryption and one `sendto` on loopback. Rounds are interleaved
and the medians are compared, since the machines are shared: only the ratio says something.
"""

import json
import os
import secrets
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.conftest import StartSystem, System
from tests.processes import cpu_seconds, media_processes, resident_bytes

from .peers import VIDEO_PAYLOAD, Certificate, run
from .room import Member, sign_up

ROUNDS = 3
ROUND_S = 6.0
BARE_PACKETS = 60_000


@pytest.fixture(scope="module")
def alone(start_system: StartSystem) -> Iterator[System]:
    """A system whose media process has core 0 for itself."""
    with start_system() as system:
        (media,) = media_processes(system.process.pid)
        os.sched_setaffinity(media, {0})
        os.sched_setaffinity(0, {1})
        yield system
        os.sched_setaffinity(0, {0, 1})


def bare_cost_us() -> float:
    """CPU microseconds of one AES-GCM encryption and one `sendto`, on core 0."""
    encrypt = AESGCM(secrets.token_bytes(16)).encrypt
    header, payload = secrets.token_bytes(24), secrets.token_bytes(VIDEO_PAYLOAD)
    os.sched_setaffinity(0, {0})
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        sink.bind(("127.0.0.1", 0))
        address = sink.getsockname()
        start = time.process_time()
        for index in range(BARE_PACKETS):
            out.sendto(header + encrypt(index.to_bytes(12, "big"), payload, header), address)
        used = time.process_time() - start
    os.sched_setaffinity(0, {1})
    return used / BARE_PACKETS * 1e6


@pytest.mark.parametrize("receivers", [50])
def test_cpu_per_forwarded_packet(alone: System, receivers: int) -> None:
    (media,) = media_processes(alone.process.pid)
    idle = resident_bytes(media)
    ours, bare, delivered, generator, latencies = [], [], [], [], []
    with ExitStack() as open_members:
        room, users = meeting(alone, receivers + 1)
        url = "ws" + alone.base_url.removeprefix("http") + "/ws/signaling"
        certificate = Certificate()
        began = time.monotonic()
        publisher, *watchers = (
            open_members.enter_context(closing(Member(url, token, room, certificate))) for token in users
        )
        streams = publisher.publish()
        for watcher in watchers:
            watcher.subscribe(tracks=2)
        set_up_s = time.monotonic() - began
        peers = [watcher.receiver for watcher in watchers]
        senders = [(publisher.sender, streams)]
        run(senders, peers, 2.0)  # until every video has begun at a key frame
        grown = resident_bytes(media) - idle
        for _ in range(ROUNDS):
            bare.append(bare_cost_us())
            for peer in peers:
                peer.received, peer.latencies = 0, []
            before, own = cpu_seconds(media), time.process_time()
            published = run(senders, peers, ROUND_S)
            received = sum(peer.received for peer in peers)
            ours.append((cpu_seconds(media) - before) / received * 1e6)
            generator.append((time.process_time() - own) / ROUND_S)
            delivered.append(received / published / receivers)
            latencies += [age for peer in peers for age in peer.latencies]
    cost, floor = statistics.median(ours), statistics.median(bare)
    quantiles = statistics.quantiles(latencies, n=100)
    row = {
        "row": f"sfu 1→{receivers}",
        "cpu_us_per_packet": round(cost, 2),
        "bare_us_per_packet": round(floor, 2),
        "ratio": round(cost / floor, 2),
        "delivered": round(statistics.median(delivered), 4),
        "latency_p50_ms": round(quantiles[49] * 1e3, 2),
        "latency_p99_ms": round(quantiles[98] * 1e3, 2),
        "set_up_s": round(set_up_s, 2),
        "memory_per_subscriber_kb": round(grown / receivers / 1000),
        "generator_cpu": round(statistics.median(generator), 2),
    }
    print("\n" + json.dumps(row))
    assert row["delivered"] > 0.99, "the row says nothing while packets are lost"


def meeting(system: System, people: int) -> tuple[str, list[str]]:
    """A meeting with that many users: its room id, and a token of each."""
    with httpx.Client(base_url=f"{system.base_url}/api/v1", timeout=30) as api:
        tokens = [sign_up(api) for _ in range(people)]
        made = api.post(
            "/meetings",
            json={"title": "Bench", "start_time": "2026-01-01T00:00:00Z", "duration": 60, "max_participants": people},
            headers={"Authorization": f"Bearer {tokens[0]}"},
        )
        return made.raise_for_status().json()["room_id"], tokens
