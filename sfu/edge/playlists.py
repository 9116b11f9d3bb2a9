"""What each player is told beyond what every other is: its own token, so that who watches can be counted. Pure.

A player reads the first playlist (HLS) or the manifest (DASH) once, and others or the same again and again after it.
The token goes where it comes back with those, and nowhere else: segments are the same for all, so that whatever
caches them has them once.
"""

import re
from datetime import UTC, datetime

VIEWER = "viewer"
"""The token's name in a URL's query."""

_URI = re.compile(r'URI="([^"]+)"')
_HEAD_ENDS = re.compile(r"<(?:ServiceDescription|Period)\b")


def is_multivariant(playlist: str) -> bool:
    """Whether an HLS playlist names other playlists, rather than segments (RFC 8216 section 4.3.4)."""
    return "#EXT-X-STREAM-INF" in playlist


def for_hls(playlist: str, token: str) -> str:
    """A multivariant playlist whose playlists are asked for by this player."""
    lines = (_asked(line, token) for line in playlist.splitlines())
    return "\n".join(lines) + "\n"


def for_dash(manifest: str, token: str, *, name: str, now: datetime) -> str:
    """A manifest that this player asks for again, under `name`, and reads the server's time of.

    `Location` (ISO/IEC 23009-1 section 5.3.1) is relative to the manifest itself; it follows whatever describes the
    programme, and comes before everything else. `UTCTiming` stands at the very end (section 5.8.4.11): who
    computes by a wrong clock which segments there are asks for some that aren't there yet.
    """
    where = f"<Location>{name}?{VIEWER}={token}</Location>\n\t"
    manifest = _HEAD_ENDS.sub(lambda found: where + found[0], manifest, count=1)
    if "<UTCTiming" in manifest:
        return manifest
    moment = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    timing = f'\t<UTCTiming schemeIdUri="urn:mpeg:dash:utc:direct:2014" value="{moment}"/>\n'
    before, end, after = manifest.rpartition("</MPD>")
    return before + timing + end + after


def _asked(line: str, token: str) -> str:
    if line.startswith("#"):
        return _URI.sub(lambda found: f'URI="{_with(found[1], token)}"', line)
    return _with(line, token) if line.strip() else line


def _with(uri: str, token: str) -> str:
    return f"{uri}{'&' if '?' in uri else '?'}{VIEWER}={token}"
