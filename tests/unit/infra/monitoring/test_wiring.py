"""What can be checked of files whose programs are not run here: they name each other, and their ports, rightly."""

import re
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.conftest import ROOT

MONITORING = ROOT / "infra" / "monitoring"
DOCUMENTED = {"prometheus": 21059, "alertmanager": 21060, "jaeger": 21061, "grafana": 21062, "loki": 21063}


def read(path: str) -> Any:
    return yaml.safe_load((MONITORING / path).read_text())


def inner_ports() -> dict[str, int]:
    """Where each service listens within its network, by what it is published as."""
    services = read("compose.yml")["services"]
    return {
        name: int(one["ports"][0].split(":")[1].split("/")[0]) for name, one in services.items() if "ports" in one
    }


def test_each_service_is_where_the_document_says() -> None:
    services = read("compose.yml")["services"]
    assert {name: int(services[name]["ports"][0].split(":")[0]) for name in DOCUMENTED} == DOCUMENTED


def test_grafana_asks_where_the_others_listen() -> None:
    sources = read("grafana/provisioning/datasources.yml")["datasources"]
    asked = {urlsplit(source["url"]).hostname: urlsplit(source["url"]).port for source in sources}
    ports = inner_ports()
    assert asked == {name: ports[name] for name in ("prometheus", "loki", "jaeger", "alertmanager")}


def test_prometheus_tells_alertmanager_where_it_listens() -> None:
    [target] = read("prometheus/prometheus.yml")["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert target == f"alertmanager:{inner_ports()['alertmanager']}"


def test_logs_go_to_where_loki_listens() -> None:
    [url] = re.findall(r'url = "([^"]+)"', (MONITORING / "alloy" / "config.alloy").read_text())
    assert urlsplit(url).netloc == f"loki:{read('loki/loki.yml')['server']['http_listen_port']}"
    assert inner_ports()["loki"] == read("loki/loki.yml")["server"]["http_listen_port"]


def test_traces_go_from_the_collector_to_jaeger() -> None:
    collector, jaeger = read("collector/collector.yml"), read("jaeger/jaeger.yml")
    given = collector["exporters"]["otlp/jaeger"]["endpoint"]
    taken = jaeger["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert given.split(":") == ["jaeger", taken.split(":")[1]]
    assert jaeger["extensions"]["jaeger_query"]["http"]["endpoint"].endswith(f":{inner_ports()['jaeger']}")


def test_every_part_of_a_pipeline_is_there() -> None:
    for path in ("collector/collector.yml", "jaeger/jaeger.yml"):
        config = read(path)
        for pipeline in config["service"]["pipelines"].values():
            for kind in ("receivers", "processors", "exporters"):
                assert set(pipeline[kind]) <= set(config[kind])


def test_the_collector_listens_where_tracing_sends() -> None:
    receivers = read("collector/collector.yml")["receivers"]
    assert receivers["awsxray"]["endpoint"].endswith(":2000")
    assert receivers["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
    published = read("compose.yml")["services"]["collector"]["ports"]
    assert published == ["2000:2000/udp", "4318:4318"]


def test_every_file_that_is_mounted_is_there() -> None:
    for service in read("compose.yml")["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (MONITORING / source).exists()
