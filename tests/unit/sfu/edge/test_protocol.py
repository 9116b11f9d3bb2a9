"""The public port's HTTP: an unending head is refused; everything else is uvicorn's."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from sfu.edge import protocol
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


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nX-Slow: "])
async def test_a_head_that_takes_for_ever_is_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_the_second_head_of_a_connection_may_not_take_for_ever_either(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: meet.test\r\n\r\n")
    async with asyncio.timeout(2):  # uvicorn's own patience with an idle connection is 5 s
        assert await reader.readexactly(len(ANSWER)) == ANSWER
        writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
        assert await reader.read() == b""
    writer.close()


async def test_a_body_has_more_time_than_a_head(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: meet.test\r\nContent-Length: 1\r\n\r\n")
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 4 * protocol.HEAD_S)
        writer.write(b"x")
        assert await reader.readexactly(len(ANSWER)) == ANSWER
    writer.close()
