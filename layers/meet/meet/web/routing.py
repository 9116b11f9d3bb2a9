"""What an application knows of its routes: the template behind a path, and the methods that a path answers."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction
from re import Pattern
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, request_response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER = "other"
"""The template of a path that no route has: labels of metrics are never what a caller wrote."""


@dataclass(frozen=True, slots=True)
class _Entry:
    pattern: Pattern[str]
    template: str
    methods: frozenset[str]


class RouteTable:
    """The routes of an application, in the order in which they are tried. Who answers GET answers HEAD."""

    def __init__(self, routes: Iterable[APIRoute]) -> None:
        self._entries = tuple(
            _Entry(route.path_regex, route.path_format, _with_head(route.methods or ())) for route in routes
        )

    def template(self, method: str, path: str) -> str:
        """The route's path as it was declared, `/api/v1/users/{user_id}`, or `other`."""
        found = OTHER
        for entry in self._entries:
            if entry.pattern.match(path):
                if method in entry.methods:
                    return entry.template
                if found is OTHER:
                    found = entry.template
        return found

    def methods(self, path: str) -> list[str]:
        """Every method that some route answers at this path: what a 405 must say (RFC 9110 section 15.5.6)."""
        return sorted({method for entry in self._entries if entry.pattern.match(path) for method in entry.methods})


def _with_head(methods: Iterable[str]) -> frozenset[str]:
    found = frozenset(methods)
    return found | {"HEAD"} if "GET" in found else found


class HeadAsGet:
    """Answers HEAD by the route of GET, without the content (RFC 9110 section 9.3.2). Stands inside of all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_content(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, without_content)


def on_this_thread(route: APIRoute) -> APIRoute:
    """Make a route's plain functions run where the request runs, instead of in a thread of their own.

    FastAPI hands each plain `def` to a worker thread so that it doesn't stop the event loop for others. A function
    handles one request at a time on a loop of its own: the thread would be made for every request, and serve no one.
    """
    _inline(route.dependant)
    route.app = request_response(route.get_route_handler())
    return route


def _inline(dependant: Dependant) -> None:
    call = dependant.call
    if isfunction(call) and not (iscoroutinefunction(call) or isgeneratorfunction(call) or isasyncgenfunction(call)):
        dependant.call = _awaitable(call)
    for inner in dependant.dependencies:
        _inline(inner)


def _awaitable(call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    @wraps(call)
    async def inline(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return inline
