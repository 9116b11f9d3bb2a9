"""What playlists name, and how a later take stands in them; the texts are FFmpeg's."""

from sfu.egress.playlists import TAKE_SEGMENTS, is_playlist, named, placed

MASTER = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="group_A1",NAME="audio_1",DEFAULT=YES,URI="media_1.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2630968,RESOLUTION=1280x720,CODECS="avc1.64001f,mp4a.40.2",AUDIO="group_A1"
media_0.m3u8

"""
MEDIA = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:1
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="0-init-0.mp4"
#EXTINF:1.000000,
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T20:22:55.000+0000
0-0-7.m4s
#EXTINF:1.000000,
0-0-8.m4s
"""
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="2026-11-22T20:22:49.123Z">
	<Period id="0" start="PT0.0S">
		<AdaptationSet id="0" contentType="video">
			<Representation id="0" mimeType="video/mp4" codecs="avc1.64001f">
				<SegmentTemplate timescale="15360" initialization="1-init-$RepresentationID$.mp4"
					media="1-$RepresentationID$-$Number$.m4s" startNumber="7">
					<SegmentTimeline>
						<S t="92160" d="15360" r="1" />
						<S d="15000" />
					</SegmentTimeline>
				</SegmentTemplate>
			</Representation>
		</AdaptationSet>
	</Period>
</MPD>
"""


def test_what_is_a_playlist() -> None:
    assert is_playlist("playlist.m3u8")
    assert is_playlist("manifest.mpd")
    assert not is_playlist("0-0-1.m4s")


def test_what_a_playlist_names() -> None:
    assert named("playlist.m3u8", MASTER) == {"media_0.m3u8", "media_1.m3u8"}
    assert named("media_0.m3u8", MEDIA) == {"0-init-0.mp4", "0-0-7.m4s", "0-0-8.m4s"}


def test_what_a_manifest_names() -> None:
    assert named("manifest.mpd", MANIFEST) == {"1-init-0.mp4", "1-0-7.m4s", "1-0-8.m4s", "1-0-9.m4s"}


def test_the_first_take_is_as_ffmpeg_has_it() -> None:
    assert placed("playlist.m3u8", MASTER, 0, 0.0) == MASTER
    first = placed("media_0.m3u8", MEDIA, 0, 0.0)
    assert "#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n" in first
    assert named("media_0.m3u8", first) == named("media_0.m3u8", MEDIA)


def test_a_later_take_counts_on() -> None:
    later = placed("media_0.m3u8", MEDIA, 2, 61.5)
    assert f"#EXT-X-MEDIA-SEQUENCE:{7 + 2 * TAKE_SEGMENTS}\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n" in later


def test_a_later_take_is_a_period_on_the_same_timeline() -> None:
    later = placed("manifest.mpd", MANIFEST, 1, 61.5)
    assert 'availabilityStartTime="2026-11-22T20:21:47.623Z"' in later
    assert '<Period id="1" start="PT61.500S">' in later
    assert named("manifest.mpd", later) == named("manifest.mpd", MANIFEST)


def test_how_long_it_was_in_all() -> None:
    over = MANIFEST.replace('type="dynamic"', 'type="static" mediaPresentationDuration="PT1H2M3.5S"')
    assert 'mediaPresentationDuration="PT3785.000S"' in placed("manifest.mpd", over, 1, 61.5)
