import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from fakeredis import FakeAsyncRedis, FakeRedis, FakeServer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from meet import logs, tokens
from meet.config import Settings, settings
from meet.presence import Presence
from sfu import __main__ as main
from sfu.signaling.connection import CLOSE_RESTART, CLOSE_UNAUTHORIZED
from tests.conftest import unused_media_port

from .conftest import FakeMeetings


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings of a media process on free ports, with what a test asks for."""

    def configure(**overrides: str) -> Settings:
        values = {
            "MEET_JWT_SECRET": "x" * 32,
            "MEET_BIND_HOST": "127.0.0.1",
            "MEET_ANNOUNCED_IP": "127.0.0.1",
            "MEET_UDP_PORT": str(unused_media_port()),
        }
        for name, value in (values | overrides).items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        return settings()

    yield configure
    settings.cache_clear()


class TestRefusals:
    async def test_a_taken_udp_port_is_one_sentence(self, configured: Callable[..., Settings]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
            holder.bind(("127.0.0.1", 0))
            port = holder.getsockname()[1]
            chosen = configured(MEET_UDP_PORT=str(port - 1), MEET_PROCESS_INDEX="1")
            with pytest.raises(main.Refused, match=f"^UDP port {port} of 127.0.0.1 can't be used .*MEET_UDP_PORT"):
                await main.open_endpoint(chosen)

    async def test_a_taken_tcp_port_is_one_sentence(self, configured: Callable[..., Settings]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            chosen = configured(MEET_TCP_PORT=str(port - 1), MEET_PROCESS_INDEX="1")
            with pytest.raises(main.Refused, match=f"^TCP port {port} of 127.0.0.1 .*set MEET_TCP_PORT"):
                await main.open_endpoint(chosen)

    async def test_the_tcp_port_follows_the_udp_port_or_is_off(self, configured: Callable[..., Settings]) -> None:
        chosen = configured()
        endpoint = await main.open_endpoint(chosen)
        assert endpoint.tcp is not None
        assert endpoint.tcp.port == endpoint.port
        endpoint.close()
        endpoint = await main.open_endpoint(configured(MEET_TCP_PORT="0"))
        assert endpoint.tcp is None
        endpoint.close()

    @pytest.mark.parametrize("name", ["MEET_ANNOUNCED_IP", "MEET_BIND_HOST"])
    async def test_a_name_is_no_address(self, configured: Callable[..., Settings], name: str) -> None:
        with pytest.raises(main.Refused, match="must be IP addresses"):
            await main.open_endpoint(configured(**{name: "meet.example.com"}))

    def test_a_taken_inner_port_is_one_sentence(self, configured: Callable[..., Settings]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as holder:
            chosen = configured(MEET_INNER_PORT=str(holder.getsockname()[1]))
            with pytest.raises(main.Refused, match="MEET_INNER_PORT"):
                main.listen(chosen)

    def test_a_short_secret_is_one_sentence_and_no_traceback(
        self, configured: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
    ) -> None:
        configured(MEET_JWT_SECRET="short")
        assert main.main() == 1
        error = capsys.readouterr().err
        assert error.startswith("MEET_JWT_SECRET is missing or too short")
        assert error.count("\n") == 1


def test_a_media_process_imports_no_decoder_and_no_web_framework_of_the_functions() -> None:
    code = "import sys, sfu.__main__; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"av", "numpy", "fastapi", "mangum", "torch"} & set(loaded) == set()
    assert "starlette" in loaded


@pytest_asyncio.fixture
async def running(
    configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SimpleNamespace]:
    """A whole media process in this one, with a Redis and a store in memory."""
    chosen, server, kept = configured(), FakeServer(), []
    monkeypatch.setattr(main, "connect", lambda _: FakeAsyncRedis(server=server))
    monkeypatch.setattr(main, "meetings", FakeMeetings())
    for store in (main.sessions, main.messages, main.rooms):
        monkeypatch.setattr(store, "write", kept.extend)
    stop = asyncio.Event()
    task = asyncio.create_task(main.serve(chosen, stop))
    presence = Presence(FakeRedis(server=server))
    async with asyncio.timeout(10):
        while not (nodes := await asyncio.to_thread(presence.nodes)):
            assert not task.done(), task
    yield SimpleNamespace(url=nodes[0].url, stop=stop, task=task, presence=presence, kept=kept)
    stop.set()
    async with asyncio.timeout(20):
        await task


def dial(running: SimpleNamespace, user: str) -> Any:
    token, _ = tokens.issue_access(user, user, "user", user)
    url = running.url.replace("http", "ws") + f"/ws/signaling?token={token}"
    return connect(url, proxy=None, compression=None, max_size=None)


async def ask(socket: ClientConnection, **frame: Any) -> dict[str, Any]:
    await socket.send(json.dumps(frame))
    answer: dict[str, Any] = json.loads(await socket.recv())
    return answer


class TestServing:
    async def test_stopping_closes_with_1012_and_leaves_nothing_behind(self, running: SimpleNamespace) -> None:
        async with dial(running, "alice") as alice, dial(running, "idle") as idle:
            assert (await ask(alice, type="join", room_id=123))["type"] == "joined"
            assert (await ask(idle, type="ping"))["type"] == "pong"
            running.stop.set()
            for client in (alice, idle):
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == CLOSE_RESTART
        await running.task
        assert await asyncio.to_thread(running.presence.nodes) == []
        assert any(getattr(record, "status", "") == "closed" for record in running.kept)

    async def test_a_bad_token_is_told_over_the_wire_and_not_logged(
        self, running: SimpleNamespace, caplog: pytest.LogCaptureFixture
    ) -> None:
        logs.start("INFO")
        caplog.set_level("INFO")
        url = running.url.replace("http", "ws") + "/ws/signaling?token=tell-nobody"
        async with connect(url, proxy=None) as socket:
            assert json.loads(await socket.recv())["code"] == "UNAUTHORIZED"
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CLOSE_UNAUTHORIZED
        assert "tell-nobody" not in caplog.text

    async def test_a_frame_of_200_kb_is_told_and_the_socket_stays(self, running: SimpleNamespace) -> None:
        async with dial(running, "alice") as alice:
            await alice.send("x" * 200_000)
            assert json.loads(await alice.recv())["code"] == "INVALID_MESSAGE"
            assert (await ask(alice, type="ping"))["type"] == "pong"

    async def test_who_does_not_read_is_cut_off_and_delays_nobody(
        self, running: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sfu.outbox.CLOSE_S", 0.05)
        async with dial(running, "alice") as alice, dial(running, "bob") as bob:
            await ask(bob, type="join", room_id=123)
            await ask(alice, type="join", room_id=123)
            bob.transport.pause_reading()
            offer = {"type": "offer", "room_id": 123, "target_user_id": "bob", "sdp": "x" * 60_000}
            async with asyncio.timeout(30):
                for _ in range(400):
                    await alice.send(json.dumps(offer))
                    assert (await ask(alice, type="ping"))["type"] == "pong"
                    room = await asyncio.to_thread(running.presence.room, 123)
                    if room and any(session.status == "reconnecting" for session in room.sessions):
                        break
                else:
                    pytest.fail("what waits for bob grows without end")
            assert (await ask(alice, type="ping"))["type"] == "pong"
            with suppress(ConnectionClosed):
                bob.transport.abort()
