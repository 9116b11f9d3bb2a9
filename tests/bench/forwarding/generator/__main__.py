"""Load on one server: `python -m tests.bench.forwarding.generator --help`. Prints one JSON object.

Every peer does real ICE, DTLS and SRTP with AES-GCM. A publisher sends 1.5 Mbit/s of VP8-like video, 30 frames of six
packets a second spaced as an uplink of 20 Mbit/s would, and Opus. Subscribers decrypt everything, count it, and
measure how old it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from . import servers
from .core import CONNECTED, FAILED, Core, Peer, build

TICKS = os.sysconf("SC_CLK_TCK")
VIDEO_BPS, AUDIO_BPS = 1_500_000, 32_000
AT_ONCE = 8
"""Subscribers that connect at the same time."""
WARM_UP_S = 2.0


def cpu_s(process: int) -> float:
    """Seconds of CPU that a process has used, in all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(process: int) -> float:
    """What a process has in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def busy_s() -> float:
    """Seconds of CPU that the whole machine has used."""
    ticks = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS


@asynccontextmanager
async def room(kind: str, url: str, name: str) -> AsyncIterator[servers.Server]:
    """A room of a server."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        if kind != "janus":
            yield (servers.Meet if kind == "meet" else servers.Pion)(http, url, name)
            return
        janus = servers.Janus(http, url)
        await janus.open()
        yield janus
        await janus.close()


async def connected(peers: list[Peer]) -> None:
    """Wait until all are."""
    async with asyncio.timeout(30):
        while any(peer.state != CONNECTED for peer in peers):
            assert all(peer.state != FAILED for peer in peers)
            await asyncio.sleep(0.005)


async def publish(server: servers.Server, core: Core, name: str, rng: random.Random) -> Peer:
    """A peer that sends sound and video."""
    peer = Peer(core, name, receives=False)
    audio, video, rtx = (rng.getrandbits(32) for _ in range(3))
    remote = await server.publish(peer, [("audio", audio, 0), ("video", video, rtx)])
    for section in remote.sections:
        ids = section.extensions
        common = {"ext_abs": ids.get("abs", 0), "ext_twcc": ids.get("twcc", 0), "ext_mid": ids.get("mid", 0)}
        common |= {"mid": section.mid, "mtu": 1100, "uplink_kbps": 20_000}
        if section.kind == "audio":
            peer.send(kind=0, ssrc=audio, pt=111, bps=AUDIO_BPS, rate=50, clock=48_000, **common)
        else:
            rtx_fields = {"rtx_pt": 97, "rtx_ssrc": rtx}
            peer.send(kind=1, ssrc=video, pt=96, bps=VIDEO_BPS, rate=30, clock=90_000, **rtx_fields, **common)
    await connected([peer])
    return peer


async def subscribe(server: servers.Server, core: Core, user: str, names: list[str], *, arrivals: bool) -> Peer:
    """A peer that receives; it tells `arrivals`, or else only a rate."""
    peer = Peer(core, f"{user}-in", receives=True)
    remote = await server.subscribe(peer, user, names)
    video = next(section for section in remote.sections if section.kind == "video")
    transport_id = video.extensions.get("twcc", 0) if arrivals else 0
    peer.listen(transport_id=transport_id, rtx_type=video.rtx_of(video.type_of("VP8")))
    await connected([peer])
    return peer


async def load(options: argparse.Namespace) -> dict[str, float]:
    """The measurement."""
    rng = random.Random(7)
    core = Core(build(options.folder), options.address)
    mesh, process = options.subscribers == 0, options.process
    try:
        async with room(options.server, options.url, "room") as server:
            idle_mb = memory_mb(process)
            names = [f"p{number}" for number in range(options.publishers)]
            for name in names:
                await publish(server, core, name, rng)
            core.lib.lg_media(core.handle, 1)
            await asyncio.sleep(0.5)
            users = names if mesh else [f"s{number}" for number in range(options.subscribers)]
            began = time.monotonic()
            for at in range(0, len(users), AT_ONCE):
                group = users[at : at + AT_ONCE]
                arriving = (
                    subscribe(server, core, user, [n for n in names if n != user], arrivals=options.arrivals)
                    for user in group
                )
                await asyncio.gather(*arriving)
            set_up_s = time.monotonic() - began
            await asyncio.sleep(WARM_UP_S)
            grown_mb = memory_mb(process) - idle_mb
            start = core.now()
            core.lib.lg_window(core.handle, start, start + int(options.seconds * 1e9))
            before, own, all_of_it = cpu_s(process), cpu_s(os.getpid()), busy_s()
            await asyncio.sleep(options.seconds)
            used, generated = cpu_s(process) - before, cpu_s(os.getpid()) - own
            machine = busy_s() - all_of_it
            await asyncio.sleep(0.4)
            found = core.counters()
    finally:
        core.close()
    expected = found["sent_pkts"] * (options.publishers - 1 if mesh else options.subscribers)
    return {
        "cpu_us_per_packet": round(used / max(1, found["rx_pkts"]) * 1e6, 2),
        "packets_per_s": round(found["rx_pkts"] / options.seconds),
        "delivered": round(found["rx_pkts"] / expected, 4),
        "latency_p50_ms": round(found["lat_p50_us"] / 1e3, 2),
        "latency_p99_ms": round(found["lat_p99_us"] / 1e3, 2),
        "set_up_s": round(set_up_s, 2),
        "memory_mb": round(idle_mb + grown_mb, 1),
        "memory_per_subscriber_kb": round(grown_mb * 1000 / len(users)),
        "server_cores": round(used / options.seconds, 3),
        "generator_cores": round(generated / options.seconds, 3),
        "others_cores": round(max(0.0, machine - used - generated) / options.seconds, 2),
        "not_authentic": found["bad"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["meet", "janus", "pion"], required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--process", type=int, required=True, help="of the server, whose CPU time is measured")
    parser.add_argument("--publishers", type=int, default=1)
    parser.add_argument("--subscribers", type=int, default=0, help="0: the publishers subscribe to one another")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--arrivals", action="store_true", help="subscribers send transport-wide feedback")
    parser.add_argument("--address", default="127.0.0.1", help="the generator's own")
    parser.add_argument("--folder", type=Path, required=True, help="where its core is built")
    print(json.dumps(asyncio.run(load(parser.parse_args()))))


if __name__ == "__main__":
    main()
