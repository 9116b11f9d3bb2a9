"""What a room wants done: what its decisions come to, for `sfu.live_room` to do in their order."""

from collections.abc import Mapping
from dataclasses import dataclass

from meet.domain.message import Message
from meet.domain.session import Session
from sfu.signaling.frames import Frame
from sfu.signaling.messages import Answer, Choice, Offer


@dataclass(frozen=True, slots=True)
class Send:
    """Tell a session something."""

    session_id: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the socket of a session that is no longer part of the room."""

    session_id: str
    code: int


@dataclass(frozen=True, slots=True)
class StartMedia:
    """Let a user receive the others. `afresh`: forget the media connections that the user had."""

    user_id: str
    afresh: bool


@dataclass(frozen=True, slots=True)
class StopMedia:
    """End the media connections of a user's page; those of WHIP and WHEP go on."""

    user_id: str


@dataclass(frozen=True, slots=True)
class ToSfu:
    """Hand a description to the media plane."""

    user_id: str
    message: Offer | Answer


@dataclass(frozen=True, slots=True)
class Choose:
    """A user chooses what to get of a track of another's."""

    user_id: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class TellLayers:
    """Tell a user of all layers anew: what was told before may be lost."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Unmute:
    """A user sends these again: lift what a moderator had stopped (`True` is all that is ever said)."""

    user_id: str
    state: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Departed:
    """A participant is gone: end their media, give their seat back."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Write this down."""

    record: Session | Message


Effect = Send | Hangup | StartMedia | StopMedia | ToSfu | Choose | TellLayers | Unmute | Departed | Keep
