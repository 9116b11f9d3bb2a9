"""`python -m sfu`: one media process, from its settings to its end. SIGTERM and SIGINT drain it.

`python -m sfu doctor` looks why media would not flow.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import uvicorn

from meet import logs
from meet.config import Settings, settings
from meet.domain.message import Message
from meet.domain.room import RoomRecord
from meet.domain.session import Session
from meet.store import meetings, messages, rooms, sessions
from meet.tokens import signing_secret
from sfu.app import create_app
from sfu.candidates import announced_addresses
from sfu.clocks import Clocks
from sfu.endpoint import Endpoint, TcpPortTaken
from sfu.media import RoomMedia
from sfu.media_events import MediaEvent
from sfu.node import Node
from sfu.outlets.books import opener
from sfu.redis import connect
from sfu.router import Router
from sfu.writer import Writer

log = logging.getLogger("meet.sfu")

MOST_FRAME_BYTES = 1 << 20
"""The contract's 64 KB are `parse`'s to refuse, with the socket staying open; what is larger than this closes it."""
UNREAD_MS = 30_000
"""A peer that takes nothing for so long is gone: else the kernel keeps what it doesn't read for ever."""

STORE_THREADS = 32
"""Calls to the store at once; asyncio's own default goes by the cores, but these threads only wait."""


class Refused(Exception):
    """What keeps the process from starting, as one sentence that names the cure."""


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process drains before the server stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(chosen: Settings, stop_asked: asyncio.Event) -> None:
    """Run a media process until it is asked to stop, then drain it. `Refused` where it can't start."""
    try:
        signing_secret()
    except RuntimeError as error:
        raise Refused(str(error)) from None
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(STORE_THREADS, "store"))
    endpoint = await open_endpoint(chosen)
    with contextlib.closing(endpoint), contextlib.closing(listen(chosen)) as listener:
        port = listener.getsockname()[1]
        host = f"[{chosen.inner_host}]" if ":" in chosen.inner_host else chosen.inner_host
        redis = connect(chosen.redis_url)

        def create_media(emit: Callable[[MediaEvent], None]) -> RoomMedia:
            router = Router(lanes=endpoint.plane.lanes)
            return RoomMedia(endpoint.create_transport, emit, router=router, last_n=chosen.last_n)

        node = Node(
            chosen,
            url=f"http://{host}:{port}",
            redis=redis,
            meetings=meetings,
            create_media=create_media,
            open_book=opener(redis, chosen.recording_lease_s, Clocks().utcnow),
            writer=Writer({Session: sessions.write, Message: messages.write, RoomRecord: rooms.write}),
        )
        app = create_app(node, forwarded=lambda: endpoint.plane.departed)
        server = _Server(server_config(app))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        living = asyncio.create_task(node.run())
        stopping = asyncio.create_task(stop_asked.wait())
        log.info(
            "media process %s on %s, UDP %d, media by TCP on %s",
            node.node_id,
            listener.getsockname(),
            endpoint.port,
            endpoint.tcp.port if endpoint.tcp else "no port",
        )
        try:
            await asyncio.wait({serving, living, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await node.drain()
            living.cancel()
            [ended] = await asyncio.gather(living, return_exceptions=True)
            await node.close()
            server.should_exit = True
            stopping.cancel()
            await serving
            await redis.aclose()
        if isinstance(ended, Exception):
            raise ended


async def open_endpoint(chosen: Settings) -> Endpoint:
    """The UDP socket of process i on port `udp_port + i`, and its TCP port."""
    port = chosen.udp_port + chosen.process_index
    tcp_port = chosen.first_tcp_port + chosen.process_index if chosen.first_tcp_port else None
    announced = announced_addresses(chosen.announced_ip, chosen.bind_host)
    try:
        return await Endpoint.open(chosen.bind_host, port, announced, tcp_port=tcp_port, plane=chosen.sfu_plane)
    except ImportError as error:
        raise Refused(f"MEET_SFU_PLANE names an engine that is not there ({error}): leave it unset.") from None
    except TcpPortTaken as error:
        raise Refused(
            f"TCP port {tcp_port} of {chosen.bind_host} can't be used for media ({error.strerror}): "
            "set MEET_TCP_PORT to a free one, or 0 to do without, or stop what holds it."
        ) from None
    except OSError as error:
        raise Refused(
            f"UDP port {port} of {chosen.bind_host} can't be used ({error.strerror}): "
            "set MEET_UDP_PORT to a free one, or stop what holds it."
        ) from None
    except ValueError as error:
        raise Refused(
            f"MEET_BIND_HOST and MEET_ANNOUNCED_IP must be IP addresses, or `auto` for the latter: {error}."
        ) from None


def listen(chosen: Settings) -> socket.socket:
    """The TCP socket that edges connect to."""
    try:
        listener = socket.create_server(
            (chosen.inner_host, chosen.inner_port),
            family=socket.AF_INET6 if ":" in chosen.inner_host else socket.AF_INET,
            backlog=1024,
        )
    except OSError as error:
        raise Refused(
            f"Port {chosen.inner_port} of {chosen.inner_host} can't be used ({error.strerror}): "
            "set MEET_INNER_PORT to a free one, or 0 for any."
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted sockets inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
    return listener


def server_config(app: object) -> uvicorn.Config:
    """How uvicorn serves a media process."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # any ASGI application
        log_config=None,
        access_log=False,  # a socket's URL carries its token
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MOST_FRAME_BYTES,
        ws_ping_interval=None,  # the contract has a heartbeat of its own
        ws_per_message_deflate=False,  # edges are near, and a small frame may unpack to a large one
        server_header=False,
        timeout_graceful_shutdown=5,
    )


async def _main() -> None:
    stop_asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_asked.set)
    await serve(settings(), stop_asked)


def main() -> int:
    """Run, and turn what keeps the process from running into one sentence."""
    chosen = settings()
    if sys.argv[1:] == ["doctor"]:
        from sfu.doctor.examine import examine  # noqa: PLC0415 - no media process needs it

        return asyncio.run(examine(chosen))
    logs.start(chosen.log_level, service="signaling-service")
    try:
        asyncio.run(_main())
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
