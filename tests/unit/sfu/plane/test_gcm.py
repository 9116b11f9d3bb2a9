import random
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import astuple

import pylibsrtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.plane.derivation import AeadKeys, aead_keys
from sfu.plane.engine import native
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


Sender = GcmSender | native.Session
Receiver = GcmReceiver | native.Receiver


def native_sender(keys: AeadKeys) -> native.Session:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return native.Session(native.Outbox(sock, lambda: None), *astuple(keys))


def native_receiver(keys: AeadKeys) -> native.Receiver:
    return native.Receiver(*astuple(keys))


SENDERS: list[Callable[[AeadKeys], Sender]] = [GcmSender, native_sender]
RECEIVERS: list[Callable[[AeadKeys], Receiver]] = [GcmReceiver, native_receiver]
PAIRS = list(zip(SENDERS, RECEIVERS, strict=True))
PYTHON_AND_C = ["python", "engine"]


@pytest.fixture(params=SENDERS, ids=PYTHON_AND_C)
def sender(request: pytest.FixtureRequest) -> Sender:
    made: Sender = request.param(aead_keys(KEY, SALT))
    return made


@pytest.fixture(params=RECEIVERS, ids=PYTHON_AND_C)
def receiver(request: pytest.FixtureRequest) -> Receiver:
    made: Receiver = request.param(aead_keys(KEY, SALT))
    return made


def seal(sender: Sender, packet: bytes, index: int) -> bytes:
    header, payload = packet[:12], packet[12:]
    sealed = sender.seal_rtp(int.from_bytes(packet[8:12]), index, header, payload)
    assert sealed is not None
    return header + sealed


@pytest.mark.parametrize(("make_sender", "make_receiver"), PAIRS, ids=PYTHON_AND_C)
def test_the_rtp_vector_of_rfc_7714(
    make_sender: Callable[[AeadKeys], Sender], make_receiver: Callable[[AeadKeys], Receiver]
) -> None:
    assert seal(make_sender(RFC_KEYS), RFC_RTP, 0xF17B) == RFC_SRTP
    assert make_receiver(RFC_KEYS).open_rtp(RFC_SRTP) == RFC_RTP


@pytest.mark.parametrize(("make_sender", "make_receiver"), PAIRS, ids=PYTHON_AND_C)
def test_the_rtcp_vector_of_rfc_7714(
    make_sender: Callable[[AeadKeys], Sender], make_receiver: Callable[[AeadKeys], Receiver]
) -> None:
    sender = make_sender(RFC_KEYS)
    for _ in range(0x5D4):
        sender.seal_rtcp(RFC_RTCP)
    assert sender.seal_rtcp(RFC_RTCP) == RFC_SRTCP
    assert make_receiver(RFC_KEYS).open_rtcp(RFC_SRTCP) == RFC_RTCP


def shuffled_around_a_rollover() -> Iterator[int]:
    """Indices from 65 400 to beyond 65 536, up to 20 late, each once."""
    indices = list(range(65_400, 65_700))
    rng = random.Random(7)
    indices[1:] = sorted(indices[1:], key=lambda index: index + rng.uniform(0, 20))
    return iter(indices)


def test_libsrtp_reads_what_is_sent_around_a_rollover(sender: Sender) -> None:
    peer = libsrtp(pylibsrtp.Policy.SSRC_ANY_INBOUND)
    for index in shuffled_around_a_rollover():
        assert peer.unprotect(seal(sender, rtp(index), index)) == rtp(index)


