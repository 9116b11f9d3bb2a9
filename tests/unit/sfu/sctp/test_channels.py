from dataclasses import dataclass, field

import pytest

from sfu.sctp.association import MAX_STREAMS
from sfu.sctp.channels import DCEP, MAX_NAME, MAX_PEER_CHANNELS, STRING, Channel, DataChannels, _open_message
from sfu.sctp.queue import Reliability

from .conftest import Dialer, Wire

RELIABLE = Reliability()


@dataclass
class Heard:
    opened_: list[Channel] = field(default_factory=list)
    said_: list[tuple[str, bytes, bool]] = field(default_factory=list)
    closed_: list[Channel] = field(default_factory=list)

    def opened(self, channel: Channel) -> None:
        self.opened_.append(channel)

    def said(self, channel: Channel, payload: bytes, *, text: bool) -> None:
        self.said_.append((channel.label, payload, text))

    def closed(self, channel: Channel) -> None:
        self.closed_.append(channel)


class Peer:
    """A browser's association, and our channels before it."""

    def __init__(self, *, peer_limit: int = 256 << 10) -> None:
        self.heard = Heard()
        self.near = Dialer()
        self.channels = DataChannels(self.heard, server=True, peer_port=5000, peer_limit=peer_limit)
        self.wire = Wire(self.near, self.channels)  # type: ignore[arg-type]  # receive, tick and outgoing are alike
        self.run()

    @property
    def now(self) -> float:
        return self.wire.now

    def run(self, seconds: float = 0.3) -> None:
        self.wire.run(seconds)

    def open(self, stream: int, message: bytes) -> None:
        assert self.near.send(stream, DCEP, message, RELIABLE, self.now)
        self.run()


@pytest.fixture
def peer() -> Peer:
    peer = Peer()
    assert peer.channels.connected
    return peer


@pytest.mark.parametrize(
    "reliability",
    [
        RELIABLE,
        Reliability(False),
        Reliability(True, max_retransmits=3),
        Reliability(False, max_retransmits=0),
        Reliability(False, lifetime_s=0.25),
    ],
)
def test_what_a_channel_promises_is_read_as_it_is_written(peer: Peer, reliability: Reliability) -> None:
    peer.open(2, _open_message("Größe", "proto", reliability))
    (channel,) = peer.heard.opened_
    assert (channel.stream, channel.label, channel.protocol) == (2, "Größe", "proto")
    assert channel.reliability == reliability
    assert peer.near.heard == [(2, DCEP, b"\x02")]
    ours = peer.channels.open("Größe", "proto", reliability, peer.now)
    assert ours is not None
    assert ours.stream == 1
    peer.run()
    assert peer.near.heard[-1] == (1, DCEP, _open_message("Größe", "proto", reliability))


def test_text_and_bytes_and_nothing_are_told_apart(peer: Peer) -> None:
    peer.open(0, _open_message("chat", "", RELIABLE))
    for protocol, payload in ((51, b"text"), (53, b"bytes"), (56, b"\0"), (57, b"\0"), (52, b"old"), (99, b"?")):
        assert peer.near.send(0, protocol, payload, RELIABLE, peer.now)
    peer.run()
    assert [said[1:] for said in peer.heard.said_] == [(b"text", True), (b"bytes", False), (b"", True), (b"", False)]
    (channel,) = peer.heard.opened_
    for payload, text in ((b"t", True), (b"b", False), (b"", True), (b"", False)):
        assert peer.channels.send(channel, payload, text=text, now=peer.now)
    peer.run()
    assert [message[1:] for message in peer.near.heard[1:]] == [(51, b"t"), (53, b"b"), (56, b"\0"), (57, b"\0")]


