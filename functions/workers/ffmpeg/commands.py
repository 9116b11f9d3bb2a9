"""What FFmpeg is to do for a step of a job: a pure function from the step and the facts of its inputs to arguments.

    command(step, [Input("input-0", "video/mp4", facts)], "output-0") -> Command(arguments, "output-0.webm", 12.5)

Names of files are relative to the folder that FFmpeg runs in. Every input is read by the one demuxer that its content
was found to need, from plain files alone: FFmpeg's own guess may take a file for a playlist, which reads others.
Sound is given as one channel or two; pictures have even sizes, square pixels and 4:2:0 colour, as players want them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meet.domain import formats as names
from meet.domain.job import Step

from .formats import AUDIO_CODECS, INDEX_FIRST, KIN_OF_MP4, MUXERS, VIDEO_CODECS, VP8_MOST_BPS
from .inputs import Command, Impossible, Input, begin
from .merge import merge_graph, merged_duration_s

STEREO = "aformat=channel_layouts=mono|stereo"
"""More channels become two: encoders differ in which layouts they know."""
RATE_BOUND = ("-fpsmax", "120")
"""Of a picture whose rate nobody asked for: some files claim thousands."""

COMPRESSED_SIDE: Mapping[str, int] = {"low": 480, "medium": 720, "high": 2160}
"""The most that the shorter side of a compressed picture has, by quality."""
COMPRESSED_QUALITY: Mapping[str, str] = {"low": "low", "medium": "low", "high": "medium"}
COMPRESSED_SHARE: Mapping[str, float] = {"low": 0.35, "medium": 0.55, "high": 0.75}
"""Of the source's bit rate, the most that a compressed file gets."""


def command(step: Step, inputs: Sequence[Input], output: str) -> Command:
    """The arguments that make the output of a step, written to `output` with the container's extension.

    Raises `Impossible` where these inputs can't give it.
    """
    match step.operation:
        case "transcode":
            return _transcode(step.options, inputs[0], output)
        case "compress":
            return _compress(step.options, inputs[0], output)
        case "extract_audio":
            return _extract_audio(step.options, inputs[0], output)
        case "extract_video":
            return _extract_video(step.options, inputs[0], output)
        case "merge":
            return _merge(step.options, inputs, output)
        case other:
            raise ValueError(f"FFmpeg has no part in {other}")


def _transcode(options: Mapping[str, Any], source: Input, output: str) -> Command:
    name = options["output_format"]
    quality = options.get("quality") or "medium"
    bitrate_bps = _bps(options.get("bitrate"))
    pictured = _is_pictured(source, name)
    arguments = begin([source])
    if pictured:
        filters = size_filters(options.get("resolution"))
        rate = options.get("frame_rate")
        filters += [f"fps={rate}"] if rate else []
        arguments += ["-map", "0:V:0", "-vf", ",".join(filters), *(() if rate else RATE_BOUND)]
        preset = options.get("preset") or "medium"
        codec = options.get("video_codec") or names.FORMATS[name].video[0]
        arguments += video_arguments(codec, quality=quality, preset=preset, bitrate_bps=bitrate_bps)
    if source.has_sound:
        codec = options.get("audio_codec") or names.FORMATS[name].audio[0]
        # The bit rate of a file that is all sound is its sound's.
        own_bps = None if pictured else bitrate_bps
        arguments += ["-map", "0:a:0", "-af", STEREO, *audio_arguments(codec, quality, own_bps)]
    return _ended(arguments, name, output, source.facts.duration_s)


def _compress(options: Mapping[str, Any], source: Input, output: str) -> Command:
    quality = options.get("quality") or "medium"
    name = options.get("output_format") or _format_of(source)
    pictured = _is_pictured(source, name)
    source_bps = source.facts.bitrate_bps
    most_bps = round(source_bps * COMPRESSED_SHARE[quality]) if source_bps else None
    arguments = begin([source])
    if pictured:
        filters = bounded_filters(COMPRESSED_SIDE[quality])
        arguments += ["-map", "0:V:0", "-vf", ",".join(filters), *RATE_BOUND]
        codec = names.FORMATS[name].video[0]
        arguments += video_arguments(
            codec, quality=COMPRESSED_QUALITY[quality], preset="medium", bitrate_bps=None, most_bps=most_bps
        )
    if source.has_sound:
        codec = names.FORMATS[name].audio[0]
        own_bps = None
        if most_bps is not None and not pictured:
            own_bps = min(most_bps, (AUDIO_CODECS[codec].bitrates_bps or {}).get(quality, most_bps))
        arguments += ["-map", "0:a:0", "-af", STEREO, *audio_arguments(codec, quality, own_bps)]
    return _ended(arguments, name, output, source.facts.duration_s)


def _extract_audio(options: Mapping[str, Any], source: Input, output: str) -> Command:
    if not source.has_sound:
        raise Impossible("The file has no sound")
    name = options.get("audio_format") or options.get("output_format") or "mp3"
    bitrate_bps = _bps(options.get("audio_bitrate"))
    codec = options.get("audio_codec") or names.FORMATS[name].audio[0]
    arguments = [*begin([source]), "-map", "0:a:0", "-af", STEREO]
    arguments += audio_arguments(codec, options.get("quality") or "medium", bitrate_bps)
    return _ended(arguments, name, output, source.facts.duration_s)


def _extract_video(options: Mapping[str, Any], source: Input, output: str) -> Command:
    """The picture as it is, bit by bit, unless another container is asked for than the one it is in."""
    if not source.has_picture:
        raise Impossible("The file has no picture")
    native = _format_of(source)
    name = options.get("output_format") or native
    if name != native:
        return _transcode({**options, "output_format": name}, source.without_sound(), output)
    # AVI and FLV keep no presentation times of their own: those that are missing are made from the others.
    arguments = [*begin([source], "-fflags", "+genpts"), "-map", "0:V:0", "-c:v", "copy"]
    return _ended(arguments, name, output, source.facts.duration_s)


