from collections.abc import Callable
from typing import Any

import pytest

from meet.domain.message import Message
from meet.domain.session import MediaState, Session, SessionStatus
from sfu.rtp.parameters import RtpParameters, Source, TrackInfo
from sfu.signaling.connection import CLOSE_REMOVED, CLOSE_REPLACED
from sfu.signaling.effects import (
    Choose,
    Departed,
    Effect,
    Hangup,
    Keep,
    Send,
    StartMedia,
    TellLayers,
    ToSfu,
    Unmute,
)
from sfu.signaling.messages import (
    Answer,
    Chat,
    Choice,
    IceCandidate,
    MediaStateChange,
    Offer,
    Refused,
    RoomId,
    SetLayer,
    Subscribe,
    Unsubscribe,
)
from sfu.signaling.participant import BACKLOG_FRAMES, Newcomer
from sfu.signaling.room import Room

T = 1_700_000_000.0
STAMP = "2023-11-14T22:13:20Z"
UUID = "6fa459ea-ee8a-4ca4-894e-db77e160355e"
SDP = "v=0\r\n"


def newcomer(name: str, session: int = 1, room_id: RoomId = "meeting-123", **options: Any) -> Newcomer:
    return Newcomer(
        session_id=f"{name}-{session}",
        user_id=name,
        username=f"{name}@account",
        participant_id=f"{name}-p",
        room_id=room_id,
        joined_at=T,
        **options,
    )


def empty(**options: Any) -> Room:
    return Room(meeting_id=UUID, number=123, created_at=T, **options)


def room_of(*names: str, **options: Any) -> Room:
    room = empty(**options)
    for name in names:
        room.join(newcomer(name), T)
    return room


def track(user: str, source: Source = "camera", track_id: str = "t1") -> TrackInfo:
    kind = "video" if source in ("camera", "screen") else "audio"
    return TrackInfo(track_id, user, f"{user}-peer", kind, source, RtpParameters("0", kind, ()))


def frames_to(session_id: str, effects: list[Effect]) -> list[dict[str, Any]]:
    return [e.frame for e in effects if isinstance(e, Send) and e.session_id == session_id]


def types_to(session_id: str, effects: list[Effect]) -> list[str]:
    return [frame["type"] for frame in frames_to(session_id, effects)]


def receivers(effects: list[Effect], kind: str) -> set[str]:
    return {e.session_id for e in effects if isinstance(e, Send) and e.frame["type"] == kind}


def kept(effects: list[Effect], kind: type) -> list[Any]:
    return [e.record for e in effects if isinstance(e, Keep) and isinstance(e.record, kind)]


