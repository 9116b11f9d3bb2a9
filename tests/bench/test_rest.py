"""What a REST request costs: requests a second and latency through the whole event path, and cold starts.

The same small client asks, by turns, a bare FastAPI route on uvicorn, and a whole running system: its gateway (HTTP →
API Gateway event → Mangum → FastAPI → route) and its edge before it. Rounds are interleaved and the medians are
compared, since the machines are shared: what counts is the ratio to the bare route of the same run.
"""

import asyncio
import json
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from functions.gateway import ROUTES, LambdaContext, Resources, load, proxy_event
from tests.conftest import ROOT, StartSystem, System
from tests.processes import cpu_seconds, descendants

ROUNDS = 3
ROUND_S = 3.0
CONNECTIONS = 16
CALLS = 500
COLD_STARTS = 5

BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/api/v1/meetings/health")
async def health() -> dict[str, str]:
    return {"service": "bare", "status": "ok", "time": "2025-10-05T12:00:00Z"}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
"""

COLD = """
import sys, time
wall, cpu = time.perf_counter(), time.process_time()
__import__(sys.argv[1])
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


@dataclass
class Target:
    """Something that is asked, and what came of it, a number a round."""

    name: str
    port: int
    request: bytes
    processes: list[int]
    """Whose CPU time the answers cost."""
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)


def get(path: str, token: str = "") -> bytes:
    """A request, as it goes over the wire."""
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: meet.test\r\n{authorization}\r\n".encode()


