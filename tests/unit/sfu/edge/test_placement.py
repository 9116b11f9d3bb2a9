"""A room has one home; who comes first decides, and a process that is gone or leaving gets nobody new."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from fakeredis import FakeAsyncRedis

from meet.domain.meeting import MeetingRef
from meet.errors import NotFound, Unavailable
from meet.presence import AsyncPresence, NodeSnapshot
from sfu.edge import placement
from sfu.edge.placement import Placement, meeting_number

IDLE = NodeSnapshot("idle", "http://127.0.0.1:1", "2026-01-01T00:00:00Z", rooms=0, clients=1)
BUSY = replace(IDLE, node_id="busy", url="http://127.0.0.1:2", clients=9)
UUID = "6f9619ff-8b86-4d01-b42d-00c04fc964ff"


@pytest.fixture
def presence() -> AsyncPresence:
    return AsyncPresence(FakeAsyncRedis())


async def publish(presence: AsyncPresence, *nodes: NodeSnapshot) -> Placement:
    for node in nodes:
        await presence.publish(node, [], now=1_000.0)
    return Placement(presence)


async def test_without_a_room_the_least_loaded_is_chosen(presence: AsyncPresence) -> None:
    assert await (await publish(presence, BUSY, IDLE)).least_loaded() == IDLE


async def test_one_that_drains_is_the_last_resort(presence: AsyncPresence) -> None:
    leaving = replace(IDLE, draining=True)
    placing = await publish(presence, leaving, BUSY)
    assert await placing.least_loaded() == BUSY
    assert await placing.home(5, prefer="idle") == BUSY


async def test_a_room_stays_where_it_was_settled(presence: AsyncPresence) -> None:
    placing = await publish(presence, BUSY, IDLE)
    assert await placing.home("meeting-5", prefer="busy") == BUSY
    assert await placing.home(5, prefer="idle") == BUSY
    assert await placing.home("6") == IDLE


async def test_a_room_whose_home_is_gone_moves(presence: AsyncPresence) -> None:
    placing = await publish(presence, BUSY, IDLE)
    await placing.home(5, prefer="busy")
    await presence.forget_node("busy")
    assert await placing.home(5) == IDLE


async def test_nobody_there_is_said(presence: AsyncPresence) -> None:
    placing = Placement(presence)
    with pytest.raises(Unavailable, match="No media process"):
        await placing.least_loaded()
    with pytest.raises(Unavailable, match="No media process"):
        await placing.home(5)


async def test_a_uuid_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[MeetingRef] = []

    def find(ref: MeetingRef) -> SimpleNamespace | None:
        asked.append(ref)
        return SimpleNamespace(number=7) if len(asked) > 1 else None

    monkeypatch.setattr(placement.meetings, "find", find)
    placement._number.cache_clear()
    with pytest.raises(NotFound):  # not yet made: asked for again below
        await meeting_number(UUID)
    assert [await meeting_number(UUID), await meeting_number(UUID.upper())] == [7, 7]
    assert asked == [MeetingRef(uuid=UUID)] * 2


@pytest.mark.parametrize("text", ["", "meeting-0", "room", 0, True, -1])
async def test_what_names_no_meeting_is_not_found(text: str | int) -> None:
    with pytest.raises(NotFound):
        await meeting_number(text)
