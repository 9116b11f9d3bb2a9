"""A live room: who is in it, what each is told, and what becomes of who is lost. `room.py` alone decides.

Theory of operation: the room is given what happened (somebody joined, said something, lost the socket; the SFU
published a track; time passed) and returns effects, in the order in which they are to be done: frames for sessions,
sockets to close, things to ask of the media plane, values to keep. It knows no socket and no clock.

A participant is one user, and has one current session, the newest: an older connection of the same user is kicked.
A participant whose socket is lost stays for `resume_s`, unseen by the others, and is then gone. What they miss until
they resume is of two kinds: the state of the room is told again by `joined`; what is said once (chat, and what other
participants send to them) waits in a bounded backlog. An offer of the SFU that wasn't answered is made again.

Beside that session a participant may have others which have no socket: connections that were begun by HTTP (WHIP,
WHEP). They take nobody's place, are told nothing, and keep the participant here on their own: who has only those is a
participant like any other, and goes with the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from meet.domain.meeting import MeetingRef
from meet.domain.message import Message, message_id
from meet.domain.room import RoomRecord
from meet.domain.session import MediaState, Session
from sfu.rtp.parameters import TrackInfo
from sfu.signaling import frames
from sfu.signaling.connection import CLOSE_REMOVED, CLOSE_REPLACED
from sfu.signaling.effects import (
    Choose,
    Departed,
    Effect,
    Hangup,
    Keep,
    Send,
    StartMedia,
    StopMedia,
    TellLayers,
    ToSfu,
    Unmute,
)
from sfu.signaling.frames import Frame, moment
from sfu.signaling.messages import (
    SFU,
    Answer,
    Chat,
    Choice,
    IceCandidate,
    MediaStateChange,
    Offer,
    Refused,
    RoomMessage,
    SetLayer,
    Subscribe,
    Unsubscribe,
)
from sfu.signaling.outgoing import Kind, News, Outgoing
from sfu.signaling.participant import Newcomer, Participant
from sfu.signaling.tracks import Speaker, Tracks


class Room:
    """One live room. `now` is Unix time, everywhere."""

    def __init__(
        self,
        *,
        meeting_id: str,
        number: int,
        created_at: float,
        capacity: int = 100,
        resume_s: float = 30.0,
        e2ee: bool = False,
    ) -> None:
        self.meeting_id = meeting_id
        self.number = number
        self.created_at = created_at
        self.e2ee = e2ee
        """Whether clients encrypt end to end; the same as long as the room lives."""
        self.total_messages = 0
        self.peak_participants = 0
        self._capacity = capacity
        self._resume_s = resume_s
        self._participants: dict[str, Participant] = {}
        self._by_session: dict[str, Participant] = {}
        self._tracks = Tracks()
        self._outgoing = Outgoing()

    @property
    def names(self) -> frozenset[MeetingRef]:
        """All that the room goes by."""
        return frozenset({MeetingRef(uuid=self.meeting_id), MeetingRef(number=self.number)})

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here, not even somebody who may still resume."""
        return not self._participants

    @property
    def user_ids(self) -> list[str]:
        """Who is here, those who may still resume among them."""
        return list(self._participants)

    def has(self, user_id: str) -> bool:
        """Whether a user is here, or may still resume."""
        return user_id in self._participants

    def shown_as(self, user_id: str) -> str:
        """The name that a user goes by here; of who is gone, the id."""
        participant = self._participants.get(user_id)
        return participant.shown_as if participant else user_id

    def sessions(self) -> list[Session]:
        """The current sessions of everybody: that of the socket, and those without one."""
        return [session for participant in self._participants.values() for session in self._sessions(participant)]

    def record(self, now: float) -> RoomRecord:
        """The room as it is kept; an empty one has ended."""
        return RoomRecord(
            meeting_number=self.number,
            meeting_id=self.meeting_id,
            created_at=moment(self.created_at),
            updated_at=moment(now),
            ended_at=moment(now) if self.is_empty else None,
            participant_count=len(self._participants),
            peak_participants=self.peak_participants,
            total_messages=self.total_messages,
        )

    # Coming and going

    def check_space(self, user_id: str) -> None:
        """Raise `Refused` where this user could not join now."""
        if user_id not in self._participants and len(self._participants) >= self._capacity:
            raise Refused("ROOM_FULL", "The room is full")

    def join(self, newcomer: Newcomer, now: float) -> list[Effect]:
        """Somebody with a seat comes in; `Refused` with `ROOM_FULL` where there are too many.

        Who is here already begins afresh: the others see no one leave or come, only the tracks change.
        """
        self.check_space(newcomer.user_id)
        effects: list[Effect] = []
        present = self._participants.get(newcomer.user_id)
        if present is not None and present.has_socket:
            effects += self._retire(present, newcomer.replaces, now)
        participant = Participant(
            session=self._begun(newcomer, now),
            room_id=newcomer.room_id,
            shown_as=newcomer.shown_as or newcomer.username,
            avatar_url=newcomer.avatar_url,
            joined_at=present.joined_at if present else newcomer.joined_at,
        )
        if present is not None:
            participant.further = present.further
            participant.stopped = present.stopped
            participant.video_quality = present.video_quality
            participant.said = dict.fromkeys(present.stopped, False)
        self._participants[newcomer.user_id] = participant
        self._by_session[newcomer.session_id] = participant
        self.peak_participants = max(self.peak_participants, len(self._participants))
        effects.append(self._welcome(participant, newcomer.ice_servers, now, resumed=False))
        if present is None:
            effects += self._announce(participant, now)
        effects += [StartMedia(newcomer.user_id, afresh=present is not None), Keep(self._session(participant))]
        return effects

    def resume(self, session_id: str, newcomer: Newcomer, now: float) -> list[Effect]:
        """Go on with the participant of an earlier session; `Refused` with `SESSION_NOT_FOUND` where it is too late.

        Of `newcomer`, the new session, the user, the spelling and the ICE servers count; the rest stays as it was.
        """
        participant = self._participants.get(newcomer.user_id)
        known = participant and session_id in (participant.session.session_id, *participant.former)
        if participant is None or not participant.has_socket or not known:
            raise Refused("SESSION_NOT_FOUND", "There is no such session any more; join the room anew")
        effects = self._retire(participant, newcomer.replaces, now)
        participant.former.append(participant.session.session_id)
        participant.session = replace(
            participant.session,
            session_id=newcomer.session_id,
            connected_at=moment(now),
            last_activity=moment(now),
        )
        participant.lost_at = None
        participant.room_id = newcomer.room_id
        self._by_session[newcomer.session_id] = participant
        effects += [self._welcome(participant, newcomer.ice_servers, now, resumed=True), TellLayers(newcomer.user_id)]
        effects += [self._send(participant, missed) for missed in participant.catch_up()]
        if participant.unanswered:
            effects += self.sfu_offer(participant.user_id, *participant.unanswered, now)
        effects.append(Keep(self._session(participant)))
        return effects

    def attach(self, newcomer: Newcomer, now: float) -> list[Effect]:
        """Somebody with a seat has a connection by HTTP: a session more, and a participant where there was none.

        `Refused` with `ROOM_FULL` where there are too many.
        """
        self.check_space(newcomer.user_id)
        session = self._begun(newcomer, now)
        participant = self._participants.get(newcomer.user_id)
        if participant is not None:
            participant.further[session.session_id] = session
            return [Keep(self._shown(participant, session))]
        participant = Participant(
            session=session,
            room_id=newcomer.room_id,
            shown_as=newcomer.shown_as or newcomer.username,
            avatar_url=newcomer.avatar_url,
            joined_at=newcomer.joined_at,
            has_socket=False,
            further={session.session_id: session},
        )
        self._participants[newcomer.user_id] = participant
        self.peak_participants = max(self.peak_participants, len(self._participants))
        return [*self._announce(participant, now), Keep(session)]

    def detach(self, session_id: str, now: float) -> list[Effect]:
        """A connection by HTTP is over, and its participant is gone where nothing else is there; unknown is fine."""
        participant = next((p for p in self._participants.values() if session_id in p.further), None)
        if participant is None:
            return []
        if not participant.has_socket and len(participant.further) == 1:
            return self._depart(participant, now)
        ended = participant.further.pop(session_id)
        if not participant.has_socket:
            participant.session = next(iter(participant.further.values()))
        return [Keep(self._shown(participant, ended).closed())]

    def leave(self, session_id: str, now: float) -> list[Effect]:
        """A participant says goodbye."""
        participant = self._by_session.get(session_id)
        if participant is None:
            return []
        goodbye = frames.left(participant.room_id, participant.user_id, now)
        return [Send(session_id, goodbye), *self._end_socket(participant, now)]

    def lose(self, session_id: str, now: float) -> list[Effect]:
        """A session's socket is gone; the participant may resume for a while. A session of the past: nothing."""
        participant = self._by_session.pop(session_id, None)
        if participant is None:
            return []
        participant.lost_at = now
        return [Keep(self._session(participant))]

    def remove(self, user_id: str, reason: str, now: float) -> list[Effect]:
        """Somebody is sent away; unknown is fine."""
        participant = self._participants.get(user_id)
        if participant is None:
            return []
        return [*self._kick(participant, reason, CLOSE_REMOVED, now), *self._depart(participant, now)]

    def close(self, reason: str, now: float) -> list[Effect]:
        """Everybody is sent away."""
        effects: list[Effect] = []
        everybody = list(self._participants.values())
        self._participants.clear()
        for participant in everybody:
            effects += self._kick(participant, reason, CLOSE_REMOVED, now)
            effects += self._depart(participant, now)
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Time passes: who has been lost for too long is gone. Call this about every second."""
        effects: list[Effect] = []
        for participant in list(self._participants.values()):
            if participant.lost_at is not None and now - participant.lost_at >= self._resume_s:
                effects += self._end_socket(participant, now)
        return effects

    # What participants say

    def seen(self, session_id: str, now: float) -> None:
        """A session's client said something, if only a `pong`."""
        participant = self._by_session.get(session_id)
        if participant is not None:
            participant.session = participant.session.seen(moment(now))

    def receive(self, session_id: str, message: RoomMessage, now: float) -> list[Effect]:
        """A participant says something to the SFU, to another, or to all. A session of the past says nothing."""
        speaker = self._by_session.get(session_id)
        if speaker is None:
            return []
        if isinstance(message, Subscribe | Unsubscribe | SetLayer):
            return self._chosen(speaker, message, now)
        if isinstance(message, Offer | Answer):
            speaker.sdp_as_text = isinstance(message.sdp, str)
        self.total_messages += 1
        stamp = message_id(moment(now), self.total_messages)
        match message:
            case Chat():
                frame = frames.chat(speaker.user_id, speaker.shown_as, message.message, stamp, now)
                kept = self._note(stamp, message.type, speaker, now, {"message": message.message})
                return [*self._tell_all(frame, waits=True), kept]
            case MediaStateChange():
                return self._media_said(speaker, message, stamp, now)
            case Offer() | Answer() if message.target_user_id in (None, SFU):
                return self._to_sfu(speaker, message, stamp, now)
            case IceCandidate() if message.target_user_id in (None, SFU):
                return []  # the SFU is ICE-lite (RFC 8445 section 2.5): it answers checks, wherever they come from
            case Offer() | Answer() | IceCandidate():
                return self._relay(speaker, message, stamp, now)

    def set_media_state(
        self, user_id: str, said: Mapping[str, bool], now: float, *, video_quality: str | None = None
    ) -> tuple[dict[str, Any], list[Effect]]:
        """Somebody else, or the user by REST, changes what a user sends: the state now, and who is told.

        The user is here: ask `has` first.
        """
        participant = self._participants[user_id]
        participant.said.update(said)
        participant.stopped |= {name for name, on in said.items() if not on}
        participant.stopped -= {name for name, on in said.items() if on}
        participant.video_quality = video_quality or participant.video_quality
        state = self._media_state(participant).as_dict()
        stamp = message_id(moment(now), self.total_messages)
        effects = self._tell_all(frames.media_state(user_id, state, stamp, now)) if said else []
        return {**state, "video_quality": participant.video_quality}, effects

    # What the SFU says

    def track_published(self, info: TrackInfo, now: float) -> list[Effect]:
        """A track can be received: the others are told."""
        self._tracks.add(info)
        return self._tell_others(self._participants.get(info.user_id), frames.track_published(info, now))

    def track_unpublished(self, info: TrackInfo, now: float) -> list[Effect]:
        """A track has ended: the others are told."""
        if not self._tracks.remove(info):
            return []
        return self._tell_others(self._participants.get(info.user_id), frames.track_unpublished(info, now))

    def sfu_answer(self, user_id: str, sdp: str, now: float) -> list[Effect]:
        """The SFU answers what a user publishes."""
        participant = self._participants.get(user_id)
        if participant is None or not participant.listens:
            return []  # a client that resumes repeats an offer that wasn't answered
        return [self._send(participant, frames.sfu_answer(participant.shape(sdp, "answer"), now))]

    def sfu_offer(self, user_id: str, sdp: str, tracks: Sequence[Mapping[str, Any]], now: float) -> list[Effect]:
        """The SFU offers a user what can be received; repeated when the user resumes without having answered."""
        participant = self._participants.get(user_id)
        if participant is None:
            return []
        participant.unanswered = (sdp, list(tracks))
        if not participant.listens:
            return []
        return [self._send(participant, frames.sfu_offer(participant.shape(sdp, "offer"), tracks, now))]

    def speaker_changed(self, user_id: str | None, track_id: str | None, now: float) -> list[Effect]:
        """Another one speaks, or (None) who did is gone: everybody is told."""
        self._tracks.speaker = Speaker(user_id, track_id) if user_id and track_id else None
        return self._tell_all(frames.active_speaker(self._tracks.speaker, now))

    def outgoing_changed(self, kind: Kind, egress_id: str, news: News, started_by: str, now: float) -> list[Effect]:
        """A recording or stream of the room began, changed or ended: everybody is told."""
        return self._tell_all(self._outgoing.hear(kind, egress_id, news, started_by, now))

    def tell(self, user_id: str, frame: Frame) -> list[Effect]:
        """Tell one participant something, if their socket is there."""
        participant = self._participants.get(user_id)
        return self._tell(participant, frame) if participant else []

    # Inside

    def _chosen(self, speaker: Participant, choice: Choice, now: float) -> list[Effect]:
        """Not counted among the messages, nor kept: it says how somebody looks at the room, and nothing to anyone."""
        try:
            self._tracks.check(speaker.user_id, choice)
        except Refused as refusal:
            return [Send(speaker.session.session_id, frames.error(refusal.code, refusal.message, now, choice.type))]
        return [Choose(speaker.user_id, choice)]

    def _to_sfu(self, speaker: Participant, message: Offer | Answer, stamp: str, now: float) -> list[Effect]:
        if isinstance(message, Answer):
            speaker.unanswered = None
        kept = self._note(stamp, message.type, speaker, now, {"sdp": message.sdp}, to=SFU)
        return [ToSfu(speaker.user_id, message), kept]

    def _relay(
        self, speaker: Participant, message: Offer | Answer | IceCandidate, stamp: str, now: float
    ) -> list[Effect]:
        target = self._participants.get(message.target_user_id or "")
        if target is None or target is speaker or not target.has_socket:
            why = frames.error("TARGET_NOT_FOUND", "The target user is not in the room", now, message.type)
            return [Send(speaker.session.session_id, why)]
        name, value = ("candidate", message.candidate) if isinstance(message, IceCandidate) else ("sdp", message.sdp)
        frame = frames.relayed(
            message.type, speaker.user_id, target.user_id, name, value, pc=message.pc, message_id=stamp, now=now
        )
        kept = self._note(stamp, message.type, speaker, now, {name: value}, to=target.user_id)
        return [*self._tell(target, frame, waits=True), kept]

    def _media_said(self, speaker: Participant, message: MediaStateChange, stamp: str, now: float) -> list[Effect]:
        said = message.said()
        speaker.said.update(said)
        state = self._media_state(speaker).as_dict()
        # Who mutes stops sending, so there is nothing to stop here. To stop forwarding on a client's word would
        # silence one that says so little that it never says it is on again.
        lifted = {name: True for name, value in said.items() if value}
        speaker.stopped -= lifted.keys()
        unmute: list[Effect] = [Unmute(speaker.user_id, lifted)] if lifted else []
        frame = frames.media_state(speaker.user_id, state, stamp, now)
        return [*unmute, *self._tell_all(frame), self._note(stamp, message.type, speaker, now, dict(state))]

    def _welcome(
        self,
        participant: Participant,
        ice_servers: Sequence[Mapping[str, object]],
        now: float,
        *,
        resumed: bool,
    ) -> Send:
        others = [other for other in self._participants.values() if other is not participant]
        frame = frames.joined(
            user_id=participant.user_id,
            participant_id=participant.session.participant_id,
            session_id=participant.session.session_id,
            resumed=resumed,
            e2ee=self.e2ee,
            participants=[
                frames.participant(
                    user_id=other.user_id,
                    participant_id=other.session.participant_id,
                    username=other.shown_as,
                    avatar_url=other.avatar_url,
                    joined_at=other.joined_at,
                    media_state=self._media_state(other).as_dict(),
                )
                for other in others
            ],
            tracks=[frames.track(info) for other in others for info in self._tracks.of(other.user_id)],
            speaker=self._tracks.speaker,
            recordings=self._outgoing.recordings,
            streams=self._outgoing.streams,
            ice_servers=ice_servers,
            now=now,
        )
        return self._send(participant, frame)

    def _retire(self, participant: Participant, own: str | None, now: float) -> list[Effect]:
        """End the current session for a newer one. `own`: the newer one has the same socket."""
        former = participant.session
        if former.session_id == own:
            self._by_session.pop(own)
            return [Keep(self._session(participant).closed())]
        effects = self._kick(participant, "replaced", CLOSE_REPLACED, now)
        return [*effects, Keep(self._session(participant).closed())]

    def _announce(self, participant: Participant, now: float) -> list[Effect]:
        arrival = frames.user_joined(
            participant.user_id,
            participant.session.participant_id,
            participant.shown_as,
            participant.avatar_url,
            now,
        )
        return self._tell_others(participant, arrival)

    def _end_socket(self, participant: Participant, now: float) -> list[Effect]:
        """Nothing comes of the socket any more: the participant is gone, or goes on without one."""
        if not participant.further:
            return self._depart(participant, now)
        ended = self._session(participant).closed()
        self._by_session.pop(ended.session_id, None)
        participant.session = next(iter(participant.further.values()))
        participant.has_socket, participant.lost_at, participant.unanswered = False, None, None
        participant.former.clear()
        participant.backlog.clear()
        participant.backlog_bytes = 0
        participant.said = dict.fromkeys(participant.stopped, False)
        return [StopMedia(participant.user_id), Keep(ended)]

    def _kick(self, participant: Participant, reason: str, code: int, now: float) -> list[Effect]:
        session_id = participant.session.session_id
        if self._by_session.pop(session_id, None) is None:
            return []  # the socket was lost before
        return [self._send(participant, frames.kicked(reason, now)), Hangup(session_id, code)]

    def _depart(self, participant: Participant, now: float) -> list[Effect]:
        self._participants.pop(participant.user_id, None)
        self._by_session.pop(participant.session.session_id, None)
        farewell = frames.user_left(participant.user_id, participant.session.participant_id, now)
        return [
            *self._tell_others(participant, farewell),
            Departed(participant.user_id),
            *(Keep(session.closed()) for session in self._sessions(participant)),
        ]

    def _begun(self, newcomer: Newcomer, now: float) -> Session:
        return Session(
            session_id=newcomer.session_id,
            user_id=newcomer.user_id,
            username=newcomer.username,
            participant_id=newcomer.participant_id,
            meeting_id=self.meeting_id,
            meeting_number=self.number,
            connected_at=moment(now),
            last_activity=moment(now),
        )

    def _sessions(self, participant: Participant) -> list[Session]:
        further = [self._shown(participant, session) for session in participant.further.values()]
        return [self._session(participant), *further] if participant.has_socket else further

    def _session(self, participant: Participant) -> Session:
        session = self._shown(participant, participant.session)
        return session.lost() if participant.lost_at is not None else session

    def _shown(self, participant: Participant, session: Session) -> Session:
        return replace(session, media_state=self._media_state(participant))

    def _media_state(self, participant: Participant) -> MediaState:
        return MediaState.of({**self._tracks.shown_by(participant.user_id), **participant.said})

    def _note(
        self,
        stamp: str,
        kind: str,
        speaker: Participant,
        now: float,
        payload: dict[str, Any],
        *,
        to: str | None = None,
    ) -> Keep:
        return Keep(Message(stamp, kind, speaker.user_id, to, self.number, payload, moment(now)))

    def _tell_all(self, frame: Frame, *, waits: bool = False) -> list[Effect]:
        return self._tell_others(None, frame, waits=waits)

    def _tell_others(self, but: Participant | None, frame: Frame, *, waits: bool = False) -> list[Effect]:
        return [
            effect
            for participant in self._participants.values()
            if participant is not but
            for effect in self._tell(participant, frame, waits=waits)
        ]

    def _tell(self, participant: Participant, frame: Frame, *, waits: bool = False) -> list[Effect]:
        if participant.listens:
            return [self._send(participant, frame)]
        if waits and participant.has_socket:
            participant.miss(frame)
        return []

    def _send(self, participant: Participant, frame: Frame) -> Send:
        return Send(participant.session.session_id, {"type": frame["type"], "room_id": participant.room_id, **frame})
