"""What a media process serves, to the edges alone: signaling, WHIP, WHEP, health, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from meet.clock import iso
from meet.ratelimit import limits_from
from sfu.node import Node
from sfu.report import QUALITIES
from sfu.session import ClientSocket
from sfu.whip.caller import Callers
from sfu.whip.routes import routes as whip_routes


def create_app(node: Node, *, forwarded: Callable[[], int]) -> Starlette:
    """The application of one media process; `forwarded` says how many packets its endpoint has sent."""
    registry = CollectorRegistry()
    registry.register(_NodeMetrics(node, forwarded))
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(collector)

    async def signaling(websocket: WebSocket) -> None:
        await ClientSocket(websocket, node, node.clocks).serve()

    async def health(_: Request) -> Response:
        return JSONResponse(
            {
                "status": "draining" if node.draining else "ok",
                "service": "signaling-service",
                "node_id": node.node_id,
                "active_rooms": len(node.rooms),
                "active_sessions": sum(len(live.sessions()) for live in node.rooms),
                "connected_clients": len(node.sockets),
                "time": iso(node.clocks.utcnow()),
            }
        )

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)

    return Starlette(
        routes=[
            WebSocketRoute("/ws/signaling", signaling),
            *whip_routes(node, Callers(node.redis, limits_from(node.settings))),
            Route("/health", health),
            Route("/metrics", metrics),
        ]
    )


class _NodeMetrics(Collector):
    """One media process in Prometheus' words, read when it is scraped."""

    def __init__(self, node: Node, forwarded: Callable[[], int]) -> None:
        self._node = node
        self._forwarded = forwarded

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        node, writer = self._node, self._node.writer
        sessions = [session for live in node.rooms for session in live.sessions()]
        guests = [guest for live in node.rooms for guest in live.guests.values()]
        gauges = {
            "webrtc_connections": ("Active WebRTC connections", sum(s.peer_connections for s in sessions)),
            "active_rooms": ("Rooms in which somebody is", len(node.rooms)),
            "websocket_connections": ("Open WebSockets, joined or not", len(node.sockets)),
            "websocket_sessions": (
                "Sessions of WebSockets in rooms, those that may resume among them",
                len(sessions) - len(guests),
            ),
            "whip_sessions": ("Connections by WHIP", sum(guest.protocol == "whip" for guest in guests)),
            "whep_sessions": ("Connections by WHEP", sum(guest.protocol == "whep" for guest in guests)),
            "recordings": ("Recordings under way", node.outlets.count("recording")),
            "live_streams": ("Live streams under way", node.outlets.count("stream")),
            "writer_queue_records": ("Records that wait to be written to the store", len(writer)),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value=value)
        leaving = node.outlets.totals()
        counters = {
            "forwarded_packets_total": ("Packets sent to receivers", self._forwarded()),
            "writer_written_records_total": ("Records written to the store", writer.written),
            "egress_restarts_total": ("Recorders and streamers that died and were begun anew", leaving["restarts"]),
            "egress_dropped_packets_total": ("Packets that these were too slow for", leaving["dropped"]),
            "writer_dropped_records_total": ("Records that the store was away for too long for", writer.dropped),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value=value)
        yield from self._quality()

    def _quality(self) -> Iterator[Metric]:
        """How the people of this process are served: `docs/statistics.md` says what each figure means."""
        now = self._node.clocks.monotonic()
        reports = [live.media.report(now) for live in self._node.rooms]
        people = GaugeMetricFamily("call_participants", "Participants, by how they are served", labels=["quality"])
        for quality in QUALITIES:
            people.add_metric([quality], sum(report.quality_metrics[quality] for report in reports))
        yield people
        tracks = GaugeMetricFamily("call_tracks", "Published tracks", labels=["kind"])
        for kind in ("audio", "video", "screen"):
            tracks.add_metric([kind], sum(report.statistics[f"{kind}_tracks"] for report in reports))
        yield tracks
        bandwidth = GaugeMetricFamily("call_bandwidth_bits_per_second", "Media, by direction", labels=["direction"])
        for way in ("inbound", "outbound"):
            bandwidth.add_metric([way], sum(report.statistics[f"{way}_bandwidth"] for report in reports))
        yield bandwidth
        for name, text, key, scale in (
            ("call_packet_loss_ratio", "Share of packets lost, in the worst room", "packet_loss_rate", 1),
            ("call_round_trip_seconds", "Mean round trip, in the worst room", "average_rtt", 1000),
            ("call_jitter_seconds", "Mean jitter, in the worst room", "average_jitter", 1000),
        ):
            worst = max((report.statistics[key] for report in reports), default=0.0)
            yield GaugeMetricFamily(name, text, value=worst / scale)
