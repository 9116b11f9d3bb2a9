import asyncio
import logging
from contextlib import suppress
from typing import Any
from unittest.mock import AsyncMock

import pytest
from fakeredis import FakeRedis

from meet.control import Command, call
from meet.domain.message import Message
from meet.domain.room import RoomRecord
from meet.domain.session import Session
from meet.presence import AsyncPresence, Presence, RoomSnapshot
from sfu.media_events import LayersChanged, SpeakerChanged, SubscribeOffer, TrackPublished, TrackUnpublished
from sfu.rtp.layers import LayerId
from sfu.rtp.parameters import RtpParameters, TrackInfo
from sfu.signaling.connection import CLOSE_REMOVED, CLOSE_RESTART, CLOSE_TRY_AGAIN

ROOM = "meeting-123"
TRACK = TrackInfo("t1", "alice", "alice-peer", "video", "camera", RtpParameters("0", "video", ()))


def presence(process: Any) -> Presence:
    return Presence(FakeRedis(server=process.server))


class TestPresence:
    async def test_what_is_published_is_the_truth(self, process: Any) -> None:
        alice = await process.join("alice")
        await process.node.publish()
        [node] = presence(process).nodes()
        assert (node.node_id, node.rooms, node.clients) == (process.node.node_id, 1, 1)
        room = presence(process).room(123)
        assert room is not None
        assert room.room_id == ROOM
        assert room.peers == [{"peer_id": "alice-peer"}]
        assert (room.statistics["total_peers"], room.quality_metrics["good"]) == (1, 1)
        [session] = room.sessions
        assert session.session_id == alice.joined["session_id"]
        assert (session.user_id, session.status, session.peer_connections) == ("alice", "active", 2)

    async def test_a_room_that_is_deserted_is_forgotten_with_its_home(self, process: Any) -> None:
        alice = await process.join("alice")
        await process.node.publish()
        assert presence(process).home(123) == process.node.node_id
        alice.say(type="leave", room_id=ROOM)
        await alice.hear("left")
        await process.settle()
        assert presence(process).rooms() == []
        assert presence(process).home(123) is None
        assert process.media[0].closed

    async def test_a_room_that_another_process_holds_is_not_begun_here(self, process: Any) -> None:
        await process.redis.set("node:other", "{}")
        await AsyncPresence(process.redis).place(123, ["other"])
        client = process.connect("alice")
        client.say(type="join", room_id=ROOM)
        assert await client.end() == CLOSE_TRY_AGAIN
        assert list(process.node.rooms) == []

    async def test_running_it_publishes_obeys_and_ticks(self, process: Any) -> None:
        alice = await process.join("alice")
        process.media[0].emit(TrackPublished(TRACK))
        running = asyncio.create_task(process.node.run())
        async with asyncio.timeout(10):
            await process.media[0].ticked.wait()
        sync = FakeRedis(server=process.server)
        command = Command("remove-participant", {"meeting_number": 123, "user_id": "alice"})
        answer = await asyncio.to_thread(call, sync, process.node.node_id, command)
        assert answer.status == "ok"
        assert await alice.end() == CLOSE_REMOVED
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def test_it_ends_though_a_step_swallows_the_cancellation(
        self, process: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = asyncio.Event()

        async def stubborn() -> None:
            begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

        monkeypatch.setattr(process.node, "_tick", stubborn)
        running = asyncio.create_task(process.node.run())
        async with asyncio.timeout(10):
            await begun.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def test_a_change_is_told_of_the_room_that_it_is_in(
        self, process: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To describe a room is to ask all its media: were all asked on each change, rooms would slow each other."""
        monkeypatch.setattr("sfu.node.PUBLISH_S", 3600.0)
        monkeypatch.setattr("sfu.node.PUBLISH_FLOOR_S", 0.0)
        await process.join("alice")
        live = next(iter(process.node.rooms))
        described = 0

        def describe(node_id: str, egress: list[dict[str, Any]]) -> RoomSnapshot:
            nonlocal described
            described += 1
            return RoomSnapshot(123, "m", node_id, "", described)

        monkeypatch.setattr(live, "snapshot", describe)
        await process.node._publish_when_due()  # the first time, all
        process.node._note_change(124)
        await process.node._publish_when_due()  # not this one
        assert described == 1
        process.media[0].emit(TrackPublished(TRACK))
        await process.node._publish_when_due()
        assert described == 2
        monkeypatch.setattr("sfu.node.PUBLISH_S", 0.0)
        process.node._all_due = 0.0
        process.node._note_change(124)
        await process.node._publish_when_due()  # all are due, however often others change
        assert described == 3
        assert presence(process).room(123).total_messages == 3

    async def test_it_goes_on_while_redis_is_away(self, process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        warned = asyncio.Event()
        monkeypatch.setattr("sfu.node.RETRY_S", 0.01)
        monkeypatch.setattr(logging.getLogger("meet.sfu.node"), "warning", lambda *_: warned.set())
        alice, bob = await process.join("alice"), await process.join("bob")
        process.server.connected = False
        running = asyncio.create_task(process.node.run())
        alice.say(type="chat", room_id=ROOM, message="still here")
        await bob.hear("chat")
        async with asyncio.timeout(10):
            await warned.wait()
        process.server.connected = True
        sync = FakeRedis(server=process.server)
        command = Command("close-room", {"meeting_number": 123, "reason": "meeting-ended"})
        assert (await asyncio.to_thread(call, sync, process.node.node_id, command)).status == "ok"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class TestCommands:
    async def test_closing_a_room_kicks_everybody_and_nobody_comes_back(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        command = Command("close-room", {"meeting_number": 123, "reason": "meeting-deleted"})
        assert process.node.obey(command).status == "ok"
        for client in (alice, bob):
            assert await client.end() == CLOSE_REMOVED
            assert client.frames[-1]["type"] == "kicked"
            assert client.frames[-1]["reason"] == "meeting-deleted"
        assert process.node.obey(command).status == "ok"
        late = process.connect("carol")
        late.say(type="join", room_id=ROOM)
        assert (await late.hear("error"))["code"] == "INVALID_ROOM"
        await process.settle()
        assert process.meetings.released == []

    async def test_removing_a_participant_is_idempotent(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        command = Command("remove-participant", {"meeting_number": 123, "user_id": "bob"})
        assert process.node.obey(command).status == "ok"
        assert process.node.obey(command).status == "ok"
        assert (await alice.hear("user-left"))["user_id"] == "bob"
        assert await bob.end() == CLOSE_REMOVED
        await process.settle()
        assert process.meetings.released == ["bob"]

    async def test_a_media_state_is_set_and_told(self, process: Any) -> None:
        alice = await process.join("alice")
        data = {"meeting_number": 123, "peer_id": "alice-peer", "audio_enabled": False, "video_quality": "low"}
        reply = process.node.obey(Command("set-media-state", data))
        assert reply.status == "ok"
        assert reply.data["user_id"] == "alice"
        assert reply.data["media_state"] == {
            "audio_enabled": False,
            "video_enabled": False,
            "screen_sharing": False,
            "video_quality": "low",
        }
        assert ("state", "alice", {"audio_enabled": False}) in process.media[0].calls
        assert ("quality", "alice", "low") in process.media[0].calls
        assert (await alice.hear("media-state"))["audio_enabled"] is False
        alice.say(type="media-state", room_id=ROOM, audio_enabled=True)
        await alice.hear("media-state")
        assert process.media[0].calls[-1] == ("state", "alice", {"audio_enabled": True})

    async def test_a_quality_that_nobody_knows_is_refused(self, process: Any) -> None:
        await process.join("alice")
        data = {"meeting_number": 123, "peer_id": "alice-peer", "video_quality": "best"}
        with pytest.raises(ValueError, match="video_quality"):
            process.node.obey(Command("set-media-state", data))

    async def test_what_somebody_wants_of_a_track_reaches_the_media_and_its_news_reach_them(
        self, process: Any
    ) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        media = process.media[0]
        media.emit(TrackPublished(TRACK))
        bob.say(type="subscribe", room_id=ROOM, track_id="t1", visible=False, width=320)
        bob.say(type="set-layer", room_id=ROOM, track_id="t1", spatial=1)
        bob.say(type="unsubscribe", room_id=ROOM, track_id="t1")
        bob.say(type="subscribe", room_id=ROOM, track_id="gone")
        error = await bob.hear("error")
        assert (error["code"], error["request_type"]) == ("TRACK_NOT_FOUND", "subscribe")
        assert media.calls[-3:] == [
            ("want", "bob", "t1", {"visible": False, "width": 320, "height": None}),
            ("cap", "bob", "t1", {"spatial": 1, "temporal": None}),
            ("refuse", "bob", "t1"),
        ]
        media.emit(LayersChanged("bob", "t1", LayerId(0, 1), None))
        layers = await bob.hear("layers")
        assert (layers["track_id"], layers["current"], layers["target"]) == (
            "t1",
            {"spatial": 0, "temporal": 1},
            None,
        )
        media.emit(SpeakerChanged("alice", "mic"))
        for client in (alice, bob):
            told = await client.hear("active-speaker")
            assert (told["user_id"], told["track_id"], told["room_id"]) == ("alice", "mic", ROOM)

    @pytest.mark.parametrize("number", [123, 124])
    async def test_a_peer_that_is_gone_is_not_found(self, process: Any, number: int) -> None:
        await process.join("alice")
        data = {"meeting_number": number, "peer_id": "nobody"}
        assert process.node.obey(Command("set-media-state", data)).status == "not-found"

    async def test_what_is_malformed_is_refused(self, process: Any, caplog: pytest.LogCaptureFixture) -> None:
        running = asyncio.create_task(process.node.run())
        await process.join("alice")
        sync = FakeRedis(server=process.server)
        answer = await asyncio.to_thread(
            call, sync, process.node.node_id, Command("remove-participant", {"meeting_number": 123})
        )
        assert answer.status == "refused"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class TestSeats:
    async def test_the_seats_of_all_are_renewed_in_one_write(self, process: Any) -> None:
        await process.join("alice")
        bob = await process.join("bob")
        bob.drop()
        await bob.end()
        [live] = process.node.rooms
        await process.node.renew(live)
        assert process.meetings.renewed == [("alice", "bob")]

    async def test_an_error_in_one_room_costs_no_other_its_seats(
        self, process: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        await process.join("alice")
        [live] = process.node.rooms
        process.node._rooms[124] = live
        renewed: list[Any] = []

        async def renew(room: Any) -> None:
            renewed.append(room)
            raise ZeroDivisionError

        monkeypatch.setattr(process.node, "renew", renew)
        monkeypatch.setattr("sfu.node.asyncio.sleep", AsyncMock())
        await process.node._renew_when_due()
        assert renewed == [live, live]
        assert len(caplog.records) == 2

    async def test_who_lost_the_seat_takes_it_anew(self, process: Any) -> None:
        await process.join("alice")
        process.meetings.seats.clear()
        [live] = process.node.rooms
        await process.node.renew(live)
        assert list(process.meetings.seats) == ["alice"]

    async def test_who_cannot_have_it_is_sent_away(self, process: Any) -> None:
        alice = await process.join("alice")
        process.meetings.seats.clear()
        process.meetings.most = 0
        [live] = process.node.rooms
        await process.node.renew(live)
        assert await alice.end() == CLOSE_REMOVED

    @pytest.mark.parametrize(("field", "reason"), [("there", "meeting-deleted"), ("ended", "meeting-ended")])
    async def test_a_meeting_that_is_over_sends_everybody_away(self, process: Any, field: str, reason: str) -> None:
        alice = await process.join("alice")
        process.meetings.seats.clear()
        setattr(process.meetings, field, field == "ended")
        [live] = process.node.rooms
        await process.node.renew(live)
        assert await alice.end() == CLOSE_REMOVED
        assert alice.frames[-1]["reason"] == reason

    async def test_a_room_larger_than_one_renewal_is_renewed_in_parts(self, process: Any) -> None:
        await asyncio.gather(*(process.join(f"user{n}") for n in range(3)))
        [live] = process.node.rooms
        live.room._capacity = 300
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sfu.node.MOST_RENEWED", 2)
            await process.node.renew(live)
        assert sorted(len(users) for users in process.meetings.renewed) == [1, 2]

    async def test_a_full_room_gives_the_seat_back_that_it_could_not_use(self, process: Any) -> None:
        await process.join("alice")
        [live] = process.node.rooms
        process.meetings.hold = asyncio.Event()
        bob = process.connect("bob")
        bob.say(type="join", room_id=ROOM)
        await process.meetings.holding.wait()
        live.room._capacity = 1
        process.meetings.hold.set()
        assert (await bob.hear("error"))["code"] == "ROOM_FULL"
        await process.settle()
        assert process.meetings.released == ["bob"]


class TestMedia:
    async def test_tracks_and_offers_reach_the_sockets(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        [live] = process.node.rooms
        assert not live.has_tracks
        process.media[0].emit(TrackPublished(TRACK))
        assert live.has_tracks
        assert (await bob.hear("track-published"))["track_id"] == "t1"
        told = [{"mid": "0", "track_id": "t1", "user_id": "alice", "kind": "video", "source": "camera"}]
        process.media[0].emit(SubscribeOffer("bob", "v=0", told))
        offer = await bob.hear("offer")
        assert (offer["pc"], offer["tracks"], offer["sdp"]) == ("subscribe", told, {"type": "offer", "sdp": "v=0"})
        process.media[0].emit(TrackUnpublished(TRACK))
        assert (await bob.hear("track-unpublished"))["track_id"] == "t1"
        assert not live.has_tracks
        assert not any(frame["type"].startswith("track") for frame in alice.frames)

    async def test_everybody_is_subscribed_at_the_door_and_leaves_at_the_end(self, process: Any) -> None:
        alice = await process.join("alice")
        assert process.media[0].calls == [("subscribe", "alice")]
        alice.say(type="leave", room_id=ROOM)
        await alice.hear("left")
        assert process.media[0].calls[-1] == ("leave", "alice")


class TestKept:
    async def test_sessions_messages_and_rooms_are_written_down(self, process: Any) -> None:
        alice = await process.join("alice")
        alice.say(type="chat", room_id=ROOM, message="hi")
        await alice.hear("chat")
        alice.say(type="leave", room_id=ROOM)
        await alice.hear("left")
        await process.node.writer.close(timeout_s=5)
        [session] = [r for r in process.kept if isinstance(r, Session)]
        assert (session.session_id, session.status) == (alice.joined["session_id"], "closed")
        [message] = [r for r in process.kept if isinstance(r, Message)]
        assert message.payload == {"message": "hi"}
        [room] = [r for r in process.kept if isinstance(r, RoomRecord)]
        assert (room.total_messages, room.peak_participants, room.participant_count) == (1, 1, 0)
        assert room.ended_at is not None


class TestEnd:
    async def test_draining_takes_nobody_new_and_hangs_up_on_everybody(self, process: Any) -> None:
        alice = await process.join("alice")
        idle = process.connect("bob")
        idle.say(type="ping")
        await idle.hear("pong")
        await process.node.drain()
        assert await alice.end() == CLOSE_RESTART
        assert await idle.end() == CLOSE_RESTART
        assert presence(process).nodes()[0].draining
        assert await process.connect("carol").end() == CLOSE_RESTART

    async def test_closing_forgets_the_node_and_writes_what_was_going_on(self, process: Any) -> None:
        await process.join("alice")
        await process.node.publish()
        await process.node.drain()
        await process.node.close()
        assert presence(process).nodes() == []
        assert presence(process).home(123) is None
        assert [r.status for r in process.kept if isinstance(r, Session)] == ["closed"]
        assert [r.ended_at is not None for r in process.kept if isinstance(r, RoomRecord)] == [True]
        assert process.meetings.released == []
        assert process.media[0].closed
