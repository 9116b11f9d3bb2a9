"""`make bench-sfu`: CPU for each forwarded packet, ours beside Janus and pion.

Servers run one after the other on core 0 of a network namespace, the generator on core 1, in rounds that are
interleaved: only ratios of one run say something, since machines are shared. How much of the machine others used is
in each row. What each server does: Janus (Debian's, one event loop) and pion (Debian's Go packages) forward, answer
NACKs and report; ours does that and what else a media process does, congestion control and layers among it.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from .peers import ADDRESS, Namespace, prefer, running

SERVERS = ("engine", "python", "janus", "pion")
SCENARIOS = ("1to10", "1to50", "1to100", "1to200", "10x10")
BASELINE = "janus"
FOLDER = Path(".cache") / "bench-sfu"
Row = dict[str, float | str]


def measure(namespace: Namespace, name: str, scenario: str, seconds: float) -> Row:
    """One server with one load."""
    publishers, subscribers = (int(text) for text in re.split("to|x", scenario))
    mesh = "x" in scenario
    with running(namespace, name, FOLDER.absolute()) as server:
        command = [sys.executable, "-m", "tests.bench.forwarding.generator", "--server", server.kind]
        command += ["--url", server.url, "--process", str(server.process), "--seconds", str(seconds)]
        command += ["--publishers", str(publishers), "--subscribers", "0" if mesh else str(subscribers)]
        command += ["--folder", str(FOLDER.absolute()), "--address", ADDRESS if name == "janus" else "127.0.0.1"]
        command = namespace.on_core(1, *command)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as generator:
            prefer(generator.pid)
            found, errors = generator.communicate()
    row: Row = {"server": name, "scenario": scenario}
    if generator.returncode:  # it did not connect everybody, or broke down
        return row | {"failed": errors.strip().splitlines()[-1][:200]}
    return row | json.loads(found)


def table(rows: list[Row]) -> str:
    """Medians of all rounds, a line for each server and load."""
    heads = ("load", "server", "CPU µs/packet", "of Janus", "delivered", "p50/p99 ms", "set up s", "MB", "generator")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        base = _median(rows, scenario, BASELINE, "cpu_us_per_packet")
        for name in SERVERS:
            cost = _median(rows, scenario, name, "cpu_us_per_packet")
            if cost is None:
                continue
            values = {
                key: _median(rows, scenario, name, key) or 0.0
                for key in (
                    "delivered",
                    "latency_p50_ms",
                    "latency_p99_ms",
                    "set_up_s",
                    "memory_mb",
                    "generator_cores",
                )
            }
            ratio = f"{cost / base:.2f}" if base else "–"
            lines.append(
                f"| {scenario} | {name} | {cost:.1f} | {ratio} | {values['delivered']:.1%} "
                f"| {values['latency_p50_ms']:.1f}/{values['latency_p99_ms']:.1f} | {values['set_up_s']:.1f} "
                f"| {values['memory_mb']:.0f} | {values['generator_cores']:.0%} |"
            )
    return "\n".join(lines)


def _median(rows: list[Row], scenario: object, name: str, key: str) -> float | None:
    found = [float(row[key]) for row in rows if row["scenario"] == scenario and row["server"] == name and key in row]
    return statistics.median(found) if found else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=SCENARIOS)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with Namespace.open() as namespace:
        for _ in range(options.rounds):
            for scenario in options.scenarios:
                for name in options.servers:
                    rows.append(measure(namespace, name, scenario, options.seconds))
                    print(json.dumps(rows[-1]), flush=True)
    (FOLDER / f"{time.strftime('%Y%m%dT%H%M%S')}.json").write_text(json.dumps(rows, indent=1))
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
