"""SRTP and SRTCP with AEAD_AES_128_GCM (RFC 7714): the cipher that browsers prefer and the fastest in Python.

The nonce of section 8.1 (two zero bytes, SSRC, rollover counter, sequence number) and the one of section 9.1 (two
zero bytes, SSRC, two zero bytes, SRTCP index) are both the number SSRC * 2**48 + index before the salt is mixed in.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sfu.plane.derivation import AeadKeys
from sfu.plane.replay import ReplayWindow

TAG = 16
SRTCP_INDICES = 1 << 31
"""A key serves so many SRTCP packets (RFC 3711 section 9.2); the bit above the index says `encrypted`."""
MAX_STREAMS = 512
"""SSRCs that one peer may send. Each costs a window, and a peer needs a few dozen."""


class GcmSender:
    """Encrypts one direction."""

    def __init__(self, keys: AeadKeys) -> None:
        self._rtp = AESGCM(keys.rtp_key).encrypt
        self._rtp_salt = int.from_bytes(keys.rtp_salt)
        self._rtcp = AESGCM(keys.rtcp_key).encrypt
        self._rtcp_salt = int.from_bytes(keys.rtcp_salt)
        self._rtcp_index = 0

    def seal_rtp(self, ssrc: int, index: int, header: bytes, payload: bytes) -> bytes:
        """What follows the header on the wire: the encrypted payload and the tag."""
        return self._rtp((self._rtp_salt ^ (ssrc << 48 | index)).to_bytes(12), payload, header)

    def seal_rtcp(self, packet: bytes) -> bytes | None:
        """The SRTCP packet (RFC 7714 section 9.2), or None where the key has served its time."""
        index = self._rtcp_index
        if index >= SRTCP_INDICES:
            return None
        self._rtcp_index = index + 1
        header, trailer = packet[:8], (SRTCP_INDICES | index).to_bytes(4)
        nonce = (self._rtcp_salt ^ (int.from_bytes(header[4:]) << 48 | index)).to_bytes(12)
        return header + self._rtcp(nonce, packet[8:], header + trailer) + trailer


class GcmReceiver:
    """Decrypts one direction, each packet once."""

    def __init__(self, keys: AeadKeys) -> None:
        self._rtp = AESGCM(keys.rtp_key).decrypt
        self._rtp_salt = int.from_bytes(keys.rtp_salt)
        self._rtp_windows: dict[int, ReplayWindow] = {}
        self._rtcp = AESGCM(keys.rtcp_key).decrypt
        self._rtcp_salt = int.from_bytes(keys.rtcp_salt)
        self._rtcp_windows: dict[int, ReplayWindow] = {}

    def open_rtp(self, packet: bytes) -> bytes | None:
        """The RTP packet, or None where this is none, was forged or is a repeat."""
        size = len(packet)
        if size < 12 + TAG or packet[0] >> 6 != 2:
            return None
        start = 12 + 4 * (packet[0] & 15)
        if packet[0] & 16:
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4])
        if start + TAG > size:
            return None
        ssrc = int.from_bytes(packet[8:12])
        window = self._rtp_windows.get(ssrc)
        stream = window or ReplayWindow()
        index = stream.estimate(packet[2] << 8 | packet[3])
        if not stream.admits(index):
            return None
        header = packet[:start]
        nonce = (self._rtp_salt ^ (ssrc << 48 | index)).to_bytes(12)
        try:
            payload = self._rtp(nonce, packet[start:], header)
        except InvalidTag:
            return None
        if window is None and not _remember(self._rtp_windows, ssrc, stream):
            return None
        stream.record(index)
        return header + payload

    def open_rtcp(self, packet: bytes) -> bytes | None:
        """The compound RTCP packet, or None where this is none, was forged or is a repeat."""
        if len(packet) < 8 + TAG + 4 or packet[0] >> 6 != 2:
            return None
        header, sealed, trailer = packet[:8], packet[8:-4], packet[-4:]
        word = int.from_bytes(trailer)
        encrypted, index = word & SRTCP_INDICES, word & SRTCP_INDICES - 1
        ssrc = int.from_bytes(header[4:])
        window = self._rtcp_windows.get(ssrc)
        stream = window or ReplayWindow()
        if not stream.admits(index):
            return None
        nonce = (self._rtcp_salt ^ (ssrc << 48 | index)).to_bytes(12)
        try:
            if encrypted:
                clear = header + self._rtcp(nonce, sealed, header + trailer)
            else:  # authenticated only (section 9.3): the tag covers everything and encrypts nothing
                clear = header + sealed[:-TAG]
                self._rtcp(nonce, sealed[-TAG:], clear + trailer)
        except InvalidTag:
            return None
        if window is None and not _remember(self._rtcp_windows, ssrc, stream):
            return None
        stream.record(index)
        return clear


def _remember(windows: dict[int, ReplayWindow], ssrc: int, window: ReplayWindow) -> bool:
    """Keep the window of a stream that has just shown itself to be authentic, unless there are too many."""
    if len(windows) >= MAX_STREAMS:
        return False
    windows[ssrc] = window
    return True
