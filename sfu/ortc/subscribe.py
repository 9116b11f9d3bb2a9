"""The SFU's own offers: one section for each track that a client is to receive, and what its answer took of them."""

from dataclasses import dataclass, replace

from sfu.ortc.capabilities import EXTENSIONS, OUR_EXTENSIONS, our_codec, our_rtx, sent_codecs
from sfu.ortc.sdp import Direction, Origin, SdpError, Section, parse, write
from sfu.ortc.sections import (
    media_lines,
    read_codecs,
    read_extensions,
    read_transport,
    transport_lines,
)
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    MID_URI,
    TRANSPORT_CC_URI,
    Encoding,
    RemoteTransport,
    RtpCodec,
    RtpParameters,
    TrackInfo,
    TransportParameters,
)


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """One section of our offer. Without a track it is inactive and waits for the next one of its kind."""

    parameters: RtpParameters
    """In our numbers; of an inactive section those it had last."""
    track: TrackInfo | None = None
    stopped: bool = False
    """The client refused the section: its place may be taken by one of another mid (RFC 8829 section 5.2.2)."""


@dataclass(frozen=True, slots=True)
class SubscribeAnswer:
    """What a client took of our offer."""

    remote: RemoteTransport | None
    """None where every section was refused."""
    accepted: dict[str, RtpParameters]
    """By mid: what to send there, in the client's payload types and with the extensions that it wants."""
    stopped: frozenset[str]
    """The mids of refused sections."""


def consumer_parameters(track: TrackInfo, mid: str, ssrc: int, rtx_ssrc: int) -> RtpParameters | None:
    """What we offer a subscriber of a track: its codec and extensions in our numbers, and streams of our own.

    Only the codec that the publisher sends is offered, its first (RFC 3264 section 6.1), and where that is RED what
    is inside too: who does not know RED gets that alone. All that it could send would make an answer of 3 kB a
    section, and what a client may say ends at 64 KB. None where the track has nothing that we carry. The CNAME is one
    for each publisher, so that a receiver may synchronise its tracks (RFC 3550 section 6.5.1).
    """
    source = track.parameters
    ours = tuple(filter(None, map(our_codec, sent_codecs(source.codecs))))
    if not ours:
        return None
    # Whether the publisher knows RTX or not: it is our own repetitions, and our probes, that go over it.
    has_rtx = source.kind == "video"
    codecs = (*ours, our_rtx(ours[0])) if has_rtx else ours
    # The mid, the send time and the numbers are written by us; the rest is only there if the publisher sends it.
    uris = {MID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI, *(extension.uri for extension in source.header_extensions)}
    uris.intersection_update(EXTENSIONS[source.kind])
    return RtpParameters(
        mid=mid,
        kind=source.kind,
        codecs=codecs,
        header_extensions=tuple(extension for uri, extension in OUR_EXTENSIONS.items() if uri in uris),
        encodings=(Encoding(ssrc, rtx_ssrc if has_rtx else None),),
        cname=track.user_id,
    )


def subscribe_offer(sections: tuple[OfferedSection, ...], transport: TransportParameters, origin: Origin) -> str:
    """The offer: `sendonly` sections, in the order in which they were first offered."""
    bundle = [s.parameters.mid for s in sections if not s.stopped]
    ours = transport_lines(transport, "actpass")
    lines = []
    for s in sections:
        direction: Direction = "sendonly" if s.track and not s.stopped else "inactive"
        written = media_lines(s.parameters, direction, ours, protocol="UDP/TLS/RTP/SAVPF", rejected=s.stopped)
        if s.track and not s.stopped:
            written += stream_lines(s.parameters, f"{s.track.user_id} {s.track.track_id}")
        lines.append(written)
    return write(origin, bundle, lines, mixed_extensions=True)


def read_subscribe_answer(text: str, sections: tuple[OfferedSection, ...]) -> SubscribeAnswer:
    """Understand the answer to the offer made of `sections`.

    Raises:
        SdpError: it is malformed, or it is not an answer to that offer.
    """
    description = parse(text)
    if len(description.sections) != len(sections):
        raise SdpError(f"the offer had {len(sections)} media sections, the answer has {len(description.sections)}")
    accepted: dict[str, RtpParameters] = {}
    stopped: set[str] = set()
    holder: Section | None = None
    bundle = frozenset(description.bundle)
    for section, offered in zip(description.sections, sections, strict=True):
        mid = offered.parameters.mid
        if offered.stopped:
            continue
        if section.rejected:
            stopped.add(mid)
            continue
        if section.mid != mid or section.kind != offered.parameters.kind:
            raise SdpError(f"{section.where} does not answer the section of mid {mid}")
        if len(sections) > 1 and mid not in bundle:
            raise SdpError(f"{section.where}: the answer must keep the bundle")
        if not section.has("rtcp-mux"):
            raise SdpError(f"{section.where}: rtcp-mux is required (RFC 8829 section 5.1.1)")
        holder = holder or section
        if offered.track and section.direction in ("recvonly", "sendrecv"):
            parameters = _agreed(section, offered.parameters, offered.track)
            if parameters:
                accepted[mid] = parameters
    remote = read_transport(description, holder) if holder else None
    if remote and remote.setup == "actpass":
        raise SdpError("an answer must not say setup:actpass (RFC 5763 section 5)")
    return SubscribeAnswer(remote, accepted, frozenset(stopped))


def _agreed(section: Section, offered: RtpParameters, track: TrackInfo) -> RtpParameters | None:
    """What both ends can do: the publisher's formats under the payload types of the answer."""
    answered = read_codecs(section)
    codecs: list[RtpCodec] = []
    for codec in answered:
        ours = our_codec(codec)
        if ours is None or ours not in offered.codecs:
            continue
        feedback = tuple(kind for kind in ours.feedback if kind in codec.feedback)
        sent = next(c for c in track.parameters.codecs if our_codec(c) == ours)
        codecs.append(replace(sent, payload_type=codec.payload_type, feedback=feedback))
        rtx = next((c for c in answered if c.name == "rtx" and c.parameter("apt") == str(codec.payload_type)), None)
        if rtx and our_rtx(ours) in offered.codecs:
            codecs.append(rtx)
    if all(codec.name == "red" for codec in codecs):  # without what is to be inside
        return None
    # An answer may not give an extension another id (RFC 8285 section 6).
    wanted = read_extensions(section, way="recvonly")
    extensions = (extension for extension in wanted if extension in offered.header_extensions)
    return replace(
        offered, codecs=tuple(codecs), header_extensions=tuple(sorted(extensions, key=lambda extension: extension.id))
    )


def stream_lines(parameters: RtpParameters, msid: str) -> list[str]:
    """The lines of a section that name the stream which we send there (RFC 8830, RFC 5576)."""
    encoding = parameters.encodings[0]
    lines = [f"a=msid:{msid}"]
    if encoding.rtx_ssrc is not None:
        lines.append(f"a=ssrc-group:FID {encoding.ssrc} {encoding.rtx_ssrc}")
    ssrcs = [ssrc for ssrc in (encoding.ssrc, encoding.rtx_ssrc) if ssrc is not None]
    return [*lines, *(f"a=ssrc:{ssrc} cname:{parameters.cname}" for ssrc in ssrcs)]
