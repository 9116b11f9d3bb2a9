import random
import struct
from collections.abc import Iterator

import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.plane.derivation import AeadKeys, aead_keys
from sfu.plane.gcm import MAX_STREAMS, SRTCP_INDICES, GcmReceiver, GcmSender

KEY, SALT = bytes(range(100, 116)), bytes(range(200, 212))
RFC_KEYS = AeadKeys(bytes(range(16)), b"Quid pro quo", bytes(range(16)), b"Quid pro quo")
"""RFC 7714 section 16: the session keys and salts themselves"""
RFC_RTP = bytes.fromhex(
    "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573"
)
RFC_SRTP = bytes.fromhex(
    "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833"
    "899d7f27beb16a9152cf765ee4390cce"
)
RFC_RTCP = bytes.fromhex(
    "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
)
RFC_SRTCP = bytes.fromhex(
    "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b"
    "c84aa45896cf4d2fc5abf87245d9eade800005d4"
)


def rtp(sequence: int, payload: bytes = b"payload", ssrc: int = 0x1234) -> bytes:
    return struct.pack("!BBHLL", 0x80, 96, sequence & 0xFFFF, sequence * 3000 & 0xFFFFFFFF, ssrc) + payload


def libsrtp(ssrc_type: int) -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(
        key=KEY + SALT, ssrc_type=ssrc_type, srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    )
    policy.window_size = 1024
    policy.allow_repeat_tx = True
    return pylibsrtp.Session(policy)


@pytest.fixture
def sender() -> GcmSender:
    return GcmSender(aead_keys(KEY, SALT))


@pytest.fixture
def receiver() -> GcmReceiver:
    return GcmReceiver(aead_keys(KEY, SALT))


def seal(sender: GcmSender, packet: bytes, index: int) -> bytes:
    header, payload = packet[:12], packet[12:]
    return header + sender.seal_rtp(int.from_bytes(packet[8:12]), index, header, payload)


def test_the_rtp_vector_of_rfc_7714() -> None:
    assert seal(GcmSender(RFC_KEYS), RFC_RTP, 0xF17B) == RFC_SRTP
    assert GcmReceiver(RFC_KEYS).open_rtp(RFC_SRTP) == RFC_RTP


def test_the_rtcp_vector_of_rfc_7714() -> None:
    sender = GcmSender(RFC_KEYS)
    for _ in range(0x5D4):
        sender.seal_rtcp(RFC_RTCP)
    assert sender.seal_rtcp(RFC_RTCP) == RFC_SRTCP
    assert GcmReceiver(RFC_KEYS).open_rtcp(RFC_SRTCP) == RFC_RTCP


def shuffled_around_a_rollover() -> Iterator[int]:
    """Indices from 65 400 to beyond 65 536, up to 20 late, each once."""
    indices = list(range(65_400, 65_700))
    rng = random.Random(7)
    indices[1:] = sorted(indices[1:], key=lambda index: index + rng.uniform(0, 20))
    return iter(indices)


def test_libsrtp_reads_what_is_sent_around_a_rollover(sender: GcmSender) -> None:
    peer = libsrtp(pylibsrtp.Policy.SSRC_ANY_INBOUND)
    for index in shuffled_around_a_rollover():
        assert peer.unprotect(seal(sender, rtp(index), index)) == rtp(index)


