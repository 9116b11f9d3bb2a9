"""Whatever happens to a track, its file plays from start to end, and in step with all others."""

import os
from dataclasses import replace
from itertools import pairwise

import pytest
import pytest_asyncio

from meet.domain.capture import CapturedTrack
from sfu.egress.recorder import open_sink
from sfu.rtp.packet import ONE_BYTE_PROFILE
from sfu.rtp.parameters import VIDEO_ORIENTATION_URI, HeaderExtension, RtpCodec

from .rooms import BEGINS_AT, DELAY_S, GOP, Room, decoded, frames_of, packet_times
from .senders import FPS, OPUS, VIDEO, Clocks, Sender, encoded_video, track_of

FRAME_S = 1 / FPS
SOAK = bool(os.environ.get("MEET_SOAK"))


@pytest_asyncio.fixture
async def room() -> Room:
    return Room()


def only(tracks: tuple[CapturedTrack, ...]) -> CapturedTrack:
    (track,) = tracks
    return track


@pytest.mark.parametrize("codec", [OPUS, *VIDEO.values()], ids=["opus", *VIDEO])
async def test_a_track_is_in_the_bucket_as_it_was_sent(codec: RtpCodec, room: Room) -> None:
    published = room.publish(codec)
    room.run(4)
    ended = await room.close()
    track = only(room.bucket.manifest().tracks)
    assert (track.track_id, track.codec) == (published.track_id, published.sender.codec.name)
    assert track.begins_s == pytest.approx(DELAY_S, abs=0.011)
    assert track.ends_s == pytest.approx(4.0)
    times = packet_times(room.bucket.file(track))
    assert times == pytest.approx(
        [DELAY_S + number * published.step_s for number in range(published.sent)], abs=0.012
    )
    frames = decoded(room.bucket.file(track))
    assert len(frames) == published.sent
    assert ended["error"] is None
    assert ended["errors"] == 0
    assert ended["participants"] == 1
    assert ended["duration_s"] == pytest.approx(4.0)
    assert ended["size"] == len(room.bucket.file(track))
    assert 0 < ended["average_bitrate_bps"] <= 1.3 * ended["peak_bitrate_bps"]


async def test_cut_at_any_moment_the_files_play_and_miss_little(room: Room) -> None:
    room.publish(OPUS)
    room.publish(VIDEO["vp8"])
    for _ in range(20):
        room.run(0.37)
        await room.uploaded()
        position = room.now - BEGINS_AT
        if position < 1.5:
            continue
        tracks = room.bucket.manifest().tracks
        assert len(tracks) == 2
        for track in tracks:
            data = room.bucket.file(track)
            assert packet_times(data)[-1] > position - 1.2
            assert decoded(data)


async def test_what_is_lost_is_asked_for_and_left_out(room: Room) -> None:
    video, audio = room.publish(VIDEO["vp8"]), room.publish(OPUS)
    room.run(3)
    room.asked.clear()
    lost = {video.sender.index, audio.sender.index + 3}
    video.lose = audio.lose = lost.__contains__
    room.run(5)
    ended = await room.close()
    assert room.asked[0] == video.track_id
    seen, heard = (room.bucket.file(track) for track in room.bucket.manifest().tracks)
    assert len(decoded(heard)) == audio.sent - 1
    assert len(decoded(seen)) == len(packet_times(seen))
    gaps = [(before, after) for before, after in pairwise(packet_times(seen)) if after - before > 0.1]
    assert gaps == [pytest.approx((3 - FRAME_S + DELAY_S, 4 + DELAY_S), abs=0.07)]  # a key frame each 2 s
    assert 0 < ended["dropped_frames"] <= GOP / 2
    assert room.bucket.manifest().dropped_frames == ended["dropped_frames"]


async def test_a_camera_that_was_off_has_two_files(room: Room) -> None:
    video = room.publish(VIDEO["vp8"])
    room.run(2.5)
    room.mute(video, True)
    room.run(3)
    room.asked.clear()
    room.mute(video, False)
    room.run(3)
    assert room.asked[0] == video.track_id
    await room.close()
    before, after = room.bucket.manifest().tracks
    assert before.track_id == after.track_id
    assert before.ends_s == pytest.approx(2.5, abs=0.03)
    assert after.begins_s == pytest.approx(6 + DELAY_S, abs=0.05)
    for track in (before, after):
        assert decoded(room.bucket.file(track))


async def test_a_muted_microphone_leaves_a_gap(room: Room) -> None:
    audio = room.publish(OPUS)
    room.run(2)
    room.mute(audio, True)
    room.run(4)
    room.mute(audio, False)
    room.run(2)
    await room.close()
    times = packet_times(room.bucket.file(only(room.bucket.manifest().tracks)))
    gaps = [after - before for before, after in pairwise(times) if after - before > 0.1]
    assert gaps == [pytest.approx(4, abs=0.05)]
    assert times[-1] == pytest.approx(8, abs=0.05)


