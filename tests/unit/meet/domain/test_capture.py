"""What stands in the bucket while a recording goes on: the keys, and the manifest."""

import json

import pytest

from meet.domain import capture
from meet.domain.capture import CapturedTrack, Manifest

TRACKS = (
    CapturedTrack(0, "t0", "u", "alice", "audio", "microphone", "opus", 0.25, 9.5),
    CapturedTrack(1, "t1", "u", "alice", "video", "screen", "vp9", 1.0),
)
MANIFEST = Manifest("r", 2, 4.0, 11.5, TRACKS, dropped_frames=3, errors=1)


def test_a_manifest_comes_back() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert Manifest.from_json(Manifest("r", 0, 0.0, 0.0).to_json()).tracks == ()


def test_a_newer_one_is_read_as_far_as_it_is_known() -> None:
    values = json.loads(MANIFEST.to_json())
    values |= {"weather": "fine", "tracks": [track | {"mood": "good"} for track in values["tracks"]]}
    assert Manifest.from_json(json.dumps(values).encode()) == MANIFEST


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"7", b"{}", b'{"recording_id":"r"}', MANIFEST.to_json().replace(b'"codec"', b'"c"')]
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no manifest|Expecting"):
        Manifest.from_json(data)


def test_all_of_a_recording_is_under_its_prefix() -> None:
    prefix = capture.recording_prefix("r")
    assert prefix.startswith(capture.RECORDINGS)
    take = capture.take_prefix("r", 1)
    assert take.startswith(prefix)
    keys = [
        capture.manifest_key("r", 1),
        capture.fragment_key("r", 1, 0, 7),
        capture.levels_key("r", 1, 3),
    ]
    assert all(key.startswith(take) for key in keys)
    assert len({*keys, capture.manifest_key("r", 2), capture.manifest_key("s", 1)}) == 5


def test_keys_sort_as_what_they_name_was_written() -> None:
    fragments = [capture.fragment_key("r", take, 4, number) for take in (0, 9, 10) for number in (0, 99, 100)]
    assert fragments == sorted(fragments)
    assert all(key.startswith(capture.track_prefix("r", 0, 4)) for key in fragments[:3])
    assert capture.levels_key("r", 0, 9) < capture.levels_key("r", 0, 10)
    assert not capture.fragment_key("r", 0, 41, 0).startswith(capture.track_prefix("r", 0, 4))
