import asyncio
import json
from typing import Any

import pytest

from meet import tokens
from meet.domain.meeting import participant_id
from meet.domain.session import Session
from sfu.outbox import MOST_FRAMES
from sfu.signaling.connection import (
    CLOSE_ERROR,
    CLOSE_REPLACED,
    CLOSE_SILENT,
    CLOSE_TOO_FAST,
    CLOSE_TRY_AGAIN,
    CLOSE_UNAUTHORIZED,
)
from sfu.signaling.messages import Chat

ROOM = "meeting-123"
MEETING_ID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
SDP = "v=0\r\n"


class TestDoor:
    async def test_a_bad_token_is_told_in_a_frame_and_closed(self, process: Any) -> None:
        client = process.connect("alice", token="nonsense")
        assert await client.end() == CLOSE_UNAUTHORIZED
        [frame] = client.frames
        assert (frame["type"], frame["code"]) == ("error", "UNAUTHORIZED")
        assert set(frame) == {"type", "code", "message", "timestamp"}

    async def test_a_ticket_opens_one_socket(self, process: Any) -> None:
        ticket, _ = tokens.issue_ticket("alice", "Alice", "user", "f")
        first = process.connect("alice", token=ticket)
        first.say(type="ping")
        await first.hear("pong")
        assert await process.connect("alice", token=ticket).end() == CLOSE_UNAUTHORIZED

    async def test_a_revoked_sign_in_opens_none(self, process: Any) -> None:
        await process.redis.set(tokens.revocation_key("alice-family"), 1)
        assert await process.connect("alice").end() == CLOSE_UNAUTHORIZED

    async def test_where_nobody_can_say_whether_it_was_revoked_the_door_stays_shut(self, process: Any) -> None:
        process.server.connected = False
        client = process.connect("alice")
        assert await client.end() == CLOSE_TRY_AGAIN
        assert client.frames[0]["code"] == "SERVICE_UNAVAILABLE"
        process.server.connected = True

    async def test_a_socket_revoked_later_is_out_at_once(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        await process.node.revoke()
        await process.redis.set(tokens.revocation_key("bob-family"), 1)
        await process.node.revoke()
        assert await bob.end() == CLOSE_UNAUTHORIZED
        assert bob.frames[-1]["code"] == "UNAUTHORIZED"
        assert (await alice.hear("user-left"))["user_id"] == "bob"
        assert not alice.task.done()

    async def test_a_client_that_goes_before_it_was_accepted_is_nothing(self, process: Any) -> None:
        client = process.connect("alice")
        client.drop()
        assert await client.end() is None
        assert process.node.sockets == set()


class TestJoin:
    async def test_the_token_says_who_it_is_and_the_frame_which_name_to_show(self, process: Any) -> None:
        alice = await process.join("alice", user_id="mallory", user_info={"username": "Alice"})
        assert alice.joined["user_id"] == "alice"
        assert alice.joined["participant_id"] == participant_id(MEETING_ID, "alice")
        assert alice.joined["ice_servers"] == [{"urls": ["stun:stun.l.google.com:19302"]}]
        assert process.meetings.taken == ["alice"]
        [session] = next(iter(process.node.rooms)).sessions()
        assert session.username == "alice@account"
        bob = await process.join("bob")
        assert bob.joined["participants"][0]["username"] == "Alice"

    async def test_a_room_that_does_not_exist_is_refused_and_the_socket_stays(self, process: Any) -> None:
        client = process.connect("alice")
        for room in ("meeting-124", "attic", 124, -1, "6fa459ea-0000-4ca4-894e-db77e160355e"):
            client.say(type="join", room_id=room)
            assert (await client.hear("error"))["code"] == "INVALID_ROOM"
        client.say(type="join", room_id=MEETING_ID)
        assert (await client.hear("joined"))["room_id"] == MEETING_ID

    async def test_everybody_is_told_of_the_encryption_that_the_room_began_with(self, process: Any) -> None:
        # the last word is what holds once the first seat is taken: it can't be changed from then on
        process.meetings.hold = asyncio.Event()
        client = process.connect("alice")
        client.say(type="join", room_id=ROOM)
        await process.meetings.holding.wait()
        process.meetings.e2ee = True
        process.meetings.hold.set()
        assert (await client.hear("joined"))["e2ee"] is True
        process.meetings.hold, process.meetings.e2ee = None, False
        assert (await process.join("bob")).joined["e2ee"] is True
        for other in (client, process.clients[-1]):
            other.say(type="leave", room_id=ROOM)
            await other.hear("left")
        assert (await process.join("carol")).joined["e2ee"] is False

    async def test_a_full_meeting_is_refused(self, process: Any) -> None:
        process.meetings.most = 1
        await process.join("alice")
        bob = process.connect("bob")
        bob.say(type="join", room_id=ROOM)
        error = await bob.hear("error")
        assert (error["code"], error["request_type"]) == ("ROOM_FULL", "join")

    async def test_an_ended_meeting_is_refused(self, process: Any) -> None:
        process.meetings.ended = True
        client = process.connect("alice")
        client.say(type="join", room_id=ROOM)
        assert (await client.hear("error"))["code"] == "MEETING_ENDED"

    async def test_without_the_store_the_client_is_told_to_come_again(self, process: Any) -> None:
        process.meetings.away = True
        client = process.connect("alice")
        client.say(type="join", room_id=ROOM)
        assert await client.end() == CLOSE_TRY_AGAIN
        assert client.frames[-1]["code"] == "SERVICE_UNAVAILABLE"

    async def test_what_is_sent_behind_a_join_waits_for_it(self, process: Any) -> None:
        client = process.connect("alice")
        client.say(type="join", room_id=ROOM)
        client.say(type="chat", room_id=ROOM, message="at once")
        await client.hear("joined")
        assert (await client.hear("chat"))["message"] == "at once"

    async def test_leaving_behind_a_join_leaves_no_seat_and_no_ghost(self, process: Any) -> None:
        client = process.connect("alice")
        client.say(type="join", room_id=ROOM)
        client.say(type="leave", room_id=ROOM)
        await client.hear("left")
        await process.settle()
        assert process.meetings.seats == {}
        assert list(process.node.rooms) == []

    async def test_a_socket_that_is_cut_off_while_joining_is_not_let_in(self, process: Any) -> None:
        process.meetings.hold = asyncio.Event()
        client = process.connect("alice")
        client.say(type="join", room_id=ROOM)
        client.say(type="ping")
        await process.meetings.holding.wait()
        client.socket.hang_up(CLOSE_ERROR)
        assert await client.end() == CLOSE_ERROR
        process.meetings.hold.set()
        await process.settle()
        assert list(process.node.rooms) == []

    async def test_two_sockets_of_one_user_at_once_end_as_one(self, process: Any) -> None:
        both = [process.connect("alice"), process.connect("alice")]
        for client in both:
            client.say(type="join", room_id=ROOM)
        await asyncio.wait({client.task for client in both}, return_when=asyncio.FIRST_COMPLETED)
        [loser] = [client for client in both if client.task.done()]
        assert loser.code == CLOSE_REPLACED
        assert loser.frames[-1]["type"] == "kicked"
        [session] = next(iter(process.node.rooms)).sessions()
        assert (session.user_id, session.status) == ("alice", "active")
        assert list(process.meetings.seats) == ["alice"]

    async def test_joining_anew_on_the_same_socket_is_a_new_session(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        alice.say(type="join", room_id=ROOM)
        again = await alice.hear("joined")
        assert again["session_id"] != alice.joined["session_id"]
        assert again["resumed"] is False
        assert ("restart", "alice") in process.media[0].calls
        alice.say(type="chat", room_id=ROOM, message="still me")
        await bob.hear("chat")
        assert not any(frame["type"] in ("user-left", "kicked") for frame in bob.frames + alice.frames)

    async def test_leaving_and_joining_at_once_ends_with_a_seat(self, process: Any) -> None:
        client = await process.join("alice")
        client.say(type="leave", room_id=ROOM)
        client.say(type="join", room_id=ROOM)
        await client.hear("joined")
        await process.settle()
        assert list(process.meetings.seats) == ["alice"]


class TestResume:
    async def test_a_lost_socket_may_resume_within_30_s_unseen(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        alice.drop()
        await alice.end()
        process.clock.advance(29)
        self.tick(process)
        again = process.connect("alice")
        again.say(type="resume", room_id=ROOM, session_id=alice.joined["session_id"])
        joined = await again.hear("joined")
        assert joined["resumed"] is True
        assert process.meetings.taken == ["alice", "bob"]
        bob.say(type="chat", room_id=ROOM, message="there?")
        await again.hear("chat")
        assert not any(frame["type"] in ("user-left", "user-joined") for frame in bob.frames)

    async def test_after_30_s_it_is_gone_and_the_seat_given_back(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        alice.drop()
        await alice.end()
        process.clock.advance(30)
        self.tick(process)
        assert (await bob.hear("user-left"))["user_id"] == "alice"
        await process.settle()
        assert process.meetings.released == ["alice"]
        again = process.connect("alice")
        again.say(type="resume", room_id=ROOM, session_id=alice.joined["session_id"])
        assert (await again.hear("error"))["code"] == "SESSION_NOT_FOUND"
        again.say(type="join", room_id=ROOM)
        await again.hear("joined")

    @pytest.mark.parametrize("room", ["meeting-124", "attic", MEETING_ID.replace("6", "7")])
    async def test_resuming_in_a_room_that_is_not_there_is_the_same_answer(self, process: Any, room: str) -> None:
        client = process.connect("alice")
        client.say(type="resume", room_id=room, session_id="s")
        assert (await client.hear("error"))["code"] == "SESSION_NOT_FOUND"

    async def test_the_store_is_not_asked(self, process: Any) -> None:
        alice = await process.join("alice")
        process.meetings.away = True
        again = process.connect("alice")
        again.say(type="resume", room_id=MEETING_ID, session_id=alice.joined["session_id"])
        await again.hear("joined")
        assert await alice.end() == CLOSE_REPLACED
        process.meetings.away = False

    def tick(self, process: Any) -> None:
        for live in list(process.node.rooms):
            live.tick()


class TestTalk:
    async def test_an_offer_to_the_sfu_is_answered(self, process: Any) -> None:
        alice = await process.join("alice")
        alice.say(type="offer", room_id=ROOM, sdp={"type": "offer", "sdp": SDP}, sources={"0": "screen"})
        answer = await alice.hear("answer")
        assert answer["sdp"] == {"type": "answer", "sdp": f"answer to {SDP}"}
        assert (answer["from_user_id"], answer["pc"]) == ("sfu", "publish")
        assert ("publish", "alice", SDP, {"0": "screen"}) in process.media[0].calls

    @pytest.mark.parametrize("kind", ["offer", "answer"])
    async def test_an_sdp_that_cannot_be_used_is_told(self, process: Any, kind: str) -> None:
        alice = await process.join("alice")
        alice.say(type=kind, room_id=ROOM, sdp="bad")
        error = await alice.hear("error")
        assert (error["code"], error["request_type"]) == ("INVALID_MESSAGE", kind)

    async def test_frames_between_participants(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob", room_id=123)
        alice.say(type="offer", room_id=ROOM, from_user_id="mallory", target_user_id="bob", sdp=SDP)
        offer = await bob.hear("offer")
        assert (offer["from_user_id"], offer["sdp"], offer["room_id"]) == ("alice", SDP, 123)
        bob.say(type="ice-candidate", room_id=123, target_user_id="alice", candidate={"candidate": "c"})
        assert (await alice.hear("ice-candidate"))["candidate"] == {"candidate": "c"}
        bob.say(type="ice-candidate", room_id=123, target_user_id="carol", candidate=None)
        assert (await bob.hear("error"))["code"] == "TARGET_NOT_FOUND"

    @pytest.mark.parametrize("text", ["{", "x" * 70_000, '{"type":"dance"}'])
    async def test_an_invalid_message_is_told_and_the_socket_stays(self, process: Any, text: str) -> None:
        alice = await process.join("alice")
        alice.say_text(text)
        assert (await alice.hear("error"))["code"] == "INVALID_MESSAGE"
        alice.say_bytes(b"{}")
        assert (await alice.hear("error"))["code"] == "INVALID_MESSAGE"
        alice.say(type="ping")
        await alice.hear("pong")

    async def test_a_flood_is_closed_and_its_participant_may_resume(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        for _ in range(700):
            alice.say_text('{"type":"pong"}')
        assert await alice.end() == CLOSE_TOO_FAST
        assert alice.frames[-1]["code"] == "RATE_LIMIT_EXCEEDED"
        assert not any(frame["type"] == "user-left" for frame in bob.frames)

    async def test_a_silent_client_is_pinged_and_then_closed(self, process: Any) -> None:
        alice = await process.join("alice")
        process.clock.advance(30)
        alice.socket.tick()
        assert (await alice.hear("ping"))["timestamp"].endswith("Z")
        process.clock.advance(60)
        alice.socket.tick()
        assert await alice.end() == CLOSE_SILENT

    async def test_who_does_not_read_is_cut_off(self, process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sfu.outbox.CLOSE_S", 0.01)
        alice, bob = await process.join("alice"), await process.join("bob")
        bob.reading.clear()
        live = next(iter(process.node.rooms))
        session_id = alice.joined["session_id"]
        for _ in range(MOST_FRAMES + 2):
            live.receive(session_id, Chat(ROOM, "hello?"))
            await asyncio.sleep(0)  # alice reads hers
        await bob.end()
        statuses = {s.user_id: s.status for s in live.sessions()}
        assert statuses == {"alice": "active", "bob": "reconnecting"}

    async def test_an_error_of_ours_closes_one_socket_and_is_logged(
        self, process: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        monkeypatch.setattr(process.media[0], "publish", None)
        alice.say(type="offer", room_id=ROOM, sdp=SDP)
        assert await alice.end() == CLOSE_ERROR
        assert "an error of ours" in caplog.text
        bob.say(type="ping")
        await bob.hear("pong")

    async def test_signs_of_life_are_activity(self, process: Any) -> None:
        alice = await process.join("alice")
        process.clock.advance(10)
        alice.say(type="ping")
        await alice.hear("pong")
        [session] = next(iter(process.node.rooms)).sessions()
        assert isinstance(session, Session)
        assert session.last_activity.timestamp() == pytest.approx(process.clock.now)

    async def test_no_frame_says_more_than_json_can(self, process: Any) -> None:
        alice, bob = await process.join("alice"), await process.join("bob")
        alice.say_text('{"type":"chat","room_id":123,"message":"\\ud83d\\ude00 \\u2028"}')
        assert (await bob.hear("chat"))["message"] == "\U0001f600 \u2028"
        assert json.dumps(bob.joined)
