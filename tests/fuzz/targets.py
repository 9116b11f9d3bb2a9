"""What is fuzzed: one target for each format that a stranger or a participant can send us.

A target takes bytes and reads them as the server would. The errors that the code promises are expected there and
nowhere else: whatever comes out of a target is a bug.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sfu import stun
from sfu.ortc.fragment import read_fragment
from sfu.ortc.sdp import SdpError
from sfu.rtp import rtcp
from sfu.rtp.av1 import av1
from sfu.rtp.dependency import Dependency
from sfu.rtp.h264 import h264
from sfu.rtp.layers import EVERYTHING, LayerId
from sfu.rtp.packet import PacketError, parse, read_elements, write_elements
from sfu.rtp.red import red_primary
from sfu.rtp.twcc import read as read_feedback
from sfu.rtp.vp8 import Vp8Descriptor, vp8
from sfu.rtp.vp9 import Vp9Descriptor, vp9
from sfu.signaling import frames, messages
from sfu.tcp.framing import Deframer, FramingError
from tests.fuzz import samples
from tests.fuzz.calls import NOW, call, publish, subscribe, watch
from tests.fuzz.data import talk, talks

DATAGRAM = 1500
SDP = 16 * 1024
"""Four times what the page's largest offer measures; more is more of the same, and slow."""
SDPS = Path(__file__).parents[1] / "data" / "sdp"


