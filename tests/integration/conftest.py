"""What `sam build` makes of the template, built once a session; and a TURN server."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import NamedTuple

import pytest

from tests.conftest import ROOT, clean_environment, unused_port
from tests.rtmp_server import RtmpServer

SAM = ROOT / ".venvs" / "sam" / "bin" / "sam"
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def sam(*arguments: str | Path, home: Path) -> str:
    """Run SAM CLI, which must succeed; what it said."""
    env = clean_environment() | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [SAM, *arguments], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with each function and layer as it would be deployed, made for the Python that runs the tests."""
    folder = tmp_path_factory.mktemp("sam")
    (folder / "infra").mkdir()
    for path in (ROOT / "template.yaml", *(ROOT / "infra").glob("*.yaml")):
        (folder / path.relative_to(ROOT)).write_text(path.read_text().replace("python3.11", RUNTIME))
    template, output = folder / "template.yaml", folder / "built"
    cache = ROOT / ".cache" / "sam"  # the dependencies' layer is built anew only when its requirements change
    where = ("--template", template, "--base-dir", ROOT, "--build-dir", output)
    sam("build", *where, "--cached", "--cache-dir", cache, home=folder)
    return output


class Coturn(NamedTuple):
    """A real TURN server with time-limited credentials; it answers STUN, too."""

    port: int
    secret: str

    @property
    def url(self) -> str:
        """For `MEET_TURN_URLS`."""
        return f"turn:127.0.0.1:{self.port}?transport=udp"


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[Coturn]:
    """It listens, and lends relays, on loopback alone."""
    path = which("turnserver")
    assert path, "coturn is missing: apt-get install coturn"
    server = Coturn(unused_port(socket.SOCK_DGRAM), "the secret that coturn and the server share")
    options = [
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        f"--listening-port={server.port}",
        "--use-auth-secret",
        f"--static-auth-secret={server.secret}",
        "--realm=meet",
        "--allow-loopback-peers",
        "--cli-password=unused",
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--log-file=stdout",
        f"--userdb={tmp_path / 'users'}",
        f"--pidfile={tmp_path / 'pid'}",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([path, "-n", *options], stdout=log, stderr=log)
        with process:
            while not _listens(server.port):
                assert process.poll() is None, (tmp_path / "log").read_text()
            yield server
            process.terminate()


@pytest.fixture
def rtmp_server(tmp_path: Path) -> Iterator[RtmpServer]:
    """It takes streams, and plays them, on loopback alone."""
    server = RtmpServer(tmp_path, unused_port())
    server.start()
    yield server
    server.stop()


def _listens(port: int) -> bool:
    """Whether a server takes connections; coturn's listeners for UDP and TCP begin together."""
    with socket.socket() as one:
        one.settimeout(0.1)
        return one.connect_ex(("127.0.0.1", port)) == 0