class TestJoin:
    def test_the_first_is_told_of_an_empty_room(self) -> None:
        servers = [{"urls": ["stun:stun.example.com"]}]
        effects = empty().join(newcomer("alice", ice_servers=servers), T)
        [frame] = frames_to("alice-1", effects)
        assert frame == {
            "type": "joined",
            "room_id": "meeting-123",
            "user_id": "alice",
            "participant_id": "alice-p",
            "session_id": "alice-1",
            "resumed": False,
            "e2ee": False,
            "participants": [],
            "tracks": [],
            "active_speaker": None,
            "recordings": [],
            "streams": [],
            "ice_servers": servers,
            "timestamp": STAMP,
        }
        assert StartMedia("alice", afresh=False) in effects
        [session] = kept(effects, Session)
        assert (session.status, session.meeting_number, session.username) == ("active", 123, "alice@account")

    def test_the_second_is_told_of_the_first_and_the_first_of_the_second(self) -> None:
        room = room_of("alice")
        room.track_published(track("alice"), T)
        arriving = newcomer("bob", shown_as="Bob", avatar_url="https://a.b/c.jpg")
        effects = room.join(arriving, T + 60)
        [joined] = frames_to("bob-1", effects)
        assert joined["participants"] == [
            {
                "user_id": "alice",
                "participant_id": "alice-p",
                "username": "alice@account",
                "avatar_url": None,
                "joined_at": STAMP,
                "media_state": {"audio_enabled": False, "video_enabled": True, "screen_sharing": False},
            }
        ]
        assert joined["tracks"] == [{"track_id": "t1", "user_id": "alice", "kind": "video", "source": "camera"}]
        assert frames_to("alice-1", effects) == [
            {
                "type": "user-joined",
                "room_id": "meeting-123",
                "user_id": "bob",
                "participant_id": "bob-p",
                "user_info": {"username": "Bob", "avatar_url": "https://a.b/c.jpg"},
                "timestamp": "2023-11-14T22:14:20Z",
            }
        ]

    @pytest.mark.parametrize("spelling", [123, "123", "meeting-123", UUID])
    def test_each_is_answered_in_their_own_spelling(self, spelling: RoomId) -> None:
        room = room_of("alice")
        room.join(newcomer("bob", room_id=spelling), T)
        effects = room.receive("alice-1", Chat(123, "hi"), T)
        assert frames_to("bob-1", effects)[0]["room_id"] == spelling
        assert frames_to("alice-1", effects)[0]["room_id"] == "meeting-123"

    def test_a_full_room_refuses_and_stays_as_it_was(self) -> None:
        room = room_of(*(f"user{i}" for i in range(100)))
        with pytest.raises(Refused, match="full") as refusal:
            room.join(newcomer("late"), T)
        assert refusal.value.code == "ROOM_FULL"
        assert not room.has("late")
        assert len(room.sessions()) == 100

    def test_who_is_in_a_full_room_may_join_it_anew(self) -> None:
        room = room_of("alice", "bob", capacity=2)
        assert types_to("alice-2", room.join(newcomer("alice", 2), T)) == ["joined"]

    def test_the_newest_connection_wins(self) -> None:
        room = room_of("alice", "bob")
        effects = room.join(newcomer("alice", 2), T + 5)
        assert frames_to("alice-1", effects) == [
            {"type": "kicked", "room_id": "meeting-123", "reason": "replaced", "timestamp": "2023-11-14T22:13:25Z"}
        ]
        assert Hangup("alice-1", CLOSE_REPLACED) in effects
        assert types_to("bob-1", effects) == []
        assert StartMedia("alice", afresh=True) in effects
        assert [(s.session_id, s.status) for s in kept(effects, Session)] == [
            ("alice-1", "closed"),
            ("alice-2", "active"),
        ]
        assert {s.session_id for s in room.sessions()} == {"alice-2", "bob-1"}

    def test_the_loss_of_a_replaced_socket_means_nothing(self) -> None:
        room = room_of("alice", "bob")
        room.join(newcomer("alice", 2), T)
        assert room.lose("alice-1", T) == []
        assert room.leave("alice-1", T) == []
        assert room.receive("alice-1", Chat(123, "ghost"), T) == []
        assert room.tick(T + 100) == []

    def test_joining_anew_on_the_same_socket_kicks_nobody(self) -> None:
        room = room_of("alice", "bob")
        effects = room.join(newcomer("alice", 2, replaces="alice-1"), T)
        assert not any(isinstance(e, Hangup) for e in effects)
        assert receivers(effects, "kicked") == set()
        assert types_to("alice-2", effects) == ["joined"]
        assert [s.status for s in kept(effects, Session)] == ["closed", "active"]

    def test_two_of_one_user_at_once_end_as_one(self) -> None:
        room = empty()
        room.join(newcomer("alice", 1), T)
        effects = room.join(newcomer("alice", 2), T)
        assert Hangup("alice-1", CLOSE_REPLACED) in effects
        assert room.user_ids == ["alice"]

    def test_who_joins_anew_keeps_the_time_of_joining_and_loses_what_was_said_of_media(self) -> None:
        room = room_of("alice", "bob")
        room.receive("alice-1", MediaStateChange(123, audio_enabled=True), T)
        room.join(newcomer("alice", 2), T + 60)
        [joined] = frames_to("bob-2", room.join(newcomer("bob", 2), T + 60))
        [alice] = joined["participants"]
        assert alice["joined_at"] == STAMP
        assert alice["media_state"]["audio_enabled"] is False


