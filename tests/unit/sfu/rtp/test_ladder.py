import pytest

from sfu.rtp.bits import KeyFrame
from sfu.rtp.ladder import SILENCE_FRAMES, SILENCE_S, SKIPPING_S, TAKEOVER_S, Ladder
from sfu.rtp.packet import RtpPacket
from sfu.rtp.reader import PayloadReader
from sfu.rtp.stream import RtpStream


def stream(rid: str, ssrc: int, width: int = 0) -> RtpStream:
    made = RtpStream(ssrc, 90000, video=True, asks_again=False, rid=rid)
    made.reader = PayloadReader("vp8")
    made.reader.sizes = (KeyFrame(width, width),) if width else ()
    return made


def send(rung: RtpStream, now: float, *, octets: int = 100) -> None:
    number = rung.highest + 1 & 0xFFFF
    packet = RtpPacket(96, number, 3000 * number, rung.ssrc, bytes(octets))
    assert rung.accept(packet, now)
    rung.meter.add(packet, rung.new_frame, now)


def rids(ladder: Ladder) -> str:
    return "".join(rung.rid for rung in ladder.rungs)


def test_rungs_are_in_the_order_of_their_size():
    ladder = Ladder()
    for rid, width in (("f", 1280), ("q", 320), ("h", 640)):
        ladder.heard(stream(rid, width, width), 1.0)
    assert rids(ladder) == "qhf"
    assert ladder.revision >= 3


def test_a_size_that_changes_changes_the_order():
    ladder = Ladder()
    q, f = stream("q", 1, 320), stream("f", 2, 1280)
    ladder.heard(q, 1.0)
    ladder.heard(f, 1.0)
    revision = ladder.revision
    ladder.look(1.1)
    assert ladder.revision == revision
    assert f.reader is not None
    f.reader.sizes = (KeyFrame(160, 160),)
    ladder.look(1.2)
    assert rids(ladder) == "fq"
    assert ladder.revision > revision


@pytest.mark.parametrize(("octets", "order"), [(100, "ab"), (110, "ab"), (200, "ba")])
def test_of_one_size_the_bit_rate_tells_where_it_is_clear(octets: int, order: str):
    ladder = Ladder()
    a, b = stream("a", 1), stream("b", 2)
    for i in range(30):
        send(a, 1 + i / 30, octets=octets)
        send(b, 1 + i / 30, octets=100)
        for rung in (a, b):
            if rung not in ladder.rungs:
                ladder.heard(rung, 1.0)
            rung.sample(1 + i / 30)
    ladder.look(2.0)
    assert rids(ladder) == order


def test_silent_is_who_sends_nothing_while_others_go_on():
    ladder = Ladder()
    q, f = stream("q", 1, 320), stream("f", 2, 1280)
    for rung in (q, f):
        send(rung, 1.0)
        ladder.heard(rung, 1.0)
    ladder.look(1.0)
    for i in range(1, SILENCE_FRAMES + 3):
        now = 1 + i * SILENCE_S / SILENCE_FRAMES
        send(q, now)
        ladder.look(now)
        assert f.silent == (i >= SILENCE_FRAMES)
    assert ladder.active == (q,)
    assert rids(ladder) == "qf", "it keeps its rung"
    revision = ladder.revision
    ladder.heard(f, now)
    assert not f.silent
    assert ladder.revision > revision


def test_a_lower_rung_that_skips_frames_while_an_upper_one_goes_on_is_not_silent_so_soon():
    ladder = Ladder()
    q, f = stream("q", 1, 320), stream("f", 2, 1280)
    for rung in (q, f):
        send(rung, 1.0)
        ladder.heard(rung, 1.0)
    ladder.look(1.0)
    for i in range(1, 25):
        send(f, 1 + i / 10)
        ladder.look(1 + i / 10)
        assert q.silent == (i / 10 >= SKIPPING_S)


def test_a_track_on_which_nothing_moves_has_no_silent_rung():
    ladder = Ladder()
    q, f = stream("q", 1, 320), stream("f", 2, 1280)
    for rung in (q, f):
        send(rung, 1.0)
        ladder.heard(rung, 1.0)
    for i in range(100):
        ladder.look(1 + i / 10)
    assert ladder.active == (q, f)


def test_a_rid_has_one_rung():
    ladder = Ladder()
    ladder.heard(stream("q", 1, 320), 1.0)
    again = stream("q", 2, 320)
    ladder.heard(again, 1.0)
    assert ladder.rungs == (again,)


def test_without_rids_there_is_one_rung_that_another_ssrc_takes_when_it_is_free():
    ladder = Ladder()
    first, second = stream("", 1), stream("", 2)
    send(first, 1.0)
    ladder.heard(first, 1.0)
    ladder.heard(second, 1.0 + TAKEOVER_S / 2)
    assert ladder.rungs == (first,)
    ladder.heard(second, 1.0 + TAKEOVER_S)
    assert ladder.rungs == (second,)
    restarted = stream("", 2)
    ladder.heard(restarted, 1.1 + TAKEOVER_S)
    assert ladder.rungs == (restarted,), "a sender that starts anew is the same one"
