"""The users function as it would be deployed, under Lambda's own runtime and runtime interface emulator."""

import base64
import json
import os
import platform
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from functions.gateway import Resources, proxy_event
from meet.config import settings
from meet.store.base import create_tables
from tests.conftest import ROOT, clean_environment

RIE_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}
PREFIX = "lambda-"

Invoke = Callable[..., dict[str, Any]]


def emulator() -> Path:
    """SAM CLI's copy of the emulator for this machine."""
    name = f"aws-lambda-rie-{RIE_ARCHITECTURES[platform.machine()]}"
    found = list((ROOT / ".venvs" / "sam").glob(f"lib/python3*/site-packages/samcli/local/rapid/{name}"))
    assert found, "SAM CLI is missing: make setup"
    return found[0]


def only_the_runtime(folder: Path) -> Path:
    """A folder that Python finds Lambda's runtime client in and nothing else of what the tests have installed."""
    folder.mkdir()
    for package in ("awslambdaric", "simplejson", "snapshot-restore-py"):
        for file in files(package) or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)
    return folder


@pytest.fixture(scope="module")
def store(backend: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a function whose tables exist."""
    env = backend | {"MEET_TABLE_PREFIX": PREFIX, "MEET_RATE_LIMITS": "off"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        settings.cache_clear()
        create_tables()
    settings.cache_clear()
    return env


@pytest.fixture(scope="module")
def invoke(built: Path, store: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Invoke]:
    """Invokes the deployed users function with a REST API event and decodes its answer."""
    folder = tmp_path_factory.mktemp("lambda")
    port, api_port = _free_ports()
    layers = [built / name / "python" for name in ("DepsLayer", "MeetLayer")]
    task = built / "UsersFunction"
    env = clean_environment() | store
    env |= {
        "LAMBDA_TASK_ROOT": str(task),
        "PYTHONPATH": os.pathsep.join(map(str, [task, *layers, only_the_runtime(folder / "runtime")])),
        "AWS_LAMBDA_FUNCTION_NAME": "users",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "29",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    }
    addresses = [
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{api_port}"),
    ]
    # -S: no site-packages, so that what the layers lack is missing here too.
    bootstrap = [sys.executable, "-S", "-m", "awslambdaric", "users.app.handler"]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [emulator(), *addresses, *bootstrap], env=env, cwd=task, stdout=output, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    # It listens a moment after it was started: the transport tries again until then.
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=30) as client:

        def call(method: str, path: str, body: dict[str, Any] | None = None, token: str = "") -> dict[str, Any]:
            event = rest_event(method, path, body, token)
            answer = client.post(url, content=json.dumps(event))
            result: dict[str, Any] = answer.json()
            assert "statusCode" in result, f"{result}\n{log.read_text()}"
            content = base64.b64decode(result["body"]) if result["isBase64Encoded"] else result["body"]
            return {"status": result["statusCode"], "headers": result["headers"], "body": content}

        try:
            yield call
        finally:
            process.terminate()
            process.wait(10)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def rest_event(method: str, path: str, body: dict[str, Any] | None, token: str) -> dict[str, Any]:
    """What API Gateway's REST API sends for a request."""
    headers = [(b"host", b"api.meet.test"), (b"content-type", b"application/json")]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("203.0.113.7", 1),
    }
    resource = Resources().find(path)
    assert resource
    assert resource.area == "users"
    return proxy_event(scope, json.dumps(body).encode() if body else b"", resource, now=datetime.now(UTC))


def test_a_user_registers_signs_in_and_reads_itself(invoke: Invoke) -> None:
    username, password = f"ann-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    account = {"username": username, "email": f"{username}@example.com", "password": password}
    registered = invoke("POST", "/api/v1/auth/register", account)
    assert registered["status"] == 201, registered
    again = invoke("POST", "/api/v1/auth/register", account)
    assert (again["status"], json.loads(again["body"])["error"]["code"]) == (409, "RESOURCE_CONFLICT")

    signed_in = invoke("POST", "/api/v1/auth/login", {"username": username, "password": password})
    assert signed_in["status"] == 200, signed_in
    token = json.loads(signed_in["body"])["access_token"]
    me = invoke("GET", "/api/v1/users/me", token=token)
    assert (me["status"], json.loads(me["body"])["username"]) == (200, username)
    assert me["headers"]["x-request-id"]


def test_the_wrong_password_is_refused(invoke: Invoke) -> None:
    refused = invoke("POST", "/api/v1/auth/login", {"username": "nobody-here", "password": "not the password"})
    assert refused["status"] == 401


@pytest.mark.parametrize("path", ["/api/v1/users/health", "/api/v1/users/metrics"])
def test_the_layers_hold_all_that_health_and_metrics_need(invoke: Invoke, path: str) -> None:
    assert invoke("GET", path)["status"] == 200