class TestLeave:
    def test_who_leaves_is_answered_and_the_others_see_it(self) -> None:
        room = room_of("alice", "bob")
        effects = room.leave("alice-1", T)
        assert frames_to("alice-1", effects) == [
            {"type": "left", "room_id": "meeting-123", "user_id": "alice", "timestamp": STAMP}
        ]
        assert frames_to("bob-1", effects) == [
            {
                "type": "user-left",
                "room_id": "meeting-123",
                "user_id": "alice",
                "participant_id": "alice-p",
                "timestamp": STAMP,
            }
        ]
        assert Departed("alice") in effects
        assert kept(effects, Session)[0].status is SessionStatus.CLOSED
        assert room.user_ids == ["bob"]

    def test_the_last_to_leave_empties_the_room(self) -> None:
        room = room_of("alice")
        assert not room.is_empty
        assert room.record(T).ended_at is None
        room.leave("alice-1", T)
        assert room.is_empty
        record = room.record(T + 9)
        assert record.ended_at is not None
        assert (record.participant_count, record.peak_participants) == (0, 1)


class TestResume:
    def test_a_lost_socket_is_not_seen_and_resuming_keeps_everything(self) -> None:
        room = room_of("alice", "bob")
        room.receive("alice-1", MediaStateChange(123, audio_enabled=True), T)
        lost = room.lose("alice-1", T)
        assert receivers(lost, "user-left") == set()
        assert kept(lost, Session)[0].status is SessionStatus.RECONNECTING
        assert room.tick(T + 29.9) == []
        effects = room.resume("alice-1", newcomer("alice", 2), T + 29.9)
        [joined] = frames_to("alice-2", effects)
        assert joined["resumed"] is True
        assert joined["session_id"] == "alice-2"
        assert [p["user_id"] for p in joined["participants"]] == ["bob"]
        assert types_to("bob-1", effects) == []
        assert not any(isinstance(e, StartMedia) for e in effects)
        [alice, _] = room.sessions()
        assert alice.status is SessionStatus.ACTIVE
        assert alice.media_state == MediaState(audio_enabled=True)

    def test_after_30_s_the_participant_is_gone(self) -> None:
        room = room_of("alice", "bob")
        room.lose("alice-1", T)
        effects = room.tick(T + 30)
        assert types_to("bob-1", effects) == ["user-left"]
        assert Departed("alice") in effects
        assert room.tick(T + 31) == []
        with pytest.raises(Refused) as refusal:
            room.resume("alice-1", newcomer("alice", 2), T + 31)
        assert refusal.value.code == "SESSION_NOT_FOUND"

    @pytest.mark.parametrize(("session_id", "who"), [("alice-1", "mallory"), ("alice-1", "bob"), ("no", "alice")])
    def test_another_users_session_and_an_unknown_one_are_the_same(self, session_id: str, who: str) -> None:
        room = room_of("alice", "bob")
        room.lose("alice-1", T)
        with pytest.raises(Refused) as refusal:
            room.resume(session_id, newcomer(who, 2), T)
        assert refusal.value.code == "SESSION_NOT_FOUND"

    def test_resuming_while_the_old_socket_seems_alive_kicks_it(self) -> None:
        room = room_of("alice", "bob")
        effects = room.resume("alice-1", newcomer("alice", 2), T)
        assert types_to("alice-1", effects) == ["kicked"]
        assert Hangup("alice-1", CLOSE_REPLACED) in effects
        assert types_to("alice-2", effects) == ["joined"]

    def test_a_joined_that_was_lost_too_can_be_resumed_from_the_session_before(self) -> None:
        room = room_of("alice")
        room.lose("alice-1", T)
        room.resume("alice-1", newcomer("alice", 2), T)
        room.lose("alice-2", T)
        assert types_to("alice-3", room.resume("alice-1", newcomer("alice", 3), T)) == ["joined"]

    def test_a_fresh_join_ends_the_right_to_resume(self) -> None:
        room = room_of("alice")
        room.lose("alice-1", T)
        room.join(newcomer("alice", 2), T)
        with pytest.raises(Refused):
            room.resume("alice-1", newcomer("alice", 3), T)

    def test_what_is_said_once_waits_and_what_joined_tells_does_not(self) -> None:
        room = room_of("alice", "bob")
        room.lose("alice-1", T)
        room.receive("bob-1", Chat(123, "one"), T)
        room.receive("bob-1", MediaStateChange(123, video_enabled=True), T)
        room.join(newcomer("carol"), T)
        room.track_published(track("bob"), T)
        room.receive("bob-1", Offer(123, SDP, "alice"), T)
        effects = room.resume("alice-1", newcomer("alice", 2, room_id=123), T + 1)
        assert types_to("alice-2", effects) == ["joined", "chat", "offer"]
        assert {frame["room_id"] for frame in frames_to("alice-2", effects)} == {123}
        assert frames_to("alice-2", effects)[0]["tracks"][0]["track_id"] == "t1"
        room.lose("alice-2", T)
        assert types_to("alice-3", room.resume("alice-2", newcomer("alice", 3), T)) == ["joined"]

    def test_the_backlog_is_bounded_in_frames_and_in_bytes(self) -> None:
        room = room_of("alice", "bob")
        room.lose("alice-1", T)
        for i in range(BACKLOG_FRAMES + 10):
            room.receive("bob-1", Chat(123, str(i)), T)
        waiting = frames_to("alice-2", room.resume("alice-1", newcomer("alice", 2), T))[1:]
        assert [frame["message"] for frame in waiting] == [str(i) for i in range(10, BACKLOG_FRAMES + 10)]
        room.lose("alice-2", T)
        for _ in range(20):
            room.receive("bob-1", Offer(123, "x" * 60_000, "alice"), T)
        assert types_to("alice-3", room.resume("alice-2", newcomer("alice", 3), T)) == ["joined"] + ["offer"] * 8

    def test_an_unanswered_offer_of_the_sfu_is_made_again(self) -> None:
        room = room_of("alice")
        room.sfu_offer("alice", SDP, [{"mid": "0"}], T)
        room.lose("alice-1", T)
        effects = room.resume("alice-1", newcomer("alice", 2), T)
        assert types_to("alice-2", effects) == ["joined", "offer"]
        room.receive("alice-2", Answer(123, SDP, None, "subscribe"), T)
        room.lose("alice-2", T)
        assert types_to("alice-3", room.resume("alice-2", newcomer("alice", 3), T)) == ["joined"]

    def test_an_offer_of_the_sfu_waits_for_who_is_lost(self) -> None:
        room = room_of("alice")
        room.lose("alice-1", T)
        assert room.sfu_offer("alice", SDP, [], T) == []
        assert types_to("alice-2", room.resume("alice-1", newcomer("alice", 2), T)) == ["joined", "offer"]