def _merge(options: Mapping[str, Any], inputs: Sequence[Input], output: str) -> Command:
    name = options.get("output_format") or "mp4"
    transition = options.get("transition") or "none"
    wish_s = options.get("transition_duration")
    pictured = bool(names.FORMATS[name].video)
    graph = merge_graph(inputs, transition, 1.0 if wish_s is None else wish_s, pictured=pictured)
    quality = options.get("quality") or "medium"
    arguments = [*begin(inputs), "-filter_complex", graph.text]
    if graph.picture:
        codec = names.FORMATS[name].video[0]
        arguments += ["-map", f"[{graph.picture}]"]
        arguments += video_arguments(codec, quality=quality, preset="medium", bitrate_bps=None)
    if graph.sound:
        codec = names.FORMATS[name].audio[0]
        arguments += ["-map", f"[{graph.sound}]", *audio_arguments(codec, quality, None)]
    return _ended(arguments, name, output, merged_duration_s(inputs, graph.overlap_s))


def _is_pictured(source: Input, name: str) -> bool:
    """Whether a file of this format made from the source has pictures; `Impossible` where it would have nothing."""
    pictured = source.has_picture and bool(names.FORMATS[name].video)
    if not pictured and not source.has_sound:
        raise Impossible("The file has no sound")
    return pictured


def _format_of(source: Input) -> str:
    name = names.format_of(source.mime_type)
    if name is None:
        raise Impossible(f"A file of type {source.mime_type} has neither sound nor moving pictures")
    return name


def _bps(text: str | None) -> int | None:
    # Which bit rates make sense was asked where the job was made.
    return names.bits_a_second(text, least=0, most=names.MOST_VIDEO_BPS) if text else None


def size_filters(resolution: str | None) -> list[str]:
    """To the asked-for size: a named one keeps the shape; WxH is that exactly, with bars where the shape differs."""
    if resolution is None:
        return ["scale=w='max(2,trunc(iw*sar/2)*2)':h='max(2,trunc(ih/2)*2)'", "setsar=1", "format=yuv420p"]
    if size := names.size_of(resolution):
        return fit_filters(*(side // 2 * 2 for side in size))
    side = str(names.NAMED_HEIGHTS[resolution.lower()])
    return _side_filters(side, side)


def fit_filters(width: int, height: int) -> list[str]:
    """Into a box of this size, whole and unbent, in the middle of black bars."""
    return [
        "scale=w='max(2,iw*sar)':h=ih",  # pixels that are not square become so first
        f"scale={width}:{height}:force_original_aspect_ratio=decrease",
        f"pad={width}:{height}:-1:-1",
        "setsar=1",
        "format=yuv420p",
    ]


def bounded_filters(side: int) -> list[str]:
    """The shorter side has at most this many pixels, an even number."""
    return _side_filters(f"trunc(min(iw,{side})/2)*2", f"trunc(min(ih,{side})/2)*2")


def _side_filters(width: str, height: str) -> list[str]:
    # -2: whatever keeps the shape, made even. Which side is the shorter is asked after rotation, which FFmpeg does.
    return [
        "scale=w='max(2,iw*sar)':h=ih",
        f"scale=w='if(gte(iw,ih),-2,max(2,{width}))':h='if(gte(iw,ih),max(2,{height}),-2)'",
        "setsar=1",
        "format=yuv420p",
    ]


def video_arguments(
    name: str, *, quality: str, preset: str, bitrate_bps: int | None, most_bps: int | None = None
) -> list[str]:
    """How a codec is to encode: at a bit rate, or at a quality that may be bounded by one."""
    codec = VIDEO_CODECS[name]
    arguments = ["-c:v", codec.encoder, *codec.presets[preset], *codec.flags]
    if bitrate_bps is not None:
        arguments += ["-b:v", str(bitrate_bps), *_peak(bitrate_bps * 3 // 2)]
    else:
        arguments += ["-crf", str(codec.crf[quality])]
        if name in ("vp8", "vp9"):
            # 0 is "no bound" to VP9 and means 200 kbit/s to VP8.
            unbounded = VP8_MOST_BPS if name == "vp8" else 0
            arguments += ["-b:v", str(unbounded if most_bps is None else most_bps)]
        elif most_bps is not None:
            arguments += _peak(most_bps)
    return arguments


def audio_arguments(name: str, quality: str, bitrate_bps: int | None) -> list[str]:
    """How a codec is to encode sound: at a bit rate, within what it can, or at the one of a quality."""
    codec = AUDIO_CODECS[name]
    arguments = ["-c:a", codec.encoder, *codec.flags]
    if codec.bitrates_bps is not None:
        least, most = codec.bounds_bps
        wished = codec.bitrates_bps[quality] if bitrate_bps is None else bitrate_bps
        arguments += ["-b:a", str(max(least, min(wished, most)))]
    return arguments


def _peak(most_bps: int) -> list[str]:
    """No second of it needs more than this to arrive in time: a buffer of two seconds."""
    return ["-maxrate", str(most_bps), "-bufsize", str(2 * most_bps)]


def _ended(arguments: list[str], name: str, output: str, duration_s: float | None) -> Command:
    file = f"{output}.{name}"
    if name in KIN_OF_MP4:
        arguments += INDEX_FIRST
        if "libx265" in arguments:
            arguments += ["-tag:v", "hvc1"]  # the name under which Apple's players know H.265
    return Command((*arguments, "-f", MUXERS[name], "-y", f"file:{file}"), file, duration_s)
