"""The way from one publisher to us: its packets' arrivals, told back so that it knows what the path carries."""

from sfu.rtp import rtcp
from sfu.rtp.arrivals import Arrivals
from sfu.rtp.packet import RtpPacket
from sfu.rtp.parameters import RtpTransport

FEEDBACK_INTERVAL_S = 0.1
"""The default of libwebrtc's `RemoteEstimatorProxy`; a sender reacts about so late."""
FEEDBACK_PACKETS = 64
"""So many arrivals are told at once, without waiting: a burst that probes is then judged while it lasts."""


class Uplink:
    """Transport-wide feedback to one publishing transport, whose packets have numbers. Made by `Router.produce`.

    While packets come, feedback goes every 0.1 s; Chromium takes its absence for a path that is dead.
    """

    __slots__ = ("_arrivals", "_element_id", "_opening", "_sender_ssrc", "_told_at", "_transport", "media_ssrc")

    def __init__(self, transport: RtpTransport, element_id: int, reporter: tuple[int, str]) -> None:
        """`element_id` is that of the header extension; `reporter` is the SSRC and the CNAME of our RTCP."""
        self.media_ssrc = 0
        """The stream that feedback names, any one of the transport's."""
        self._transport = transport
        self._element_id = element_id
        self._sender_ssrc, cname = reporter
        opening = rtcp.receiver_report(rtcp.ReceiverReport(self._sender_ssrc))
        self._opening = opening + rtcp.source_description(self._sender_ssrc, cname)  # RFC 3550 section 6.1
        self._arrivals = Arrivals()
        self._told_at = float("-inf")

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Note an arrival: every packet of the transport, whatever it is, padding that probes above all."""
        number = packet.elements.get(self._element_id)
        if number is None or len(number) != 2:
            return
        self.media_ssrc = packet.ssrc
        arrivals, at = self._arrivals, self._transport.arrived
        # what we were late to read must not look like a queue on the path
        arrivals.add(number[0] << 8 | number[1], now if at is None else at)
        if arrivals.waiting >= FEEDBACK_PACKETS:
            self._tell(now)

    def tick(self, now: float) -> None:
        """Send feedback where it is due."""
        if self._arrivals.waiting and now - self._told_at >= FEEDBACK_INTERVAL_S:
            self._tell(now)

    def _tell(self, now: float) -> None:
        self._told_at = now
        feedback = self._arrivals.feedback(self._sender_ssrc, self.media_ssrc)
        if feedback is not None:
            self._transport.send_rtcp(self._opening + feedback)
