import pytest

from sfu.rtp.parameters import Kind, RtpParameters, Source, TrackInfo
from sfu.stage import Performer, cast, pictures, sounds


def performer(name: str, *, flows: bool = True) -> Performer:
    """`ann.camera` is Ann's camera."""
    user_id, _, source = name.partition(".")
    sources: dict[str, tuple[Source, Kind]] = {
        "camera": ("camera", "video"),
        "screen": ("screen", "video"),
        "microphone": ("microphone", "audio"),
        "screen-audio": ("screen-audio", "audio"),
    }
    which, kind = sources[source]
    return Performer(TrackInfo(name, user_id, "peer", kind, which, RtpParameters("0", kind, ())), flows)


def room(*names: str) -> list[Performer]:
    """A name in brackets is of a track that sends nothing yet."""
    return [performer(name.strip("()"), flows=not name.startswith("(")) for name in names]


ROOM = room("ann.microphone", "ann.camera", "bob.microphone", "bob.camera", "eve.camera")


def names(tracks: list[TrackInfo]) -> list[str]:
    return [track.track_id for track in tracks]


@pytest.mark.parametrize(
    ("there", "speaker", "order"),
    [
        (ROOM, None, ["ann.camera", "bob.camera", "eve.camera"]),
        (ROOM, "bob", ["bob.camera", "ann.camera", "eve.camera"]),
        (ROOM, "nobody here", ["ann.camera", "bob.camera", "eve.camera"]),
        ([*ROOM, performer("eve.screen")], "bob", ["eve.screen", "bob.camera", "ann.camera", "eve.camera"]),
        (room("ann.screen", "bob.screen"), "bob", ["bob.screen", "ann.screen"]),
        (room("(ann.camera)", "bob.camera"), "ann", ["bob.camera", "ann.camera"]),
        (room("(ann.camera)"), None, ["ann.camera"]),
        ([], "bob", []),
    ],
)
def test_a_screen_then_who_speaks_then_who_is_there_longest(
    there: list[Performer], speaker: str | None, order: list[str]
) -> None:
    assert names(pictures(there, speaker)) == order


@pytest.mark.parametrize(
    ("speaker", "seen", "first"),
    [
        (None, None, "ann.microphone"),
        (None, "bob", "bob.microphone"),
        ("bob", "ann", "bob.microphone"),
        ("eve", "bob", "bob.microphone"),
    ],
)
def test_who_speaks_is_heard_and_else_who_is_seen(speaker: str | None, seen: str | None, first: str) -> None:
    assert names(sounds(ROOM, speaker, seen))[0] == first


def test_a_voice_comes_before_what_its_owner_plays() -> None:
    there = room("ann.screen-audio", "ann.microphone", "bob.microphone")
    assert names(sounds(there, None, "ann")) == ["ann.microphone", "ann.screen-audio", "bob.microphone"]


def played(
    sections: list[str], ranked: list[str], showing: dict[str, str], *, unfit: tuple[str, str] = ("", "")
) -> dict[str, str]:
    tracks = [performer(f"{name}.camera").track for name in ranked]
    showing = {mid: f"{name}.camera" for mid, name in showing.items()}
    chosen = cast(sections, tracks, showing, lambda mid, track: (mid, track.user_id) != unfit)
    return {mid: track.user_id for mid, track in chosen.items()}


def test_the_first_section_has_the_first_and_the_others_stay() -> None:
    now = played(["0", "1", "2"], ["a", "b", "c", "d"], {})
    assert now == {"0": "a", "1": "b", "2": "c"}
    assert played(["0", "1", "2"], ["d", "a", "b", "c"], now) == {"0": "d", "1": "b", "2": "a"}
    assert played(["0", "1", "2"], ["c", "a", "b", "d"], now) == {"0": "c", "1": "b", "2": "a"}
    assert played(["0", "1", "2"], ["a", "c"], now) == {"0": "a", "2": "c"}


def test_nobody_is_shown_twice_and_nothing_where_nobody_is() -> None:
    assert played(["0", "1"], ["a"], {"1": "a"}) == {"0": "a"}
    assert played(["0"], [], {"0": "a"}) == {}
    assert played([], ["a"], {}) == {}


def test_a_section_shows_what_it_can() -> None:
    assert played(["0", "1"], ["a", "b"], {}, unfit=("0", "a")) == {"0": "b", "1": "a"}
