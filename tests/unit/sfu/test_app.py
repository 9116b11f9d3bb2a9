from typing import Any

from httpx import ASGITransport, AsyncClient

from sfu.app import create_app


async def test_health_and_metrics_say_what_is_there(process: Any) -> None:
    await process.join("alice")
    transport = ASGITransport(app=create_app(process.node, forwarded=lambda: 42))
    async with AsyncClient(transport=transport, base_url="http://node") as http:
        health = (await http.get("/health")).json()
        assert (health["status"], health["active_rooms"], health["active_sessions"]) == ("ok", 1, 1)
        assert health["node_id"] == process.node.node_id
        answer = await http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        lines = answer.text.splitlines()
        for line in (
            "webrtc_connections 2.0",
            "active_rooms 1.0",
            "websocket_sessions 1.0",
            "websocket_connections 1.0",
            "whip_sessions 0.0",
            "whep_sessions 0.0",
            "recordings 0.0",
            "live_streams 0.0",
            "egress_restarts_total 0.0",
            "egress_dropped_packets_total 0.0",
            "forwarded_packets_total 42.0",
            "writer_dropped_records_total 0.0",
            'call_participants{quality="good"} 1.0',
            'call_participants{quality="poor"} 0.0',
            'call_tracks{kind="video"} 0.0',
            'call_bandwidth_bits_per_second{direction="outbound"} 0.0',
            "call_packet_loss_ratio 0.0",
        ):
            assert line in lines
        process.node.draining = True
        assert (await http.get("/health")).json()["status"] == "draining"
