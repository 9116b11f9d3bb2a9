"""How much may be on its way, and how long to wait for an answer (RFC 9260 sections 6.3 and 7.2)."""

from sfu.sctp.inbound import after
from sfu.sctp.packet import MAX_PACKET

INITIAL_WINDOW = 10 * MAX_PACKET
"""RFC 6928 section 2, as dcSCTP and usrsctp have it."""
MAX_WINDOW = 1 << 20
RTO_INITIAL_S, RTO_MIN_S, RTO_MAX_S = 0.5, 0.4, 3.0
"""dcSCTP's, but for the last: section 16's 1 to 60 s are for telephone exchanges. The minimum is above the 200 ms
that a receiver may keep its SACK (section 6.2); the maximum lets `MAX_TIMEOUTS` last about as long as consent."""
MAX_TIMEOUTS = 10
"""One after the other, until the association counts as lost (section 16)."""


class Congestion:
    """One path's window in bytes and its timeout in seconds."""

    def __init__(self) -> None:
        self.window = INITIAL_WINDOW
        self.rto_s = RTO_INITIAL_S
        self.timeouts = 0
        """Since the peer was last heard."""
        self._threshold = MAX_WINDOW
        self._partial = 0
        self._recovers_at: int | None = None
        self._smooth: float | None = None
        self._variance = 0.0

    def measured(self, rtt: float) -> None:
        """A chunk that was sent once was acknowledged after this time (section 6.3.1)."""
        if self._smooth is None:
            self._smooth, self._variance = rtt, rtt / 2
        else:
            self._variance += (abs(self._smooth - rtt) - self._variance) / 4
            self._smooth += (rtt - self._smooth) / 8
        self.rto_s = min(max(RTO_MIN_S, self._smooth + 4 * self._variance), RTO_MAX_S)

    def acknowledged(self, cumulative: int, gained: int) -> None:
        """All up to here has arrived; `gained` bytes of it are to widen a window that was used (7.2.1, 7.2.2)."""
        if self._recovers_at is not None and not after(self._recovers_at, cumulative):
            self._recovers_at = None
            return
        if not gained or self._recovers_at is not None:
            return
        if self.window <= self._threshold:
            self.window = min(self.window + min(gained, MAX_PACKET), MAX_WINDOW)
            return
        self._partial += gained
        if self._partial >= self.window:
            self._partial -= self.window
            self.window = min(self.window + MAX_PACKET, MAX_WINDOW)

    def missed(self, last_tsn: int) -> None:
        """Something was lost; `last_tsn` has left already. Slows down once for all that is lost together (7.2.4)."""
        if self._recovers_at is None:
            self._threshold = self.window = max(self.window // 2, 4 * MAX_PACKET)
            self._partial = 0
            self._recovers_at = last_tsn

    def timed_out(self) -> None:
        """Nothing was heard for `rto_s` (sections 6.3.3 and 7.2.3)."""
        self.timeouts += 1
        self.rto_s = min(2 * self.rto_s, RTO_MAX_S)
        self._threshold = max(self.window // 2, 4 * MAX_PACKET)
        self.window = MAX_PACKET
        self._partial, self._recovers_at = 0, None
