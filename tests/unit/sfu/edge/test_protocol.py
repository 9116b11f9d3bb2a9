"""The public port's HTTP: an unending head is refused; everything else is uvicorn's."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from sfu.edge.protocol import MOST_HEAD_BYTES, BoundedHttp

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that reads each request whole and answers 204."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=BoundedHttp, log_config=None, lifespan="off", date_header=False, server_header=False
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX-Long: "])
async def test_a_head_that_does_not_end_is_refused(port: int, start: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start + b"x" * MOST_HEAD_BYTES)
    async with asyncio.timeout(5):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"The head of the request is too long.")
    writer.close()


async def test_many_headers_that_do_not_end_are_refused(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MOST_HEAD_BYTES // 6 + 1))
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_each_request_of_a_connection_has_the_whole_bound(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    long = b"POST / HTTP/1.1\r\nHost: meet.test\r\nContent-Length: %d\r\nX-Long: " % (2 * MOST_HEAD_BYTES)
    async with asyncio.timeout(5):
        for _ in range(3):
            writer.write(long + b"x" * (MOST_HEAD_BYTES - 200))
            await writer.drain()
            writer.write(b"\r\n\r\n" + bytes(2 * MOST_HEAD_BYTES))
            assert await reader.readexactly(len(ANSWER)) == ANSWER
    writer.close()
    assert await reader.read() == b""
