"""What the media sections of an SDP say about RTP and its transport, read and written one attribute at a time."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from sfu.ortc.capabilities import EXTENSIONS, FEEDBACK, PARITY_CODECS, SIMULCAST_EXTENSIONS, our_codec
from sfu.ortc.sdp import Description, Direction, SdpError, Section, integer
from sfu.rtp.parameters import (
    Encoding,
    HeaderExtension,
    Kind,
    RemoteTransport,
    RtpCodec,
    RtpParameters,
    TransportParameters,
)

Setup = Literal["actpass", "active", "passive"]

MAX_SSRCS = 32
"""Of one section; three simulcast layers with RTX and FEC are nine."""
_SETUPS: dict[str, Setup] = {"actpass": "actpass", "active": "active", "passive": "passive"}
_HASH_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""What a fingerprint may be made with; RFC 8122 section 5 has done with MD5 and SHA-1."""
_PROTOCOLS = {"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP"}
"""What RFC 8829 section 5.1.2 has to be treated alike; an answer repeats the offer's."""
_ICE = re.compile(r"[A-Za-z0-9+/]+", re.ASCII)


def is_rtp(section: Section) -> bool:
    """Whether a section is audio or video over DTLS-SRTP."""
    return section.kind in ("audio", "video") and section.protocol in _PROTOCOLS


def kind_of(section: Section) -> Kind:
    """The kind of a section that `is_rtp`."""
    return "audio" if section.kind == "audio" else "video"


def read_codecs(section: Section) -> tuple[RtpCodec, ...]:
    """The formats of a section that the SFU carries, each with its RTX, in the section's order; and RED with ULPFEC
    where `sfu.ortc.capabilities` says so.

    Feedback is cut down to what the SFU speaks.

    Raises:
        SdpError: a payload type, `rtpmap`, `fmtp` or `rtcp-fb` is malformed.
    """
    fmtp = dict(_by_payload_type(section, "fmtp"))
    feedback: dict[str, set[str]] = {}
    for value in section.values("rtcp-fb"):
        target, _, kind = value.partition(" ")
        if kind.strip() in FEEDBACK:
            feedback.setdefault(target, set()).add(kind.strip())
    offered: dict[int, RtpCodec] = {}
    for number, encoding in _by_payload_type(section, "rtpmap"):
        if number in offered:
            raise SdpError(f"{section.where}: payload type {number} is mapped twice")
        said = {*feedback.get(str(number), ()), *feedback.get("*", ())}
        offered[number] = _codec(section, number, encoding, fmtp.get(number, ""), said)
    listed = [_payload_type(section, text) for text in section.formats]
    if len(set(listed)) != len(listed):
        raise SdpError(f"{section.where}: a payload type is listed twice")
    codecs = [offered[number] for number in listed if number in offered]
    opus = {str(codec.payload_type) for codec in codecs if codec.name == "opus" and our_codec(codec)}
    media = {
        str(codec.payload_type)
        for codec in codecs
        if our_codec(codec) and (codec.name != "red" or _wraps(codec, opus))
    }
    parity = _parity([codec for codec in codecs if our_codec(codec)], codecs)
    retransmitted: set[str] = set()
    kept = []
    for codec in codecs:
        apt = codec.parameter("apt") if codec.name == "rtx" else None
        if str(codec.payload_type) in media or codec in parity:
            kept.append(codec)
        elif apt in media and apt not in retransmitted:
            retransmitted.add(apt)
            kept.append(replace(codec, feedback=()))
    return tuple(kept)


def read_extensions(section: Section, *, way: Literal["sendonly", "recvonly"]) -> tuple[HeaderExtension, ...]:
    """The header extensions that the SFU carries and the section's author would send or receive (RFC 8285).

    Raises:
        SdpError: an `extmap` is malformed or maps one id or one URI twice.
    """
    carried = EXTENSIONS[kind_of(section)] + (SIMULCAST_EXTENSIONS if section.has("simulcast") else ())
    found: dict[int, HeaderExtension] = {}
    for value in section.values("extmap"):
        number, uri, *_ = *value.split(), "", ""
        number, _, direction = number.partition("/")
        extension = HeaderExtension(integer(number, 1, 4351, f"{section.where}: extmap"), uri)
        wanted = uri in carried and direction in ("", "sendrecv", way)
        # 15 is reserved, and what is above 255 asks the answerer for another number (RFC 8285 section 6).
        if not wanted or extension.id == 15 or extension.id > 255:
            continue
        if extension.id in found or uri in {known.uri for known in found.values()}:
            raise SdpError(f"{section.where}: header extension {extension.id} is mapped twice")
        found[extension.id] = extension
    return tuple(found.values())


