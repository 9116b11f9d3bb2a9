"""How a function is made: its routes, inside the layers that every function shares (see `meet.web`).

app = create_app("user-service", auth.router, users.router)
handler = lambda_handler(app)
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from meet.envelope import PROBLEM_JSON
from meet.web import errors
from meet.web.body import CheckedBody
from meet.web.health import Health, health_router
from meet.web.idempotency import Idempotent
from meet.web.observability import Observed
from meet.web.ratelimit import RateLimited
from meet.web.routing import HeadAsGet, RouteTable, on_this_thread

LambdaHandler = Callable[[dict[str, Any], Any], dict[str, Any]]

_ERROR_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "timestamp"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"anyOf": [{"type": "string"}, {"type": "object"}]},
                "retry_after": {"type": "integer"},
                "request_id": {"type": "string"},
                "timestamp": {"type": "string", "format": "date-time"},
            },
        }
    },
}


class _App(FastAPI):
    """FastAPI whose OpenAPI description tells of our errors instead of FastAPI's 422."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            description = super().openapi()
            schemas = description.setdefault("components", {}).setdefault("schemas", {})
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            schemas["Error"] = dict(_ERROR_SCHEMA)
            content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
            for operation in (operation for path in description["paths"].values() for operation in path.values()):
                operation["responses"].pop("422", None)
                operation["responses"]["4XX"] = {"description": "The request is at fault", "content": content}
                operation["responses"]["5XX"] = {"description": "The service is at fault", "content": content}
        return super().openapi()


def create_app(service: str, *routers: APIRouter, health: Health | None = None, is_front: bool = True) -> FastAPI:
    """The application of one function.

    `service` is one of `meet.web.health.SERVICES`, whose health and metrics routes are added, unless another function
    of the service has them (`is_front` False); what `health()` returns goes over the documented keys. Routes are
    tried in the order given, health first. Settings are read at the first request.
    """
    app = _App(title=service, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    routes = [
        on_this_thread(route)
        for router in (*([health_router(service, health)] if is_front else []), *routers)
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    app.router.routes.extend(routes)
    table = RouteTable(routes)
    errors.install(app, table)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Idempotent)
    app.add_middleware(CheckedBody)
    app.add_middleware(RateLimited)
    app.add_middleware(Observed, service=service, routes=table)
    return app


_thread = threading.local()


def lambda_handler(app: FastAPI) -> LambdaHandler:
    """The application as a Lambda handler of API Gateway events. Any thread that runs no loop may call it."""
    text_types = [*DEFAULT_TEXT_MIME_TYPES, PROBLEM_JSON]
    mangum: Mangum | None = None

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        nonlocal mangum
        if not hasattr(_thread, "loop"):
            _thread.loop = asyncio.new_event_loop()
            asyncio.set_event_loop(_thread.loop)
        if mangum is None:
            mangum = Mangum(app, lifespan="off", text_mime_types=text_types)
        return mangum(event, context)

    return handler


def close_thread_loop() -> None:
    """Close the event loop that `lambda_handler` made for this thread: for threads that end before the process."""
    if hasattr(_thread, "loop"):
        _thread.loop.close()
        asyncio.set_event_loop(None)
        del _thread.loop
