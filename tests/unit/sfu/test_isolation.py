"""Nobody receives a track of a room they aren't in, or moves anything there, whatever they ask for and send."""

from sfu.media_events import SubscribeOffer, TrackPublished
from sfu.rtp import rtcp
from sfu.rtp.packet import header, write_elements

from .test_media import Call

KEY = bytes.fromhex("10 100200 9d012a 8002 6801") + bytes(50)


class TwoRooms:
    """Alice sends to Bob; Mallory sends and receives in another room of the same process."""

    def __init__(self) -> None:
        self.ours, self.theirs = Call(), Call()
        self.ours.media.subscribe("bob", 0.0)
        self.theirs.media.subscribe("mallory", 0.0)
        self.ours.publish("alice")
        self.theirs.publish("mallory")
        self.tracks = [event.track for event in self.ours.take(TrackPublished)]
        self.ours.settle()
        for transport in (*self.ours.transports, *self.theirs.transports):
            transport.move("connected")
        [self.mallorys_sending] = [
            transport for transport in self.theirs.transports if not self._receives(self.theirs, transport)
        ]
        self.consumers = [c for track in self.tracks for c in self.ours.router.consumers(track.track_id)]
        assert len(self.consumers) == 2

    @staticmethod
    def _receives(call: Call, transport: object) -> bool:
        user = call.media._users["mallory"]
        return user.subscriber is not None and user.subscriber.peer._transport is transport

    def alice_sends(self) -> None:
        for track in self.tracks:
            extension = write_elements([(track.parameters.header_extensions[0].id, track.parameters.mid.encode())])
            payload_type = track.parameters.codecs[0].payload_type
            ssrc = track.parameters.encodings[0].ssrc
            assert ssrc is not None
            self.ours.router.receive_rtp(track.peer_id, header(payload_type, 1, 3000, ssrc, *extension) + KEY, 1.0)

    def bob_got(self) -> int:
        return sum(consumer.packets for consumer in self.consumers)


def test_a_track_of_another_room_cannot_be_asked_for() -> None:
    rooms = TwoRooms()
    media = rooms.theirs.media
    for now, track in enumerate(rooms.tracks, 1):
        media.want("mallory", track.track_id, float(now), visible=True, width=None, height=None)
        media.cap("mallory", track.track_id, float(now), spatial=2, temporal=2)
        media.refuse("mallory", track.track_id, float(now))
        media.want("bob", track.track_id, float(now), visible=True, width=None, height=None)  # nobody of that room
    media.tick(10.0)
    assert rooms.theirs.take(SubscribeOffer) == []
    rooms.alice_sends()
    assert rooms.bob_got() == 2
    assert [transport.sent for transport in rooms.theirs.transports] == [[], []]


def test_what_is_sent_and_said_in_one_room_moves_nothing_in_another() -> None:
    """Mallory knows every SSRC, and the ids of all connections."""
    rooms = TwoRooms()
    rooms.alice_sends()
    before = [consumer.stats(1.0) for consumer in rooms.consumers]
    wanted = [request for producer in rooms.ours.router.producers.values() for request in producer._streams]
    named = [consumer.ssrc for consumer in rooms.consumers] + [stream.ssrc for stream in wanted]
    block = [rtcp.ReportBlock(ssrc, 255, 9999, 1, 90000, 0, 0) for ssrc in named]
    compound = b"".join(
        (
            rtcp.receiver_report(rtcp.ReceiverReport(5, tuple(block))),
            *(rtcp.nack(5, ssrc, [1, 2, 3]) for ssrc in named),
            *(rtcp.picture_loss(5, ssrc) for ssrc in named),
            rtcp.goodbye(named),
        )
    )
    for ssrc in named:
        rooms.mallorys_sending.on_rtp(header(96, 2, 6000, ssrc) + KEY, 1.0)
    for transport in rooms.theirs.transports:
        transport.on_rtcp(compound, 1.0)
    for peer_id in {track.peer_id for track in rooms.tracks} | {consumer.peer_id for consumer in rooms.consumers}:
        rooms.theirs.router.receive_rtp(peer_id, header(96, 2, 6000, named[-1]) + KEY, 1.0)
        rooms.theirs.router.receive_rtcp(peer_id, compound, 1.0)
    assert [consumer.stats(1.0) for consumer in rooms.consumers] == before
    assert rooms.bob_got() == 2
    assert [consumer.resent for consumer in rooms.consumers] == [0, 0]
    assert [transport.sent for transport in rooms.theirs.transports] == [[], []]
