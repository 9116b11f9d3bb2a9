"""The SFU without its signaling: `python -m tests.bench.forwarding.server engine 9000`.

An endpoint and rooms as a media process has them, with every feature of forwarding; offers and answers go by plain
HTTP, so that a generator can talk to it as to other servers.

    POST /whip/{room}/{user}            an offer to send -> the answer
    POST /subscribe/{room}/{user}       -> the offer of all that the others send
    POST /answer/{room}/{user}          the answer to that -> nothing
"""

import asyncio
import os
import sys
import time
from typing import get_args

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sfu.endpoint import Endpoint
from sfu.media import RoomMedia
from sfu.media_events import MediaEvent, SubscribeOffer
from sfu.plane.choice import PlaneName
from sfu.router import Router

TICK_S = 0.02
EVERYBODY = 20
"""Videos for each; so many fit into one offer beside as much sound."""


class Rooms:
    """Rooms by name; one is made at its first request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._rooms: dict[str, RoomMedia] = {}
        self._offers: dict[tuple[str, str], asyncio.Future[str]] = {}

    async def publish(self, request: Request) -> Response:
        """An offer to send."""
        media, user = self._of(request)
        offer = (await request.body()).decode()
        return PlainTextResponse(media.publish(user, offer, {}, time.monotonic()), 201)

    async def subscribe(self, request: Request) -> Response:
        """What the others send; known when the room's next tick has made the offer."""
        media, user = self._of(request)
        waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._offers[request.path_params["room"], user] = waiting
        media.subscribe(user, time.monotonic())
        return PlainTextResponse(await waiting, 201)

    async def answer(self, request: Request) -> Response:
        """The answer to that."""
        media, user = self._of(request)
        media.answered(user, (await request.body()).decode(), time.monotonic())
        return Response(status_code=204)

    async def run(self) -> None:
        """Let time pass."""
        while True:
            for media in self._rooms.values():
                media.tick(time.monotonic())
            await asyncio.sleep(TICK_S)

    def _of(self, request: Request) -> tuple[RoomMedia, str]:
        name = request.path_params["room"]
        if name not in self._rooms:

            def hear(event: MediaEvent) -> None:
                waiting = self._offers.pop((name, event.user_id), None) if isinstance(event, SubscribeOffer) else None
                if waiting is not None:
                    waiting.set_result(event.sdp)  # type: ignore[union-attr]

            router = Router(lanes=self._endpoint.plane.lanes)
            self._rooms[name] = RoomMedia(self._endpoint.create_transport, hear, router=router, last_n=EVERYBODY)
        return self._rooms[name], request.path_params["user"]


async def serve(plane: PlaneName, port: int) -> None:
    """Until it is killed."""
    endpoint = await Endpoint.open("127.0.0.1", 0, ("127.0.0.1",), plane=plane)
    rooms = Rooms(endpoint)
    actions = {"whip": rooms.publish, "subscribe": rooms.subscribe, "answer": rooms.answer}
    routes = [Route(f"/{name}/{{room}}/{{user}}", action, methods=["POST"]) for name, action in actions.items()]
    config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="warning")
    print(f"pid {os.getpid()}", flush=True)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rooms.run())
        tasks.create_task(uvicorn.Server(config).serve())


if __name__ == "__main__":
    assert sys.argv[1] in get_args(PlaneName)
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))  # type: ignore[arg-type]
