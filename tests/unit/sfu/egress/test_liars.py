"""Whatever somebody sends, a recorder goes on, and what it keeps can be read."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.egress.frames import Frames
from sfu.egress.sync import TRUSTED_S, Sync
from sfu.rtp.packet import ONE_BYTE_PROFILE, RtpPacket
from sfu.rtp.parameters import RtpCodec
from sfu.rtp.rtcp import SenderReport

from .rooms import BEGINS_AT, Room, packet_times
from .senders import OPUS, VIDEO, track_of

U32 = st.integers(0, 2**32 - 1)
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"\x10\x00\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00", b"\x67\x42\xc0\x0c", b"\x18\x0a\x01\x02", b"\x08\x82"]
    ),
)
CODECS = st.sampled_from([OPUS, *VIDEO.values()])


@st.composite
def packets(draw: st.DrawFn) -> RtpPacket:
    payload_type = draw(st.sampled_from([96, 111, 13]))
    marker_type = payload_type | 0x80 * draw(st.booleans())
    packet = RtpPacket(
        marker_type, 0, draw(U32), 1, draw(PAYLOADS), ONE_BYTE_PROFILE, draw(st.binary(min_size=4, max_size=4))
    )
    packet.index = draw(st.integers(0, 60))
    packet.arrival = BEGINS_AT + draw(st.floats(0, 20))
    packet.key_frame = draw(st.booleans())
    return packet


REPORTS = st.builds(SenderReport, st.just(1), st.integers(0, 2**64 - 1), U32, st.just(0), st.just(0))
Event = RtpPacket | SenderReport
EVENTS = st.lists(st.one_of(packets(), packets(), packets(), REPORTS), max_size=60)


@given(CODECS, EVENTS)
@settings(max_examples=60)
def test_frames_are_in_order_and_near_the_time_they_came(codec: RtpCodec, events: list[Event]) -> None:
    frames = Frames(track_of(codec), Sync())
    found = []
    for number, event in enumerate(events):
        now = BEGINS_AT + number
        if isinstance(event, SenderReport):
            frames.report(event, now)
        else:
            event.arrival = now
            frames.receive(event, now)
        found += frames.pop(now)
    found += frames.flush()
    times = [frame.at for frame in found]
    assert times == sorted(set(times))
    assert all(BEGINS_AT - TRUSTED_S <= at <= BEGINS_AT + len(events) + TRUSTED_S for at in times)
    assert all(frame.data and frame.codec for frame in found)


@given(CODECS, EVENTS)
@settings(max_examples=30)
async def test_a_recorder_goes_on(codec: RtpCodec, events: list[Event]) -> None:
    room = Room()
    track = track_of(codec)
    room.recorder.begin(track, room.now)
    other = room.publish(OPUS, "honest")
    for event in events:
        if isinstance(event, SenderReport):
            room.recorder.report(track.track_id, event, room.now)
        else:
            room.recorder.rtp(track.track_id, event, room.now)
        room.run(0.1)
    await room.close()
    for kept in room.bucket.manifest().tracks:
        times = packet_times(room.bucket.file(kept))
        assert times == sorted(times)
        if kept.track_id == other.track_id:
            assert len(times) == other.sent
