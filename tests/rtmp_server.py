"""A real RTMP server for tests: nginx with Debian's RTMP module, on loopback."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
STARTS_S = 20.0

_CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/log info;
events {{ worker_connections 64; }}
rtmp {{
  server {{
    listen 127.0.0.1:{port};
    application live {{ live on; }}
    application closed {{ live on; deny publish all; }}
  }}
}}
"""


class RtmpServer:
    """`rtmp://127.0.0.1:<port>/live/<any key>` takes a stream and plays it; `/closed/<key>` refuses every one."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, key: str, application: str = "live") -> str:
        """Where to publish, and to play."""
        return f"rtmp://127.0.0.1:{self.port}/{application}/{key}"

    def start(self) -> None:
        """Return once it takes connections."""
        nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
        assert nginx, "nginx is missing: apt-get install libnginx-mod-rtmp"
        assert MODULE.exists(), "nginx has no RTMP: apt-get install libnginx-mod-rtmp"
        path = self._folder / "nginx.conf"
        path.write_text(_CONFIGURATION.format(module=MODULE, folder=self._folder, port=self.port))
        log = self._folder / "log"
        self._process = subprocess.Popen([nginx, "-e", log, "-p", self._folder, "-c", path])
        deadline = time.monotonic() + STARTS_S
        while not self._listens():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)

    def stop(self) -> None:
        """As if its machine were gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as one:
            one.settimeout(0.1)
            return one.connect_ex(("127.0.0.1", self.port)) == 0