@pytest.mark.parametrize("codec", ["vp8", "vp9", "h264", "av1"])
async def test_a_picture_that_becomes_larger_plays_on(codec: str, room: Room) -> None:
    video = room.publish(VIDEO[codec])
    room.run(2)
    video.frames, video.sent = frames_of(VIDEO[codec], 320, 240), 2 * GOP
    video.began = room.now - video.sent * video.step_s
    room.run(2)
    await room.close()
    frames = decoded(room.bucket.file(only(room.bucket.manifest().tracks)))
    assert {frame.width for frame in frames} == {160, 320}
    assert len(frames) > 3.5 * FPS


async def test_who_leaves_and_comes_back_has_another_track(room: Room) -> None:
    audio = room.publish(OPUS)
    room.run(2)
    room.leave(audio)
    room.run(2)
    room.publish(OPUS)
    room.run(2)
    ended = await room.close()
    first, second = room.bucket.manifest().tracks
    assert first.ends_s == pytest.approx(2, abs=0.03)
    assert second.begins_s == pytest.approx(4 + DELAY_S, abs=0.03)
    assert first.user_id == second.user_id
    assert ended["participants"] == 1
    assert len(decoded(room.bucket.file(second))) > 90


async def test_in_the_middle_of_a_call_it_begins_with_a_key_frame(room: Room) -> None:
    video = room.publish(VIDEO["vp8"])
    video.sent, video.began = 7, room.now - 7 * FRAME_S
    room.run(0.1)
    assert room.asked == [video.track_id]
    room.run(3.9)
    await room.close()
    track = only(room.bucket.manifest().tracks)
    assert track.begins_s == pytest.approx((GOP - 7) * FRAME_S + DELAY_S, abs=0.05)
    assert decoded(room.bucket.file(track))[0].key_frame


async def test_a_picture_from_before_the_beginning_is_the_first(room: Room) -> None:
    video = room.publish(VIDEO["vp8"])
    video.began -= 5 * FRAME_S
    room.run(1)
    await room.close()
    track = only(room.bucket.manifest().tracks)
    assert track.begins_s == 0
    times = packet_times(room.bucket.file(track))
    assert len(times) == video.sent
    assert all(before < after for before, after in pairwise(times))


async def test_a_pause_is_cut_out_of_all_tracks_in_step(room: Room) -> None:
    audio, video = room.publish(OPUS), room.publish(VIDEO["vp8"])
    room.run(4.5)
    room.recorder.pause(room.now)
    room.run(6)
    room.asked.clear()
    room.recorder.resume(room.now)
    room.run(3.5)
    assert room.asked[0] == video.track_id
    ended = await room.close()
    assert ended["duration_s"] == pytest.approx(8.0, abs=0.01)
    heard, seen = (packet_times(room.bucket.file(track)) for track in room.bucket.manifest().tracks)
    assert len(heard) == pytest.approx(audio.sent - 300, abs=2)
    assert max(after - before for before, after in pairwise(heard)) < 0.05
    assert heard[-1] == pytest.approx(8.0, abs=0.05)
    # the key frame of the sender's second 12 is at second 6
    assert seen[-30:] == pytest.approx([6 + DELAY_S + number * FRAME_S for number in range(30)], abs=0.02)
    for track in room.bucket.manifest().tracks:
        assert decoded(room.bucket.file(track))


async def test_nothing_is_written_while_it_is_paused(room: Room) -> None:
    room.publish(OPUS)
    room.publish(VIDEO["vp8"])
    room.recorder.pause(room.now)
    room.run(3)
    assert room.asked == []
    ended = await room.close()
    assert room.bucket.manifest().tracks == ()
    assert (ended["size"], ended["duration_s"], ended["participants"]) == (0, 0, 0)


async def test_people_whose_clocks_differ_stay_in_step(room: Room) -> None:
    """`test_sync` has ten minutes of it with jitter; here the files are looked at."""
    people = [("alice", Clocks(50e-6, 3.9e9)), ("bob", Clocks(-50e-6, 1e6))]
    for name, clocks in people:
        room.publish(OPUS, name, clocks=clocks)
        room.publish(VIDEO["vp8"], name, clocks=clocks)
    for _ in range(10 if SOAK else 1):
        room.run(60)
        await room.uploaded()
    await room.close()
    times = {track.track_id: packet_times(room.bucket.file(track)) for track in room.bucket.manifest().tracks}
    for kind, step_s in (("opus", 0.02), ("vp8", FRAME_S)):
        for name in ("alice", "bob"):
            for number, time in enumerate(times[f"{name}-{kind}"]):
                assert abs(time - DELAY_S - number * step_s) < 0.02


async def test_a_name_counts_from_the_beginning_on(room: Room) -> None:
    room.publish(OPUS)
    room.run(0.5)
    room.recorder.rename("user of alice", "Alice Liddell", room.now)
    room.publish(VIDEO["vp8"], "bob")
    room.run(0.5)
    await room.close()
    assert [track.username for track in room.bucket.manifest().tracks] == ["Alice Liddell", "Name of bob"]