class TestRelay:
    @pytest.mark.parametrize("sdp", [SDP, {"type": "offer", "sdp": SDP, "more": 1}])
    @pytest.mark.parametrize("kind", [Offer, Answer])
    def test_descriptions_reach_their_target_alone_and_verbatim(self, kind: Callable[..., Any], sdp: Any) -> None:
        room = room_of("alice", "bob", "carol")
        message = kind(123, sdp, "bob")
        effects = room.receive("alice-1", message, T)
        [frame] = frames_to("bob-1", effects)
        assert frame["type"] == message.type
        assert frame["sdp"] == sdp
        assert (frame["from_user_id"], frame["target_user_id"]) == ("alice", "bob")
        assert receivers(effects, message.type) == {"bob-1"}
        [note] = kept(effects, Message)
        assert (note.type, note.from_user_id, note.to_user_id) == (message.type, "alice", "bob")
        assert note.payload == {"sdp": sdp}

    @pytest.mark.parametrize("candidate", [{"candidate": "c", "sdpMid": "0", "sdpMLineIndex": 0}, None])
    def test_candidates_reach_their_target(self, candidate: dict[str, Any] | None) -> None:
        effects = room_of("alice", "bob").receive("alice-1", IceCandidate(123, candidate, "bob"), T)
        [frame] = frames_to("bob-1", effects)
        assert (frame["type"], frame["candidate"], frame["from_user_id"]) == ("ice-candidate", candidate, "alice")

    @pytest.mark.parametrize("target", ["nobody", "alice"])
    @pytest.mark.parametrize("message", [Offer(123, SDP), Answer(123, SDP), IceCandidate(123, None)])
    def test_nobody_and_oneself_are_no_targets(self, target: str, message: Any) -> None:
        room = room_of("alice", "bob")
        aimed = type(message)(123, None if message.type == "ice-candidate" else SDP, target)
        [effect] = room.receive("alice-1", aimed, T)
        assert isinstance(effect, Send)
        assert effect.session_id == "alice-1"
        assert (effect.frame["code"], effect.frame["request_type"]) == ("TARGET_NOT_FOUND", message.type)

    @pytest.mark.parametrize("target", [None, "sfu"])
    def test_without_a_target_the_sfu_is_meant(self, target: str | None) -> None:
        room = room_of("alice", "bob")
        offer, answer = Offer(123, SDP, target), Answer(123, SDP, target)
        assert ToSfu("alice", offer) in room.receive("alice-1", offer, T)
        assert ToSfu("alice", answer) in room.receive("alice-1", answer, T)
        assert room.receive("alice-1", IceCandidate(123, {"candidate": "c"}, target), T) == []

    def test_the_sfu_talks_in_the_shape_that_the_client_last_used(self) -> None:
        room = room_of("alice")
        [first] = frames_to("alice-1", room.sfu_offer("alice", SDP, [], T))
        assert first["sdp"] == {"type": "offer", "sdp": SDP}
        assert (first["from_user_id"], first["pc"]) == ("sfu", "subscribe")
        room.receive("alice-1", Offer(123, SDP), T)
        [answer] = frames_to("alice-1", room.sfu_answer("alice", SDP, T))
        assert (answer["sdp"], answer["from_user_id"], answer["pc"]) == (SDP, "sfu", "publish")
        room.receive("alice-1", Answer(123, {"type": "answer", "sdp": SDP}), T)
        [again] = frames_to("alice-1", room.sfu_answer("alice", SDP, T))
        assert again["sdp"] == {"type": "answer", "sdp": SDP}


