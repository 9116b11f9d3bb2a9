"""Just enough SDP for a generator: Opus and VP8 in sections of their own, one transport."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from .core import Peer

URIS = {
    "abs": "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "twcc": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "mid": "urn:ietf:params:rtp-hdrext:sdes:mid",
}
IDS = {"abs": 2, "twcc": 3, "mid": 4}
FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli", "transport-cc")


@dataclass
class Section:
    """One media section of a description."""

    kind: str
    mid: str = "0"
    types: dict[int, str] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)
    extensions: dict[str, int] = field(default_factory=dict)

    def type_of(self, codec: str) -> int:
        """Its payload type, 0 where there is none."""
        return next(
            (number for number, name in self.types.items() if name.upper().startswith(codec.upper() + "/")), 0
        )

    def rtx_of(self, payload_type: int) -> int:
        """That of its repetitions."""
        return next((n for n, text in self.parameters.items() if text.strip() == f"apt={payload_type}"), 0)


@dataclass
class Description:
    """The other end."""

    sections: list[Section] = field(default_factory=list)
    ufrag: str = ""
    password: str = ""
    fingerprint: str = ""
    setup: str = "actpass"
    addresses: list[tuple[str, int]] = field(default_factory=list)
    lite: bool = False


def read(text: str) -> Description:
    """Read a description."""
    found = Description()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        match name:
            case "a=ice-lite":
                found.lite = True
            case "a=ice-ufrag":
                found.ufrag = value
            case "a=ice-pwd":
                found.password = value
            case "a=fingerprint" if value.lower().startswith("sha-256"):
                found.fingerprint = value.split()[1].upper()
            case "a=setup":
                found.setup = value
            case "a=candidate":
                parts = value.split()
                if parts[2].lower() == "udp" and ":" not in parts[4]:
                    found.addresses.append((parts[4], int(parts[5])))
        if line.startswith("m="):
            found.sections.append(Section(line[2:].split()[0]))
        elif found.sections:
            _read_section(found.sections[-1], name, value)
    return found


def _read_section(section: Section, name: str, value: str) -> None:
    match name:
        case "a=mid":
            section.mid = value
        case "a=rtpmap":
            number, _, codec = value.partition(" ")
            section.types[int(number)] = codec
        case "a=fmtp":
            number, _, text = value.partition(" ")
            section.parameters[int(number)] = text
        case "a=extmap":
            number, uri = value.split()[:2]
            for short, known in URIS.items():
                if uri == known:
                    section.extensions[short] = int(re.split(r"\D", number)[0])


def offer(peer: Peer, sections: list[tuple[str, int, int]]) -> str:
    """To send, or with SSRCs of 0 to receive; a section is (kind, SSRC, SSRC of RTX)."""
    lines = _head([str(number) for number in range(len(sections))])
    for number, (kind, ssrc, rtx_ssrc) in enumerate(sections):
        types = "111" if kind == "audio" else "96 97"
        lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {types}", *_transport(peer, "actpass")]
        lines += [f"a=mid:{number}", "a=sendonly" if ssrc else "a=recvonly"]
        lines += [f"a=extmap:{IDS[name]} {uri}" for name, uri in URIS.items()]
        if kind == "audio":
            lines += ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"]
        else:
            lines += ["a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"]
            lines += [f"a=rtcp-fb:96 {each}" for each in FEEDBACK]
        if ssrc:
            lines += [f"a=msid:{peer.name} {peer.name}-{number}"]
            lines += [f"a=ssrc-group:FID {ssrc} {rtx_ssrc}"] if rtx_ssrc else []
            lines += [f"a=ssrc:{each} cname:{peer.name}" for each in (ssrc, rtx_ssrc) if each]
    return "\r\n".join(lines) + "\r\n"


def answer(peer: Peer, remote: Description) -> str:
    """To receive all that is offered, in the first codec that is known."""
    lines = _head([section.mid for section in remote.sections])
    for section in remote.sections:
        number = section.type_of("opus") or section.type_of("VP8")
        rtx = section.rtx_of(number)
        types = f"{number} {rtx}" if rtx else f"{number}"
        lines += [f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {types}", *_transport(peer, "active")]
        lines += [f"a=mid:{section.mid}", "a=recvonly", f"a=rtpmap:{number} {section.types[number]}"]
        lines += [f"a=extmap:{each} {URIS[name]}" for name, each in section.extensions.items()]
        if section.kind == "video":
            lines += [f"a=rtcp-fb:{number} {each}" for each in FEEDBACK]
        if rtx:
            lines += [f"a=rtpmap:{rtx} rtx/90000", f"a=fmtp:{rtx} apt={number}"]
    return "\r\n".join(lines) + "\r\n"


def connect(peer: Peer, remote: Description, *, offered: bool) -> None:
    """Begin to connect, as who `offered`, or answered. Load goes to loopback, or to the generator's own address."""
    here = [each for each in remote.addresses if each[0].startswith("127.") or each[0] == peer.core.address]
    peer.connect(
        remote.ufrag,
        remote.password,
        here[0],
        remote.fingerprint,
        controlling=remote.lite or offered,
        client=remote.setup == "passive" if offered else True,
    )


def _head(mids: list[str]) -> list[str]:
    number = random.getrandbits(62)
    group = "a=group:BUNDLE " + " ".join(mids)
    return ["v=0", f"o=- {number} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", group, "a=msid-semantic: WMS *"]


def _transport(peer: Peer, setup: str) -> list[str]:
    return [
        "c=IN IP4 127.0.0.1",
        f"a=ice-ufrag:{peer.ufrag}",
        f"a=ice-pwd:{peer.password}",
        f"a=fingerprint:sha-256 {peer.core.fingerprint}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
        f"a=candidate:1 1 udp 2130706431 {peer.core.address} {peer.port} typ host",
        "a=end-of-candidates",
    ]
