"""Collectors of traces for tests: what X-Ray's daemon and an OpenTelemetry collector would be sent."""

import json
import os
import socket
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.conftest import ROOT


class Daemon:
    """Takes segments by UDP, as X-Ray's daemon does: a line of JSON that names the format, and the segment."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.segments: list[dict[str, Any]] = []

    def collect(self) -> list[dict[str, Any]]:
        """All segments so far."""
        self._socket.setblocking(False)
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return self.segments
            head, _, body = data.partition(b"\n")
            assert json.loads(head) == {"format": "json", "version": 1}
            self.segments.append(json.loads(body))

    def close(self) -> None:
        self._socket.close()


@contextmanager
def daemon() -> Iterator[Daemon]:
    """One that listens meanwhile."""
    one = Daemon()
    try:
        yield one
    finally:
        one.close()


_DECODE = """
import json, sys
from base64 import b64decode
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

for body in json.load(sys.stdin):
    for resource in ExportTraceServiceRequest.FromString(b64decode(body)).resource_spans:
        service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
        for scope in resource.scope_spans:
            for span in scope.spans:
                ids = {name: getattr(span, name).hex() for name in ("trace_id", "span_id", "parent_span_id")}
                print(json.dumps({"service": service, "name": span.name, **ids}))
"""


def spans(bodies: list[bytes]) -> list[dict[str, str]]:
    """What a collector was sent: of each span its service, its name and the ids."""
    told = json.dumps([b64encode(body).decode() for body in bodies])
    done = subprocess.run(
        [sys.executable, "-c", _DECODE], input=told, env=with_otlp(), capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def with_otlp(**env: str) -> dict[str, str]:
    """An environment in which Python finds OpenTelemetry, which stands beside the project's own packages."""
    [packages] = (ROOT / ".venvs" / "otlp").glob("lib/python*/site-packages")
    return os.environ | {"PYTHONPATH": str(packages)} | env


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """One that takes OTLP over HTTP meanwhile: its URL, and the requests' bodies that it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
