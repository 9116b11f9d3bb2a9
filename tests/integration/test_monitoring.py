"""The monitoring's files, read and run by Debian's own Prometheus and Alertmanager."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.bucket import eventually
from tests.conftest import ROOT, System, unused_media_port, unused_port

MONITORING = ROOT / "infra" / "monitoring"


def said(*command: str | object) -> str:
    """What a command said, which must succeed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=MONITORING / "prometheus",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_each_alert_fires_when_it_should_and_not_a_second_earlier() -> None:
    assert "SUCCESS" in said("promtool", "test", "rules", "rules.test.yml")


def test_each_alert_is_tested() -> None:
    tested = (MONITORING / "prometheus" / "rules.test.yml").read_text()
    alerts = [
        line.partition("alert:")[2].strip()
        for line in (MONITORING / "prometheus" / "rules.yml").read_text().splitlines()
        if "- alert:" in line
    ]
    assert len(alerts) == 5
    assert all(f"alertname: {alert}\n" in tested for alert in alerts)


def test_prometheus_can_read_its_configuration() -> None:
    assert "5 rules found" in said("promtool", "check", "config", "prometheus.yml")


def test_alertmanager_can_read_its_configuration() -> None:
    assert "SUCCESS" in said("amtool", "check-config", MONITORING / "alertmanager" / "alertmanager.yml")


SERVICES = {"user-service", "meeting-service", "signaling-service", "media-service", "ai-service"}


@contextmanager
def process(log: Path, *command: str | object, env: dict[str, str] | None = None) -> Iterator[None]:
    """A process that runs meanwhile."""
    with log.open("w") as file:
        one = subprocess.Popen(list(map(str, command)), stdout=file, stderr=file, env=env, cwd=ROOT)
        with one:
            try:
                yield
            finally:
                one.terminate()


def quick(text: str) -> str:
    """A configuration in which nothing waits longer than it has to."""
    text = re.sub(
        r"(scrape_interval|evaluation_interval|refresh_interval|group_wait|group_interval): \w+", r"\1: 1s", text
    )
    return text.replace("for: 1m", "for: 2s")


def answer(url: str) -> Any:
    """What is answered in JSON, or None where nobody answers yet."""
    try:
        got = httpx.get(url, timeout=5)
    except httpx.TransportError:
        return None
    return got.json() if got.is_success else None


class Watched:
    """A Prometheus and an Alertmanager that watch the system and a media process that can be stopped."""

    def __init__(self, system: System, folder: Path) -> None:
        self._folder = folder
        self._prometheus, self._alertmanager, self._media = unused_port(), unused_port(), unused_port()
        self._env = system.env | {
            "MEET_INNER_PORT": str(self._media),
            "MEET_UDP_PORT": str(unused_media_port()),
            "MEET_REDIS_URL": system.env["MEET_REDIS_URL"].rpartition("/")[0] + "/15",  # so that it gets no rooms
        }
        (folder / "targets").mkdir()
        self._target("public", system.base_url.removeprefix("http://"))
        self._target("sfu", f"127.0.0.1:{self._media}")
        for path in (*(MONITORING / "prometheus").glob("*.yml"), MONITORING / "alertmanager" / "alertmanager.yml"):
            text = quick(path.read_text()).replace("alertmanager:9093", f"127.0.0.1:{self._alertmanager}")
            (folder / path.name).write_text(text)

    def _target(self, name: str, address: str) -> None:
        (self._folder / "targets" / f"{name}.json").write_text(json.dumps([{"targets": [address]}]))

    def media_process(self) -> Any:
        """Runs meanwhile."""
        return process(self._folder / "media.log", sys.executable, "-m", "sfu", env=self._env)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Both servers."""
        with ExitStack() as stack:
            for name, port, storage in (
                ("prometheus", self._prometheus, "--storage.tsdb.path"),
                ("prometheus-alertmanager", self._alertmanager, "--storage.path"),
            ):
                config = self._folder / f"{name.removeprefix('prometheus-')}.yml"
                options = [f"--config.file={config}", f"{storage}={self._folder / name}"]
                options.append(f"--web.listen-address=127.0.0.1:{port}")
                if name != "prometheus":
                    options.append("--cluster.listen-address=")  # one alone
                stack.enter_context(process(self._folder / f"{name}.log", name, *options))
            yield

    def up(self) -> dict[str, str]:
        """Which jobs answer, as the document asks: 1 or 0."""
        found = answer(f"http://127.0.0.1:{self._prometheus}/api/v1/query?query=up")
        return {each["metric"]["job"]: each["value"][1] for each in found["data"]["result"]} if found else {}

    def alerts(self) -> list[tuple[str, str]]:
        """Which alerts are on, by name and job."""
        found = answer(f"http://127.0.0.1:{self._alertmanager}/api/v2/alerts?active=true")
        return [(each["labels"]["alertname"], each["labels"]["job"]) for each in found or ()]


def test_an_alert_fires_for_a_service_that_was_stopped_and_ends_when_it_is_back(
    system: System, tmp_path: Path
) -> None:
    watched = Watched(system, tmp_path)
    everything = dict.fromkeys({*SERVICES, "sfu"}, "1")
    with watched.running():
        with watched.media_process():
            eventually(watched.up, lambda up: up == everything)
            assert watched.alerts() == []
        eventually(watched.alerts, lambda alerts: alerts == [("ServiceDown", "sfu")])
        assert watched.up() == everything | {"sfu": "0"}
        with watched.media_process():
            eventually(watched.alerts, lambda alerts: alerts == [])
            assert watched.up() == everything