@dataclass(frozen=True)
class Target:
    """One format: what reads it, and inputs to begin with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    longest: int = DATAGRAM
    """Bytes of the longest input."""
    inputs: int = 1_000_000
    """How many the soak run tries."""
    words: str = ""
    """The file in `tests/data/fuzz` with words that mutation by single bytes would take long to find."""


def _reads(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """A parser whose only error is `PacketError`."""

    def run(data: bytes) -> None:
        with suppress(PacketError):
            read(data)

    return run


def _stun(data: bytes) -> None:
    message = stun.parse(data)
    if message is None:
        return
    message.authentic("password")
    assert stun.parse(stun.success(message, ("192.0.2.1", 9), message.local_ufrag or "password"))
    assert stun.parse(stun.error(message, stun.ROLE_CONFLICT, "Role Conflict", "password"))


def _rtp(data: bytes) -> None:
    packet = parse(data)
    assert len(packet.payload) + len(packet.extension) <= len(data) - 12
    elements = packet.elements
    profile, block = write_elements(elements.items())
    assert read_elements(profile, block) == elements


def _rtcp(data: bytes) -> None:
    for packet in rtcp.parse(data):
        match packet:
            case rtcp.SenderReport():
                assert rtcp.parse(rtcp.sender_report(packet)) == [packet]
            case rtcp.ReceiverReport():
                assert rtcp.parse(rtcp.receiver_report(packet)) == [packet]
            case rtcp.Nack() if packet.sequence_numbers:
                again = rtcp.nack(packet.sender_ssrc, packet.media_ssrc, sorted(packet.sequence_numbers))
                [read] = rtcp.parse(again)
                assert isinstance(read, rtcp.Nack)
                assert set(read.sequence_numbers) == set(packet.sequence_numbers)


def _vp8(data: bytes) -> None:
    vp8(data)
    descriptor = Vp8Descriptor(data)
    changed = descriptor.rewritten(data, 70_000, 300)
    assert changed[descriptor.size :] == data[descriptor.size :]
    assert Vp8Descriptor(changed).size == descriptor.size


def _vp9(data: bytes) -> None:
    vp9(data)
    descriptor = Vp9Descriptor(data)
    changed = descriptor.rewritten(data, 70_000, 300)
    assert changed[descriptor.size :] == data[descriptor.size :]
    assert Vp9Descriptor(changed).size == descriptor.size


def _dependency(data: bytes) -> None:
    """The first byte is the size of a descriptor that may bring a structure; after it comes one that needs it."""
    if not data:
        return
    first = Dependency(data[1 : 1 + data[0]])
    second = Dependency(data[1 + data[0] :], first.structure, first.active)
    for found in (first, second):
        for limit in (LayerId(0, 0), LayerId(1, 2), EVERYTHING):
            again = Dependency(found.rewritten(70_000, limit), first.structure, first.active)
            assert again.frame_number == found.frame + 70_000 & 0xFFFF
            assert (again.spatial, again.temporal, again.fdiffs) == (found.spatial, found.temporal, found.fdiffs)
            found.above(limit)
            found.towards(LayerId(0, 0), limit, fresh=True)


def _tcp(data: bytes) -> None:
    """The first byte is how much of a stream comes at a time."""
    deframer, whole = Deframer(), Deframer()
    size = 1 + (data[0] if data else 0)
    try:
        expected = whole.feed(data[1:])
        assert expected == [
            datagram for at in range(1, len(data), size) for datagram in deframer.feed(data[at : at + size])
        ]
    except FramingError:
        return
    assert len(b"".join(expected)) <= len(data)


def _fragment(text: str) -> None:
    with suppress(SdpError):
        fragment = read_fragment(text)
        assert (fragment.ufrag is None) == (fragment.pwd is None)


def _dtls(data: bytes) -> None:
    """The first byte says who we are and how the rest is cut into datagrams."""
    if not data:
        return
    ours = samples.expecting("client" if data[0] & 1 else "server")
    ours.outgoing()
    size = 16 + 8 * (data[0] >> 1)
    for at in range(1, len(data), size):
        ours.receive(data[at : at + size])
        assert all(len(datagram) <= DATAGRAM for datagram in ours.outgoing())
    assert ours.state != "connected"
    ours.tick()
    ours.close()


def _frame(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        message = messages.parse(text)
    except messages.InvalidMessage as refused:
        frames.encode(frames.error(refused.code, refused.message, NOW))
    else:
        json.dumps(asdict(message), ensure_ascii=False, allow_nan=False).encode()  # else it could not be relayed


def _text(use: Callable[[str], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        use(data.decode("utf-8", "replace"))

    return run


def _sdps(pattern: str) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted(SDPS.glob(pattern))]


TARGETS: dict[str, Target] = {
    "stun": Target(_stun, samples.checks),
    "rtp": Target(_reads(_rtp), samples.rtp),
    "rtcp": Target(_reads(_rtcp), samples.rtcp_),
    "twcc": Target(_reads(lambda data: read_feedback(1, 2, data)), samples.feedback),
    "vp8": Target(_reads(_vp8), samples.vp8, longest=64),
    "vp9": Target(_reads(_vp9), samples.vp9, longest=256),
    "av1": Target(_reads(av1), samples.av1, longest=256),
    "h264": Target(_reads(h264), samples.h264, longest=256),
    "dependency": Target(_reads(_dependency), samples.dependencies, longest=512),
    "red": Target(_reads(red_primary), samples.red),
    "dtls": Target(_dtls, samples.dtls, longest=4096, inputs=100_000),
    "tcp": Target(_tcp, samples.stream, longest=4096),
    "sctp": Target(talk, talks, inputs=100_000),
    "call": Target(call, samples.calls, longest=4096, inputs=100_000),
    "sdp-offer": Target(_text(publish), _sdps("*publish*.sdp"), SDP, 250_000, "sdp.dict"),
    "sdp-answer": Target(_text(subscribe), _sdps("*answer*.sdp"), SDP, 250_000, "sdp.dict"),
    "sdp-watch": Target(_text(watch), _sdps("*watch*.sdp"), SDP, 250_000, "sdp.dict"),
    "sdp-fragment": Target(_text(_fragment), samples.fragments, SDP, 250_000, "sdp.dict"),
    "frames": Target(_frame, samples.said, longest=4096, words="frames.dict"),
}
"""By name."""
