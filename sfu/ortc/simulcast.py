"""Simulcast in SDP: which streams of an offer are taken, and how the answer says so (RFC 8851, RFC 8852, RFC 8853).

A browser offers `a=simulcast:send q;h;f` and one `a=rid:… send` for each; the streams have no SSRCs in SDP but carry
their rid in a header extension. The order says nothing here of what is better: Chromium's pages list the smallest
first, Firefox's the largest, and the standard leaves it to the application (RFC 8853 section 5.1 has an order of
preference at most). What is better is measured (`sfu.rtp.ladder`).
"""

import re
from collections.abc import Iterable

from sfu.ortc.sdp import Section
from sfu.rtp.parameters import Encoding, RtpCodec

MAX_ENCODINGS = 3
"""What browsers can send: libwebrtc's `kMaxSimulcastStreams`."""
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}", re.ASCII)
"""RFC 8851 section 10; longer ones do not fit into a one-byte header extension."""
_NUMBER = re.compile(r"[0-9.]{1,12}", re.ASCII)
_RESTRICTIONS = frozenset(("max-width", "max-height", "max-fps", "max-fs", "max-br", "max-pps", "max-bpp"))
"""They limit what is sent, so a receiver of anything may agree. `pt` is looked at, and `depend` makes streams of
which one alone is of no use: such a rid is not taken (RFC 8851 section 6.2.1: nor is one of what we don't know)."""


def read_simulcast(section: Section, codecs: Iterable[RtpCodec]) -> tuple[Encoding, ...]:
    """The streams that are taken of what a section offers to send, in its order; none where it is no such offer.

    Of alternatives (`a,b`) the first usable one is taken (RFC 8853 section 5.2). A stream that is offered paused
    (`~`) is taken like the others: it may be resumed without another offer.
    """
    words = (section.value("simulcast") or "").split()
    if "send" not in words:
        return ()
    announced = _announced(section, {str(codec.payload_type) for codec in codecs if codec.name != "rtx"})
    found: dict[str, Encoding] = {}
    for listed in words[words.index("send") + 1 :][:1]:
        for stream in listed.split(";"):
            rids = (alternative.removeprefix("~") for alternative in stream.split(","))
            rid = next((rid for rid in rids if rid in announced and rid not in found), None)
            if rid is not None and len(found) < MAX_ENCODINGS:
                found[rid] = Encoding(rid=rid, restrictions=announced[rid])
    return tuple(found.values())


def simulcast_lines(encodings: Iterable[Encoding]) -> list[str]:
    """What the answer says of the streams that were taken; nothing where there is no simulcast.

    None is answered paused: Chromium would switch it off. Refused altogether, simulcast breaks Chromium's next
    negotiation: it offers it again, but without the rid extension, and then does not take its own offer.
    """
    taken = [encoding for encoding in encodings if encoding.rid]
    if not taken:
        return []
    lines = [f"a=rid:{encoding.rid} recv {encoding.restrictions}".rstrip() for encoding in taken]
    return [*lines, f"a=simulcast:recv {';'.join(encoding.rid or '' for encoding in taken)}"]


def _announced(section: Section, payload_types: set[str]) -> dict[str, str]:
    """The rids that can be taken, each with its restrictions as the answer repeats them (RFC 8851 section 6.3)."""
    found: dict[str, str] = {}
    for value in section.values("rid"):
        rid, _, rest = value.partition(" ")
        direction, _, text = rest.partition(" ")
        if direction != "send" or not _RID.fullmatch(rid) or rid in found:
            continue
        restrictions = _restrictions(text.strip(), payload_types)
        if restrictions is not None:
            found[rid] = restrictions
    return found


def _restrictions(text: str, payload_types: set[str]) -> str | None:
    """The restrictions, of payload types only those that are taken; None where the stream cannot be."""
    kept = []
    for part in filter(None, text.split(";")):
        key, _, value = part.strip().partition("=")
        if key == "pt":
            numbers = [number for number in value.split(",") if number in payload_types]
            if not numbers:
                return None
            kept.append(f"pt={','.join(numbers)}")
        elif key in _RESTRICTIONS and _NUMBER.fullmatch(value):
            kept.append(part.strip())
        else:
            return None
    return ";".join(kept)