def read_encoding(section: Section) -> tuple[Encoding, str]:
    """The one stream of a section that announces SSRCs, and its CNAME; of an old-style `ssrc-group:SIM` the first.

    A section that announces nothing has an encoding of unknown SSRC. Simulcast is read by `sfu.ortc.simulcast`.

    Raises:
        SdpError: an `ssrc` or `ssrc-group` line is malformed.
    """
    cname = ""
    ssrcs: dict[int, None] = {}
    for value in section.values("ssrc"):
        number, _, attribute = value.partition(" ")
        ssrc = integer(number, 0, 2**32 - 1, f"{section.where}: ssrc")
        ssrcs[ssrc] = None
        if attribute.startswith("cname:") and not cname:
            cname = attribute.removeprefix("cname:")
    if len(ssrcs) > MAX_SSRCS:
        raise SdpError(f"{section.where} has more than {MAX_SSRCS} SSRCs")
    pairs: dict[int, int] = {}
    for value in section.values("ssrc-group"):
        semantics, *members = value.split() or [""]
        numbers = [integer(member, 0, 2**32 - 1, f"{section.where}: ssrc-group") for member in members]
        if semantics == "FID" and len(numbers) == 2:
            pairs.setdefault(numbers[0], numbers[1])
    if not ssrcs:
        return Encoding(), cname
    repairs = set(pairs.values())
    ssrc = next((ssrc for ssrc in ssrcs if ssrc not in repairs), next(iter(ssrcs)))
    return Encoding(ssrc=ssrc, rtx_ssrc=pairs.get(ssrc)), cname


def read_transport(description: Description, section: Section) -> RemoteTransport:
    """The transport of a section, where it lacks something that of the session.

    Raises:
        SdpError: ICE credentials or a usable fingerprint are missing or malformed.
    """

    def found(name: str) -> str | None:
        return section.value(name) or description.value(name)

    ufrag, pwd = found("ice-ufrag") or "", found("ice-pwd") or ""
    if not (_ICE.fullmatch(ufrag) and _ICE.fullmatch(pwd) and 4 <= len(ufrag) <= 256 and 22 <= len(pwd) <= 256):
        raise SdpError(f"{section.where}: ice-ufrag or ice-pwd is missing or malformed (RFC 8839 section 5.4)")
    lines = section.values("fingerprint") or [v for name, v in description.attributes if name == "fingerprint"]
    fingerprints = tuple(_fingerprint(section, line) for line in lines)
    usable = tuple((algorithm, value) for algorithm, value in fingerprints if algorithm in _HASH_BYTES)
    if not usable:
        raise SdpError(f"{section.where}: a fingerprint with sha-256 or better is required (RFC 8122)")
    # RFC 4145 section 4: whoever says nothing will connect.
    setup = _SETUPS.get(found("setup") or "active")
    if setup is None:
        raise SdpError(f"{section.where}: setup must be actpass, active or passive")
    return RemoteTransport(ufrag, pwd, usable, setup)


def media_lines(
    parameters: RtpParameters, direction: Direction, transport: list[str], *, protocol: str, rejected: bool = False
) -> list[str]:
    """One RTP section. `transport` is from `transport_lines`; the caller adds msid and SSRCs below."""
    numbers = " ".join(str(codec.payload_type) for codec in parameters.codecs)
    lines = [f"m={parameters.kind} {0 if rejected else transport[0]} {protocol} {numbers}", *transport[1:]]
    lines.append(f"a=mid:{parameters.mid}")
    lines += [f"a=extmap:{extension.id} {extension.uri}" for extension in parameters.header_extensions]
    lines += [f"a={direction}", "a=rtcp-mux", "a=rtcp-rsize"]
    for codec in parameters.codecs:
        lines += _codec_lines(codec)
    return lines


