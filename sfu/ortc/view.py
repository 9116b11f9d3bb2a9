"""The answer to a client that only watches (WHEP): sections of ours to fill, with whatever is to be seen there.

Its offer has no word on who is in the room: each section says which codecs it can show, and is filled with one track
after the other. So the answer takes every codec that both ends know, and `viewer_parameters` says for a track whether
a section can show it, and under which payload type.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sfu.ortc.capabilities import our_codec, sent_codecs
from sfu.ortc.publish import MAX_OFFERED
from sfu.ortc.sdp import Description, Origin, SdpError, Section, parse, write
from sfu.ortc.sections import (
    Setup,
    is_rtp,
    kind_of,
    media_lines,
    read_codecs,
    read_extensions,
    read_transport,
    transport_lines,
)
from sfu.ortc.subscribe import stream_lines
from sfu.rtp.parameters import (
    ABS_SEND_TIME_URI,
    MID_URI,
    HeaderExtension,
    RemoteTransport,
    RtpCodec,
    RtpParameters,
    TransportParameters,
)

MAX_VIEWED = 16
"""Sections of one kind that one viewer may have: a wall of pictures, as large as a player would show."""


@dataclass(frozen=True, slots=True)
class ViewOffer:
    """A watching client's offer, understood: every section of it is taken."""

    sections: tuple[Section, ...]
    parameters: tuple[RtpParameters, ...]
    """What each section can show, in the client's numbers; without encodings, which are ours to choose."""
    remote: RemoteTransport
    mixed_extensions: bool


def read_view_offer(text: str) -> ViewOffer:
    """Understand an offer to watch.

    There is no answer in part (RFC 9725 section 4.4.3, which WHEP's draft repeats): a section that can't be taken
    refuses the whole offer.

    Raises:
        SdpError: the offer is malformed, too large, wants to send, or has a section that we can't fill.
    """
    description = parse(text)
    if not description.sections:
        raise SdpError("the offer has no media section")
    if len(description.sections) > MAX_OFFERED:
        raise SdpError(f"an offer may have at most {MAX_OFFERED} media sections")
    bundle = description.bundle or tuple(section.mid for section in description.sections[:1])
    parameters = tuple(_parameters(section, bundle) for section in description.sections)
    for kind, count in Counter(section.kind for section in parameters).items():
        if count > MAX_VIEWED:
            raise SdpError(f"at most {MAX_VIEWED} {kind} sections may be watched, not {count}")
    return ViewOffer(description.sections, parameters, _remote(description, bundle), _mixed(description))


def view_answer(
    offer: ViewOffer, chosen: Sequence[RtpParameters], transport: TransportParameters, origin: Origin, stream: str
) -> str:
    """The answer; `chosen` are the offer's parameters with our encodings.

    All sections belong to one media stream, `stream`, so that a player puts them into one element and plays sound
    and picture in time.
    """
    setup: Setup = "active" if offer.remote.setup == "passive" else "passive"
    ours = transport_lines(transport, setup)
    lines = []
    for section, parameters in zip(offer.sections, chosen, strict=True):
        written = media_lines(parameters, "sendonly", ours, protocol=section.protocol)
        lines.append(written + stream_lines(parameters, f"{stream} {stream}-{parameters.mid}"))
    mids = [parameters.mid for parameters in chosen]
    return write(origin, mids, lines, mixed_extensions=offer.mixed_extensions)


def viewer_parameters(section: RtpParameters, track: RtpParameters) -> RtpParameters | None:
    """What a section's consumer of a track is made of; None where the section can't show the track.

    That is the codec that the track's publisher sends, its first, in the publisher's format and under the section's
    payload type, with RTX where the section has that; of RED what is inside, and RED too where the section has it.
    """
    if track.kind != section.kind:
        return None
    codecs: list[RtpCodec] = []
    for sent in sent_codecs(track.codecs):
        taken = next((codec for codec in section.codecs if our_codec(codec) == our_codec(sent)), None)
        if taken is None:
            continue
        number = str(taken.payload_type)
        feedback = tuple(kind for kind in sent.feedback if kind in taken.feedback)
        codecs.append(replace(sent, payload_type=taken.payload_type, feedback=feedback))
        codecs += [codec for codec in section.codecs if codec.name == "rtx" and codec.parameter("apt") == number]
    if all(codec.name == "red" for codec in codecs):
        return None
    return replace(section, codecs=tuple(codecs))


def _parameters(section: Section, bundle: Sequence[str]) -> RtpParameters:
    if section.rejected or not is_rtp(section):
        raise SdpError(f"{section.where} is neither audio nor video over DTLS-SRTP")
    if not section.mid or section.mid not in bundle:
        raise SdpError(f"{section.where} is not in the bundle (RFC 9725 section 4.4.1)")
    if section.direction not in ("recvonly", "sendrecv"):
        raise SdpError(f"{section.where} is {section.direction}: who watches receives")
    if not (section.has("rtcp-mux") or section.has("rtcp-mux-only")):
        raise SdpError(f"{section.where}: rtcp-mux is required (RFC 8829 section 5.1.1)")
    codecs: tuple[RtpCodec, ...] = read_codecs(section)
    if not codecs:
        raise SdpError(f"{section.where} has no codec that is carried here")
    return RtpParameters(section.mid, kind_of(section), codecs, _extensions(section))


def _extensions(section: Section) -> tuple[HeaderExtension, ...]:
    """What the client would receive. Ours, which are written anew for each packet, need the one-byte form."""
    return tuple(
        extension
        for extension in read_extensions(section, way="recvonly")
        if extension.id <= 14 or extension.uri not in (MID_URI, ABS_SEND_TIME_URI)
    )


def _remote(description: Description, bundle: Sequence[str]) -> RemoteTransport:
    holder = next((section for section in description.sections if section.mid == bundle[0]), description.sections[0])
    return read_transport(description, holder)


def _mixed(description: Description) -> bool:
    name = "extmap-allow-mixed"
    return description.has(name) or any(section.has(name) for section in description.sections)
