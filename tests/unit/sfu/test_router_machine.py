"""Tracks, packets, RTCP, switches and time in any order: a router never raises, and what it sends is well-formed."""

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from sfu.consumer import Consumer
from sfu.router import Router
from sfu.rtp.layers import LayerId, View
from sfu.rtp.packet import header, parse, write_elements
from sfu.rtp.parameters import TrackInfo
from tests.fuzz import samples
from tests.fuzz.calls import CODECS, NOW, Wire, audio, received, video

PAYLOADS = [samples.vp8(), samples.vp9(), samples.av1(), samples.h264(), [bytes(40), *samples.red()]]
KINDS = len(CODECS) + 1
USERS = ("alice", "bob", "carol")
RTCP = samples.rtcp_packets()


class RouterMachine(RuleBasedStateMachine):
    """Each user publishes up to one track a codec and gets any track of the others, more than once if asked."""

    tracks = Bundle("tracks")
    consumers = Bundle("consumers")

    @initialize()
    def open(self) -> None:
        self.now = NOW
        self.router = Router(rng=Random(1))
        self.wires = {user: Wire() for user in USERS}
        self.sent: dict[str, dict[tuple[int, int], bytes]] = {user: {} for user in USERS}
        self.made = 0
        self.numbers: dict[int, int] = {}

    @rule(target=tracks, user=st.sampled_from(USERS), kind=st.integers(0, KINDS - 1))
    def publish(self, user: str, kind: int) -> tuple[str, int, str]:
        self.made += 1
        parameters = audio() if kind == len(CODECS) else video(kind)
        track = TrackInfo(f"t{self.made}", user, user, parameters.kind, "camera", parameters)
        self.router.produce(track, self.wires[user], self.now)
        return track.track_id, kind, user

    @rule(target=consumers, track=tracks, user=st.sampled_from(USERS))
    def consume(self, track: tuple[str, int, str], user: str) -> Consumer | None:
        producer = self.router.producers.get(track[0])
        if producer is None:
            return None
        self.made += 1
        got = received(producer.track.parameters, 10_000 + 2 * self.made)
        return self.router.consume(track[0], got, self.wires[user], self.now, peer_id=user)

    @rule(track=consumes(tracks))
    def unpublish(self, track: tuple[str, int, str]) -> None:
        self.router.close_producer(track[0], self.now)

    @rule(consumer=consumes(consumers))
    def unsubscribe(self, consumer: Consumer | None) -> None:
        if consumer is not None:
            self.router.close_consumer(consumer, self.now)

    @rule(
        track=tracks,
        what=st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()),
        gap=st.sampled_from((1, 1, 1, 1, 2, 5, -1, -3, 0, 2000, 40_000)),
        edit=st.none() | st.tuples(st.integers(0, 80), st.integers(0, 255)),
    )
    def packet(
        self, track: tuple[str, int, str], what: tuple[int, int, bool], gap: int, edit: tuple[int, int] | None
    ) -> None:
        """A packet of a track, mostly the next; sometimes with a byte changed, or over RTX."""
        _, kind, user = track
        encoding, payload, repeated = what
        payloads = PAYLOADS[kind]
        body = payloads[payload % len(payloads)]
        is_audio = kind == len(CODECS)
        payload_type = (111 if body is payloads[0] else 63) if is_audio else 96 + 2 * kind
        ssrc = 900 if is_audio else 1000 + 10 * kind + (2 * encoding if not kind else 0)
        number = self.numbers[ssrc] = self.numbers.get(ssrc, 65_500) + gap
        elements = [(1, b"9" if is_audio else str(kind).encode()), (4, bytes(3)), (5, (number & 0xFFFF).to_bytes(2))]
        if kind == 0:
            elements.append((3 if repeated else 2, b"qhf"[encoding : encoding + 1]))
        if repeated and not is_audio:
            payload_type, ssrc, body = payload_type + 1, ssrc + 1, (number & 0xFFFF).to_bytes(2) + body
        head = header(payload_type, number & 0xFFFF, 3000 * number & 0xFFFFFFFF, ssrc, *write_elements(elements))
        data = bytearray(head + body)
        if edit is not None:
            data[edit[0] % len(data)] = edit[1]
        self.router.receive_rtp(user, bytes(data), self.now)

    @rule(user=st.sampled_from(USERS), data=st.binary(max_size=60), rtcp=st.booleans())
    def noise(self, user: str, data: bytes, rtcp: bool) -> None:
        receive = self.router.receive_rtcp if rtcp else self.router.receive_rtp
        receive(user, data, self.now)

    @rule(
        consumer=consumers,
        which=st.integers(0, len(RTCP) - 1),
        numbers=st.lists(st.integers(0, 65535), max_size=6),
        edit=st.none() | st.tuples(st.integers(4, 80), st.integers(0, 255)),
    )
    def feedback(
        self, consumer: Consumer | None, which: int, numbers: list[int], edit: tuple[int, int] | None
    ) -> None:
        """RTCP of a subscriber about what it gets, or nearly."""
        if consumer is None:
            return
        data = bytearray(RTCP[which].replace((2000).to_bytes(4), consumer.ssrc.to_bytes(4)))
        if edit is not None:
            data[edit[0] % len(data)] = edit[1]
        self.router.receive_rtcp(consumer.peer_id, bytes(data), self.now)
        consumer.receive_nack(numbers, self.now)

    @rule(
        consumer=consumers,
        layer=st.none() | st.builds(LayerId, st.integers(0, 3), st.integers(0, 3)),
        view=st.none() | st.builds(View, st.booleans(), st.integers(1, 2000), st.integers(1, 2000)),
    )
    def aim(self, consumer: Consumer | None, layer: LayerId | None, view: View | None) -> None:
        if consumer is None or consumer.closed:
            return
        consumer.set_target(layer, self.now)
        if view is not None:
            consumer.set_view(view, self.now)
        for sent in consumer.layers(self.now):
            assert sent.bitrate_bps >= 0

    @rule(track=tracks, muted=st.booleans(), hushed=st.booleans())
    def silence(self, track: tuple[str, int, str], muted: bool, hushed: bool) -> None:
        if track[0] in self.router.producers:
            self.router.mute(track[0], muted)
            self.router.hush(track[0], hushed)

    @rule(user=st.sampled_from(USERS), connected=st.booleans())
    def connection(self, user: str, connected: bool) -> None:
        self.wires[user].connected = connected
        self.router.connected(user, connected)

    @rule(seconds=st.sampled_from((0.001, 0.02, 0.5, 3.0)))
    def time(self, seconds: float) -> None:
        self.now += seconds
        self.router.tick(self.now)
        for producer in self.router.producers.values():
            producer.stats(self.now)
            for consumer in self.router.consumers(producer.track.track_id):
                consumer.stats(self.now)

    @invariant()
    def what_was_sent_can_be_read(self) -> None:
        """`Wire` sees to it that no number is used for two packets."""
        if not hasattr(self, "wires"):
            return
        for user, wire in self.wires.items():
            for key in wire.sent.keys() - self.sent[user].keys():
                packet = parse(wire.sent[key])
                assert (packet.ssrc, packet.sequence_number) == (key[0], key[1] & 0xFFFF)
            self.sent[user] = dict(wire.sent)


TestRouter = RouterMachine.TestCase
TestRouter.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
