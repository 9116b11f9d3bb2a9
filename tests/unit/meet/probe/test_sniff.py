"""The kind by the first bytes."""

import pytest

from meet.probe.kinds import KINDS, SOUND, kind_of
from meet.probe.sniff import SNIFFED, sniff
from tests.data.samples import MIME_TYPES, sample


@pytest.mark.parametrize("extension", MIME_TYPES)
def test_every_documented_format_is_told_by_its_first_bytes(extension: str) -> None:
    kind = sniff(sample(extension)[:SNIFFED])
    assert kind is not None
    assert kind.mime_type == MIME_TYPES[extension]


@pytest.mark.parametrize(
    ("head", "mime_type"),
    [
        (b"\xff\xd8\xff\xe1\x00\x10Exif\0\0", "image/jpeg"),
        (b"\xff\xfb\x90\x64\0\0\0\0", "audio/mpeg"),
        (b"\xff\xf3\x90\x64\0\0\0\0", "audio/mpeg"),
        (b"\xff\xe3\x90\x64\0\0\0\0", "audio/mpeg"),
        (b"\xff\xf1\x50\x80\0\0\0\0", "audio/aac"),
        (b"\xff\xf9\x50\x80\0\0\0\0", "audio/aac"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "audio/mp4"),
        (b"\0\0\0\x20ftypavc1\0\0\0\0", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime"),
        (b"\0\0\0\x08wide\0\0\x10\0mdat", "video/quicktime"),
        (b"GIF87a\x01\0\x01\0\0", "image/gif"),
        (b"BMW is a car, and this is text.", "text/plain"),
        (b"<3 is no markup", "text/plain"),
        (b"<alice> hello\n<bob> hi\n", "text/plain"),
        (b"\xef\xbb\xbfwith a mark", "text/plain"),
        ("with a wide mark".encode("utf-16"), "text/plain"),
        ("会议记录".encode("gbk"), "text/plain"),
    ],
)
def test_what_is_accepted(head: bytes, mime_type: str) -> None:
    kind = sniff(head)
    assert kind is not None
    assert kind.mime_type == mime_type


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0",
        b"\xff\xff\0\0",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"\0\0\0\x18ftypavif\0\0\0\0",
        b"\0\0\0\x18ftyp3gp4\0\0\0\0",
        b"PK\x03\x04\x14\0\0\0",
        b"\x7fELF\x02\x01\x01\0",
        b"MZ\x90\0\x03\0\0\0",
        b"II*\0\x08\0\0\0",
        b"<!DOCTYPE HTML><p>",
        b" \t\r\n<ScRiPt >",
        b"<svg\nonload=1>",
        b"#EXTM3U\n",
        "\ufeff<html>".encode("utf-16-be"),
        b"a\0b",
    ],
)
def test_what_is_not(head: bytes) -> None:
    assert sniff(head) is None


def test_a_kind_is_found_by_its_mime_type() -> None:
    assert {kind_of(kind.mime_type) for kind in KINDS} == set(KINDS)
    assert {kind.mime_type for kind in KINDS} == set(MIME_TYPES.values()) | {"audio/webm", "audio/x-matroska"}
    assert set(SOUND.values()) <= set(KINDS)


def test_documents_alone_are_not_shown_in_place() -> None:
    assert {kind.extension for kind in KINDS if not kind.shows} == {"pdf", "txt"}
