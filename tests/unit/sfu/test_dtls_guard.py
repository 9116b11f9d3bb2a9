import pytest

from sfu.dtls import Dtls
from sfu.dtls_guard import LAST, LONGEST, Guard, cookie_of, first_hello, read_piece, verify_request

SERVER_HELLO, CERTIFICATE, KEY_EXCHANGE, FINISHED = 2, 11, 16, 20


def message(kind: int, *, number: int = 2, length: int = 8, offset: int = 0, body: bytes = bytes(8)) -> bytes:
    """A record with a piece of a handshake message."""
    piece = bytes((kind,)) + length.to_bytes(3, "big") + number.to_bytes(2, "big") + offset.to_bytes(3, "big")
    return record(22, piece + len(body).to_bytes(3, "big") + body)


def record(kind: int, body: bytes, *, epoch: int = 0) -> bytes:
    return bytes((kind, 0xFE, 0xFD, 0, epoch)) + bytes(6) + len(body).to_bytes(2, "big") + body


def hello(cookie: bytes, *, number: int, session: bytes = b"") -> bytes:
    body = (
        b"\xfe\xfd" + bytes(32) + bytes((len(session),)) + session + bytes((len(cookie),)) + cookie + b"\0\2\xc0\x2b"
    )
    return message(1, number=number, length=len(body) + 40, body=body)  # more of it is to come


def greeted() -> Guard:
    guard = Guard("server")
    assert guard.admit(hello(guard.cookie, number=1))
    return guard


def test_a_hello_is_asked_for_the_cookie_and_nothing_is_kept_for_it() -> None:
    guard = Guard("server")
    for cookie, number in ((b"", 0), (b"", 1), (bytes(16), 1), (guard.cookie, 0), (guard.cookie[:15], 1)):
        assert not guard.admit(hello(cookie, number=number))
        assert guard.replies.pop() == verify_request(guard.cookie)
    assert not guard.greeted
    assert guard.admit(hello(guard.cookie, number=1, session=bytes(32)))
    assert guard.greeted
    assert guard.replies == []


def test_the_question_is_one_that_a_client_answers() -> None:
    client = Dtls("client", [])
    [first] = client.outgoing()
    piece = read_piece(first)
    assert piece is not None
    assert cookie_of(piece) == b""
    client.receive(verify_request(b"the cookie"))
    [second] = client.outgoing()
    piece = read_piece(second)
    assert piece is not None
    assert (piece.number, cookie_of(piece)) == (1, b"the cookie")


def test_every_guard_has_another_cookie() -> None:
    assert Guard("server").cookie != Guard("server").cookie
    assert first_hello() == first_hello()


@pytest.mark.parametrize("kind", [11, 15, 16])
def test_a_client_s_messages_pass_once_it_has_been_greeted(kind: int) -> None:
    assert not Guard("server").admit(message(kind))
    assert greeted().admit(message(kind))


def test_the_rest_of_a_hello_passes_and_none_that_comes_later() -> None:
    guard = greeted()
    assert guard.admit(message(1, number=1, length=100, offset=60))
    assert not guard.admit(hello(b"", number=0))
    assert guard.replies == []  # a peer that has begun is not asked again


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 12, 13, 14, 20, 99])
def test_what_only_a_server_or_nobody_says_does_not_pass(kind: int) -> None:
    assert not greeted().admit(message(kind))


def test_a_client_lets_a_server_s_messages_pass_from_the_beginning() -> None:
    guard = Guard("client")
    passed = {kind for kind in range(32) if guard.admit(message(kind, number=0))}
    assert passed == {2, 3, 11, 12, 13, 14}


@pytest.mark.parametrize(
    "malformed",
    [
        record(22, b""),
        record(22, bytes((16,)) + bytes(10)),
        message(16, length=7),
        message(16, offset=1),
        message(16, length=LONGEST + 1),
        message(16, number=LAST + 1),
        message(16)[:-1],
        record(20, b""),
        record(20, b"\2"),
        record(20, b"\1\1"),
        record(21, b"\2\x28"),
        record(23, bytes(30)),
        record(24, bytes(30)),
    ],
)
def test_what_a_forger_would_end_a_handshake_with_does_not_pass(malformed: bytes) -> None:
    assert not greeted().admit(malformed)


def test_signed_records_are_openssl_s_to_check() -> None:
    assert greeted().admit(record(22, bytes(40), epoch=1))
    assert greeted().admit(record(20, b"\1"))
    assert not greeted().admit(record(22, bytes(40), epoch=2))
    assert not Guard("server").admit(record(22, bytes(40), epoch=1))


def test_the_numbers_of_unsigned_records_are_ours() -> None:
    guard = greeted()
    forged = message(16)[:5] + b"\xff" * 6 + message(16)[11:]
    assert [guard.admit(one)[5:11] for one in (forged, message(11), forged)] == [
        number.to_bytes(6, "big") for number in (2, 3, 4)
    ]
    assert guard.admit(forged)[11:] == forged[11:]
    signed = record(22, bytes(40), epoch=1)[:5] + b"\xff" * 6 + bytes((0, 40)) + bytes(40)
    assert guard.admit(signed) == signed