class TestBroadcast:
    def test_chat_goes_to_everybody_with_an_id_and_the_servers_time(self) -> None:
        room = room_of("alice", "bob")
        effects = room.receive("alice-1", Chat(123, "hi"), T)
        assert receivers(effects, "chat") == {"alice-1", "bob-1"}
        [frame] = frames_to("bob-1", effects)
        [note] = kept(effects, Message)
        assert frame == {
            "type": "chat",
            "room_id": "meeting-123",
            "user_id": "alice",
            "username": "alice@account",
            "message": "hi",
            "message_id": note.message_id,
            "timestamp": STAMP,
        }
        assert (note.payload, note.to_user_id, note.meeting_number) == ({"message": "hi"}, None, 123)

    def test_messages_of_one_moment_keep_their_order(self) -> None:
        room = room_of("alice")
        ids = [kept(room.receive("alice-1", Chat(123, "x"), T), Message)[0].message_id for _ in range(50)]
        assert ids == sorted(ids)
        assert room.total_messages == 50

    def test_media_state_goes_to_everybody_whole_though_only_a_part_is_said(self) -> None:
        room = room_of("alice", "bob")
        room.receive("alice-1", MediaStateChange(123, audio_enabled=True), T)
        effects = room.receive("alice-1", MediaStateChange(123, video_enabled=True, screen_sharing=False), T)
        assert receivers(effects, "media-state") == {"alice-1", "bob-1"}
        [frame] = frames_to("bob-1", effects)
        assert (frame["audio_enabled"], frame["video_enabled"], frame["screen_sharing"]) == (True, True, False)
        assert frame["user_id"] == "alice"
        assert frame["message_id"]

    def test_a_client_lifts_what_was_stopped_and_stops_nothing(self) -> None:
        room = room_of("alice")
        on = room.receive("alice-1", MediaStateChange(123, audio_enabled=True, video_enabled=False), T)
        assert Unmute("alice", {"audio_enabled": True}) in on
        off = room.receive("alice-1", MediaStateChange(123, audio_enabled=False), T)
        assert not any(isinstance(e, Unmute) for e in off)

    def test_what_is_said_counts_more_than_what_is_published(self) -> None:
        room = room_of("alice")
        room.track_published(track("alice", "microphone"), T)
        room.track_published(track("alice", "screen", "t2"), T)
        assert room.sessions()[0].media_state == MediaState(audio_enabled=True, screen_sharing=True)
        room.receive("alice-1", MediaStateChange(123, audio_enabled=False), T)
        room.track_unpublished(track("alice", "screen", "t2"), T)
        assert room.sessions()[0].media_state == MediaState()

    def test_a_moderators_change_is_told_to_everybody(self) -> None:
        room = room_of("alice", "bob")
        state, effects = room.set_media_state("alice", {"audio_enabled": False}, T)
        assert state == {
            "audio_enabled": False,
            "video_enabled": False,
            "screen_sharing": False,
            "video_quality": "high",
        }
        assert receivers(effects, "media-state") == {"alice-1", "bob-1"}
        state, effects = room.set_media_state("alice", {}, T, video_quality="low")
        assert (state["video_quality"], effects) == ("low", [])

    def test_what_a_moderator_stopped_is_still_told_after_joining_anew(self) -> None:
        room = room_of("alice")
        room.set_media_state("alice", {"audio_enabled": False}, T)
        room.join(newcomer("alice", 2), T)
        room.track_published(track("alice", "microphone"), T)
        assert room.sessions()[0].media_state == MediaState()
        room.receive("alice-2", MediaStateChange(123, audio_enabled=True), T)
        room.join(newcomer("alice", 3), T)
        assert room.sessions()[0].media_state == MediaState(audio_enabled=True)

    def test_tracks_are_told_to_the_others_once(self) -> None:
        room = room_of("alice", "bob")
        effects = room.track_published(track("alice"), T)
        assert frames_to("bob-1", effects) == [
            {
                "type": "track-published",
                "room_id": "meeting-123",
                "track_id": "t1",
                "user_id": "alice",
                "kind": "video",
                "source": "camera",
                "timestamp": STAMP,
            }
        ]
        assert receivers(effects, "track-published") == {"bob-1"}
        assert receivers(room.track_unpublished(track("alice"), T), "track-unpublished") == {"bob-1"}
        assert room.track_unpublished(track("alice"), T) == []

    @pytest.mark.parametrize(
        "choice", [Subscribe(123, "t1", False, 320, 180), Unsubscribe(123, "t1"), SetLayer(123, "t1", 0, 1)]
    )
    def test_what_somebody_wants_of_anothers_track_goes_to_the_media(self, choice: Choice) -> None:
        room = room_of("alice", "bob")
        room.track_published(track("alice"), T)
        assert room.receive("bob-1", choice, T) == [Choose("bob", choice)]
        assert room.total_messages == 0

    @pytest.mark.parametrize(
        ("who", "choice", "code"),
        [
            ("bob-1", Subscribe(123, "gone"), "TRACK_NOT_FOUND"),
            ("bob-1", Unsubscribe(123, "gone"), "TRACK_NOT_FOUND"),
            ("bob-1", SetLayer(123, "gone"), "TRACK_NOT_FOUND"),
            ("alice-1", Subscribe(123, "t1"), "INVALID_MESSAGE"),
            ("bob-1", SetLayer(123, "t2"), "INVALID_MESSAGE"),
        ],
    )
    def test_what_cannot_be_chosen_is_an_error(self, who: str, choice: Choice, code: str) -> None:
        room = room_of("alice", "bob")
        room.track_published(track("alice"), T)
        room.track_published(track("alice", "microphone", "t2"), T)
        room.track_published(track("alice", "camera", "gone"), T)
        room.track_unpublished(track("alice", "camera", "gone"), T)
        [frame] = frames_to(who, room.receive(who, choice, T))
        assert (frame["type"], frame["code"], frame["request_type"]) == ("error", code, choice.type)

    def test_who_speaks_is_told_to_all_and_to_who_comes(self) -> None:
        room = room_of("alice", "bob")
        effects = room.speaker_changed("alice", "t1", T)
        assert receivers(effects, "active-speaker") == {"alice-1", "bob-1"}
        said = {"type": "active-speaker", "room_id": "meeting-123", "user_id": "alice", "track_id": "t1"}
        assert frames_to("bob-1", effects) == [{**said, "timestamp": STAMP}]
        [joined] = frames_to("carol-1", room.join(newcomer("carol"), T))
        assert joined["active_speaker"] == {"user_id": "alice", "track_id": "t1"}
        effects = room.speaker_changed(None, None, T)
        assert frames_to("bob-1", effects) == [{**said, "user_id": None, "track_id": None, "timestamp": STAMP}]
        [joined] = frames_to("dave-1", room.join(newcomer("dave"), T))
        assert joined["active_speaker"] is None

    def test_who_resumes_is_told_of_layers_anew(self) -> None:
        room = room_of("alice")
        room.lose("alice-1", T)
        assert TellLayers("alice") in room.resume("alice-1", newcomer("alice", 2), T)

    def test_a_bound_quality_stays_when_joining_anew(self) -> None:
        room = room_of("alice")
        room.set_media_state("alice", {}, T, video_quality="low")
        room.join(newcomer("alice", 2), T)
        assert room.set_media_state("alice", {}, T)[0]["video_quality"] == "low"


