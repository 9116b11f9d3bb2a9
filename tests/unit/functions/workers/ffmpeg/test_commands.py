"""Every option of the document, by the arguments that it becomes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.workers.ffmpeg.commands import command
from functions.workers.ffmpeg.formats import AUDIO_CODECS, DEMUXERS, ENCODERS, MUXERS, VIDEO_CODECS
from functions.workers.ffmpeg.inputs import Command, Impossible, Input
from meet.domain.formats import FORMATS, NAMED_HEIGHTS, PRESETS, QUALITIES
from meet.domain.job import Step
from meet.domain.media import Facts

MOVIE = Input("input-0", "video/mp4", Facts(12.5, 1920, 1080, 4_000_000, "h264", "aac", 30.0))
SILENT = Input("input-0", "video/webm", Facts(4.0, 640, 360, 500_000, "vp9", None, 25.0))
MUSIC = Input("input-0", "audio/mpeg", Facts(180.0, None, None, 192_000, None, "mp3", None))

BEGIN = (
    "-hide_banner -nostdin -nostats -loglevel error -progress pipe:1 -stats_period 0.25 "
    "-protocol_whitelist file -format_whitelist mov -f mov -max_pixels 33177600 -i file:input-0"
)
EVEN = "scale=w='max(2,trunc(iw*sar/2)*2)':h='max(2,trunc(ih/2)*2)',setsar=1,format=yuv420p"
SOUND = "-map 0:a:0 -af aformat=channel_layouts=mono|stereo"


def make(operation: str, source: Input = MOVIE, **options: object) -> Command:
    return command(Step("output", operation, options), [source], "output-0")


def written(made: Command) -> str:
    """The arguments after what every run begins with."""
    return " ".join(made.arguments).removeprefix(BEGIN).strip()


def value(made: Command, flag: str) -> str:
    """What follows a flag that is there once."""
    places = [index for index, argument in enumerate(made.arguments) if argument == flag]
    assert len(places) == 1, f"{flag} is there {len(places)} times in {made.arguments}"
    return made.arguments[places[0] + 1]


def test_a_transcode_of_which_nothing_else_is_said() -> None:
    made = make("transcode", output_format="mp4")
    assert " ".join(made.arguments) == (
        f"{BEGIN} -map 0:V:0 -vf {EVEN} -fpsmax 120 -c:v libx264 -preset medium -crf 23 {SOUND} -c:a aac -b:a 128000 "
        "-movflags +faststart -f mp4 -y file:output-0.mp4"
    )
    assert made.output == "output-0.mp4"
    assert made.duration_s == 12.5


def test_the_transcode_of_the_document() -> None:
    made = make(
        "transcode",
        output_format="webm",
        video_codec="vp9",
        audio_codec="opus",
        resolution="1280x720",
        bitrate="2000k",
        preset="medium",
    )
    assert written(made) == (
        "-map 0:V:0 -vf scale=w='max(2,iw*sar)':h=ih,scale=1280:720:force_original_aspect_ratio=decrease,"
        "pad=1280:720:-1:-1,setsar=1,format=yuv420p -fpsmax 120 -c:v libvpx-vp9 -deadline good -cpu-used 3 -row-mt 1 "
        f"-b:v 2000000 -maxrate 3000000 -bufsize 6000000 {SOUND} -c:a libopus -b:a 96000 "
        "-f webm -y file:output-0.webm"
    )


@pytest.mark.parametrize(
    ("name", "muxer", "video", "audio"),
    [
        ("mp4", "mp4", "libx264", "aac"),
        ("webm", "webm", "libvpx-vp9", "libopus"),
        ("mkv", "matroska", "libx264", "aac"),
        ("avi", "avi", "libx264", "libmp3lame"),
    ],
)
def test_each_container_has_codecs_of_its_own(name: str, muxer: str, video: str, audio: str) -> None:
    made = make("transcode", output_format=name)
    assert (value(made, "-c:v"), value(made, "-c:a")) == (video, audio)
    assert made.arguments[-4:] == ("-f", muxer, "-y", f"file:output-0.{name}")


@pytest.mark.parametrize(
    ("codec", "arguments"),
    [
        ("h264", "-c:v libx264 -preset medium -crf 23"),
        ("h265", "-c:v libx265 -preset medium -x265-params log-level=error -crf 28"),
        ("vp8", "-c:v libvpx -deadline good -cpu-used 3 -crf 20 -b:v 8000000"),
        ("vp9", "-c:v libvpx-vp9 -deadline good -cpu-used 3 -row-mt 1 -crf 31 -b:v 0"),
    ],
)
def test_each_video_codec(codec: str, arguments: str) -> None:
    assert f"-fpsmax 120 {arguments} -map 0:a:0" in written(make("transcode", output_format="mkv", video_codec=codec))


def test_h265_has_the_name_that_players_of_mp4_know_it_by() -> None:
    assert value(make("transcode", output_format="mp4", video_codec="h265"), "-tag:v") == "hvc1"
    assert "-tag:v" not in make("transcode", output_format="mkv", video_codec="h265").arguments


@pytest.mark.parametrize(
    ("codec", "arguments"),
    [
        ("aac", "-c:a aac -b:a 128000"),
        ("mp3", "-c:a libmp3lame -b:a 160000"),
        ("opus", "-c:a libopus -b:a 96000"),
        ("vorbis", "-c:a libvorbis -ar 48000 -b:a 128000"),
    ],
)
def test_each_audio_codec(codec: str, arguments: str) -> None:
    assert f"{SOUND} {arguments} -f matroska" in written(make("transcode", output_format="mkv", audio_codec=codec))


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_is_the_encoder_s_own(preset: str) -> None:
    for codec in ("h264", "h265"):
        assert value(make("transcode", output_format="mp4", video_codec=codec, preset=preset), "-preset") == preset


@pytest.mark.parametrize(
    ("preset", "deadline", "speed"),
    [("ultrafast", "realtime", "8"), ("fast", "good", "5"), ("medium", "good", "3"), ("slow", "good", "1")],
)
def test_each_preset_of_an_encoder_that_has_none(preset: str, deadline: str, speed: str) -> None:
    for codec in ("vp8", "vp9"):
        made = make("transcode", output_format="webm", video_codec=codec, preset=preset)
        assert (value(made, "-deadline"), value(made, "-cpu-used")) == (deadline, speed)


@pytest.mark.parametrize(
    ("name", "side"),
    [("240p", 240), ("360p", 360), ("480p", 480), ("720p", 720), ("1080p", 1080), ("1440p", 1440), ("4k", 2160)],
)
def test_a_named_resolution_is_the_shorter_side(name: str, side: int) -> None:
    assert value(make("transcode", output_format="mp4", resolution=name), "-vf") == (
        f"scale=w='max(2,iw*sar)':h=ih,scale=w='if(gte(iw,ih),-2,max(2,{side}))':h='if(gte(iw,ih),max(2,{side}),-2)',"
        "setsar=1,format=yuv420p"
    )


def test_an_odd_size_is_made_even() -> None:
    assert "pad=100:76:" in value(make("transcode", output_format="mp4", resolution="101x77"), "-vf")


def test_an_asked_for_frame_rate_is_kept_whatever_the_source_claims() -> None:
    made = make("transcode", output_format="mp4", frame_rate=24)
    assert value(made, "-vf") == f"{EVEN},fps=24"
    assert "-fpsmax" not in made.arguments


@pytest.mark.parametrize(("quality", "crf"), [("low", "28"), ("medium", "23"), ("high", "18")])
def test_each_quality(quality: str, crf: str) -> None:
    assert value(make("transcode", output_format="mp4", quality=quality), "-crf") == crf


@pytest.mark.parametrize(
    ("text", "number"), [("2000k", 2_000_000), ("5M", 5_000_000), ("1.5m", 1_500_000), ("128000", 128_000)]
)
def test_a_bit_rate(text: str, number: int) -> None:
    assert value(make("transcode", output_format="mp4", bitrate=text), "-b:v") == str(number)


def test_every_format_and_codec_that_may_be_asked_for_can_be_written() -> None:
    assert MUXERS.keys() == FORMATS.keys()
    assert {codec for one in FORMATS.values() for codec in one.video} <= VIDEO_CODECS.keys()
    assert {codec for one in FORMATS.values() for codec in one.audio} <= AUDIO_CODECS.keys()
    assert {"libx264", "libmp3lame", "pcm_s16le"} <= ENCODERS


def test_what_is_silent_stays_so() -> None:
    made = make("transcode", SILENT, output_format="mp4")
    assert "-c:a" not in made.arguments
    assert value(made, "-format_whitelist") == "matroska"


def test_what_has_no_picture_gets_none_and_the_bit_rate_is_the_sound_s() -> None:
    made = make("transcode", MUSIC, output_format="mp4", bitrate="96k")
    assert "-c:v" not in made.arguments
    assert value(made, "-b:a") == "96000"


def test_a_picture_becomes_sound_alone() -> None:
    made = make("transcode", output_format="mp3")
    assert written(made) == f"{SOUND} -c:a libmp3lame -b:a 160000 -f mp3 -y file:output-0.mp3"
    with pytest.raises(Impossible, match="no sound"):
        make("transcode", SILENT, output_format="mp3")


@pytest.mark.parametrize(
    ("name", "encoder", "muxer"),
    [
        ("mp3", "libmp3lame", "mp3"),
        ("wav", "pcm_s16le", "wav"),
        ("flac", "flac", "flac"),
        ("aac", "aac", "adts"),
        ("m4a", "aac", "ipod"),
        ("ogg", "libvorbis", "ogg"),
        ("opus", "libopus", "opus"),
    ],
)
def test_sound_is_extracted_in_each_format(name: str, encoder: str, muxer: str) -> None:
    made = make("extract_audio", audio_format=name)
    assert value(made, "-c:a") == encoder
    assert made.arguments[-4:] == ("-f", muxer, "-y", f"file:output-0.{name}")
    assert "-vf" not in made.arguments


def test_the_extraction_of_the_document() -> None:
    made = make("extract_audio", audio_format="mp3", audio_bitrate="192k")
    assert written(made) == f"{SOUND} -c:a libmp3lame -b:a 192000 -f mp3 -y file:output-0.mp3"


@pytest.mark.parametrize(
    ("name", "asked", "given"),
    [("mp3", "500k", "320000"), ("opus", "500k", "256000"), ("ogg", "500k", "240000"), ("ogg", "16k", "48000")],
)
def test_a_bit_rate_beyond_an_encoder_is_the_nearest_that_it_has(name: str, asked: str, given: str) -> None:
    assert value(make("extract_audio", audio_format=name, audio_bitrate=asked), "-b:a") == given


def test_what_loses_nothing_has_no_bit_rate() -> None:
    for name in ("wav", "flac"):
        assert "-b:a" not in make("extract_audio", audio_format=name, audio_bitrate="192k").arguments


def test_there_is_no_sound_to_extract() -> None:
    with pytest.raises(Impossible, match="no sound"):
        make("extract_audio", SILENT)


def test_a_picture_is_extracted_as_it_is() -> None:
    made = make("extract_video")
    before, after = " ".join(made.arguments).split(" -fflags +genpts ")
    assert before.endswith("-stats_period 0.25")
    assert after == (
        "-protocol_whitelist file -format_whitelist mov -f mov -max_pixels 33177600 -i file:input-0 "
        "-map 0:V:0 -c:v copy -movflags +faststart -f mp4 -y file:output-0.mp4"
    )
    with pytest.raises(Impossible, match="no picture"):
        make("extract_video", MUSIC)


def test_a_picture_is_extracted_into_another_container() -> None:
    made = make("extract_video", output_format="webm")
    assert value(made, "-c:v") == "libvpx-vp9"
    assert "-c:a" not in made.arguments


@pytest.mark.parametrize(
    ("quality", "crf", "most", "sound", "side"),
    [("low", "28", "1400000", "96000", 480), ("medium", "28", "2200000", "128000", 720)],
)
def test_compression(quality: str, crf: str, most: str, sound: str, side: int) -> None:
    made = make("compress", quality=quality)
    assert (value(made, "-crf"), value(made, "-maxrate"), value(made, "-b:a")) == (crf, most, sound)
    assert f"trunc(min(ih,{side})/2)*2" in value(made, "-vf")
    assert made.output == "output-0.mp4"


def test_the_compression_of_sound_has_fewer_bits_than_before() -> None:
    made = make("compress", MUSIC, quality="medium")
    assert written(made).endswith("-c:a libmp3lame -b:a 105600 -f mp3 -y file:output-0.mp3")
    assert made.output == "output-0.mp3"


def test_a_type_that_ffmpeg_is_not_given() -> None:
    for mime in ("application/pdf", "text/plain", "image/png", "application/vnd.apple.mpegurl"):
        with pytest.raises(Impossible):
            make("transcode", Input("input-0", mime, Facts(codec="h264", audio_codec="aac")), output_format="mp4")


def test_a_step_that_ffmpeg_has_no_part_in() -> None:
    with pytest.raises(ValueError, match="no part in thumbnail"):
        make("thumbnail")


facts = st.builds(
    Facts,
    duration_s=st.floats(0.04, 1e5),
    width=st.integers(1, 16384),
    height=st.integers(1, 16384),
    bitrate_bps=st.none() | st.integers(1, 10**9),
    codec=st.none() | st.sampled_from(["h264", "vp9", "mpeg4"]),
    audio_codec=st.none() | st.sampled_from(["aac", "opus"]),
    frame_rate=st.none() | st.floats(1, 90_000),
)
inputs = st.builds(Input, st.just("input-0"), st.sampled_from(sorted(DEMUXERS)), facts)
steps = st.one_of(
    st.fixed_dictionaries(
        {"output_format": st.sampled_from(sorted(FORMATS))},
        optional={
            "video_codec": st.sampled_from(sorted(VIDEO_CODECS)),
            "audio_codec": st.sampled_from(sorted(AUDIO_CODECS)),
            "resolution": st.sampled_from(sorted(NAMED_HEIGHTS))
            | st.builds("{}x{}".format, st.integers(32, 2304), st.integers(32, 2304)),
            "bitrate": st.builds("{}k".format, st.integers(1, 99_999)),
            "frame_rate": st.integers(1, 120),
            "preset": st.sampled_from(PRESETS),
            "quality": st.sampled_from(QUALITIES),
        },
    ).map(lambda options: Step("output", "transcode", options)),
    st.sampled_from(QUALITIES).map(lambda quality: Step("output", "compress", {"quality": quality})),
    st.sampled_from(["mp3", "wav", "ogg"]).map(lambda name: Step("output", "extract_audio", {"audio_format": name})),
    st.just(Step("output", "extract_video", {})),
    st.sampled_from(["none", "fade", "dissolve"]).map(lambda name: Step("output", "merge", {"transition": name})),
)


@given(steps, inputs)
def test_whatever_is_asked_for_the_input_is_held_and_one_file_is_written(step: Step, source: Input) -> None:
    try:
        made = command(step, [source, source] if step.operation == "merge" else [source], "output-0")
    except Impossible:
        return
    assert all(isinstance(argument, str) and argument for argument in made.arguments)
    count = made.arguments.count("-i")
    assert count == (2 if step.operation == "merge" else 1)
    demuxer = DEMUXERS[source.mime_type]
    held = f"-protocol_whitelist file -format_whitelist {demuxer} -f {demuxer} -max_pixels 33177600 -i file:input-0"
    assert " ".join(made.arguments).count(held) == count
    assert [argument for argument in made.arguments if argument.startswith("file:")][count:] == [
        f"file:{made.output}"
    ]
    for box in re.findall(r"(?:scale|pad)=(\d+):(\d+)", " ".join(made.arguments)):
        assert all(int(side) % 2 == 0 and int(side) >= 2 for side in box)
    assert "-map" in made.arguments
