"""The answer to a client that publishes: which sections are taken, with which codecs, and what was agreed.

Data channels ride on the same connection, in a section of their own.
"""

from collections import Counter
from dataclasses import dataclass

from sfu.ortc.data import DataAbility, data_lines, is_data, read_data
from sfu.ortc.sdp import Description, Direction, Origin, SdpError, Section, parse, write
from sfu.ortc.sections import (
    Setup,
    is_rtp,
    kind_of,
    media_lines,
    read_codecs,
    read_encoding,
    read_extensions,
    read_transport,
    rejected_lines,
    transport_lines,
)
from sfu.ortc.simulcast import read_simulcast, simulcast_lines
from sfu.rtp.parameters import RemoteTransport, RtpParameters, TransportParameters

MAX_OFFERED = 64
"""Media sections of an offer to publish, used and used-up ones together."""
MAX_TRACKS = 4
"""Tracks of one kind that one connection may publish: a camera, a screen, and as many again to spare."""


@dataclass(frozen=True, slots=True)
class PublishSection:
    """One section of the offer: media, data, or refused with neither."""

    section: Section
    parameters: RtpParameters | None
    data: DataAbility | None = None

    @property
    def taken(self) -> bool:
        """Whether it is not refused."""
        return self.parameters is not None or self.data is not None

    @property
    def sending(self) -> bool:
        """Whether the client sends media here."""
        return self.parameters is not None and self.section.direction in ("sendrecv", "sendonly")


@dataclass(frozen=True, slots=True)
class PublishOffer:
    """A client's offer, understood. `remote` is None where not one section is taken."""

    sections: tuple[PublishSection, ...]
    remote: RemoteTransport | None
    mixed_extensions: bool = False

    @property
    def tracks(self) -> tuple[RtpParameters, ...]:
        """What the client sends, in the order of the sections."""
        return tuple(s.parameters for s in self.sections if s.parameters and s.sending)

    @property
    def data(self) -> DataAbility | None:
        """What the client says of data channels, if it has any."""
        return next((s.data for s in self.sections if s.data), None)


def read_publish_offer(text: str) -> PublishOffer:
    """Understand an offer to publish.

    Taken is every audio and video section with a codec that the SFU carries, in the first BUNDLE group or alone, and
    the first one of data channels there.
    Sections that do not send are answered inactive and may send later.

    Raises:
        SdpError: the offer is malformed, too large, or lacks what WebRTC requires.
    """
    description = parse(text)
    if len(description.sections) > MAX_OFFERED:
        raise SdpError(f"an offer may have at most {MAX_OFFERED} media sections")
    if not description.sections:
        raise SdpError("the offer has no media section")
    data = [section for section in description.sections if is_data(section) and not section.rejected][:1]
    usable = [s for s in description.sections if s in data or (is_rtp(s) and not s.rejected)]
    for section in usable:
        if not section.mid:
            raise SdpError(f"{section.where} has no mid (RFC 8829 section 5.2.1)")
    bundle = description.bundle or tuple(section.mid for section in usable[:1])
    sections = tuple(
        _take(section) if section in usable and section.mid in bundle else PublishSection(section, None)
        for section in description.sections
    )
    offer = PublishOffer(
        sections=sections,
        remote=_remote(description, sections, bundle),
        mixed_extensions=description.has("extmap-allow-mixed") or any(s.has("extmap-allow-mixed") for s in usable),
    )
    _check(offer)
    return offer


def publish_answer(offer: PublishOffer, transport: TransportParameters, origin: Origin) -> str:
    """The answer, one section for each of the offer's and in its order (RFC 3264 section 6).

    We are passive unless the client is: Chromium as DTLS client takes AES-GCM.
    """
    mids = [s.section.mid for s in offer.sections if s.taken]
    setup: Setup = "active" if offer.remote and offer.remote.setup == "passive" else "passive"
    ours = transport_lines(transport, setup)
    lines = []
    for s in offer.sections:
        if s.data is not None:
            lines.append(data_lines(s.data.mid, ours, protocol=s.section.protocol))
            continue
        if s.parameters is None:
            lines.append(rejected_lines(s.section))
            continue
        direction: Direction = "recvonly" if s.sending else "inactive"
        written = media_lines(s.parameters, direction, ours, protocol=s.section.protocol)
        lines.append(written + simulcast_lines(s.parameters.encodings))
    return write(origin, mids, lines, mixed_extensions=offer.mixed_extensions)


def _take(section: Section) -> PublishSection:
    if is_data(section):
        return PublishSection(section, None, read_data(section))
    return PublishSection(section, _parameters(section))


def _parameters(section: Section) -> RtpParameters | None:
    codecs = read_codecs(section)
    if not codecs:
        return None
    if not (section.has("rtcp-mux") or section.has("rtcp-mux-only")):
        raise SdpError(f"{section.where}: rtcp-mux is required (RFC 8829 section 5.1.1)")
    encoding, cname = read_encoding(section)
    # Firefox announces SSRCs beside the rids; the rids are what its packets say.
    encodings = read_simulcast(section, codecs) or (encoding,)
    return RtpParameters(
        section.mid, kind_of(section), codecs, read_extensions(section, way="sendonly"), encodings, cname
    )


def _remote(
    description: Description, sections: tuple[PublishSection, ...], bundle: tuple[str, ...]
) -> RemoteTransport | None:
    """The transport of the first section that is taken. If that one only waits for its bundle, the transport is that
    of the section which the bundle is named after, taken or not (RFC 9143 section 7.2.1)."""
    taken = {s.section.mid: s.section for s in sections if s.taken}
    holder = next((taken[mid] for mid in bundle if mid in taken), None)
    if holder is None:
        return None
    if not holder.has("ice-ufrag"):
        holder = next((s.section for s in sections if s.section.mid == bundle[0]), holder)
    return read_transport(description, holder)


def _check(offer: PublishOffer) -> None:
    kinds = Counter(track.kind for track in offer.tracks)
    for kind, count in kinds.items():
        if count > MAX_TRACKS:
            raise SdpError(f"at most {MAX_TRACKS} {kind} tracks may be published, not {count}")
    ssrcs = [
        ssrc
        for track in offer.tracks
        for encoding in track.encodings
        for ssrc in (encoding.ssrc, encoding.rtx_ssrc)
        if ssrc is not None
    ]
    if len(set(ssrcs)) != len(ssrcs):
        raise SdpError("an SSRC is used twice")
