import random

import pytest
from aioice import stun as aioice_stun
from hypothesis import given
from hypothesis import strategies as st

from sfu import stun

RFC_PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
RFC_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36"
    "000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
"""RFC 5769 section 2.1"""


def request(**attributes: object) -> bytes:
    message = aioice_stun.Message(
        message_method=aioice_stun.Method.BINDING,
        message_class=aioice_stun.Class.REQUEST,
        attributes={name.replace("_", "-"): value for name, value in attributes.items()},
    )
    message.add_message_integrity(b"secret")
    return bytes(message)


def test_the_request_of_rfc_5769() -> None:
    message = stun.parse(RFC_REQUEST)
    assert message is not None
    assert message.type == stun.BINDING_REQUEST
    assert message.local_ufrag == "evtj"
    assert message.attributes[stun.PRIORITY] == bytes.fromhex("6e0001ff")
    assert message.authentic(RFC_PASSWORD)
    assert not message.authentic(RFC_PASSWORD[:-1])


def test_what_aioice_sends_is_read() -> None:
    message = stun.parse(request(USERNAME="ours:theirs", PRIORITY=1, ICE_CONTROLLING=7, USE_CANDIDATE=None))
    assert message is not None
    assert message.local_ufrag == "ours"
    assert stun.USE_CANDIDATE in message.attributes
    assert message.authentic("secret")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (("192.0.2.1", 32_853), ("192.0.2.1", 32_853)),
        (("2001:db8::1", 7, 0, 0), ("2001:db8::1", 7)),
        (("::ffff:192.0.2.1", 7, 0, 0), ("192.0.2.1", 7)),
    ],
)
def test_aioice_reads_our_success(address: stun.Address, shown: tuple[str, int]) -> None:
    message = stun.parse(request(USERNAME="ours:theirs"))
    assert message is not None
    answer = aioice_stun.parse_message(stun.success(message, address, "secret"))
    assert answer.message_class == aioice_stun.Class.RESPONSE
    assert answer.transaction_id == message.transaction_id
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == shown
    assert answer.check_message_integrity(b"secret")


def test_aioice_reads_our_error() -> None:
    message = stun.parse(request(USERNAME="ours:theirs"))
    assert message is not None
    answer = aioice_stun.parse_message(stun.error(message, stun.ROLE_CONFLICT, "Role Conflict", "secret"))
    assert answer.message_class == aioice_stun.Class.ERROR
    assert answer.attributes["ERROR-CODE"] == (487, "Role Conflict")
    assert answer.check_message_integrity(b"secret")


def test_without_message_integrity_nothing_is_authentic() -> None:
    message = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
    message.attributes["USERNAME"] = "ours:theirs"
    parsed = stun.parse(bytes(message))
    assert parsed is not None
    assert not parsed.authentic("secret")
    assert not parsed.authentic("")


def test_what_stands_behind_message_integrity_is_not_believed() -> None:
    signed = request(USERNAME="ours:theirs")[:-8]
    longer = signed[:2] + (len(signed) - 20 + 4).to_bytes(2) + signed[4:]
    message = stun.parse(longer + stun.USE_CANDIDATE.to_bytes(2) + bytes(2))
    assert message is not None
    assert message.authentic("secret")
    assert stun.USE_CANDIDATE not in message.attributes


def test_the_first_of_two_equal_attributes_counts() -> None:
    message = stun.HEADER.pack(1, 16, stun.MAGIC_COOKIE, bytes(12)) + b"\0\6\0\4a:b " + b"\0\6\0\4c:d "
    parsed = stun.parse(message)
    assert parsed is not None
    assert parsed.local_ufrag == "a"


@pytest.mark.parametrize("position", range(0, len(RFC_REQUEST), 3))
def test_a_changed_byte_makes_it_unreadable_or_not_authentic(position: int) -> None:
    changed = bytearray(RFC_REQUEST)
    changed[position] ^= 0x41
    message = stun.parse(bytes(changed))
    assert message is None or not message.authentic(RFC_PASSWORD)


@pytest.mark.parametrize("length", range(len(RFC_REQUEST)))
def test_a_cut_message_is_none_even_with_its_length_put_right(length: int) -> None:
    cut = RFC_REQUEST[:length]
    assert stun.parse(cut) is None
    message = stun.parse(cut[:2] + max(0, length - 20).to_bytes(2) + cut[4:])
    assert message is None or not message.authentic(RFC_PASSWORD) or length == len(RFC_REQUEST) - 8


@given(st.binary(max_size=60))
def test_noise_raises_nothing(noise: bytes) -> None:
    assert stun.parse(noise) is None or noise[4:8] == stun.MAGIC_COOKIE.to_bytes(4)
    stun.parse(stun.HEADER.pack(1, len(noise), stun.MAGIC_COOKIE, bytes(12)) + noise)


def test_mutations_of_a_valid_request_raise_nothing() -> None:
    rng = random.Random(1)
    for _ in range(5000):
        mutated = bytearray(RFC_REQUEST)
        for _ in range(rng.randrange(1, 6)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        message = stun.parse(bytes(mutated[: rng.choice((len(mutated), rng.randrange(len(mutated)))) & ~3]))
        if message is not None:
            assert isinstance(message.local_ufrag, str)
            message.authentic(RFC_PASSWORD)
