"""SRTP and SRTCP with AES128_CM_SHA1_80 (RFC 3711), by libsrtp: for peers that do not take AES-GCM.

libsrtp guesses the rollover counter of what it sends from the sequence numbers, as a receiver does, so `index` only
has to advance as the packets do and to begin below 65536. It refuses to protect packets above 1356 bytes (RTP's
usual limit is 1200): those are dropped like everything else that it refuses.
"""

from typing import Any, cast

import pylibsrtp

from sfu.plane.replay import WINDOW


class CmSender:
    """Encrypts one direction."""

    def __init__(self, master_key: bytes, master_salt: bytes) -> None:
        self._session = _session(master_key + master_salt, pylibsrtp.Policy.SSRC_ANY_OUTBOUND)

    def seal_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> bytes | None:
        """What follows the header on the wire, or None where libsrtp refuses the packet."""
        sealed = _attempt(self._session.protect, header + payload)
        return None if sealed is None else sealed[len(header) :]

    def seal_rtcp(self, packet: bytes) -> bytes | None:
        """The SRTCP packet, or None where libsrtp refuses it."""
        return _attempt(self._session.protect_rtcp, packet)


class CmReceiver:
    """Decrypts one direction, each packet once."""

    def __init__(self, master_key: bytes, master_salt: bytes) -> None:
        self._session = _session(master_key + master_salt, pylibsrtp.Policy.SSRC_ANY_INBOUND)

    def open_rtp(self, packet: bytes) -> bytes | None:
        """The RTP packet, or None where this is none, was forged or is a repeat."""
        return _attempt(self._session.unprotect, packet)

    def open_rtcp(self, packet: bytes) -> bytes | None:
        """The compound RTCP packet, or None where this is none, was forged or is a repeat."""
        return _attempt(self._session.unprotect_rtcp, packet)


def _session(key: bytes, ssrc_type: int) -> Any:
    policy = pylibsrtp.Policy(
        key=key, ssrc_type=ssrc_type, srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    )
    policy.window_size = WINDOW
    policy.allow_repeat_tx = True  # a lost packet is sent again as it was
    return pylibsrtp.Session(policy)


def _attempt(function: Any, packet: bytes) -> bytes | None:
    try:
        return cast(bytes, function(packet))
    except (pylibsrtp.Error, ValueError):  # ValueError: longer than libsrtp's buffer
        return None
