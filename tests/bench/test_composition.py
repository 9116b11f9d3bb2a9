"""How fast recordings are composed: as a multiple of the time that they last, for four cameras and four voices.

The machines are shared: what counts is the CPU time of a second of the recording, and the multiple that follows from
it on two cores that do nothing else.
"""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path
from threading import Event

import pytest

from functions.workers.ffmpeg.binary import find
from functions.workers.ffmpeg.compose.lines import Line
from functions.workers.ffmpeg.compose.plan import Film, Plan, Voice
from functions.workers.ffmpeg.compose.scenes import Span, scenes
from functions.workers.ffmpeg.compose_commands import encoded
from functions.workers.ffmpeg.compose_run import painted, tidied
from functions.workers.ffmpeg.run import limits
from meet.domain.job import Step
from meet.domain.recording import HEIGHTS, Format, Quality, Wanted
from meet.estimates import CORES, by_the_table_s
from tests.bench.test_rest import show
from tests.captured import voice

PEOPLE = 4
SECONDS = 10


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a browser sends of a face, as far as its bytes go: VP8 of 640 by 360 at 500 kbit/s."""
    path = tmp_path_factory.mktemp("camera") / "camera.mkv"
    pictures = f"testsrc2=size=640x360:rate=30:duration={SECONDS}"
    encoder = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k", "-g", "3000"]
    subprocess.run(
        [find(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", pictures, *encoder, "-y", str(path)], check=True
    )
    return path.read_bytes()


@pytest.mark.parametrize(
    ("format", "quality"), [("mp4", "low"), ("mp4", "medium"), ("mp4", "high"), ("webm", "medium")]
)
def test_a_composition_is_faster_than_the_call(
    camera: bytes, tmp_path: Path, format: Format, quality: Quality
) -> None:
    lines = []
    for number in range(PEOPLE):
        (tmp_path / f"c{number}").write_bytes(camera)
        (tmp_path / f"v{number}").write_bytes(voice(SECONDS, 300 + 100 * number))
        lines += [Line((f"c{number}",), f"camera-{number}"), Line((f"v{number}",), f"voice-{number}")]
    before, began = _computed_s(), time.perf_counter()
    found = tidied(lines, tmp_path, stop=Event(), within=limits())
    films = tuple(Film(one.file, one.key_frames_s) for one in found if one.key_frames_s)
    voices = tuple(Voice(one.file, one.begins_s, one.ends_s) for one in found if not one.key_frames_s)
    spans = [Span(f"person-{number}", 0, SECONDS, "camera", number) for number in range(PEOPLE)]
    size = round(HEIGHTS[quality] * 16 / 9 / 2) * 2, HEIGHTS[quality]
    plan = Plan(SECONDS, *size, tuple(scenes(spans, [], SECONDS, "grid", size)), films, voices)
    asked = encoded(plan, Wanted(format=format, quality=quality), "made")
    made = painted(find(), asked, plan, tmp_path, stop=Event(), within=limits(), on_progress=lambda share: None)
    took_s, computed_s = time.perf_counter() - began, _computed_s() - before
    options = {"output_format": format, "pictured": True, "width": size[0], "height": size[1]}
    options |= {"duration_s": SECONDS, "participants": PEOPLE, "size": 0}
    row = {
        "row": f"composition {format} {quality}",
        "of_real_time": round(SECONDS / took_s, 2),
        "cpu_s_a_second": round(computed_s / SECONDS, 3),
        "of_two_free_cores": round(CORES * SECONDS / computed_s, 1),
        "megabytes_an_hour": round(made.stat().st_size / SECONDS * 3600 / 1e6),
        "estimated_s": round(by_the_table_s(Step("r", "compose", options), []), 1),
    }
    show(f"{PEOPLE} people composed, {SECONDS} s", [row])
    assert computed_s < 4 * SECONDS  # far above what it takes


def _computed_s() -> float:
    """What children have computed so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
