"""The monitoring's files, read by Debian's own Prometheus and Alertmanager."""

import subprocess

from tests.conftest import ROOT

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
