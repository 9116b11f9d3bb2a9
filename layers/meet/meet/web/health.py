"""Health and metrics of each service, on the paths and in the shapes of the document (decision 35, 42, 47)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from meet.clock import iso, utcnow
from meet.presence import Presence
from meet.web.redis import redis

Health = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Service:
    """Where a service's health and metrics are, and what its health looks like."""

    prefix: str
    health: Health


def _time() -> str:
    return iso(utcnow())


def _gateway() -> dict[str, Any]:
    return {"status": "healthy", "timestamp": utcnow().isoformat(timespec="seconds")}


def _user() -> dict[str, Any]:
    return {"service": "user-service", "status": "ok", "time": _time()}


def _meeting() -> dict[str, Any]:
    return {"service": "meeting-service", "status": "ok", "time": _time()}


def _signaling() -> dict[str, Any]:
    """Summed over all media processes, from what they publish."""
    presence = Presence(redis())
    rooms = presence.rooms()
    return {
        "active_rooms": len(rooms),
        "active_sessions": sum(len(room.sessions) for room in rooms),
        "connected_clients": sum(node.clients for node in presence.nodes()),
        "service": "signaling-service",
        "status": "ok",
        "time": _time(),
    }


def _media() -> dict[str, Any]:
    return {"service": "media-service", "status": "healthy", "timestamp": int(time.time())}


def _ai() -> dict[str, Any]:
    return {"status": "ok"}


SERVICES = {
    "user-service": Service("/api/v1/users", _user),
    "meeting-service": Service("/api/v1/meetings", _meeting),
    "signaling-service": Service("/ws/signaling", _signaling),
    "media-service": Service("/api/v1/media", _media),
    "ai-service": Service("/api/v1/ai", _ai),
}
"""The names that Prometheus, Jaeger and Loki see."""

FRONT = "user-service"
"""The function that answers `/health` and `/metrics` for the whole system as well."""


def health_router(service: str, extra: Health | None = None) -> APIRouter:
    """The health and metrics routes of a service; what `extra` returns goes over the documented keys."""
    own = SERVICES[service]

    def health() -> dict[str, Any]:
        return {**own.health(), **(extra() if extra else {})}

    router = area_router(own.prefix, health, [service])
    if service == FRONT:
        whole = area_router("", lambda: {**_gateway(), **(extra() if extra else {})}, list(SERVICES))
        router.routes.extend(whole.routes)
    return router


def area_router(prefix: str, health: Health, services: Sequence[str]) -> APIRouter:
    """The same of an area of URLs that is no service of its own: its health, and the metrics of these services."""
    router = APIRouter(tags=["health"])

    async def measured() -> Response:
        # Imported here: the library costs a cold start what only a scrape needs.
        from meet.web.metrics import CONTENT_TYPE, exposition  # noqa: PLC0415

        return Response(exposition(services), media_type=CONTENT_TYPE)

    router.add_api_route(f"{prefix}/health", health, methods=["GET"], summary="Readiness")
    router.add_api_route(
        f"{prefix}/metrics", measured, methods=["GET"], summary="Prometheus metrics", response_class=Response
    )
    return router
