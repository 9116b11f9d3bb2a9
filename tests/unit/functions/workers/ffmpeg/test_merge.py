"""Graphs of merges by value: what differs is made equal, seams lie where they belong."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.workers.ffmpeg.commands import command
from functions.workers.ffmpeg.inputs import Impossible, Input
from functions.workers.ffmpeg.merge import common_rate, common_size, merge_graph, overlap
from meet.domain.job import Step
from meet.domain.media import Facts

LOUD = Input("input-0", "video/mp4", Facts(10.0, 1280, 720, None, "h264", "aac", 30.0))
SILENT = Input("input-1", "video/webm", Facts(4.0, 641, 361, None, "vp8", None, 25.0))
SONG = Input("input-0", "audio/mpeg", Facts(60.0, None, None, None, None, "mp3", None))

PICTURES = (
    "scale=w='max(2,iw*sar)':h=ih,scale=1280:720:force_original_aspect_ratio=decrease,pad=1280:720:-1:-1,setsar=1,"
    "format=yuv420p,setpts=PTS-STARTPTS,fps=30,tpad=stop_mode=clone:stop=-1,trim=duration={},settb=AVTB"
)
SOUNDS = (
    "aresample=48000:async=1,aformat=sample_fmts=fltp:channel_layouts=stereo,asetpts=PTS-STARTPTS,apad,"
    "atrim=duration={}"
)


def test_end_to_end_with_silence_where_there_is_no_sound() -> None:
    graph = merge_graph([LOUD, SILENT], "none", 1.0, pictured=True)
    assert graph.text.split(";") == [
        f"[0:V:0]{PICTURES.format('10.000')}[v0]",
        f"[1:V:0]{PICTURES.format('4.000')}[v1]",
        f"[0:a:0]{SOUNDS.format('10.000')}[a0]",
        f"anullsrc=r=48000:cl=stereo,{SOUNDS.format('4.000')}[a1]",
        "[v0][a0][v1][a1]concat=n=2:v=1:a=1[v][a]",
    ]
    assert (graph.picture, graph.sound, graph.overlap_s) == ("v", "a", 0.0)


@pytest.mark.parametrize("transition", ["fade", "dissolve"])
def test_each_seam_begins_one_overlap_before_the_end_of_what_was_before(transition: str) -> None:
    graph = merge_graph([LOUD, SILENT, LOUD], transition, 1.5, pictured=True)
    assert graph.text.split(";")[6:] == [
        f"[v0][v1]xfade=transition={transition}:duration=1.500:offset=8.500[vs1]",
        "[a0][a1]acrossfade=d=1.500[as1]",
        f"[vs1][v2]xfade=transition={transition}:duration=1.500:offset=11.000[v]",
        "[as1][a2]acrossfade=d=1.500[a]",
    ]


def test_what_is_silent_throughout_has_no_sound() -> None:
    graph = merge_graph([SILENT, SILENT], "none", 1.0, pictured=True)
    assert graph.text.endswith("[v0][v1]concat=n=2:v=1:a=0[v]")
    assert graph.sound == ""


def test_sound_alone() -> None:
    for inputs, pictured in (([SONG, SONG], True), ([SONG, LOUD], False)):
        graph = merge_graph(inputs, "none", 1.0, pictured=pictured)
        assert graph.text.endswith("[a0][a1]concat=n=2:v=0:a=1[a]")
        assert graph.picture == ""


@pytest.mark.parametrize(
    ("inputs", "pictured", "why"),
    [
        ([LOUD, SONG], True, "without one"),
        ([SILENT, SILENT], False, "any sound"),
        ([LOUD, Input("x", "video/mp4", Facts(None, 2, 2, None, "h264", "aac", 30.0))], True, "how long"),
        ([LOUD, Input("x", "video/mp4", Facts(0.0, 2, 2, None, "h264", "aac", 30.0))], True, "how long"),
    ],
)
def test_what_can_not_be_merged(inputs: list[Input], pictured: bool, why: str) -> None:
    with pytest.raises(Impossible, match=why):
        merge_graph(inputs, "none", 1.0, pictured=pictured)


@pytest.mark.parametrize(
    ("durations", "transition", "wished", "given"),
    [
        ([10, 4], "fade", 1.0, 1.0),
        ([10, 1], "fade", 1.0, 0.5),
        ([10, 1], "none", 1.0, 0.0),
        ([10, 0.06], "dissolve", 1.0, 0.0),
        ([10, 10], "dissolve", 0.0, 0.0),
        ([10], "fade", 1.0, 0.0),
    ],
)
def test_an_overlap_takes_at_most_half_of_a_part(
    durations: list[float], transition: str, wished: float, given: float
) -> None:
    assert overlap(durations, transition, wished) == given


def test_the_largest_picture_and_the_highest_rate_decide() -> None:
    assert common_size([SILENT, LOUD]) == (1280, 720)
    assert common_size([SILENT]) == (640, 360)
    assert common_rate([SILENT, LOUD]) == "30"
    wild = Input("x", "video/mp4", Facts(1.0, 2, 2, None, "h264", None, 90_000.0))
    film = Input("x", "video/mp4", Facts(1.0, 2, 2, None, "h264", None, 24_000 / 1001))
    unsaid = Input("x", "video/mp4", Facts(1.0, None, None, None, "h264", None, None))
    assert (common_rate([wild]), common_rate([film]), common_rate([unsaid])) == ("60", "23.976", "30")
    assert common_size([unsaid]) == (1280, 720)


def test_the_merge_of_the_document() -> None:
    step = Step("output", "merge", {"output_format": "mp4", "transition": "fade", "transition_duration": 1.0})
    made = command(step, [LOUD, SILENT, SILENT], "output-0")
    assert made.arguments[-20:] == (
        *("-map", "[v]", "-c:v", "libx264", "-preset", "medium", "-crf", "23"),
        *("-map", "[a]", "-c:a", "aac", "-b:a", "128000"),
        *("-movflags", "+faststart", "-f", "mp4", "-y", "file:output-0.mp4"),
    )
    assert made.duration_s == 16.0


@given(
    st.lists(st.floats(0.1, 1000), min_size=2, max_size=8),
    st.sampled_from(["fade", "dissolve"]),
    st.floats(0, 30),
)
def test_seams_never_overlap_each_other(durations: list[float], transition: str, wished: float) -> None:
    parts = [Input("x", "video/mp4", Facts(one, 64, 64, None, "h264", "aac", 30.0)) for one in durations]
    graph = merge_graph(parts, transition, wished, pictured=True)
    seams = [chain for chain in graph.text.split(";") if "xfade" in chain]
    offsets = [float(chain.rpartition("offset=")[2].partition("[")[0]) for chain in seams]
    assert len(offsets) == (len(durations) - 1 if graph.overlap_s else 0)
    for before, after in pairwise(offsets):
        assert after - before >= graph.overlap_s - 0.01