class TestRemoval:
    def test_who_is_removed_is_told_why_and_hung_up(self) -> None:
        room = room_of("alice", "bob")
        effects = room.remove("alice", "removed", T)
        [kicked] = frames_to("alice-1", effects)
        assert (kicked["type"], kicked["reason"]) == ("kicked", "removed")
        assert Hangup("alice-1", CLOSE_REMOVED) in effects
        assert types_to("bob-1", effects) == ["user-left"]
        assert Departed("alice") in effects
        assert room.remove("alice", "removed", T) == []
        with pytest.raises(Refused):
            room.resume("alice-1", newcomer("alice", 2), T)

    def test_who_is_lost_can_be_removed(self) -> None:
        room = room_of("alice", "bob")
        room.lose("alice-1", T)
        effects = room.remove("alice", "removed", T)
        assert not any(isinstance(e, Hangup) for e in effects)
        assert types_to("bob-1", effects) == ["user-left"]

    def test_a_closed_room_sends_everybody_away(self) -> None:
        room = room_of("alice", "bob", "carol")
        room.lose("carol-1", T)
        effects = room.close("meeting-deleted", T)
        assert receivers(effects, "kicked") == {"alice-1", "bob-1"}
        assert receivers(effects, "user-left") == set()
        assert {e.user_id for e in effects if isinstance(e, Departed)} == {"alice", "bob", "carol"}
        assert all(session.status is SessionStatus.CLOSED for session in kept(effects, Session))
        assert room.is_empty


def test_activity_is_what_a_client_last_said() -> None:
    room = room_of("alice")
    room.seen("alice-1", T + 9)
    room.seen("nobody", T + 9)
    assert room.sessions()[0].last_activity.timestamp() == T + 9
    assert room.sessions()[0].connected_at.timestamp() == T
