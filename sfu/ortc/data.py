"""The section of an SDP that speaks of data channels (RFC 8841)."""

from dataclasses import dataclass

from sfu.ortc.sdp import Section, integer

PORT = 5000
"""Ours; over DTLS it tells nobody from nobody (RFC 8841 section 5)."""
MAX_MESSAGE_SIZE = 256 << 10
"""Bytes of the longest message that is taken; what Chromium says, too."""
DEFAULT_MESSAGE_SIZE = 64 << 10
"""Where nothing is said (RFC 8841 section 6.1)."""
_PROTOCOLS = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")


@dataclass(frozen=True, slots=True)
class DataAbility:
    """What a client says of its SCTP."""

    mid: str
    port: int
    max_message_size: int
    """Bytes of the longest message that it takes; never above ours."""


def is_data(section: Section) -> bool:
    """Whether a section is data channels over DTLS, as browsers have said it since 2018."""
    return (
        section.kind == "application"
        and section.protocol in _PROTOCOLS
        and section.formats == ("webrtc-datachannel",)
        and section.has("sctp-port")
    )


def read_data(section: Section) -> DataAbility:
    """What a section that `is_data` says.

    Raises:
        SdpError: a number is malformed.
    """
    port = integer(section.value("sctp-port") or "", 1, 65535, f"{section.where}: sctp-port")
    said = section.value("max-message-size")
    size = DEFAULT_MESSAGE_SIZE
    if said is not None:
        # A size of 0 is no limit.
        size = integer(said, 0, 2**32 - 1, f"{section.where}: max-message-size") or MAX_MESSAGE_SIZE
    return DataAbility(section.mid, port, min(size, MAX_MESSAGE_SIZE))


def data_lines(mid: str, transport: list[str], *, protocol: str) -> list[str]:
    """Our section. `transport` is from `transport_lines`."""
    return [
        f"m=application {transport[0]} {protocol} webrtc-datachannel",
        *transport[1:],
        f"a=mid:{mid}",
        f"a=sctp-port:{PORT}",
        f"a=max-message-size:{MAX_MESSAGE_SIZE}",
    ]
