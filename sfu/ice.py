"""One peer's ICE-lite agent (RFC 8445): it answers checks, and learns from them where the peer is.

A lite agent has host candidates only, is always controlled, and never sends a check. So an address is *validated* by
a binding request with a valid MESSAGE-INTEGRITY, which only somebody who was given our password by signaling can
make; it is *selected* by the latest request with USE-CANDIDATE (section 7.3.1.5), or by being the first while there
is none. The same requests are the peer's consent to receive (RFC 7675): Chromium sends one every 2.5 s at least. So
is what it sends over SRTP, which takes keys that only it has: FFmpeg's WHIP muxer (8.0) checks once and never again.
"""

import secrets
from dataclasses import dataclass, field

from sfu import stun
from sfu.plane.base import Address

CONSENT_S = 30.0
"""RFC 7675 section 5.1"""
HOLD_S = 10.0
"""How long after its last check an address cannot be claimed by another peer's: four of Chromium's intervals."""
MAX_ADDRESSES = 16
"""Validated addresses that are kept for one peer; a machine with many interfaces has fewer candidates than that."""


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """One generation of our ICE credentials (RFC 8445 section 5.3)."""

    ufrag: str = field(default_factory=lambda: secrets.token_hex(8))
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)


class IceLite:
    """What one peer's checks have shown."""

    def __init__(self) -> None:
        self.credentials = IceCredentials()
        """What our SDP says."""
        self._previous: IceCredentials | None = None
        self._heard: dict[Address, float] = {}
        self._last_heard = float("-inf")
        self.selected: Address | None = None
        """Where to send."""

    @property
    def ufrags(self) -> tuple[str, ...]:
        """The user fragments that checks may name: during an ICE restart the former one, too."""
        return tuple(c.ufrag for c in (self.credentials, self._previous) if c is not None)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The validated addresses."""
        return tuple(self._heard)

    def restart(self) -> None:
        """Take fresh credentials (RFC 8445 section 9); the former ones serve until the fresh ones are used."""
        self._previous, self.credentials = self.credentials, IceCredentials()

    def password_for(self, request: stun.Message) -> str | None:
        """The password that authenticated a binding request, or None where none does."""
        for credentials in (self.credentials, self._previous):
            if credentials is not None and credentials.ufrag == request.local_ufrag:
                return credentials.password if request.authentic(credentials.password) else None
        return None

    def refusal(self, request: stun.Message, password: str) -> bytes | None:
        """The answer to a peer that thinks it is controlled; None for any other.

        A lite agent never controls (RFC 8445 section 6.1.1). Such a request validates no address.
        """
        if stun.ICE_CONTROLLED in request.attributes:
            return stun.error(request, stun.ROLE_CONFLICT, "Role Conflict", password)
        return None

    def answer(self, request: stun.Message, password: str, address: Address, now: float) -> bytes:
        """Answer a request that `password` authenticated, and take note of where it came from."""
        if password == self.credentials.password:
            self._previous = None
        if stun.USE_CANDIDATE in request.attributes or self.consent_expired(now):
            self.selected = address
        self._heard[address] = self._last_heard = now
        return stun.success(request, address, password)

    def surplus(self) -> Address | None:
        """The address to forget where there are too many: the one not selected that was silent for longest."""
        if len(self._heard) <= MAX_ADDRESSES:
            return None
        oldest = min((a for a in self._heard if a != self.selected), key=self._heard.__getitem__)
        del self._heard[oldest]
        return oldest

    def holds(self, address: Address, now: float) -> bool:
        """Whether the address is in use by this peer, so that nobody else's check may claim it."""
        heard = self._heard.get(address)
        return heard is not None and now - heard < HOLD_S

    def forget(self, address: Address) -> None:
        """Another peer has claimed the address."""
        self._heard.pop(address, None)
        if self.selected == address:
            self.selected = None

    def hear(self, now: float) -> None:
        """Something authentic came that is no check: the peer is there, and agrees to be sent to."""
        if self.selected is not None:
            self._heard[self.selected] = self._last_heard = now

    def silent_for(self, now: float) -> float:
        """Seconds since the last sign of life from anywhere; infinite before there is any."""
        return now - self._last_heard

    def consent_expired(self, now: float) -> bool:
        """Whether there is no address to send to, or none that still agrees (RFC 7675 section 5.1)."""
        return self.selected is None or now - self._heard[self.selected] >= CONSENT_S
