"""Firefox with its fake camera and microphone, driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Playwright drives only a Firefox of its own making; Debian's speaks the standard protocol itself. Elements are found
by role and name, as assistive technology finds them, and acted on by real pointer and key events.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from shutil import which
from typing import Any

from websockets.sync.client import ClientConnection, connect

DEADLINE_S = 40.0
POLL_S = 0.1

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.server": "",
}


class FirefoxPage:
    """One page of Firefox."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = count(1)
        self._command("session.new", capabilities={})
        self._context = self._command("browsingContext.getTree")["contexts"][0]["context"]

    def goto(self, url: str) -> None:
        """Load a page, to its end."""
        self._command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def click(self, role: str, name: str) -> None:
        """Press the element of this role and name as soon as it can be pressed."""
        self._press({"type": "accessibility", "value": {"role": role, "name": name}})

    def fill(self, name: str, text: str) -> None:
        """Type into the empty field that a form sends as `name`: one for a password has no role (HTML-AAM 3.5)."""
        self._press({"type": "css", "value": f'input[name="{name}"]'})
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": keys})

    def evaluate(self, script: str) -> Any:
        """What an async function without parameters returns, by way of JSON."""
        answer = self._command(
            "script.evaluate",
            expression=f"({script})().then((value) => JSON.stringify(value ?? null))",
            target={"context": self._context},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def wait(self) -> None:
        """Let a little time pass before looking again."""
        time.sleep(POLL_S)

    def _press(self, locator: dict[str, Any]) -> None:
        origin = {"type": "element", "element": {"sharedId": self._find(locator)}}
        pointer = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": pointer})

    def _find(self, locator: dict[str, Any]) -> str:
        end = time.monotonic() + DEADLINE_S
        while True:
            found = self._command("browsingContext.locateNodes", context=self._context, locator=locator)["nodes"]
            if found and self._enabled(found[0]):
                return str(found[0]["sharedId"])
            assert time.monotonic() < end, f"not there: {locator}"
            self.wait()

    def _enabled(self, node: dict[str, Any]) -> bool:
        answer = self._command(
            "script.callFunction",
            functionDeclaration="(element) => !element.disabled",
            arguments=[{"sharedId": node["sharedId"]}],
            target={"context": self._context},
            awaitPromise=False,
        )
        return answer["type"] == "success" and bool(answer["result"]["value"])

    def _act(self, source: dict[str, Any]) -> None:
        self._command("input.performActions", context=self._context, actions=[source])

    def _command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=DEADLINE_S))
            if answer.get("id") == number:
                assert answer["type"] == "success", f"{method}: {answer.get('message')}"
                return dict(answer["result"])


@contextmanager
def firefox() -> Iterator[FirefoxPage]:
    """A fresh Firefox without a window, ended at the end."""
    path = which("firefox-esr")
    assert path, "Firefox is missing: apt-get install firefox-esr"
    with tempfile.TemporaryDirectory() as profile:
        lines = (f'user_pref("{name}", {json.dumps(value)});' for name, value in PREFERENCES.items())
        Path(profile, "user.js").write_text("\n".join(lines))
        command = [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        log = Path(profile, "stderr")
        with log.open("w") as stderr:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            with connect(f"{_listening(process, log)}/session", max_size=None) as socket:
                yield FirefoxPage(socket)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(POLL_S)
    raise AssertionError(f"Firefox did not start:\n{log.read_text()[-2000:]}")
