"""Calls without a network that fuzzing says things to: descriptions, or packets on agreed connections."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

from sfu.media import RoomMedia
from sfu.ortc import SdpError
from sfu.router import Router
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
    Encoding,
    HeaderExtension,
    RemoteTransport,
    RtpCodec,
    RtpParameters,
    TrackInfo,
    TransportParameters,
)
from sfu.transport import DataUser, PacketHandler, StateHandler, TransportState

NOW = 1000.0
SDPS = Path(__file__).parents[1] / "data" / "sdp"


class Wire:
    """A transport that is connected and remembers what it was given: never two packets under one number.

    AES-GCM loses its secrets where that happens (RFC 7714 section 8.1); the very same bytes may be repeated.
    """

    connected = True
    parameters = TransportParameters("ufrag", "password" * 3, "sha-256 " + ":".join(["AB"] * 32), ())
    state: TransportState = "connected"
    rtt_ms: float | None = None
    arrived: float | None = None

    def __init__(self) -> None:
        self.sent: dict[tuple[int, int], bytes] = {}
        self.reported: list[bytes] = []

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        packet = header + payload
        assert self.sent.setdefault((ssrc, index), packet) == packet, "another packet under the same number"
        assert index & 0xFFFF == int.from_bytes(header[2:4], "big")
        assert index >= 0

    def send_rtcp(self, packet: bytes) -> None:
        self.reported.append(packet)

    def start(self, remote: RemoteTransport) -> None:
        """Nobody is there."""

    def restart_ice(self) -> TransportParameters:
        return self.parameters

    def carry(self, data: DataUser) -> None:
        """Nobody is there."""

    def flush_data(self) -> None:
        """Nobody is there."""

    def close(self) -> None:
        """Nobody is there."""


def wire(_rtp: PacketHandler, _rtcp: PacketHandler, _state: StateHandler) -> Wire:
    """A `TransportFactory`."""
    return Wire()


def publish(offer: str) -> None:
    """Alice offers this; what the others are then offered, the media plane makes up itself."""
    media = RoomMedia(wire, lambda _: None, router=Router(rng=Random(1)))
    media.subscribe("bob", NOW)
    try:
        media.publish("alice", offer, {}, NOW)
    except SdpError:
        return
    media.tick(NOW)
    media.report(NOW)
    media.close(NOW)


@cache
def _room() -> RoomMedia:
    """A room in which Alice publishes; Bob comes and goes."""
    media = RoomMedia(wire, lambda _: None, router=Router(rng=Random(1)))
    media.publish("alice", (SDPS / "chromium-publish.sdp").read_text(), {}, NOW)
    return media


def subscribe(answer: str) -> None:
    """Bob answers with this what he is offered of Alice's tracks."""
    media = _room()
    media.subscribe("bob", NOW)
    with suppress(SdpError):
        media.answered("bob", answer, NOW)
    media.tick(NOW)
    media.report(NOW)
    media.leave("bob", NOW)


def watch(offer: str) -> None:
    """Carol offers this to watch Alice's tracks."""
    media = _room()
    with suppress(SdpError):
        media.view("carol", offer, NOW, connection="wall")
    media.tick(NOW)
    media.report(NOW)
    media.leave("carol", NOW)


EXTENSIONS = tuple(
    HeaderExtension(number, uri)
    for number, uri in enumerate(
        (MID_URI, RID_URI, REPAIRED_RID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI, AUDIO_LEVEL_URI), 1
    )
)
DESCRIPTOR = HeaderExtension(13, DEPENDENCY_DESCRIPTOR_URI)
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
CODECS = ("VP8", "VP9", "AV1", "H264")
"""Each is one track of Alice's, in this order: payload types 96, 98, …, mids `0`, `1`, … and SSRCs 1000, 1010, …."""


def video(number: int) -> RtpParameters:
    """What is agreed for the track of `CODECS[number]`."""
    name = CODECS[number]
    payload_type = 96 + 2 * number
    codecs = (
        RtpCodec(f"video/{name}", payload_type, 90000, feedback=FEEDBACK),
        RtpCodec("video/rtx", payload_type + 1, 90000, parameters=(("apt", str(payload_type)),)),
    )
    base = 1000 + 10 * number
    simulcast = tuple(Encoding(rid=rid) for rid in "qhf")  # SSRCs to be learnt
    encodings = simulcast if name == "VP8" else (Encoding(base, base + 1),)
    return RtpParameters(str(number), "video", codecs, (*EXTENSIONS, DESCRIPTOR), encodings, "alice")


def audio() -> RtpParameters:
    """What is agreed for Alice's microphone."""
    codecs = (
        RtpCodec("audio/opus", 111, 48000, 2, feedback=("transport-cc",)),
        RtpCodec("audio/red", 63, 48000, 2, parameters=(("", "111/111"),)),
    )
    return RtpParameters("9", "audio", codecs, EXTENSIONS, (Encoding(900),), "alice")


def received(parameters: RtpParameters, ssrc: int) -> RtpParameters:
    """As Bob and Carol negotiated it."""
    has_rtx = any(codec.name == "rtx" for codec in parameters.codecs)
    return RtpParameters(
        parameters.mid,
        parameters.kind,
        parameters.codecs,
        parameters.header_extensions,
        (Encoding(ssrc, ssrc + 1 if has_rtx else None),),
        parameters.cname,
    )


class Call:
    """Alice publishes a track of every codec, Bob and Carol get them all; media only, without negotiation."""

    def __init__(self) -> None:
        self.now = NOW
        self.router = Router(rng=Random(1))
        self.wires = {user: Wire() for user in ("alice", "bob", "carol")}
        for number, parameters in enumerate((*map(video, range(len(CODECS))), audio())):
            track = TrackInfo(str(number), "alice", "alice", parameters.kind, "camera", parameters)
            self.router.produce(track, self.wires["alice"], self.now)
            for offset, user in ((0, "bob"), (1000, "carol")):
                got = received(parameters, 2000 + offset + 10 * number)
                self.router.consume(track.track_id, got, self.wires[user], self.now, peer_id=user)

    def hear(self, head: int, packet: bytes) -> None:
        """One packet; `head` says whose it is, whether RTP or RTCP, and how much later than the one before."""
        self.now += (0.0, 0.001, 0.02, 0.3)[head >> 3 & 3]
        user = ("alice", "alice", "bob", "carol")[head >> 1 & 3]
        receive = self.router.receive_rtcp if head & 1 else self.router.receive_rtp
        receive(user, packet, self.now)
        self.router.tick(self.now)


def call(data: bytes) -> None:
    """Say everything in a file of `samples.joined` packets on one call."""
    one = Call()
    at = 0
    while at + 3 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 3], "big") & 0x7FF
        one.hear(data[at], data[at + 3 : at + 3 + size])
        at += 3 + size
    for producer in one.router.producers.values():
        producer.stats(one.now)
        for consumer in one.router.consumers(producer.track.track_id):
            consumer.stats(one.now)
