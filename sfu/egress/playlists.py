"""What FFmpeg's playlists say, for HLS and DASH: which files they name, and where a later take stands in them.

A take is one run of the streamer; its files carry its number, `0-v7.m4s`. One that follows another says so in a way
that players understand: in HLS its segments count on from a number that the one before never reaches, in DASH it is
another period on the same timeline.
"""

import re
from datetime import datetime, timedelta
from xml.etree import ElementTree

TAKE_SEGMENTS = 10_000_000
"""More than any take has: 115 days of one second each."""

_URI = re.compile(r'URI="([^"]+)"')
_SEQUENCE = re.compile(r"^#EXT-X-MEDIA-SEQUENCE:(\d+)$", re.MULTILINE)
_AVAILABLE = re.compile(r'availabilityStartTime="([^"]+)"')
_LENGTH = re.compile(r'mediaPresentationDuration="PT(?:(\d+)H)?(?:(\d+)M)?([\d.]+)S"')
_PERIOD = re.compile(r'<Period id="\d+" start="PT[\d.]+S">')
_MPD = "{urn:mpeg:dash:schema:mpd:2011}"


def is_playlist(name: str) -> bool:
    """By its ending: an HLS playlist or a DASH manifest."""
    return name.endswith((".m3u8", ".mpd"))


def named(name: str, text: str) -> frozenset[str]:
    """The files that the playlist `name` tells players to fetch."""
    return _named_by_manifest(text) if name.endswith(".mpd") else _named_by_playlist(text)


def placed(name: str, text: str, take: int, begins_s: float) -> str:
    """The playlist `name` of a take that begins at `begins_s` of the stream, as players are to see it."""
    if name.endswith(".mpd"):
        text = _AVAILABLE.sub(lambda found: _available(found[1], begins_s), text)
        text = _LENGTH.sub(lambda found: _length(found, begins_s), text)
        return _PERIOD.sub(f'<Period id="{take}" start="PT{begins_s:.3f}S">', text)
    return _SEQUENCE.sub(lambda found: _sequence(int(found[1]), take), text)


def _named_by_playlist(text: str) -> frozenset[str]:
    """RFC 8216 section 4.1: a line that is neither blank nor begins with # is a URI; some tags have one, too."""
    lines = (line.strip() for line in text.splitlines())
    return frozenset([line for line in lines if line and not line.startswith("#")] + _URI.findall(text))


def _named_by_manifest(text: str) -> frozenset[str]:
    """ISO/IEC 23009-1 section 5.3.9.6: a timeline has `r` more segments after each that it lists."""
    names: list[str] = []
    for representation in ElementTree.fromstring(text).iter(f"{_MPD}Representation"):  # noqa: S314 - our own FFmpeg's
        for template in representation.iter(f"{_MPD}SegmentTemplate"):
            count = sum(1 + int(entry.get("r", "0")) for entry in template.iter(f"{_MPD}S"))
            first = int(template.get("startNumber", "1"))
            media = template.get("media", "").replace("$RepresentationID$", representation.get("id", ""))
            start = template.get("initialization", "").replace("$RepresentationID$", representation.get("id", ""))
            names += [start, *(media.replace("$Number$", str(number)) for number in range(first, first + count))]
    return frozenset(names)


def _sequence(number: int, take: int) -> str:
    """With the number of discontinuities that no player will see any more (RFC 8216 section 4.3.3.3)."""
    return f"#EXT-X-MEDIA-SEQUENCE:{number + take * TAKE_SEGMENTS}\n#EXT-X-DISCONTINUITY-SEQUENCE:{take}"


def _available(text: str, begins_s: float) -> str:
    began = datetime.fromisoformat(text) - timedelta(seconds=begins_s)
    return f'availabilityStartTime="{began:%Y-%m-%dT%H:%M:%S}.{began.microsecond // 1000:03}Z"'


def _length(found: re.Match[str], begins_s: float) -> str:
    hours, minutes, seconds = found.groups()
    total_s = 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds) + begins_s
    return f'mediaPresentationDuration="PT{total_s:.3f}S"'
