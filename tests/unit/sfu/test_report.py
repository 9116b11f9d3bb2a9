"""The document's objects, from plain values."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfu import report
from sfu.report import UserReport, quality
from sfu.rtp.layers import Layer, LayerId
from sfu.rtp.parameters import RtpCodec, RtpParameters, Source, TrackInfo
from sfu.rtp.stats import ConsumerStats, TrackStats


def sent(source: Source, **changes: Any) -> tuple[TrackInfo, TrackStats]:
    kind = "audio" if source in ("microphone", "screen-audio") else "video"
    codec = RtpCodec("audio/opus", 111, 48000, 2) if kind == "audio" else RtpCodec("video/VP8", 96, 90000)
    values: dict[str, Any] = {
        "codec": codec.name,
        "bitrate_bps": 1000,
        "packets": 10,
        "lost": 0,
        "loss_rate": 0.0,
        "jitter_ms": 0.0,
        "width": 0,
        "height": 0,
        "frame_rate": 0.0,
        "expected": 100,
    }
    track = TrackInfo(f"track-{source}", "alice", "peer-1", kind, source, RtpParameters("0", kind, (codec,)))
    return track, TrackStats(**{**values, **changes})


def received(**changes: Any) -> ConsumerStats:
    _, stats = sent("camera")
    values = {name: getattr(stats, name) for name in stats.__dataclass_fields__}
    return ConsumerStats(**{**values, "rtt_ms": None, **changes})


def peer(state: str = "connected", rtt_ms: float | None = None) -> Any:
    return SimpleNamespace(peer_id="peer-1", state=state, rtt_ms=rtt_ms, connected_at=None, last_activity=None)


def user(*tracks: tuple[TrackInfo, TrackStats], got: tuple[ConsumerStats, ...] = (), **states: Any) -> UserReport:
    publish = peer(**states) if tracks or states else None
    return UserReport("alice", publish, peer() if got else None, tracks, got)


@pytest.mark.parametrize(
    ("loss_rate", "rtt_ms", "name"),
    [
        (0.0, None, "excellent"),
        (0.009, 74.0, "excellent"),
        (0.01, 10.0, "good"),
        (0.0, 75.0, "good"),
        (0.03, 10.0, "fair"),
        (0.0, 150.0, "fair"),
        (0.10, 10.0, "poor"),
        (0.0, 400.0, "poor"),
        (1.0, None, "poor"),
    ],
)
def test_quality_is_by_loss_and_round_trip(loss_rate: float, rtt_ms: float | None, name: str) -> None:
    assert quality(loss_rate, rtt_ms) == name


@pytest.mark.parametrize(
    ("sources", "media_type"),
    [
        (("microphone",), "audio"),
        (("microphone", "camera"), "video"),
        (("microphone", "camera", "screen"), "video"),
        (("screen", "screen-audio"), "screen"),
        ((), "audio"),
    ],
)
def test_the_media_type_is_what_one_would_say(sources: tuple[Source, ...], media_type: str) -> None:
    (told,) = report.peers([user(*(sent(source) for source in sources), state="connected")])
    assert told["media_type"] == media_type


def test_a_video_track_tells_its_picture_once_known() -> None:
    known = sent("camera", width=1280, height=720, frame_rate=29.97, bitrate_bps=1_500_000)
    (told,) = report.peers([user(sent("microphone"), known, sent("screen"))])
    audio, video, screen = told["tracks"]
    assert audio == {
        "track_id": "track-microphone",
        "kind": "audio",
        "source": "microphone",
        "codec": "opus",
        "bitrate": 1000,
        "packets": 10,
        "packets_lost": 0,
        "packet_loss_rate": 0.0,
        "jitter": 0.0,
    }
    assert (video["codec"], video["resolution"], video["frame_rate"]) == ("vp8", "1280x720", 30.0)
    assert video["bitrate"] == 1_500_000
    assert (screen["resolution"], screen["frame_rate"], screen["layers"]) == ("", 0.0, [])


def test_each_layer_tells_what_it_takes() -> None:
    layers = (Layer(LayerId(0, 0), 90_000, 320, 180, 7.5), Layer(LayerId(1, 2), 600_000, 0, 0, 30.0))
    (told,) = report.peers([user(sent("camera", layers=layers))])
    assert told["tracks"][0]["layers"] == [
        {"spatial": 0, "temporal": 0, "bitrate": 90_000, "resolution": "320x180", "frame_rate": 7.5},
        {"spatial": 1, "temporal": 2, "bitrate": 600_000, "resolution": "", "frame_rate": 30.0},
    ]


def test_a_peer_tells_how_it_is_served() -> None:
    told = report.peers(
        [
            user(sent("camera", loss_rate=0.02), got=(received(rtt_ms=30.04),)),
            user(sent("camera"), state="connecting"),
            user(sent("camera"), state="failed"),
        ]
    )
    assert [(peer.get("quality"), peer["packet_loss_rate"], peer.get("rtt")) for peer in told] == [
        ("good", 0.02, 30.0),
        (None, 0.0, None),
        ("poor", 0.0, None),
    ]


def test_a_user_who_only_watches_is_a_peer_too() -> None:
    (told,) = report.peers([user(got=(received(),))])
    assert (told["user_id"], told["tracks"], told["status"]) == ("alice", [], "connected")
    assert report.peers([user()]) == []


def test_statistics_add_up() -> None:
    sound = sent("microphone", loss_rate=0.1, jitter_ms=4.0, expected=500)
    alice = user(sound, sent("camera"), sent("screen", bitrate_bps=5000))
    bob = user(got=(received(bitrate_bps=500, loss_rate=0.3, jitter_ms=8.0, rtt_ms=30.0), received(rtt_ms=50.0)))
    assert report.statistics([alice, bob, user(state="connecting")]) == {
        "total_peers": 3,
        "active_peers": 2,
        "total_tracks": 3,
        "audio_tracks": 1,
        "video_tracks": 1,
        "screen_tracks": 1,
        "inbound_bandwidth": 7000,
        "outbound_bandwidth": 1500,
        "total_bandwidth": 8500,
        "packet_loss_rate": 0.0889,
        "average_jitter": 2.4,
        "average_rtt": 40.0,
    }


def test_an_empty_room_has_statistics() -> None:
    assert set(report.statistics([]).values()) == {0}
    assert report.quality_metrics([]) == {"excellent": 0, "good": 0, "fair": 0, "poor": 0}


def test_quality_counts_everybody_who_is_or_was_connected() -> None:
    users = [
        user(sent("camera"), rtt_ms=20.0),
        user(sent("camera"), rtt_ms=120.0),
        user(sent("camera", loss_rate=0.05)),
        user(sent("camera"), state="failed"),
        user(sent("camera"), state="disconnected"),
        user(sent("camera"), state="connecting"),
    ]
    assert report.quality_metrics(users) == {"excellent": 1, "good": 1, "fair": 1, "poor": 2}


def test_a_stream_of_many_packets_counts_more_than_one_of_few() -> None:
    few, many = sent("microphone", loss_rate=0.5, expected=10), sent("camera", loss_rate=0.0, expected=990)
    assert report.statistics([user(few, many)])["packet_loss_rate"] == 0.005
    assert report.statistics([user(sent("camera", loss_rate=1.0, expected=0))])["packet_loss_rate"] == 0


def test_a_users_loss_is_that_of_the_worse_direction() -> None:
    both = UserReport("alice", peer(), peer(), [sent("camera", loss_rate=0.02)], [received(loss_rate=0.2)])
    assert both.loss_rate == pytest.approx(0.2)


def test_a_round_trip_is_reported_or_else_that_of_the_handshake() -> None:
    assert UserReport("a", peer(rtt_ms=9.0), peer(rtt_ms=5.0), [], []).rtt_ms == 9.0
    assert UserReport("a", peer(rtt_ms=9.0), peer(), [], [received(rtt_ms=3.0)]).rtt_ms == 3.0
    assert UserReport("a", peer(), None, [], []).rtt_ms is None
