"""A player's token in what FFmpeg writes."""

from datetime import UTC, datetime
from xml.etree import ElementTree

from sfu.edge.playlists import for_dash, for_hls, is_multivariant

MULTIVARIANT = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="group_A1",NAME="audio_1",DEFAULT=YES,CHANNELS="2",URI="media_1.m3u8"

#EXT-X-STREAM-INF:BANDWIDTH=2890800,RESOLUTION=1280x720,CODECS="avc1.64001f,mp4a.40.2",AUDIO="group_A1"
media_0.m3u8
"""
MEDIA = """#EXTM3U
#EXT-X-TARGETDURATION:1
#EXT-X-MAP:URI="0-init-0.mp4"
#EXTINF:1.000000,
0-0-7.m4s
"""
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" minimumUpdatePeriod="PT1S">
	<ProgramInformation>
	</ProgramInformation>
	<ServiceDescription id="0">
	</ServiceDescription>
	<Period id="0" start="PT0.0S">
	</Period>
	<Period id="1" start="PT9.0S">
	</Period>
</MPD>
"""
NOW = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_the_playlists_of_a_playlist_are_asked_for_by_one_player() -> None:
    assert is_multivariant(MULTIVARIANT)
    assert for_hls(MULTIVARIANT, "token") == MULTIVARIANT.replace(".m3u8", ".m3u8?viewer=token")
    assert not is_multivariant(MEDIA)
    asked = MULTIVARIANT.replace("media_0.m3u8", "media_0.m3u8?a=b")
    assert "\nmedia_0.m3u8?a=b&viewer=token\n" in for_hls(asked, "token")


def test_a_manifest_says_where_it_is_asked_for_again_and_what_time_it_is() -> None:
    root = ElementTree.fromstring(for_dash(MANIFEST, "token", name="manifest.mpd", now=NOW))  # noqa: S314 - our own
    names = [element.tag.rpartition("}")[2] for element in root]
    assert names == ["ProgramInformation", "Location", "ServiceDescription", "Period", "Period", "UTCTiming"]
    assert root[1].text == "manifest.mpd?viewer=token"
    assert root[-1].attrib == {"schemeIdUri": "urn:mpeg:dash:utc:direct:2014", "value": "2026-01-01T12:00:00.250Z"}


def test_a_manifest_that_knows_the_time_keeps_it() -> None:
    timed = MANIFEST.replace(
        "</MPD>", '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="/now"/></MPD>'
    )
    assert for_dash(timed, "token", name="manifest.mpd", now=NOW).count("<UTCTiming") == 1
