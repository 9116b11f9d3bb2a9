"""Writes `dashboards/*.json`, which Grafana reads: run it after a change here, and commit what it wrote."""

import json
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

FOLDER = Path(__file__).parent / "dashboards"
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
"""As `provisioning/datasources.yml` names it."""
WIDTH, HEIGHT = 8, 7
"""Three panels in a row of Grafana's 24 columns."""


def requests(status: str = ".*") -> str:
    """How many a second. What is counted in Redis is the same whichever instance is asked, so the largest counts."""
    chosen = f'http_requests_total{{status_code=~"{status}"}}'
    return f"max by (service, endpoint, method, status_code) (rate({chosen}[$__rate_interval]))"


ANSWERS = "max by (service, endpoint, method, le) (rate(http_request_duration_seconds_bucket[$__rate_interval]))"


def panel(title: str, unit: str, *queries: tuple[str, str]) -> Panel:
    """A graph; each query is PromQL and how its lines are called."""
    made = Panel().title(title).unit(unit).min(0).datasource(PROMETHEUS).span(WIDTH).height(HEIGHT)
    for number, (expression, legend) in enumerate(queries):
        ref_id = chr(ord("A") + number)
        made = made.with_target(Dataquery().ref_id(ref_id).expr(expression).legend_format(legend))
    return made


def dashboard(uid: str, title: str, rows: dict[str, list[Panel]]) -> Dashboard:
    """A dashboard that shows the last hour."""
    made = Dashboard(title).uid(uid).tags(["meet"]).refresh("30s").time("now-1h", "now").readonly()
    for name, panels in rows.items():
        made = made.with_row(Row(name))
        for each in panels:
            made = made.with_panel(each)
    return made


def dashboards() -> Iterator[tuple[str, Dashboard]]:
    """Each with the name of its file."""
    yield (
        "services",
        dashboard(
            "meet-services",
            "Meet: services",
            {
                "Health": [
                    panel("Answering", "short", ("min by (job) (up)", "{{job}}")),
                    panel("Database connections", "short", ("sum by (job) (db_connections_active)", "{{job}}")),
                    panel("Tasks of event loops", "short", ("sum by (job) (asyncio_tasks)", "{{job}}")),
                ],
                "Requests": [
                    panel("Requests", "reqps", (f"sum by (service) ({requests()})", "{{service}}")),
                    panel(
                        "Answered within (95 %)",
                        "s",
                        (f"histogram_quantile(0.95, sum by (service, le) ({ANSWERS}))", "{{service}}"),
                    ),
                    panel(
                        "Busiest endpoints", "reqps", (f"topk(10, sum by (endpoint) ({requests()}))", "{{endpoint}}")
                    ),
                ],
                "Errors": [
                    panel(
                        "Answers with 5xx",
                        "percentunit",
                        (
                            f"sum by (service) ({requests('5..')}) / sum by (service) ({requests()})",
                            "{{service}}",
                        ),
                    ),
                    panel(
                        "Answers with 4xx",
                        "reqps",
                        (f"sum by (service) ({requests('4..')})", "{{service}}"),
                    ),
                    panel(
                        "Records lost by the store",
                        "short",
                        ("increase(writer_dropped_records_total[$__rate_interval])", "{{instance}}"),
                    ),
                ],
                "Resources": [
                    panel(
                        "Share of a core",
                        "percentunit",
                        ("rate(process_cpu_seconds_total[$__rate_interval])", "{{job}} {{instance}}"),
                    ),
                    panel("Memory", "bytes", ("process_resident_memory_bytes", "{{job}} {{instance}}")),
                    panel("Open files", "short", ("process_open_fds", "{{job}} {{instance}}")),
                ],
            },
        ),
    )
    yield (
        "calls",
        dashboard(
            "meet-calls",
            "Meet: people and calls",
            {
                "Users and meetings": [
                    panel("Users of the last five minutes", "short", ("max(active_users)", "users")),
                    panel("Meetings in which somebody is", "short", ("max(active_meetings)", "meetings")),
                    panel(
                        "Connections",
                        "short",
                        ('sum(webrtc_connections{job="sfu"})', "WebRTC"),
                        ("sum(websocket_connections)", "WebSocket"),
                        ("sum(whip_sessions)", "WHIP"),
                        ("sum(whep_sessions)", "WHEP"),
                    ),
                ],
                "How calls are": [
                    panel(
                        "Participants by quality", "short", ("sum by (quality) (call_participants)", "{{quality}}")
                    ),
                    panel("Packets lost, worst room", "percentunit", ("call_packet_loss_ratio", "{{instance}}")),
                    panel(
                        "Round trip and jitter, worst room",
                        "s",
                        ("call_round_trip_seconds", "round trip {{instance}}"),
                        ("call_jitter_seconds", "jitter {{instance}}"),
                    ),
                ],
                "What media processes carry": [
                    panel("Rooms", "short", ("active_rooms", "{{instance}}")),
                    panel("Tracks", "short", ("sum by (kind) (call_tracks)", "{{kind}}")),
                    panel(
                        "Bandwidth", "bps", ("sum by (direction) (call_bandwidth_bits_per_second)", "{{direction}}")
                    ),
                    panel(
                        "Packets forwarded",
                        "pps",
                        ("rate(forwarded_packets_total[$__rate_interval])", "{{instance}}"),
                    ),
                    panel(
                        "Packets forwarded by a second of CPU",
                        "short",
                        (
                            "rate(forwarded_packets_total[$__rate_interval]) / on (instance)"
                            ' rate(process_cpu_seconds_total{job="sfu"}[$__rate_interval])',
                            "{{instance}}",
                        ),
                    ),
                    panel("Records waiting for the store", "short", ("writer_queue_records", "{{instance}}")),
                ],
            },
        ),
    )


def written(made: Dashboard) -> str:
    """A dashboard as Grafana reads it."""
    text = JSONEncoder(sort_keys=True, indent=1).encode(made.build())
    return json.dumps(json.loads(text), sort_keys=True, indent=1) + "\n"


if __name__ == "__main__":
    for name, made in dashboards():
        (FOLDER / f"{name}.json").write_text(written(made))
