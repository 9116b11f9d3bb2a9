"""What is written down of a take, and counted."""

from meet.domain.capture import Manifest
from sfu.egress.book import MANIFEST_S, Book

from .senders import OPUS, VIDEO, track_of


class Lanes:
    """Where objects go."""

    def __init__(self) -> None:
        self.added: list[tuple[str, str, bytes]] = []

    def add(self, lane: str, key: str, data: bytes, mime: str, *, replaces: bool = False) -> None:
        assert replaces == (lane == "manifest")
        assert mime == ("video/x-matroska" if lane.startswith("track") else "application/json")
        self.added.append((lane, key, data))

    @property
    def manifests(self) -> list[Manifest]:
        return [Manifest.from_json(data) for lane, _, data in self.added if lane == "manifest"]


def test_fragments_are_numbered_within_their_track() -> None:
    lanes = Lanes()
    book = Book(lanes, "rec", 3, 0.0)
    first, second = book.begin(track_of(OPUS), "opus", 0.5), book.begin(track_of(VIDEO["vp8"]), "vp8", 0.7)
    for number in (first, second, first):
        book.fragment(number, b"data")
    book.fragment(first, b"")
    book.levels(b"[]")
    book.levels(b"")
    book.levels(b"[]")
    assert [(lane, key) for lane, key, _ in lanes.added] == [
        ("track 0", "recordings/rec/0003/tracks/0000/00000000"),
        ("track 1", "recordings/rec/0003/tracks/0001/00000000"),
        ("track 0", "recordings/rec/0003/tracks/0000/00000001"),
        ("levels", "recordings/rec/0003/levels/00000000"),
        ("levels", "recordings/rec/0003/levels/00000001"),
    ]
    assert book.size == 12


def test_the_manifest_is_written_when_it_changes_and_now_and_then() -> None:
    lanes = Lanes()
    book = Book(lanes, "rec", 0, 10.0)
    for at_s in (10.0, 10.1):
        book.write(at_s)
    number = book.begin(track_of(OPUS), "opus", 10.2)
    for at_s in (10.2, 10.3, 10.2 + MANIFEST_S, 10.3 + MANIFEST_S):
        book.write(at_s)
    book.end(number, 12.5)
    book.errors, book.dropped_frames = 2, lambda: 5
    book.write(12.5)
    book.write(12.6, anyway=True)
    found = lanes.manifests
    assert [one.duration_s for one in found] == [10.0, 10.2, 12.2, 12.5, 12.6]
    assert [len(one.tracks) for one in found] == [0, 1, 1, 1, 1]
    assert [one.tracks[0].ends_s for one in found[1:]] == [None, None, 12.5, 12.5]
    assert (found[-1].begins_s, found[-1].errors, found[-1].dropped_frames) == (10.0, 2, 5)
    assert {key for _, key, _ in lanes.added} == {"recordings/rec/0000/manifest.json"}


def test_a_name_that_is_the_same_changes_nothing() -> None:
    lanes = Lanes()
    book = Book(lanes, "rec", 0, 0.0)
    book.begin(track_of(OPUS), "opus", 0.0)
    book.write(0.0)
    book.rename("user of peer", "Name of peer")
    book.rename("somebody else", "Another")
    book.write(0.1)
    book.rename("user of peer", "Another")
    book.write(0.2)
    assert [one.tracks[0].username for one in lanes.manifests] == ["Name of peer", "Another"]


def test_what_is_measured() -> None:
    book = Book(Lanes(), "rec", 1, 100.0)
    assert book.measured(100.0).average_bitrate_bps == 0
    for user in ("alice", "alice", "bob"):
        book.begin(track_of(OPUS, user_id=user), "opus", 100.0)
    book.fragment(0, bytes(1000))
    for at_s, size in ((100.1, 300), (100.9, 300), (101.0, 500), (102.5, 100)):
        book.counted(size, at_s)
    found = book.measured(104.0)
    assert (found.duration_s, found.size, found.participants) == (104.0, 1000, 2)
    assert (found.average_bitrate_bps, found.peak_bitrate_bps) == (2000, 4800)