def transport_lines(transport: TransportParameters, setup: Setup) -> list[str]:
    """The port of the `m=` line, and then the lines of a section that speak of its transport.

    The address is that of the first candidate (RFC 8839 section 4.2.1.1: the default one). All of it stands in every
    section: RFC 9143 asks for it in the first of a bundle only, but aiortc takes the candidates from the last.
    """
    fields = transport.candidates[0].split() if transport.candidates else []
    address, port = (fields[4], fields[5]) if len(fields) > 5 else ("0.0.0.0", "9")  # noqa: S104 - RFC 8829 5.2.1
    lines = [
        port,
        f"c=IN {'IP6' if ':' in address else 'IP4'} {address}",
        f"a=ice-ufrag:{transport.ice_ufrag}",
        f"a=ice-pwd:{transport.ice_pwd}",
        f"a=fingerprint:{transport.fingerprint}",
        f"a=setup:{setup}",
    ]
    return [*lines, *(f"a={candidate}" for candidate in transport.candidates), "a=end-of-candidates"]


def rejected_lines(section: Section) -> list[str]:
    """The refusal of a section, which must keep its place and its format (RFC 3264 section 6)."""
    lines = [f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}", "c=IN IP4 0.0.0.0"]
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    return [*lines, "a=inactive"]


def _codec(section: Section, number: int, encoding: str, fmtp: str, feedback: set[str]) -> RtpCodec:
    name, *rest = encoding.strip().split("/")
    if not name or not 1 <= len(rest) <= 2:
        raise SdpError(f"{section.where}: rtpmap of payload type {number} is malformed")
    clock_rate = integer(rest[0], 1, 2**32 - 1, f"{section.where}: clock rate")
    channels = integer(rest[1], 1, 255, f"{section.where}: channels") if len(rest) > 1 else None
    return RtpCodec(
        mime_type=f"{section.kind}/{name}",
        payload_type=number,
        clock_rate=clock_rate,
        channels=channels if channels is not None or section.kind != "audio" else 1,
        parameters=tuple(_fmtp(fmtp)),
        feedback=tuple(kind for kind in FEEDBACK if kind in feedback),
    )


def _wraps(red: RtpCodec, payload_types: Collection[str]) -> bool:
    """Whether RED says of which payload types its blocks are (RFC 2198 section 5), and all are of these."""
    inside = red.parameters[0][0].split("/") if red.parameters else []
    return bool(inside) and all(number in payload_types for number in inside)


def _parity(media: Sequence[RtpCodec], codecs: Sequence[RtpCodec]) -> list[RtpCodec]:
    """RED and ULPFEC of a section of video, where it has both and they are what losses are repaired with."""
    found = [next((codec for codec in codecs if codec.name == name), None) for name in ("red", "ulpfec")]
    both = [codec for codec in found if codec is not None and codec.mime_type.startswith("video/")]
    repeats = any("nack" in codec.feedback for codec in media)
    return both if len(both) == 2 and media and media[0].name in PARITY_CODECS and not repeats else []


def _fmtp(text: str) -> Iterable[tuple[str, str]]:
    for part in text.split(";"):
        key, _, value = part.strip().partition("=")
        if key:
            yield key.strip().lower(), value.strip()


def _codec_lines(codec: RtpCodec) -> list[str]:
    number = codec.payload_type
    channels = f"/{codec.channels}" if codec.channels not in (None, 1) else ""
    lines = [f"a=rtpmap:{number} {codec.mime_type.partition('/')[2]}/{codec.clock_rate}{channels}"]
    lines += [f"a=rtcp-fb:{number} {kind}" for kind in codec.feedback]
    if codec.parameters:
        written = (f"{key}={value}" if value else key for key, value in codec.parameters)
        lines.append(f"a=fmtp:{number} {';'.join(written)}")
    return lines


def _by_payload_type(section: Section, name: str) -> Sequence[tuple[int, str]]:
    pairs = [value.partition(" ") for value in section.values(name)]
    return [(_payload_type(section, number), rest) for number, _, rest in pairs]


def _payload_type(section: Section, text: str) -> int:
    number = integer(text, 0, 127, f"{section.where}: payload type")
    if 64 <= number < 96:
        raise SdpError(f"{section.where}: payload type {number} would be taken for RTCP (RFC 5761 section 4)")
    return number


def _fingerprint(section: Section, line: str) -> tuple[str, str]:
    algorithm, _, value = line.strip().partition(" ")
    algorithm, value = algorithm.lower(), value.strip().upper()
    size = _HASH_BYTES.get(algorithm)
    pairs = value.split(":")
    if size and not (len(pairs) == size and all(re.fullmatch(r"[0-9A-F]{2}", pair) for pair in pairs)):
        raise SdpError(f"{section.where}: the {algorithm} fingerprint is malformed")
    return algorithm, value
