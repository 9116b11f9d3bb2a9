"""The servers that are compared, as processes on core 0 of a network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "10.99.0.1"
"""On a bridge without ports: Janus gathers no candidates on loopback. What is sent to it stays on loopback."""
PORT = 9000
START_S = 20.0
HERE = Path(__file__).parent
JANUS = Path("/usr/lib/x86_64-linux-gnu/janus")


@dataclass
class Namespace:
    """A network of its own, which nobody else's traffic crosses."""

    name: str

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Namespace]:
        """Made, and removed at the end. It takes root."""
        name = f"bench{os.getpid()}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        try:
            for command in (
                "link set lo up",
                "link add br0 type bridge",
                f"addr add {ADDRESS}/32 dev br0",
                "link set br0 up",
            ):
                subprocess.run(["ip", "-n", name, *command.split()], check=True)
            yield cls(name)
        finally:
            subprocess.run(["ip", "netns", "delete", name], check=True)

    def on_core(self, core: int, *command: str) -> list[str]:
        """A command in the namespace, on one core."""
        return ["ip", "netns", "exec", self.name, "taskset", "-c", str(core), *command]


@dataclass
class Running:
    """A server."""

    kind: str
    """As the generator calls it."""
    url: str
    process: int


@contextmanager
def running(namespace: Namespace, name: str, folder: Path) -> Iterator[Running]:
    """Start `engine`, `python` (both ours), `janus` or `pion`, until the end of the block."""
    kind, url, env = "meet", f"http://127.0.0.1:{PORT}", dict(os.environ)
    if name == "janus":
        kind, url, port = "janus", "ws://127.0.0.1:8188", 8188
        command = ["janus", "-F", str(configure_janus(folder))]
    elif name == "pion":
        kind, port = "pion", PORT
        command, env["IP"] = [str(build_pion(folder))], "127.0.0.1"
    else:
        port = PORT
        command = [sys.executable, "-m", "tests.bench.forwarding.server", name, str(PORT)]
    log = (folder / f"{name}.log").open("w")
    command = namespace.on_core(0, *command)
    with log, subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True) as process:
        try:
            prefer(process.pid)
            wait_for(namespace, port)
            yield Running(kind, url, process.pid)  # `ip` and `taskset` have become the server
        finally:
            process.kill()


def prefer(session: int) -> None:
    """Let a session's processes go before others: the kernel shares the machine among sessions (sched_autogroup)."""
    place = Path(f"/proc/{session}/autogroup")
    if place.exists():
        place.write_text("-15")


def wait_for(namespace: Namespace, port: int) -> None:
    """Until something listens."""
    deadline = time.monotonic() + START_S
    listening = f"sport = :{port}"
    while True:
        asked = ["ip", "netns", "exec", namespace.name, "ss", "-Htln", listening]
        if subprocess.run(asked, capture_output=True, check=True).stdout:
            return
        assert time.monotonic() < deadline, f"nothing listens on {port}"
        time.sleep(0.1)


def configure_janus(folder: Path) -> Path:
    """Janus's configuration: one event loop, since its thread for each peer costs more on one core."""
    place = folder / "janus"
    for name, file in (("plugins", "libjanus_videoroom.so"), ("transports", "libjanus_websockets.so")):
        (place / name).mkdir(parents=True, exist_ok=True)
        link = place / name / file
        if not link.exists():
            link.symlink_to(JANUS / name / file)
    (place / "janus.jcfg").write_text(
        f"""general: {{ configs_folder = "{place}" plugins_folder = "{place}/plugins"
 transports_folder = "{place}/transports" events_folder = "{place}/none" loggers_folder = "{place}/none"
 debug_level = 3 log_to_stdout = true session_timeout = 60 event_loops = 1 }}
certificates: {{ }}
media: {{ }}
nat: {{ ice_lite = true ice_enforce_list = "{ADDRESS}" ice_tcp = false
 full_trickle = false keep_private_host = true }}
plugins: {{ }} transports: {{ }} loggers: {{ }} events: {{ }}
"""
    )
    (place / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
    (place / "janus.transport.websockets.jcfg").write_text(
        'general: { json = "compact" ws = true ws_port = 8188 wss = false }\nadmin: { admin_ws = false }\n'
    )
    return place


def build_pion(folder: Path) -> Path:
    """A small SFU of pion's parts, by Debian's Go packages and nothing else."""
    output, source = folder / "pion", folder / "go" / "src" / "pionsfu"
    if output.exists():
        return output
    source.mkdir(parents=True, exist_ok=True)
    (source / "main.go").write_text((HERE / "pion" / "main.go").read_text())
    (source / "go.mod").write_text("module pionsfu\ngo 1.19\n")  # without it a path's /v3 means a folder
    env = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": f"{folder}/go:/usr/share/gocode",
        "GOCACHE": f"{folder}/cache",
    }
    subprocess.run(["go", "build", "-o", str(output), "main.go"], cwd=source, env=env, check=True)
    return output
