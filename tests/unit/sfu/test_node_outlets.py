"""Recordings and streams of a node's rooms: who is told, what functions read, and what ends them."""

import asyncio
from typing import Any

from fakeredis import FakeRedis

from meet.control import Command, Reply, call
from meet.presence import Presence

from .outlets.doubles import until

RECORD = {
    "meeting_number": 123,
    "recording_id": "r1",
    "quality": "high",
    "audio": True,
    "video": True,
    "screen": True,
}
STREAM = {"meeting_number": 123, "stream_id": "s1", "stream_type": "hls", "width": 1280, "height": 720}


async def record(process: Any) -> Reply:
    reply: Reply = await process.node.obey_slowly(Command("start-recording", RECORD))
    return reply


async def test_everybody_hears_of_a_recording_and_who_comes_later_too(process: Any) -> None:
    alice = await process.join("alice")
    assert (alice.joined["recordings"], alice.joined["streams"]) == ([], [])
    assert await record(process) == Reply("ok")
    started = await alice.hear("recording-started")
    assert (started["recording_id"], started["started_by"], started["room_id"]) == ("r1", "owner", "meeting-123")
    await process.node.obey_slowly(Command("pause-recording", RECORD))
    assert (await alice.hear("recording-paused"))["recording_id"] == "r1"
    bob = await process.join("bob")
    assert bob.joined["recordings"] == [{"recording_id": "r1", "started_by": "owner", "paused": True}]
    await process.node.obey_slowly(Command("resume-recording", RECORD))
    await bob.hear("recording-resumed")
    assert await process.node.obey_slowly(Command("stop-recording", RECORD)) == Reply("ok")
    await bob.hear("recording-stopped")
    carol = await process.join("carol")
    assert carol.joined["recordings"] == []


async def test_everybody_hears_of_a_stream(process: Any) -> None:
    alice = await process.join("alice")
    await process.node.obey_slowly(Command("start-stream", STREAM))
    assert (await alice.hear("streaming-started"))["stream_id"] == "s1"
    bob = await process.join("bob")
    assert bob.joined["streams"] == [{"stream_id": "s1", "started_by": "owner"}]
    await process.node.obey_slowly(Command("stop-stream", STREAM))
    await alice.hear("streaming-stopped")
    assert (await process.join("carol")).joined["streams"] == []


async def test_it_stands_in_the_rooms_snapshot(process: Any) -> None:
    await process.join("alice")
    await record(process)
    await process.node.publish()
    with FakeRedis(server=process.server) as redis:
        room = Presence(redis).room(123)
    assert room is not None
    assert room.egress == [{"kind": "recording", "id": "r1", "status": "recording", "stats": {"size": 100}}]


async def test_an_empty_room_ends_what_leaves_it_before_its_home_is_given_up(process: Any) -> None:
    alice = await process.join("alice")
    await record(process)
    recorder = process.theatre.processes[0]
    recorder.obliging = False
    await process.node.publish()
    alice.say(type="leave", room_id="meeting-123", user_id="alice")
    await alice.hear("left")
    stop = asyncio.create_task(process.node.obey_slowly(Command("stop-recording", RECORD)))
    await until(lambda: "stop" in recorder.kinds)
    with FakeRedis(server=process.server) as redis:
        assert Presence(redis).home(123) == process.node.node_id
    recorder.say("ended")
    recorder.gone.set()
    assert await stop == Reply("ok")
    await process.settle()
    assert process.library.books["r1"].written[-1] == ("finish", 0, False)
    with FakeRedis(server=process.server) as redis:
        assert Presence(redis).home(123) is None


async def test_a_meeting_that_is_closed_ends_what_leaves_it(process: Any) -> None:
    await process.join("alice")
    await record(process)
    process.node.obey(Command("close-room", {"meeting_number": 123, "reason": "meeting-ended"}))
    await process.settle()
    assert process.library.books["r1"].written[-1][0] == "finish"


async def test_a_drain_finishes_recordings(process: Any) -> None:
    alice = await process.join("alice")
    await record(process)
    draining = asyncio.create_task(process.node.drain())
    await alice.end()
    await draining
    assert process.library.books["r1"].written[-1] == ("finish", 200, False)


async def test_what_is_encrypted_end_to_end_cannot_be_recorded(process: Any) -> None:
    process.meetings.e2ee = True
    await process.join("alice")
    for kind, data in (("start-recording", RECORD), ("start-stream", STREAM)):
        reply = await process.node.obey_slowly(Command(kind, data))
        assert (reply.status, "end-to-end" in reply.data["reason"]) == ("refused", True)
    assert process.theatre.processes == []


async def test_another_name_is_told(process: Any) -> None:
    await process.join("alice", user_info={"username": "Alice"})
    await process.join("alice", user_info={"username": "Alice"})
    assert not [call for call in process.media[0].calls if call[0] == "rename"]
    await process.join("alice", user_info={"username": "Alicia"})
    assert ("rename", "alice", "Alicia") in process.media[0].calls


async def test_a_command_that_waits_holds_up_no_other(process: Any) -> None:
    await process.join("alice")
    process.theatre.obliging = False
    obeying = [asyncio.create_task(process.node._obey_next()) for _ in range(3)]
    with FakeRedis(server=process.server) as redis:
        node_id = process.node.node_id
        slow = asyncio.create_task(asyncio.to_thread(call, redis, node_id, Command("start-recording", RECORD)))
        await until(lambda: process.theatre.processes and process.theatre.processes[0].said)
        gone = Command("remove-participant", {"meeting_number": 123, "user_id": "nobody"})
        assert await asyncio.to_thread(call, redis, node_id, gone) == Reply("ok")
        assert not slow.done()
        process.theatre.processes[0].say("ready")
        assert await slow == Reply("ok")
        bad = await asyncio.to_thread(call, redis, node_id, Command("start-recording", RECORD | {"quality": "best"}))
        assert bad == Reply("refused", {"reason": "malformed: quality"})
    await asyncio.gather(*obeying)
    process.theatre.processes[0].obliging = True
