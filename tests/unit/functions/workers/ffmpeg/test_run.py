"""A run is held by its limits, ended when it must, and told in a sentence when it fails; with a real FFmpeg."""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer

import pytest

from functions.workers.ffmpeg.binary import find
from functions.workers.ffmpeg.commands import command
from functions.workers.ffmpeg.inputs import Command, Input
from functions.workers.ffmpeg.run import Failed, Limits, Stopped, progress_of, run
from meet.domain.job import Step
from meet.domain.media import Facts
from tests.data.samples import sample

WIDE = Limits(wall_s=60, cpu_s=120, memory_bytes=2_000_000_000, output_bytes=100_000_000)
MOVIE = Input("input-0", "video/mp4", Facts(2.0, 96, 64, None, "h264", "aac", 10.0))


def endless(*arguments: str) -> Command:
    """Goes on until it is ended."""
    report = ("-v", "error", "-progress", "pipe:1", "-stats_period", "0.1")
    source = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30")
    return Command((*report, *source, *arguments, "-y", "file:output.avi"), "output.avi", 1e6)


RAW = endless("-c:v", "rawvideo", "-f", "avi")
SLOW = endless("-vf", "realtime", "-c:v", "mpeg4", "-f", "avi")


def running(folder: Path, asked: Command, *, stop: Event | None = None, within: Limits = WIDE) -> Path:
    return run(find(), asked, folder, stop=stop or Event(), within=within, on_progress=lambda _: None)


def processes_in(folder: Path) -> list[str]:
    """The commands of all processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is another's
            if (process / "cwd").readlink() == folder:
                found.append((process / "cmdline").read_text())
    return found


def test_a_step_is_made_and_its_progress_told(tmp_path: Path) -> None:
    (tmp_path / "input-0").write_bytes(sample("mp4"))
    told: list[float] = []
    asked = command(Step("x", "transcode", {"output_format": "mkv", "preset": "ultrafast"}), [MOVIE], "output-0")
    made = run(find(), asked, tmp_path, stop=Event(), within=WIDE, on_progress=told.append)
    assert made == tmp_path / "output-0.mkv"
    assert made.read_bytes().startswith(b"\x1aE\xdf\xa3")  # RFC 8794 section 11.2.1
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("line", "share"),
    [(b"out_time_us=1500000", 0.5), (b"out_time_us=9000000", 1), (b"out_time_us=-5", 0)],
)
def test_progress(line: bytes, share: float) -> None:
    assert progress_of(line, 3.0) == share


@pytest.mark.parametrize("line", [b"out_time_us=N/A", b"frame=7", b"", b"progress=end"])
def test_what_says_nothing_of_progress(line: bytes) -> None:
    assert progress_of(line, 3.0) is None
    assert progress_of(b"out_time_us=5", None) is None


def test_a_run_that_is_told_to_stop_is_gone(tmp_path: Path) -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):
        running(tmp_path, SLOW, stop=stop)
    assert processes_in(tmp_path) == []


def test_a_run_has_its_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Failed, match="longer than a job may"):
        running(tmp_path, SLOW, within=replace(WIDE, wall_s=0.5))
    assert time.monotonic() - began < 30
    assert processes_in(tmp_path) == []


def test_a_run_has_its_computing(tmp_path: Path) -> None:
    to_nowhere = endless("-vf", "gblur=sigma=20", "-f", "null")
    with pytest.raises(Failed, match="more computing"):
        running(tmp_path, to_nowhere, within=replace(WIDE, cpu_s=1))


def test_an_output_has_its_size(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="larger than 3 MB"):
        running(tmp_path, RAW, within=replace(WIDE, output_bytes=3_000_000))
    assert sum(one.stat().st_size for one in tmp_path.iterdir()) <= 3_000_000


def test_a_run_has_its_memory(tmp_path: Path) -> None:
    large = endless("-vf", "scale=8000:8000,tile=4x4", "-c:v", "rawvideo", "-f", "avi")
    with pytest.raises(Failed):
        running(tmp_path, large, within=replace(WIDE, memory_bytes=200_000_000))


def test_what_is_no_film_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "input-0").write_bytes(b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n" * 20)
    asked = command(Step("x", "transcode", {"output_format": "mp4"}), [MOVIE], "output-0")
    with pytest.raises(Failed, match="FFmpeg can't convert this file: file:input-0: Invalid data"):
        running(tmp_path, asked)


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:1,\nfile:{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile {}\n"]
)
def test_a_playlist_reads_nobody_else_s_file(tmp_path: Path, text: str) -> None:
    other = tmp_path / "secret.mp4"
    other.write_bytes(sample("mp4"))
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "input-0").write_text(text.format(other))
    for mime in ("video/mp4", "video/x-matroska", "video/x-msvideo", "audio/mpeg", "audio/aac"):
        asked = command(
            Step("x", "extract_audio", {"audio_format": "wav"}), [replace(MOVIE, mime_type=mime)], "output-0"
        )
        with pytest.raises(Failed):
            running(folder, asked)
