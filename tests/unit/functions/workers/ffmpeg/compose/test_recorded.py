"""What the recorder itself leaves, of every codec, is read and painted."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame

from functions.workers.ffmpeg.compose import capture
from functions.workers.ffmpeg.compose.paint import paint
from functions.workers.ffmpeg.compose.parts import Part, lines_of, plan_of
from functions.workers.ffmpeg.compose.plan import FRAME_RATE
from functions.workers.ffmpeg.compose.tidy import tidy
from meet.clock import utcnow
from meet.domain.recording import Wanted
from meet.objects import Listed
from tests.unit.sfu.egress.rooms import OPUS, VIDEO, Bucket, Room


def of_bucket(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket of this process is that one."""

    def every(prefix: str) -> list[Listed]:
        there = sorted(bucket.objects.items())
        return [Listed(key, len(data), utcnow()) for key, data in there if key.startswith(prefix)]

    monkeypatch.setattr(capture.objects, "every", every)
    monkeypatch.setattr(capture.objects, "read_bytes", bucket.objects.__getitem__)


async def test_a_call_in_all_codecs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    voice = room.publish(OPUS, "alice")
    cameras = {name: room.publish(codec, f"with-{name}") for name, codec in VIDEO.items()}
    room.run(2)
    room.mute(cameras["vp8"], True)
    room.run(4)
    room.mute(cameras["vp8"], False)
    room.leave(voice)
    room.run(4)
    await room.close()

    of_bucket(room.bucket, monkeypatch)
    captured = capture.fetch("rec", tmp_path, lambda: None)
    lines, whose = lines_of(captured.pieces)
    parts = [Part(whose[found.line], found) for found in tidy(lines, tmp_path)]
    assert sorted(part.track.codec for part in parts) == sorted(["opus", *VIDEO])
    muted = next(part.found for part in parts if part.track.codec == "vp8")
    assert [round(one.begins_s / 2) for one in muted.stretches] == [0, 3]
    plan = plan_of(Wanted(quality="low"), captured, parts, 10.0)
    file = BytesIO()
    paint(plan, tmp_path, file)

    file.seek(0)
    with av.open(file, format="nut") as container:
        pictures = [frame for frame in container.decode(video=0) if isinstance(frame, VideoFrame)]
    assert len(pictures) == 10 * FRAME_RATE
    for at_s, count in ((1, len(VIDEO)), (4, len(VIDEO) - 1), (9.5, len(VIDEO))):
        scene = next(one for one in plan.scenes if one.begins_s <= at_s < one.ends_s)
        seen = [tile for tile in scene.tiles if tile.file is not None]
        assert len(seen) == count
        luma = bytes(pictures[round(at_s * FRAME_RATE)].planes[0])
        stride = pictures[0].planes[0].line_size
        for tile in seen:
            middle = (tile.place.y + tile.place.height // 2) * stride + tile.place.x + tile.place.width // 2
            assert max(luma[middle - 20 : middle + 20]) > 30, f"nothing is seen of {tile.user_id} at {at_s} s"
