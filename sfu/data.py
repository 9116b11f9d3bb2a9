"""What participants say to each other on data channels: from one, to all others of the room.

A client opens channels in the connection that it publishes on. What it says on one of them reaches every other
participant who has data channels, on a channel that the SFU opens to them at the first message: with the same label
and the same reliability, and with a protocol that begins with the sender's user id, then, if the sender's channel has
a protocol, a space and that. The messages themselves are not touched, text stays text and bytes stay bytes: no
envelope to agree on, and an unmodified `RTCDataChannel` at both ends. Galène, which forwards chat over its WebSocket,
and LiveKit, which wraps each packet in protobuf with the sender's identity, were looked at first.

What is said before somebody comes does not reach them. When a channel is closed, or its sender leaves, the channels
that carried it to others are closed behind the last message. What others say on a channel that the SFU opened is
dropped: it is for listening.

Bounds: `sfu.sctp.channels` says how long and how many; a sender who says more than `RATE` is made to wait by SCTP's
own flow control; for a receiver who reads too slowly, unreliable messages are dropped and a reliable channel, whose
promise is broken, is closed; it comes back with the first message after all that was on its way has arrived.
"""

from collections.abc import Callable

from sfu.ortc.data import DataAbility
from sfu.sctp.channels import Channel, DataChannels

RATE = 1_000_000
"""Bytes a second that one sender may have sent to all others together, in the long run: a thousand short messages,
about a twentieth of a core."""
BURST = 4_000_000
"""And at once: a thousand short messages to four others, or four long ones."""
MESSAGE_BYTES = 1000
"""What a message counts at least, for each receiver: short ones cost as much to send as an MTU full."""


class DataPort:
    """One connection's data channels in a room; made by `DataRouter.join`, and driven by a transport."""

    def __init__(
        self, router: "DataRouter", user_id: str, ability: DataAbility, *, server: bool, flush: Callable[[], None]
    ) -> None:
        self.user_id = user_id
        self.flush = flush
        """Sends what `outgoing` has."""
        self.channels = DataChannels(self, server=server, peer_port=ability.port, peer_limit=ability.max_message_size)
        self._router = router
        self._carried: dict[Channel, Channel] = {}
        """By a sender's channel: ours that carries it to this peer."""
        self._broken: set[Channel] = set()
        """The senders' channels that this peer did not read in time."""
        self._refused: set[Channel] = set()
        """The senders' channels that this peer does not want to hear."""
        self._credit: float = BURST
        self._credited_at: float | None = None
        self._now = 0.0

    # What a transport asks: `sfu.transport.DataUser`.

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one SCTP packet."""
        self._now = now
        self.channels.receive(datagram, now)
        self._router.flush()

    def tick(self, now: float) -> None:
        """Let time pass."""
        self._credit_for(now)
        self.channels.tick(now)
        if self.channels.reason:
            self._router.leave(self)

    def outgoing(self, now: float) -> list[bytes]:
        """The SCTP packets to send now."""
        return self.channels.outgoing(now)

    # What the peer does: `sfu.sctp.channels.ChannelListener`.

    def opened(self, channel: Channel) -> None:
        """Others are told at its first message."""

    def said(self, channel: Channel, payload: bytes, *, text: bool) -> None:
        """See `ChannelListener.said`."""
        if channel.local:
            return
        listeners = self._router.carry(self, channel, payload, text=text, now=self._now)
        self._credit -= max(1, listeners) * max(MESSAGE_BYTES, len(payload))
        if self._credit < 0:
            self.channels.throttle(True)

    def closed(self, channel: Channel) -> None:
        """See `ChannelListener.closed`."""
        if not channel.local:
            self._router.silence(channel)
        for theirs in [theirs for theirs, ours in self._carried.items() if ours is channel]:
            self._refused.add(theirs)
            del self._carried[theirs]

    # What the router asks.

    def carry(self, theirs: Channel, sender: str, payload: bytes, *, text: bool, now: float) -> bool:
        """Send on what somebody else said; False where this peer does not get it."""
        if theirs in self._refused or not self.channels.connected:
            return False
        if theirs in self._broken and not self.channels.idle:
            return False
        self._broken.discard(theirs)
        ours = self._carried.get(theirs)
        if ours is None:
            protocol = f"{sender} {theirs.protocol}" if theirs.protocol else sender
            ours = self.channels.open(theirs.label, protocol, theirs.reliability, now)
            if ours is None:
                return False
            self._carried[theirs] = ours
        if self.channels.send(ours, payload, text=text, now=now):
            return True
        if theirs.reliability.is_full:
            self.channels.close_channel(ours, at_once=True)
            del self._carried[theirs]
            self._broken.add(theirs)
        return False

    def silence(self, theirs: Channel) -> None:
        """Somebody's channel has ended."""
        self._broken.discard(theirs)
        self._refused.discard(theirs)
        ours = self._carried.pop(theirs, None)
        if ours is not None:
            self.channels.close_channel(ours)

    def leave(self) -> None:
        """End the association, and all that it carried to others."""
        self._router.leave(self)
        self.channels.close()

    def _credit_for(self, now: float) -> None:
        if self._credited_at is not None and self._credit < BURST:
            was_short = self._credit < 0
            self._credit = min(BURST, self._credit + RATE * (now - self._credited_at))
            if was_short and self._credit >= 0:
                self.channels.throttle(False)
        self._credited_at = now


class DataRouter:
    """The data channels of one room."""

    def __init__(self) -> None:
        self._ports: dict[DataPort, None] = {}
        self._spoken: dict[Channel, DataPort] = {}
        """Whose a channel is on which something was said."""
        self._touched: dict[DataPort, None] = {}

    def join(self, user_id: str, ability: DataAbility, *, server: bool, flush: Callable[[], None]) -> DataPort:
        """A connection of a user has data channels. `server`: we are DTLS's; `flush` sends what the port says."""
        port = DataPort(self, user_id, ability, server=server, flush=flush)
        self._ports[port] = None
        return port

    def leave(self, port: DataPort) -> None:
        """A connection ends. Unknown is fine."""
        self._ports.pop(port, None)
        for channel in [channel for channel, owner in self._spoken.items() if owner is port]:
            self.silence(channel)
        self.flush()

    def carry(self, sender: DataPort, channel: Channel, payload: bytes, *, text: bool, now: float) -> int:
        """Send a message to everybody else; how many get it."""
        if sender not in self._ports:
            return 0
        self._spoken[channel] = sender
        count = 0
        for port in self._ports:
            if port.user_id != sender.user_id and port.carry(channel, sender.user_id, payload, text=text, now=now):
                self._touched[port] = None
                count += 1
        return count

    def silence(self, channel: Channel) -> None:
        """A sender's channel has ended."""
        if self._spoken.pop(channel, None) is None:
            return
        for port in self._ports:
            port.silence(channel)
            self._touched[port] = None

    def flush(self) -> None:
        """Let everybody who has something new to be sent send it."""
        touched, self._touched = self._touched, {}
        for port in touched:
            port.flush()