async def test_a_name_before_the_first_packet(room: Room) -> None:
    audio = room.publish(OPUS)
    room.recorder.rename("user of alice", "Alice Liddell", room.now)
    room.run(0.5)
    room.recorder.rename("user of nobody", "Nobody", room.now)
    await room.close()
    assert only(room.bucket.manifest().tracks).username == "Alice Liddell"
    assert audio.sent


async def test_how_loud_it_was_is_told(room: Room) -> None:
    audio = room.publish(OPUS)
    room.run(2.5)
    audio.sender.level = 127
    room.run(2.5)
    audio.sender.level = 10
    room.run(2.5)
    await room.close()
    rows = room.bucket.levels()
    assert {number for _, number, _ in rows} == {0}
    assert [time for time, _, _ in rows] == sorted(time for time, _, _ in rows)
    assert {level for time, _, level in rows if time < 2.5} == {30}
    assert not [time for time, _, _ in rows if 2.6 < time < 4.9]
    assert {level for time, _, level in rows if time > 5.1} == {10}
    assert len(rows) == pytest.approx(50, abs=3)


async def test_a_later_take_goes_on_where_the_timeline_is() -> None:
    room = Room(take=1, begins_s=100.0)
    room.publish(OPUS)
    room.run(2)
    ended = await room.close()
    manifest = room.bucket.manifest(take=1)
    assert (manifest.take, manifest.begins_s, manifest.duration_s) == (1, 100.0, pytest.approx(102.0))
    assert packet_times(room.bucket.file(only(manifest.tracks), take=1))[0] == pytest.approx(
        100.0 + DELAY_S, abs=0.02
    )
    assert ended["duration_s"] == pytest.approx(102.0)
    assert room.bucket.order[0] == "recordings/rec/0001/manifest.json"


async def test_the_manifest_is_there_before_anybody_speaks(room: Room) -> None:
    room.run(0.1)
    await room.uploaded()
    assert room.bucket.manifest().tracks == ()
    room.run(5)
    await room.uploaded()
    assert room.bucket.manifest().duration_s > 2.9


async def test_a_phone_that_is_turned_begins_another_file(room: Room) -> None:
    track = track_of(VIDEO["vp8"])
    turning = replace(track.parameters, header_extensions=(HeaderExtension(5, VIDEO_ORIENTATION_URI),))
    room.recorder.begin(replace(track, parameters=turning), room.now)
    sender, frames = Sender(VIDEO["vp8"]), encoded_video("vp8", 2 * GOP, 160, 120, GOP)
    for number, frame in enumerate(frames):
        now = BEGINS_AT + number * FRAME_S
        for packet in sender.packets(frame, now, now):
            packet.profile, packet.extension = ONE_BYTE_PROFILE, bytes((0x50, 1 if number >= 10 else 0, 0, 0))
            room.recorder.rtp(track.track_id, packet, now)
        room.recorder.tick(now)
        room.now = now
    assert room.asked[-1] == track.track_id
    await room.close()
    tracks = room.bucket.manifest().tracks
    assert [track.rotation for track in tracks] == [0, 90]
    assert [len(decoded(room.bucket.file(track))) for track in tracks] == [GOP, GOP]


async def test_a_camera_that_flickers_does_not_get_a_file_each_time(room: Room) -> None:
    video = room.publish(VIDEO["vp8"])
    key_frame = video.frames(0)
    video.frames = lambda _: key_frame
    for _ in range(20):
        room.mute(video, True)
        room.run(0.1)
        room.mute(video, False)
        room.run(0.1)
    await room.close()
    tracks = room.bucket.manifest().tracks
    assert 3 <= len(tracks) <= 4
    assert all(after.begins_s - before.begins_s >= 1 for before, after in pairwise(tracks))


async def test_what_cannot_be_written_is_counted(room: Room) -> None:
    video = room.publish(VIDEO["vp8"])
    whole = video.frames(0)
    video.frames = lambda _: replace(
        whole, payloads=(b"\x10" + bytes(3) + b"\x9d\x01\x2a" + bytes(4),)
    )  # a key frame of 0 x 0
    room.run(1)
    ended = await room.close()
    assert room.bucket.manifest().tracks == ()
    assert ended["errors"] == video.sent


async def test_unknown_tracks_are_of_no_consequence(room: Room) -> None:
    published = room.publish(OPUS)
    room.leave(published)
    room.tracks[published.track_id] = published  # its last packets were under way
    room.recorder.mute(published.track_id, True, room.now)
    room.run(1)
    await room.close()
    assert room.bucket.manifest().tracks == ()


async def test_opened_as_the_egress_process_does() -> None:
    configuration = {"recording_id": "rec", "take": 0, "begins_s": 0.0, "begins_at": 5.0, "kind": "recorder"}
    recorder = await open_sink(configuration, 5.1, lambda _: None)
    assert recorder.stats(6.0)["duration_s"] == 1.0
