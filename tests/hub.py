"""A hub on localhost: as much of Hugging Face's HTTP API as `snapshot_download` asks for, over a folder.

with hub(folder) as served:          # folder/<organisation>/<name>/config.json …
    HF_ENDPOINT=served.url
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


@dataclass
class Served:
    """The hub, and what was asked of it."""

    url: str
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and the Authorization header."""


@contextmanager
def hub(root: Path) -> Iterator[Served]:
    """Serve the repositories below `root`."""
    served = Served("")
    root = root.resolve()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            served.asked.append((self.command, path, self.headers.get("Authorization")))
            status, headers, body = respond(root, path, self.headers.get("Range"))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def respond(root: Path, path: str, byte_range: str | None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+)(?:/.*)?)?", path)
    if found and (root / found[1]).is_dir():
        folder = root / found[1]
        files = sorted(each for each in folder.rglob("*") if each.is_file())
        if found[2] == "tree":
            told: object = [
                {
                    "type": "file",
                    "path": str(each.relative_to(folder)),
                    "size": each.stat().st_size,
                    "oid": hashlib.sha1(each.read_bytes(), usedforsecurity=False).hexdigest(),
                }
                for each in files
            ]
        else:
            siblings = [{"rfilename": str(each.relative_to(folder))} for each in files]
            told = {"id": found[1], "modelId": found[1], "sha": _commit(found[1]), "siblings": siblings, "tags": []}
        return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()
    found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
    if found and (root / found[1]).is_dir():
        headers = {"X-Repo-Commit": _commit(found[1]), "Accept-Ranges": "bytes"}
        file = (root / found[1] / found[3]).resolve()
        if not file.is_file() or not file.is_relative_to(root):
            return 404, headers | {"X-Error-Code": "EntryNotFound"}, b""
        body = file.read_bytes()
        headers |= {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "Content-Type": "application/octet-stream"}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", byte_range or "")
        if part:
            first, last = int(part[1]), int(part[2] or len(body) - 1)
            return 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(body)}"}, body[first : last + 1]
        return 200, headers, body
    return 404, {"X-Error-Code": "RepoNotFound"}, b'{"error": "Repository not found"}'


def _commit(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