async def ask(port: int, request: bytes, until: float) -> list[float]:
    """Ask again and again on one connection; the seconds that each answer took. Every one must be a 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    while (start := time.perf_counter()) < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        took.append(time.perf_counter() - start)
    writer.close()
    await writer.wait_closed()
    return took


async def load_up(target: Target, duration_s: float) -> list[float]:
    until = time.perf_counter() + duration_s
    answers = await asyncio.gather(*(ask(target.port, target.request, until) for _ in range(CONNECTIONS)))
    return [took for one in answers for took in one]


def measure(target: Target) -> None:
    """One round: `ROUND_S` of load on `CONNECTIONS` connections."""
    before = sum(map(cpu_seconds, target.processes))
    took = asyncio.run(load_up(target, ROUND_S))
    target.cpu_us.append((sum(map(cpu_seconds, target.processes)) - before) / len(took) * 1e6)
    target.rates.append(len(took) / ROUND_S)
    target.latencies_s += took


@contextmanager
def bare(port: int) -> Iterator[int]:
    """The process id of a FastAPI application with one route and nothing else."""
    with subprocess.Popen([sys.executable, "-c", BARE, str(port)]) as process:
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/api/v1/meetings/health").raise_for_status()
                    break
                except httpx.TransportError:
                    assert time.monotonic() < deadline, "the bare application did not start"
            yield process.pid
        finally:
            process.terminate()


def process_of(system: System, module: str) -> int:
    """The process of a system that runs `python -m module`."""
    for pid in descendants(system.process.pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if file.read().endswith(f"\0-m\0{module}\0".encode()):
                return pid
    raise LookupError(module)


def sign_in(system: System) -> str:
    name = f"bench-{secrets.token_hex(6)}"
    with httpx.Client(base_url=f"{system.base_url}/api/v1/auth", timeout=30) as api:
        new = {"username": name, "email": f"{name}@example.com", "password": "SecurePass123!"}
        api.post("/register", json=new).raise_for_status()
        answer = api.post("/login", json={"username": name, "password": "SecurePass123!"})
        token: str = answer.raise_for_status().json()["access_token"]
        return token


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of equal keys under their names, in columns."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def show(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}\n{table(rows)}\n" + "\n".join(json.dumps(row) for row in rows))


def test_requests_a_second(start_system: StartSystem, free_port: Callable[[], int]) -> None:
    gateway_port, bare_port = free_port(), free_port()
    generous = json.dumps({"api": [10**9, 10**9]})
    with (
        start_system(
            MEET_GATEWAY_PORT=str(gateway_port), MEET_RATE_LIMITS=generous, MEET_LOG_LEVEL="WARNING"
        ) as system,
        bare(bare_port) as bare_pid,
    ):
        token = sign_in(system)
        gateway, edge = process_of(system, "functions.gateway"), process_of(system, "sfu.edge")
        edge_port = int(system.env["MEET_PORT"])
        health, me = get("/api/v1/meetings/health"), get("/api/v1/users/me", token)
        targets = [
            Target("bare FastAPI", bare_port, health, [bare_pid]),
            Target("gateway: health", gateway_port, health, [gateway]),
            Target("gateway: users/me, signed in", gateway_port, me, [gateway]),
            Target("edge: health", edge_port, health, [edge, gateway]),
            Target("edge: users/me, signed in", edge_port, me, [edge, gateway]),
        ]
        for target in targets:
            asyncio.run(load_up(target, 0.5))
        for _ in range(ROUNDS):
            for target in targets:
                measure(target)
    rows = []
    for target in targets:
        quantiles = statistics.quantiles(target.latencies_s, n=100)
        rows.append(
            {
                "row": f"rest {target.name}",
                "requests_per_s": round(statistics.median(target.rates)),
                "of_bare": round(statistics.median(target.rates) / statistics.median(targets[0].rates), 3),
                "p50_ms": round(quantiles[49] * 1e3, 2),
                "p99_ms": round(quantiles[98] * 1e3, 2),
                "cpu_us": round(statistics.median(target.cpu_us)),
            }
        )
    show(f"REST over {CONNECTIONS} connections", rows)
    assert all(row["requests_per_s"] > 0 for row in rows)


def test_a_call_of_a_handler(backend: dict[str, str]) -> None:
    program = f"from tests.bench.test_rest import handler_calls; handler_calls({CALLS})"
    env = backend | {"MEET_RATE_LIMITS": json.dumps({"api": [10**9, 10**9]}), "MEET_LOG_LEVEL": "WARNING"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    show("A handler called in its process", rows)
    assert {row["row"] for row in rows} == {"handler bare FastAPI", "handler health"}


def handler_calls(count: int) -> None:
    """Print the cost of a call of a bare application behind Mangum, and of our health route, a row each."""
    from fastapi import FastAPI

    from meet.web.app import lambda_handler

    app = FastAPI()
    path = "/api/v1/meetings/health"

    @app.get(path)
    async def health() -> dict[str, str]:
        return {"service": "bare", "status": "ok", "time": "2025-10-05T12:00:00Z"}

    resource = Resources().find(path)
    assert resource is not None
    scope = {
        "method": "GET",
        "raw_path": path.encode(),
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(b"host", b"meet.test")],
        "client": ("127.0.0.1", 1),
    }
    event = proxy_event(scope, b"", resource, now=datetime.now(UTC))
    for name, handler in (("bare FastAPI", lambda_handler(app)), ("health", load("meetings"))):
        assert handler(event, LambdaContext("bench"))["statusCode"] == 200
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            handler(event, LambdaContext("bench"))
        row = {
            "row": f"handler {name}",
            "wall_us": round((time.perf_counter() - wall) / count * 1e6),
            "cpu_us": round((time.process_time() - cpu) / count * 1e6),
        }
        print(json.dumps(row))


def cold_start(module: str) -> tuple[float, float]:
    """Wall and CPU milliseconds that a fresh interpreter needs to import a module."""
    done = subprocess.run([sys.executable, "-c", COLD, module], capture_output=True, text=True, check=True)
    wall_s, cpu_s = map(float, done.stdout.split())
    return wall_s * 1e3, cpu_s * 1e3


@pytest.mark.parametrize("modules", [["fastapi", *(f"functions.{area}.app" for area in ROUTES)]])
def test_cold_start(modules: list[str]) -> None:
    for module in modules:
        cold_start(module)  # writes the bytecode
    runs: dict[str, list[tuple[float, float]]] = {module: [] for module in modules}
    for _ in range(COLD_STARTS):
        for module in modules:
            runs[module].append(cold_start(module))
    rows = [
        {
            "row": f"cold {module}",
            "import_ms": round(statistics.median(wall for wall, _ in taken)),
            "import_cpu_ms": round(statistics.median(cpu for _, cpu in taken)),
        }
        for module, taken in runs.items()
    ]
    show("Cold import", rows)
    assert all(row["import_cpu_ms"] > 0 for row in rows)
