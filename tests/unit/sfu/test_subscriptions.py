"""What each subscriber gets, as a pure choice."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp.layers import HIGHEST, LayerId, View
from sfu.rtp.parameters import AUDIO_LEVEL_URI, HeaderExtension, Kind, RtpParameters, Source, TrackInfo
from sfu.subscriptions import VideoQuality, Wish, bounded, choose, quality_bound

LEVEL = (HeaderExtension(1, AUDIO_LEVEL_URI),)
ROOM = 1_000
"""More audio than anybody has."""


def track(user: str, source: Source = "camera", *, judged: bool = True) -> TrackInfo:
    kind: Kind = "video" if source in ("camera", "screen") else "audio"
    extensions = LEVEL if judged and kind == "audio" else ()
    return TrackInfo(f"{user}-{source}", user, f"{user}-peer", kind, source, RtpParameters("0", kind, (), extensions))


def cameras(count: int) -> list[TrackInfo]:
    return [track(f"u{number}") for number in range(count)]


def microphones(count: int) -> list[TrackInfo]:
    return [track(f"u{number}", "microphone") for number in range(count)]


def chosen(
    tracks: Sequence[TrackInfo],
    wishes: dict[str, Wish] | None = None,
    *,
    last_n: int = 3,
    audio_room: int = ROOM,
    spoke: Sequence[str] = (),
    heard: Sequence[str] = (),
) -> list[str]:
    found = choose(tracks, wishes or {}, last_n=last_n, audio_room=audio_room, spoke=spoke, heard=heard)
    return [track.track_id for track in found]


def test_all_audio_and_the_videos_of_who_is_there_longest() -> None:
    assert chosen([*cameras(5), *microphones(5)]) == [
        *(f"u{n}-microphone" for n in range(5)),
        *(f"u{n}-camera" for n in range(3)),
    ]


def test_screens_come_first_then_who_spoke_last() -> None:
    tracks = [*cameras(6), track("u5", "screen")]
    assert chosen(tracks, spoke=["u4", "u2"]) == ["u5-screen", "u4-camera", "u2-camera"]


def test_who_only_spoke_before_leaving_takes_no_place() -> None:
    assert chosen(cameras(4), spoke=["gone", "u3"]) == ["u3-camera", "u0-camera", "u1-camera"]


def test_what_is_wanted_is_there_and_what_is_refused_is_not() -> None:
    wishes = {"u9-camera": Wish().looking(True, None, None), "u0-camera": Wish().refused()}
    assert chosen(cameras(10), wishes) == ["u9-camera", "u1-camera", "u2-camera"]
    everything = {f"u{n}-camera": Wish(True) for n in range(10)}
    assert len(chosen(cameras(10), everything)) == 10
    nothing = {f"u{n}-camera": Wish(False) for n in range(10)}
    assert chosen(cameras(10), nothing) == []


def test_how_a_received_track_is_seen_does_not_say_that_it_is_wanted() -> None:
    sized, hidden = (Wish().looking(seen, 320 if seen else None, None, received=True) for seen in (True, False))
    assert (sized.wanted, hidden.wanted) == (None, None)
    assert (sized.view, hidden.view) == (View(True, 320, None), View(False, None, None))
    assert Wish().looking(True, 320, 180).wanted, "what is not received is asked for, however large"
    assert Wish().looking(True, None, None, received=True).wanted, "and so is what is named without a size"
    assert Wish().looking(True, None, None).looking(True, 320, 180, received=True).wanted


def test_refused_audio_is_not_sent() -> None:
    assert chosen(microphones(2), {"u0-microphone": Wish(False)}) == ["u1-microphone"]


def test_a_cap_alone_wants_nothing() -> None:
    assert chosen(cameras(4), {"u3-camera": Wish().capped(0, None)}) == [f"u{n}-camera" for n in range(3)]


def test_no_videos_where_none_are_to_be() -> None:
    assert chosen(cameras(4), last_n=0) == []
    assert chosen(cameras(4), {"u2-camera": Wish(True)}, last_n=0) == ["u2-camera"]


def test_where_audio_has_too_little_room_who_was_heard_last_has_it() -> None:
    tracks = [*microphones(6), track("film", "screen-audio"), track("old", "microphone", judged=False)]
    assert chosen(tracks, audio_room=5, heard=["u5-microphone", "u3-microphone"]) == [
        "film-screen-audio",
        "old-microphone",
        "u5-microphone",
        "u3-microphone",
        "u0-microphone",
    ]
    wishes = {"u4-microphone": Wish(True)}
    assert chosen(tracks, wishes, audio_room=1) == ["u4-microphone"]


USERS = st.integers(0, 39).map(lambda number: f"u{number}")


@given(st.lists(USERS, unique=True), USERS, st.integers(0, 20))
def test_when_the_floor_passes_at_most_one_video_changes(spoke: list[str], speaker: str, last_n: int) -> None:
    before = set(chosen(cameras(40), last_n=last_n, spoke=spoke))
    after = set(chosen(cameras(40), last_n=last_n, spoke=[speaker, *(user for user in spoke if user != speaker)]))
    assert after - before <= {f"{speaker}-camera"}
    assert len(before - after) <= 1


@given(st.lists(USERS, unique=True), st.integers(0, 20), st.integers(20, 40))
def test_who_comes_into_a_full_room_changes_nothing(spoke: list[str], last_n: int, there: int) -> None:
    before = chosen(cameras(there), last_n=last_n, spoke=spoke)
    assert chosen([*cameras(there), track("late")], last_n=last_n, spoke=spoke) == before


@given(st.lists(USERS, unique=True), USERS)
def test_when_a_video_ends_one_other_comes(spoke: list[str], leaver: str) -> None:
    before = set(chosen(cameras(40), last_n=16, spoke=spoke))
    rest = [camera for camera in cameras(40) if camera.user_id != leaver]
    after = set(chosen(rest, last_n=16, spoke=spoke))
    assert len(after) == 16
    assert before - after <= {f"{leaver}-camera"}


def test_a_view_is_as_said_last_and_its_cap_stays() -> None:
    wish = Wish().capped(1, None).looking(True, 320, 180)
    assert wish == Wish(True, View(True, 320, 180, LayerId(1, HIGHEST)))
    assert wish.looking(False, None, None).view == View(False, None, None, LayerId(1, HIGHEST))
    assert wish.capped(None, 0).view.cap == LayerId(HIGHEST, 0)
    assert wish.refused().view == wish.view


@pytest.mark.parametrize(
    ("quality", "layers", "highest"),
    [
        ("low", 0, 0),
        ("low", 1, 0),
        ("low", 3, 0),
        ("medium", 0, 0),
        ("medium", 1, 0),
        ("medium", 2, 0),
        ("medium", 3, 1),
        ("medium", 4, 1),
        ("high", 0, HIGHEST),
        ("high", 3, HIGHEST),
    ],
)
def test_a_quality_is_a_bound_by_the_number_of_layers(quality: VideoQuality, layers: int, highest: int) -> None:
    assert quality_bound(quality, layers) == highest


def test_of_two_caps_the_lower_one_counts() -> None:
    view = View(True, 640, 360, LayerId(1, 2))
    assert bounded(view, 2) is view
    assert bounded(view, 0) == View(True, 640, 360, LayerId(0, 2))