def test_before_its_ack_a_channel_keeps_its_order(peer: Peer) -> None:
    ours = peer.channels.open("cursor", "", Reliability(False), peer.now)
    assert ours is not None
    assert not ours.acknowledged
    assert peer.channels.send(ours, b"first", text=True, now=peer.now)
    assert [m.reliability.ordered for m in peer.channels._association._outbound.queue._messages] == [True, True]  # type: ignore[union-attr]
    peer.near.send(1, DCEP, b"\x02", RELIABLE, peer.now)
    peer.run()
    assert ours.acknowledged
    assert peer.channels.send(ours, b"second", text=True, now=peer.now)
    assert [m.reliability.ordered for m in peer.channels._association._outbound.queue._messages] == [False]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "message",
    [
        b"\x03",
        _open_message("x" * (MAX_NAME + 1), "", RELIABLE),
        _open_message("x", "y" * (MAX_NAME + 1), RELIABLE),
        _open_message("label", "", RELIABLE)[:-1],
        _open_message("label", "", RELIABLE) + b"more",
        b"\x03\x7f" + _open_message("label", "", RELIABLE)[2:],
        b"\x03\0\0\0\0\0\0\0\0\1\0\0\xff",
    ],
)
def test_a_malformed_opening_ends_its_stream(peer: Peer, message: bytes) -> None:
    peer.open(0, message)
    assert peer.heard.opened_ == []
    assert peer.near.ended == [0]
    assert peer.channels.connected


@pytest.mark.parametrize("stream", [1, MAX_STREAMS])
def test_a_stream_that_is_ours_or_too_far_is_not_opened(peer: Peer, stream: int) -> None:
    peer.open(stream, _open_message("mine", "", RELIABLE))
    assert (peer.heard.opened_, peer.near.ended) == ([], [stream])


def test_a_peer_may_have_so_many_channels(peer: Peer) -> None:
    for n in range(MAX_PEER_CHANNELS + 3):
        peer.near.send(2 * n, DCEP, _open_message(str(n), "", RELIABLE), RELIABLE, peer.now)
    peer.run(2)
    assert len(peer.heard.opened_) == MAX_PEER_CHANNELS
    assert len(peer.near.ended) == 3
    peer.near.reset(0)
    peer.run()
    peer.open(200, _open_message("again", "", RELIABLE))
    assert len(peer.heard.opened_) == MAX_PEER_CHANNELS + 1


def test_a_channel_that_the_peer_closes_is_closed_here_too(peer: Peer) -> None:
    peer.open(0, _open_message("chat", "", RELIABLE))
    (channel,) = peer.heard.opened_
    peer.near.reset(0)
    peer.run()
    assert peer.heard.closed_ == [channel]
    assert peer.near.ended == [0]
    assert not peer.channels.send(channel, b"late", text=True, now=peer.now)


def test_a_channel_that_we_close_is_gone_when_the_peer_has_closed_it(peer: Peer) -> None:
    ours = peer.channels.open("chat", "", RELIABLE, peer.now)
    assert ours is not None
    peer.channels.close_channel(ours)
    peer.run()
    assert (peer.near.ended, peer.heard.closed_) == ([1], [])
    peer.near.reset(1)
    peer.run()
    assert peer.heard.closed_ == [ours]
    assert peer.channels._channels == {}


def test_all_of_ours_may_be_open_and_then_there_is_no_room(peer: Peer) -> None:
    opened = [peer.channels.open(str(n), "", RELIABLE, peer.now) for n in range(MAX_STREAMS // 2)]
    assert None not in opened
    assert peer.channels.open("one more", "", RELIABLE, peer.now) is None


def test_nothing_longer_than_the_peer_takes_is_sent() -> None:
    peer = Peer(peer_limit=1000)
    ours = peer.channels.open("chat", "", RELIABLE, peer.now)
    assert ours is not None
    assert not peer.channels.send(ours, bytes(1001), text=False, now=peer.now)
    assert peer.channels.send(ours, bytes(1000), text=False, now=peer.now)


def test_what_comes_on_a_stream_that_nobody_opened_is_dropped(peer: Peer) -> None:
    peer.near.send(6, STRING, b"who?", RELIABLE, peer.now)
    peer.near.send(6, DCEP, b"\x02", RELIABLE, peer.now)
    peer.run()
    assert peer.heard.said_ == []
