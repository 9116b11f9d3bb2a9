"""What two ends of an RTP stream agree on: the words of ORTC and of mediasoup, as plain values.

`ortc.py` makes these from SDP and SDP from these; producers and consumers think in nothing else.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal["audio", "video"]
Source = Literal["microphone", "camera", "screen", "screen-audio"]

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
"""RFC 9143 section 15.1"""
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
"""RFC 8852 section 4.1"""
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
"""RFC 8852 section 4.2"""
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""RFC 6464"""
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
DEPENDENCY_DESCRIPTOR_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
VIDEO_ORIENTATION_URI = "urn:3gpp:video-orientation"


@dataclass(frozen=True, slots=True)
class RtpCodec:
    """One payload type (RFC 8866 rtpmap and fmtp). `parameters` holds fmtp, `apt` of an RTX codec included."""

    mime_type: str
    """`audio/opus`, `video/VP8`, `video/rtx`; compare case-insensitively."""
    payload_type: int
    clock_rate: int
    channels: int | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    feedback: tuple[str, ...] = ()
    """As in `a=rtcp-fb`: `nack`, `nack pli`, `ccm fir`, `goog-remb`, `transport-cc`."""

    @property
    def name(self) -> str:
        """The part after the slash, in lower case: `opus`, `vp8`, `rtx`."""
        return self.mime_type.partition("/")[2].lower()

    def parameter(self, key: str) -> str | None:
        """The fmtp parameter `key`, or None."""
        return next((value for name, value in self.parameters if name == key), None)


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """One `a=extmap` that both ends agreed on (RFC 8285)."""

    id: int
    uri: str


@dataclass(frozen=True, slots=True)
class Encoding:
    """One RTP stream of a track: by SSRC, or by rid where the SSRC is learnt from packets (simulcast)."""

    ssrc: int | None = None
    rtx_ssrc: int | None = None
    rid: str | None = None
    restrictions: str = ""
    """What the sender says of a rid (RFC 8851 section 5), as in SDP: `max-width=1280;max-fps=30`."""


@dataclass(frozen=True, slots=True)
class RtpParameters:
    """One media section after negotiation: what will arrive (of a producer) or be sent (to a consumer)."""

    mid: str
    kind: Kind
    codecs: tuple[RtpCodec, ...]
    """In order of preference, RTX and FEC payloads among them."""
    header_extensions: tuple[HeaderExtension, ...] = ()
    encodings: tuple[Encoding, ...] = ()
    cname: str = ""

    def codec(self, payload_type: int) -> RtpCodec | None:
        """The codec of a payload type, or None."""
        return next((codec for codec in self.codecs if codec.payload_type == payload_type), None)

    def extension_id(self, uri: str) -> int | None:
        """The negotiated id of a header extension, or None where it was not negotiated."""
        return next((extension.id for extension in self.header_extensions if extension.uri == uri), None)


@dataclass(frozen=True, slots=True)
class TransportParameters:
    """Our end of an ICE-lite, DTLS-SRTP transport, as it stands in an SDP."""

    ice_ufrag: str
    ice_pwd: str
    fingerprint: str
    """`sha-256 AB:CD:…`"""
    candidates: tuple[str, ...]
    """Candidate lines without `a=`: `candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host`."""


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The other end, as its SDP says."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    """(algorithm in lower case, value in upper case)."""
    setup: Literal["actpass", "active", "passive"]


class RtpTransport(Protocol):
    """What a producer or consumer may ask of a peer's transport. Nothing here blocks or raises."""

    @property
    def connected(self) -> bool:
        """Whether SRTP keys are there; what is sent before is dropped."""

    @property
    def arrived(self) -> float | None:
        """When the packet that is being handled reached this machine, though it was read later; None: nobody knows.

        In seconds of the clock of every `now`, so that the two may be compared.
        """

    def send_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> None:
        """Encrypt and send one packet; leaves with the endpoint's next flush.

        `index` is the packet index of RFC 3711 section 3.3.1: rollover counter * 65536 + sequence number, where
        the low 16 bits equal the header's. An index may be repeated only with the same header and payload
        bytes (AES-GCM).
        """

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send one compound RTCP packet (RFC 3550 section 6.1)."""


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """A published track as others may know it."""

    track_id: str
    user_id: str
    peer_id: str
    kind: Kind
    source: Source
    parameters: RtpParameters = field(compare=False)
