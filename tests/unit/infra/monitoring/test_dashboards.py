"""The dashboards: what is committed is what `build.py` makes, and every metric of a query or an alert exists."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakeredis import FakeRedis
from httpx import ASGITransport, AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from meet.web import metrics
from meet.web.observability import metrics_key
from sfu.app import create_app
from tests.conftest import ROOT

MONITORING = ROOT / "infra" / "monitoring"
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))
MADE_BY_PROMETHEUS = {"up"}
WORDS = {
    *("avg", "max", "min", "sum", "count", "topk", "by", "on", "rate", "increase", "histogram_quantile", "or", "and"),
}


def expressions() -> Iterator[str]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"] for target in panel.get("targets", ()))
    for group in yaml.safe_load((MONITORING / "prometheus" / "rules.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def names_in(expression: str) -> set[str]:
    """The metrics of a PromQL expression: what is neither a label, nor text, nor a word of the language."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
    bare = re.sub(r"\{[^}]*\}|\b(?:by|on)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-z_][a-z0-9_]*\b", bare)) - WORDS


async def exposed(process: Any, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of all samples that functions and media processes tell."""
    redis = FakeRedis()
    redis.hset(
        metrics_key("user-service"),
        mapping={"requests GET 200 /x": 1, "bucket GET 0.1 /x": 1, "micros GET /x": 9},
    )
    monkeypatch.setattr(metrics, "redis", lambda: redis)
    texts = [metrics.exposition(["user-service"]).decode()]
    app = create_app(process.node, forwarded=lambda: 1)
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://node") as http:
        texts.append((await http.get("/metrics")).text)
    return {
        sample.name for text in texts for family in text_string_to_metric_families(text) for sample in family.samples
    }


def test_the_names_of_an_expression() -> None:
    expression = 'sum by (service, le) (rate(a_total{b="c"}[2m])) / on (x) max(d_bytes) > 0.05'
    assert names_in(expression) == {"a_total", "d_bytes"}


async def test_every_metric_of_a_query_or_an_alert_exists(process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await process.join("alice")
    there = await exposed(process, monkeypatch) | MADE_BY_PROMETHEUS
    asked = set().union(*(names_in(expression) for expression in expressions()))
    assert len(asked) > 20
    assert asked <= there


def test_what_is_committed_is_what_the_script_makes(tmp_path: Path) -> None:
    copy = tmp_path / "build.py"
    copy.write_text((MONITORING / "grafana" / "build.py").read_text())
    (tmp_path / "dashboards").mkdir()
    subprocess.run([sys.executable, copy], check=True)
    made = {path.name: path.read_text() for path in (tmp_path / "dashboards").iterdir()}
    assert made == {path.name: path.read_text() for path in DASHBOARDS}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_asks_a_data_source_that_is_provisioned(path: Path) -> None:
    sources = yaml.safe_load((MONITORING / "grafana" / "provisioning" / "datasources.yml").read_text())["datasources"]
    uids = {source["uid"] for source in sources}
    asked = [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"]
    assert asked
    assert {panel["datasource"]["uid"] for panel in asked} <= uids
