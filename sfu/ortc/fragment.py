"""`application/trickle-ice-sdpfrag` (RFC 8840 section 9): the ICE part of an SDP, which WHIP and WHEP clients PATCH.

Of a client's candidates nothing is kept: an ICE-lite agent learns from checks where its peer is (RFC 8445 section
2.5). What a fragment says to us is which ICE session it speaks of, and that a new one begins.
"""

from dataclasses import dataclass

from sfu.ortc.sdp import SdpError, ice_credentials, parse
from sfu.ortc.sections import transport_lines
from sfu.rtp.parameters import TransportParameters


@dataclass(frozen=True, slots=True)
class IceFragment:
    """The credentials of the client's end of an ICE session; both None where a fragment has only candidates."""

    ufrag: str | None
    pwd: str | None
    mid: str = "0"
    """The section that it speaks of; where it names none, the one that everybody's first has."""


def read_fragment(text: str) -> IceFragment:
    """Understand a fragment; lines end in CRLF or LF.

    Raises:
        SdpError: it is none, or its credentials are malformed.
    """
    if not text.strip():
        raise SdpError("the fragment is empty")
    description = parse("v=0\r\n" + text.removeprefix("v=0\r\n"))
    values: dict[str, str] = {}
    for attributes in (description.attributes, *(section.attributes for section in description.sections)):
        for name, value in attributes:
            if name in ("ice-ufrag", "ice-pwd"):
                values.setdefault(name, value)
    mid = next((section.mid for section in description.sections if section.mid), "0")
    if not values:
        return IceFragment(None, None, mid)
    return IceFragment(*ice_credentials(values.get("ice-ufrag"), values.get("ice-pwd"), "the fragment"), mid)


def write_fragment(transport: TransportParameters, mid: str) -> str:
    """Our end of an ICE session that begins anew: credentials and all candidates, on the bundle's first section.

    RFC 8840 section 4.4 wants a `m=` line, of which nothing but its `mid` is read.
    """
    ice = ("a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=end-of-candidates")
    lines = [line for line in transport_lines(transport, "passive") if line.startswith(ice)]
    head = ["a=ice-lite", f"a=group:BUNDLE {mid}", "m=audio 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}"]
    return "\r\n".join([*head, *lines, ""])
