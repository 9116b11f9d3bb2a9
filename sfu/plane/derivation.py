"""From the master key that DTLS exports to the six keys that SRTP uses (RFC 3711 section 4.3)."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

RTP_KEY, RTP_SALT = 0x00, 0x02
RTCP_KEY, RTCP_SALT = 0x03, 0x05
"""The labels of RFC 3711 section 4.3.2; 1 and 4 are authentication keys, which an AEAD has not."""


@dataclass(frozen=True, slots=True, repr=False)
class AeadKeys:
    """The session keys and salts of one direction of an AEAD profile (RFC 7714 section 11)."""

    rtp_key: bytes
    rtp_salt: bytes
    rtcp_key: bytes
    rtcp_salt: bytes


def derive(master_key: bytes, master_salt: bytes, label: int, length: int) -> bytes:
    """`length` bytes of AES-CM key stream (RFC 3711 section 4.3.3), with a key derivation rate of 0.

    A salt of 12 bytes, as AEAD profiles have, counts as 14 with zeros behind (RFC 7714 section 11).
    """
    start = bytearray(master_salt.ljust(16, b"\0"))
    start[7] ^= label  # the label stands above 48 bits of index (0) and the 16 bits of the block counter
    stream = Cipher(algorithms.AES(master_key), modes.CTR(bytes(start))).encryptor()
    return stream.update(bytes(length))


def aead_keys(master_key: bytes, master_salt: bytes) -> AeadKeys:
    """The session keys of one direction; they are as long as the master's."""
    key, salt = len(master_key), len(master_salt)
    return AeadKeys(
        rtp_key=derive(master_key, master_salt, RTP_KEY, key),
        rtp_salt=derive(master_key, master_salt, RTP_SALT, salt),
        rtcp_key=derive(master_key, master_salt, RTCP_KEY, key),
        rtcp_salt=derive(master_key, master_salt, RTCP_SALT, salt),
    )
