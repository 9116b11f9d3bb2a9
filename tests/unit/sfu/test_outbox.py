import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from sfu.outbox import Outbox
from sfu.signaling.connection import CLOSE_TRY_AGAIN


class FakeWebSocket:
    """Takes frames while `reading`; may be gone."""

    def __init__(self) -> None:
        self.taken: list[str | int] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.gone = False
        self.closed = False

    async def send_text(self, text: str) -> None:
        await self._take(text)

    async def close(self, code: int) -> None:
        if self.closed:
            raise RuntimeError('Cannot call "send" once a close message has been sent.')  # as Starlette does
        self.closed = True
        await self._take(code)

    async def _take(self, item: str | int) -> None:
        await self.reading.wait()
        if self.gone:
            raise WebSocketDisconnect(1006)
        self.taken.append(item)


def outbox(websocket: Any, **bounds: int) -> Outbox:
    return Outbox(websocket, **bounds)


async def test_frames_go_out_in_order_and_the_close_comes_last() -> None:
    websocket = FakeWebSocket()
    box = outbox(websocket)
    running = asyncio.create_task(box.run())
    box.send({"n": 1})
    await asyncio.sleep(0)
    box.send({"n": 2})
    box.close(4409)
    box.close(1012)
    box.send({"n": 3})
    await running
    assert websocket.taken == ['{"n":1}', '{"n":2}', 4409]


async def test_what_was_sent_before_run_goes_out_too() -> None:
    websocket = FakeWebSocket()
    box = outbox(websocket)
    box.send({"n": 1})
    box.close(4401)
    await box.run()
    assert websocket.taken == ['{"n":1}', 4401]


@pytest.mark.parametrize("bounds", [{"most_frames": 5}, {"most_bytes": 50}])
async def test_a_reader_that_has_stopped_is_cut_off(bounds: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.outbox.CLOSE_S", 0.01)
    websocket = FakeWebSocket()
    websocket.reading.clear()
    box = outbox(websocket, **bounds)
    running = asyncio.create_task(box.run())
    await asyncio.sleep(0)
    for n in range(100):
        box.send({"number": n})
        await asyncio.sleep(0)
    assert box.is_closing
    await running
    assert websocket.taken == []
    assert len(box._waiting) == 0


async def test_a_reader_that_reads_again_just_then_hears_why() -> None:
    websocket = FakeWebSocket()
    websocket.reading.clear()
    box = outbox(websocket, most_frames=1)
    running = asyncio.create_task(box.run())
    await asyncio.sleep(0)
    for n in range(4):
        box.send({"n": n})
        await asyncio.sleep(0)
    websocket.reading.set()
    await running
    assert websocket.taken == [CLOSE_TRY_AGAIN]


async def test_a_close_that_is_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.outbox.CLOSE_S", 0.01)
    websocket = FakeWebSocket()
    websocket.reading.clear()
    box = outbox(websocket)
    box.send({"n": 1})
    box.close(4409)
    async with asyncio.timeout(5):
        await box.run()
    assert websocket.taken == []


async def test_a_close_that_is_under_way_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfu.outbox.CLOSE_S", 0.01)
    websocket = FakeWebSocket()
    websocket.reading.clear()
    box = outbox(websocket)
    box.close(4409)
    async with asyncio.timeout(5):
        await box.run()
    assert websocket.taken == []


async def test_a_lost_socket_ends_it_quietly() -> None:
    websocket = FakeWebSocket()
    websocket.gone = True
    box = outbox(websocket)
    box.send({"n": 1})
    await box.run()
    assert websocket.taken == []


async def test_an_error_of_ours_is_not_swallowed() -> None:
    box = outbox(None)
    box.send({"n": 1})
    with pytest.raises(AttributeError):
        await box.run()
