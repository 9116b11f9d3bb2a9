"""What WHIP asks of an offer to publish, beyond what any other must be (RFC 9725 section 4.4)."""

from collections import Counter

from sfu.ortc.publish import PublishOffer
from sfu.ortc.sdp import SdpError


def check_ingest(offer: PublishOffer) -> None:
    """Accept an offer of one stream: at most one audio and one video section, each of which sends and is taken.

    Raises:
        SdpError: it is another one. There are no answers in part, so that nobody believes to send what is not taken.
    """
    for s in offer.sections:
        where = s.section.where
        if s.parameters is None:
            raise SdpError(f"{where} is not audio or video of a codec that is carried here, in the bundle")
        if not s.sending:
            raise SdpError(f"{where} is {s.section.direction}: WHIP only sends (RFC 9725 section 4.2)")
    for kind, count in Counter(track.kind for track in offer.tracks).items():
        if count > 1:
            raise SdpError(f"one {kind} track may be published, not {count} (RFC 9725 section 4.4.2)")
