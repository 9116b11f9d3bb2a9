"""Real servers and whole running systems for the tests that need them; unit tests start nothing.

* `backend`: the environment of DynamoDB, SQS, S3 and Redis, started once a session on free ports.
* `start_system`: `with start_system(MEET_SFU_PROCESSES="2") as system:` runs a whole system on top of it, with
  a bucket, tables, queues and a Redis database of its own; keyword arguments override its environment.
* `system`: one such system for everybody, with rate limits off. `base_url` is its URL.
"""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

# how long an example takes says nothing on a machine that others share
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 60


@dataclass(frozen=True)
class System:
    """A running system: where it is, who its administrator is, the environment it runs in, its `up.py`."""

    base_url: str
    admin_username: str
    admin_password: str
    env: dict[str, str]
    process: "subprocess.Popen[str]"


StartSystem = Callable[..., AbstractContextManager[System]]


def unused_media_port() -> int:
    """A port of loopback that nobody uses now, by UDP or by TCP: a media process takes both.

    It is none of those that the kernel gives to clients (32768 and above), since another test's may take any of them
    before it is used.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def clean_environment() -> dict[str, str]:
    """The environment without what configures Meet or AWS: a test must not depend on a developer's shell."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MEET_", "AWS_"))}


def unused_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(env: dict[str, str], *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`localstack/up.py` and the line that it prints when it is ready; stopped at the end, which must go well."""
    command = [sys.executable, str(ROOT / "localstack" / "up.py"), *arguments]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            if not line:
                pytest.fail(
                    f"up.py {' '.join(arguments)} ended with exit code {process.wait()}: see its error output"
                )
            yield process, line
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_S)
    assert code == 0, f"up.py ended with exit code {code}: see its error output"


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Finds a TCP port of loopback that nobody listens on."""
    return unused_port


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that reach the running DynamoDB, SQS, S3 and Redis, and `MEET_JWT_SECRET`."""
    env = clean_environment() | {"MEET_HOME": str(tmp_path_factory.mktemp("backend"))}
    with running(env, "--services-only") as (_, line):
        yield json.loads(line)


@pytest.fixture(scope="session")
def start_system(backend: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> StartSystem:
    """Starts whole systems, each apart from the others."""
    numbers = count(1)

    @contextmanager
    def start(**overrides: str) -> Iterator[System]:
        number = next(numbers)
        env = clean_environment() | backend
        env |= {
            "MEET_HOME": str(tmp_path_factory.mktemp("system")),
            "MEET_BIND_HOST": "127.0.0.1",
            "MEET_PORT": str(unused_port()),
            "MEET_UDP_PORT": str(unused_media_port()),
            "MEET_ANNOUNCED_IP": "127.0.0.1",
            "MEET_REDIS_URL": backend["MEET_REDIS_URL"].removesuffix("/0") + f"/{number}",
            "MEET_TABLE_PREFIX": f"test{number}-",
            "MEET_QUEUE_PREFIX": f"test{number}-",
            "MEET_BUCKET": f"test{number}-media",
            "MEET_ADMIN_USERNAME": "admin",
            "MEET_ADMIN_PASSWORD": secrets.token_urlsafe(16),
            "MEET_RATE_LIMITS": "off",
            "MEET_INFERENCE_NODES": "0",  # those who need one start their own
        }
        env |= overrides
        with running(env) as (process, _):
            url = f"http://127.0.0.1:{env['MEET_PORT']}"
            yield System(url, env["MEET_ADMIN_USERNAME"], env["MEET_ADMIN_PASSWORD"], env, process)

    return start


@pytest.fixture(scope="session")
def system(start_system: StartSystem) -> Iterator[System]:
    """A running system with one media process and no rate limits, shared by all tests that don't mind each other."""
    with start_system() as started:
        yield started


@pytest.fixture(scope="session")
def base_url(system: System) -> str:
    """Where the shared system is, without a trailing slash."""
    return system.base_url