def test_what_libsrtp_sends_is_read_around_a_rollover(receiver: Receiver) -> None:
    peer = libsrtp(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    sealed = {index: peer.protect(rtp(index)) for index in range(65_400, 65_700)}
    for index in shuffled_around_a_rollover():
        assert receiver.open_rtp(sealed[index]) == rtp(index)


def test_rtcp_goes_both_ways_with_libsrtp(sender: Sender, receiver: Receiver) -> None:
    inbound, outbound = libsrtp(pylibsrtp.Policy.SSRC_ANY_INBOUND), libsrtp(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    for n in range(20):
        packet = struct.pack("!BBHLL", 0x80, 201, 2, 77, n)
        sealed = sender.seal_rtcp(packet)
        assert sealed is not None
        assert inbound.unprotect_rtcp(sealed) == packet
        assert receiver.open_rtcp(outbound.protect_rtcp(packet)) == packet


def test_header_extensions_and_csrcs_are_authenticated_and_not_encrypted(sender: Sender, receiver: Receiver) -> None:
    header = struct.pack("!BBHLLLHHL", 0x91, 96, 5, 0, 9, 1, 0xBEDE, 1, 0x10FF0000)
    packet = header + (sender.seal_rtp(9, 5, header, b"video") or b"")
    assert libsrtp(pylibsrtp.Policy.SSRC_ANY_INBOUND).unprotect(packet) == header + b"video"
    forged = bytearray(packet)
    forged[21] ^= 1
    assert receiver.open_rtp(bytes(forged)) is None
    assert receiver.open_rtp(packet) == header + b"video"


def test_a_packet_is_read_once(sender: Sender, receiver: Receiver) -> None:
    packet = seal(sender, rtp(9), 9)
    control = sender.seal_rtcp(RFC_RTCP)
    assert control is not None
    assert receiver.open_rtp(packet) is not None
    assert receiver.open_rtp(packet) is None
    assert receiver.open_rtcp(control) is not None
    assert receiver.open_rtcp(control) is None


def test_a_forgery_far_ahead_does_not_move_the_window(sender: Sender, receiver: Receiver) -> None:
    assert receiver.open_rtp(seal(sender, rtp(9), 9)) is not None
    assert receiver.open_rtp(rtp(30_000) + bytes(16)) is None
    assert receiver.open_rtp(seal(sender, rtp(10), 10)) is not None


def test_rtcp_that_is_signed_and_not_encrypted_is_read(receiver: Receiver) -> None:
    keys = aead_keys(KEY, SALT)
    trailer = (5).to_bytes(4)
    nonce = (int.from_bytes(keys.rtcp_salt) ^ (int.from_bytes(RFC_RTCP[4:8]) << 48 | 5)).to_bytes(12)
    tag = GcmSender(keys)._rtcp(nonce, b"", RFC_RTCP + trailer)
    assert receiver.open_rtcp(RFC_RTCP[:-1] + b"?" + tag + trailer) is None
    assert receiver.open_rtcp(RFC_RTCP + tag + trailer) == RFC_RTCP


def test_a_peer_has_a_bounded_number_of_streams(sender: Sender, receiver: Receiver) -> None:
    opened = [receiver.open_rtp(seal(sender, rtp(1, ssrc=ssrc), 1)) for ssrc in range(MAX_STREAMS + 5)]
    assert [packet is not None for packet in opened] == [True] * MAX_STREAMS + [False] * 5
    assert receiver.open_rtp(seal(sender, rtp(2, ssrc=0), 2)) is not None


def test_a_key_serves_2_to_the_31_rtcp_packets(sender: Sender) -> None:
    if isinstance(sender, GcmSender):
        sender._rtcp_index = SRTCP_INDICES - 1
    else:
        sender.rtcp_index = SRTCP_INDICES - 1
    assert sender.seal_rtcp(RFC_RTCP) is not None
    assert sender.seal_rtcp(RFC_RTCP) is None


@pytest.mark.parametrize("make", RECEIVERS, ids=PYTHON_AND_C)
@given(st.binary(max_size=80), st.sampled_from([b"", b"\x80", b"\x90\x60", b"\x9f\xe0"]))
def test_noise_is_refused(make: Callable[[AeadKeys], Receiver], noise: bytes, start: bytes) -> None:
    receiver = make(aead_keys(KEY, SALT))
    assert receiver.open_rtp(start + noise) is None
    assert receiver.open_rtcp(start + noise) is None


@pytest.mark.parametrize("make", RECEIVERS, ids=PYTHON_AND_C)
@given(st.integers(0, 65), st.integers(1, 255))
def test_any_changed_byte_is_refused(make: Callable[[AeadKeys], Receiver], position: int, change: int) -> None:
    packet = bytearray(seal(GcmSender(aead_keys(KEY, SALT)), rtp(300, bytes(38)), 300))
    packet[position] ^= change
    assert make(aead_keys(KEY, SALT)).open_rtp(bytes(packet)) is None


@pytest.mark.parametrize("make", RECEIVERS, ids=PYTHON_AND_C)
@given(st.integers(0, 66))
def test_any_cut_packet_is_refused(make: Callable[[AeadKeys], Receiver], length: int) -> None:
    packet = seal(GcmSender(aead_keys(KEY, SALT)), rtp(300, bytes(39)), 300)
    assert make(aead_keys(KEY, SALT)).open_rtp(packet[:length]) is None


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),  # SSRC
            st.one_of(st.integers(0, 3000), st.integers(65_000, 66_500), st.integers(0, 2**33)),
            st.sampled_from(["", "repeat", "forge"]),
        ),
        max_size=60,
    )
)
def test_both_receivers_take_the_same_packets(sent: list[tuple[int, int, str]]) -> None:
    """In any order, with gaps, repeats, rollovers and forgeries; so their windows move alike."""
    keys = aead_keys(KEY, SALT)
    sender, python, engine = native_sender(keys), GcmReceiver(keys), native_receiver(keys)
    for ssrc, index, what in sent:
        packet = seal(sender, rtp(index, ssrc=ssrc), index)
        if what == "forge":
            packet = packet[:-1] + bytes((packet[-1] ^ 1,))
        for _ in range(2 if what == "repeat" else 1):
            assert engine.open_rtp(packet) == python.open_rtp(packet)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1), st.binary(max_size=40), st.binary(max_size=1400))
def test_both_senders_make_the_same_packets(ssrc: int, index: int, header: bytes, payload: bytes) -> None:
    keys = aead_keys(KEY, SALT)
    python, engine = GcmSender(keys), native_sender(keys)
    assert engine.seal_rtp(ssrc, index, header, payload) == python.seal_rtp(ssrc, index, header, payload)
    report = struct.pack("!BBHL", 0x80, 201, 1, ssrc) + payload
    for _ in range(2):
        assert engine.seal_rtcp(report) == python.seal_rtcp(report)