def test_what_libsrtp_sends_is_read_around_a_rollover(receiver: GcmReceiver) -> None:
    peer = libsrtp(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    sealed = {index: peer.protect(rtp(index)) for index in range(65_400, 65_700)}
    for index in shuffled_around_a_rollover():
        assert receiver.open_rtp(sealed[index]) == rtp(index)


def test_rtcp_goes_both_ways_with_libsrtp(sender: GcmSender, receiver: GcmReceiver) -> None:
    inbound, outbound = libsrtp(pylibsrtp.Policy.SSRC_ANY_INBOUND), libsrtp(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    for n in range(20):
        packet = struct.pack("!BBHLL", 0x80, 201, 2, 77, n)
        sealed = sender.seal_rtcp(packet)
        assert sealed is not None
        assert inbound.unprotect_rtcp(sealed) == packet
        assert receiver.open_rtcp(outbound.protect_rtcp(packet)) == packet


def test_header_extensions_and_csrcs_are_authenticated_and_not_encrypted(
    sender: GcmSender, receiver: GcmReceiver
) -> None:
    header = struct.pack("!BBHLLLHHL", 0x91, 96, 5, 0, 9, 1, 0xBEDE, 1, 0x10FF0000)
    packet = header + sender.seal_rtp(9, 5, header, b"video")
    assert libsrtp(pylibsrtp.Policy.SSRC_ANY_INBOUND).unprotect(packet) == header + b"video"
    forged = bytearray(packet)
    forged[21] ^= 1
    assert receiver.open_rtp(bytes(forged)) is None
    assert receiver.open_rtp(packet) == header + b"video"


def test_a_packet_is_read_once(sender: GcmSender, receiver: GcmReceiver) -> None:
    packet = seal(sender, rtp(9), 9)
    control = sender.seal_rtcp(RFC_RTCP)
    assert control is not None
    assert receiver.open_rtp(packet) is not None
    assert receiver.open_rtp(packet) is None
    assert receiver.open_rtcp(control) is not None
    assert receiver.open_rtcp(control) is None


def test_a_forgery_far_ahead_does_not_move_the_window(sender: GcmSender, receiver: GcmReceiver) -> None:
    assert receiver.open_rtp(seal(sender, rtp(9), 9)) is not None
    assert receiver.open_rtp(rtp(30_000) + bytes(16)) is None
    assert receiver.open_rtp(seal(sender, rtp(10), 10)) is not None


def test_rtcp_that_is_signed_and_not_encrypted_is_read(receiver: GcmReceiver) -> None:
    keys = aead_keys(KEY, SALT)
    trailer = (5).to_bytes(4)
    nonce = (int.from_bytes(keys.rtcp_salt) ^ (int.from_bytes(RFC_RTCP[4:8]) << 48 | 5)).to_bytes(12)
    tag = GcmSender(keys)._rtcp(nonce, b"", RFC_RTCP + trailer)
    assert receiver.open_rtcp(RFC_RTCP[:-1] + b"?" + tag + trailer) is None
    assert receiver.open_rtcp(RFC_RTCP + tag + trailer) == RFC_RTCP


def test_a_peer_has_a_bounded_number_of_streams(sender: GcmSender, receiver: GcmReceiver) -> None:
    opened = [receiver.open_rtp(seal(sender, rtp(1, ssrc=ssrc), 1)) for ssrc in range(MAX_STREAMS + 5)]
    assert [packet is not None for packet in opened] == [True] * MAX_STREAMS + [False] * 5
    assert receiver.open_rtp(seal(sender, rtp(2, ssrc=0), 2)) is not None


def test_a_key_serves_2_to_the_31_rtcp_packets(sender: GcmSender) -> None:
    sender._rtcp_index = SRTCP_INDICES - 1
    assert sender.seal_rtcp(RFC_RTCP) is not None
    assert sender.seal_rtcp(RFC_RTCP) is None


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x80", b"\x90\x60", b"\x9f\xe0"]))
def test_noise_is_refused(noise: bytes, start: bytes) -> None:
    receiver = GcmReceiver(aead_keys(KEY, SALT))
    assert receiver.open_rtp(start + noise) is None
    assert receiver.open_rtcp(start + noise) is None


@given(st.integers(0, 65), st.integers(1, 255))
def test_any_changed_byte_is_refused(position: int, change: int) -> None:
    packet = bytearray(seal(GcmSender(aead_keys(KEY, SALT)), rtp(300, bytes(38)), 300))
    packet[position] ^= change
    assert GcmReceiver(aead_keys(KEY, SALT)).open_rtp(bytes(packet)) is None


@given(st.integers(0, 66))
def test_any_cut_packet_is_refused(length: int) -> None:
    packet = seal(GcmSender(aead_keys(KEY, SALT)), rtp(300, bytes(39)), 300)
    assert GcmReceiver(aead_keys(KEY, SALT)).open_rtp(packet[:length]) is None
