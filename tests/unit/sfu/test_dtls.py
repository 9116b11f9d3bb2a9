import random
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from sfu.aiortc_parts import generate_certificate
from sfu.dtls import HASHES, MTU, Dtls, Identity, identity

OTHER = Identity()
"""The peer's; `identity()` is ours."""


def fingerprints(who: Identity) -> list[tuple[str, str]]:
    algorithm, _, value = who.fingerprint.partition(" ")
    return [(algorithm, value)]


def pair(**swaps: list[tuple[str, str]]) -> tuple[Dtls, Dtls]:
    """(our server, the peer's client)"""
    server = Dtls("server", swaps.get("client", fingerprints(OTHER)))
    return server, Dtls("client", swaps.get("server", fingerprints(identity())), OTHER)


def talk(one: Dtls, other: Dtls) -> None:
    """Carry datagrams both ways until neither has more to say."""
    quiet = 0
    while quiet < 2:
        quiet += 1
        for source, target in ((one, other), (other, one)):
            for datagram in source.outgoing():
                quiet = 0
                target.receive(datagram)


def test_both_ends_have_the_same_keys() -> None:
    server, client = pair()
    talk(server, client)
    assert (server.state, client.state) == ("connected", "connected")
    assert server.keys is not None
    assert client.keys is not None
    assert server.keys.profile == client.keys.profile == "SRTP_AEAD_AES_128_GCM"
    assert (server.keys.inbound_key, server.keys.inbound_salt) == (
        client.keys.outbound_key,
        client.keys.outbound_salt,
    )
    assert (server.keys.outbound_key, server.keys.outbound_salt) == (
        client.keys.inbound_key,
        client.keys.inbound_salt,
    )
    assert (len(server.keys.inbound_key), len(server.keys.inbound_salt)) == (16, 12)


def test_a_peer_without_gcm_gets_counter_mode() -> None:
    old = Identity()
    old.context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
    server, client = Dtls("server", fingerprints(old)), Dtls("client", fingerprints(identity()), old)
    talk(server, client)
    assert server.keys is not None
    assert server.keys.profile == "SRTP_AES128_CM_SHA1_80"
    assert len(server.keys.inbound_salt) == 14


def test_a_peer_without_srtp_fails() -> None:
    none = Identity()
    none.context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_256_GCM")
    server, client = Dtls("server", fingerprints(none)), Dtls("client", fingerprints(identity()), none)
    talk(server, client)
    assert (server.state, server.keys) == ("failed", None)


def test_datagrams_fit_every_path() -> None:
    server, client = pair()
    sizes = []
    for _ in range(4):
        for source, target in ((client, server), (server, client)):
            for datagram in source.outgoing():
                sizes.append(len(datagram))
                target.receive(datagram)
    assert server.state == "connected"
    assert max(sizes) <= MTU


@pytest.mark.parametrize("who", ["client", "server"])
def test_another_certificate_than_signaled_fails(who: str) -> None:
    server, client = pair(**{who: fingerprints(Identity())})
    talk(server, client)
    suspicious = server if who == "client" else client
    assert (suspicious.state, suspicious.keys) == ("failed", None)
    assert "fingerprint" in suspicious.reason


@pytest.mark.parametrize(
    ("extra", "state"),
    [
        ([("sha-512", "00:11")], "failed"),  # the strongest that is known decides
        ([("sha-256", "00:11")], "connected"),  # any of the same strength may match
        ([("md5", "00:11")], "connected"),  # unknown functions are left aside
    ],
)
def test_the_strongest_fingerprint_decides(extra: list[tuple[str, str]], state: str) -> None:
    server, client = pair(client=fingerprints(OTHER) + extra)
    talk(server, client)
    assert server.state == state


def test_a_certificate_that_only_openssl_takes_raises_nothing(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    good = generate_certificate(key).public_bytes(Encoding.DER)
    version = good.index(bytes.fromhex("a003020102")) + 4
    bad = good[:version] + b"\x07" + good[version + 1 :]
    with pytest.raises(x509.InvalidVersion):
        x509.load_der_x509_certificate(bad)
    (tmp_path / "bad.der").write_bytes(bad)
    odd = Identity()
    odd.context = SSL.Context(SSL.DTLS_METHOD)
    odd.context.use_certificate_file(str(tmp_path / "bad.der"), crypto.FILETYPE_ASN1)
    odd.context.use_privatekey(key)
    odd.context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
    server, client = Dtls("server", fingerprints(OTHER)), Dtls("client", fingerprints(identity()), odd)
    talk(server, client)
    assert server.state == "failed"


@pytest.mark.parametrize("known", [[], [("md5", "00")], [("sha-256", "")]])
def test_no_usable_fingerprint_fails(known: list[tuple[str, str]]) -> None:
    server, client = pair(client=known)
    talk(server, client)
    assert server.state == "failed"


def test_case_of_a_fingerprint_does_not_matter() -> None:
    server, client = pair(client=[("SHA-256", fingerprints(OTHER)[0][1].lower())])
    talk(server, client)
    assert server.state == "connected"
    assert HASHES[-1] == "sha-256"


def test_goodbye_closes_the_other_end() -> None:
    server, client = pair()
    talk(server, client)
    client.close()
    talk(server, client)
    assert (server.state, client.state) == ("closed", "closed")
    server.close()
    assert server.keys is None


UNSIGNED_ALERT = bytes.fromhex("15fefd0000000000000000000202") + b"\x28"


def test_an_alert_that_nobody_signed_ends_nothing() -> None:
    assert len(UNSIGNED_ALERT) == 15
    server, client = pair()
    server.receive(UNSIGNED_ALERT)
    hello = client.outgoing()
    server.receive(UNSIGNED_ALERT + hello[0])
    server.receive(UNSIGNED_ALERT)
    client.receive(UNSIGNED_ALERT)
    talk(server, client)
    assert (server.state, client.state) == ("connected", "connected")
    server.receive(UNSIGNED_ALERT)
    assert server.state == "connected"


def test_data_goes_both_ways() -> None:
    server, client = pair()
    server.send(b"too early")
    talk(server, client)
    client.send(b"up")
    server.send(b"down")
    server.send(b"and again")
    talk(server, client)
    assert (server.received, client.received) == ([b"up"], [b"down", b"and again"])
    server.close()
    server.send(b"too late")
    talk(server, client)
    assert len(client.received) == 2


def test_noise_before_and_after_raises_nothing_and_a_connection_survives_it() -> None:
    rng = random.Random(3)
    server, client = pair()
    for _ in range(100):
        server.receive(bytes([rng.randrange(20, 64)]) + rng.randbytes(rng.randrange(60)))
    talk(server, client)
    assert server.state == "connected"
    for _ in range(2000):
        noise = bytearray(b"\x17\xfe\xfd\0\1" + rng.randbytes(6) + b"\0\x20" + rng.randbytes(32))
        noise[rng.randrange(13)] ^= rng.randrange(256)
        server.receive(bytes(noise))
    assert server.state == "connected"


def test_mutations_of_a_first_flight_raise_nothing() -> None:
    rng = random.Random(4)
    states = set()
    for _ in range(300):
        server, client = pair()
        mutated = bytearray(client.outgoing()[0])
        for _ in range(rng.randrange(1, 4)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        server.receive(bytes(mutated[: rng.randrange(len(mutated)) if rng.random() < 0.3 else None]))
        server.outgoing()
        states.add(server.state)
    assert states <= {"handshaking", "failed"}


def greeted() -> tuple[Dtls, Dtls]:
    """The same pair, after the client has repeated the server's cookie."""
    server, client = pair()
    for _ in range(2):
        for datagram in client.outgoing():
            server.receive(datagram)
        if server._guard.replies:
            for datagram in server.outgoing():
                client.receive(datagram)
    assert server._guard.greeted
    return server, client


def test_hellos_that_others_forged_end_nothing() -> None:
    """Before the real one, between its two, and after: each is asked for the cookie that only the real peer sees."""
    server, client = pair()

    def forge() -> None:
        for _ in range(50):
            for datagram in Dtls("client", [], OTHER).outgoing():
                server.receive(datagram)
                again = bytearray(datagram)
                again[17:19] = b"\0\1"  # message_seq, as in the second hello
                server.receive(bytes(again))

    forge()
    first = client.outgoing()
    for _ in range(2):
        forge()
        for datagram in first:
            server.receive(datagram)
        forge()
        for datagram in server.outgoing():
            client.receive(datagram)
        first = client.outgoing()
    assert server._guard.greeted
    forge()
    for datagram in first:
        server.receive(datagram)
    talk(server, client)
    assert (server.state, client.state) == ("connected", "connected")


def test_a_hello_in_pieces_is_understood() -> None:
    """As Chromium's, which is longer than a datagram."""
    server, client = pair()
    client._ssl.set_ciphertext_mtu(256)
    talk(server, client)
    assert (server.state, client.state) == ("connected", "connected")


@pytest.mark.parametrize("length", [0, 11, 12, 30])
def test_records_that_no_peer_sends_end_no_handshake(length: int) -> None:
    server, client = pair()
    rng = random.Random(length)

    def disturb() -> None:
        for kind in (20, 21, 22, 23, 24, 99):
            for epoch in (0, 1, 2):
                body = rng.randbytes(length)
                head = bytes((kind, 0xFE, 0xFD, 0, epoch)) + rng.randbytes(6)
                for end in (server, client):
                    end.receive(head + length.to_bytes(2, "big") + body)

    for _ in range(6):
        disturb()
        for datagram in client.outgoing():
            disturb()
            server.receive(datagram)
        disturb()
        for datagram in server.outgoing():
            client.receive(datagram)
    assert (server.state, client.state) == ("connected", "connected")


def test_a_lost_last_flight_is_repeated_when_the_peer_repeats_its_own() -> None:
    """The one wait of these tests: OpenSSL's timer (1 s) runs on the system's clock."""
    server, client = greeted()
    for datagram in server.outgoing():
        client.receive(datagram)
    for datagram in client.outgoing():
        server.receive(datagram)
    assert server.outgoing()  # and this is lost
    assert (server.state, client.state) == ("connected", "handshaking")
    client.tick()
    assert client.outgoing() == []
    wait_s = client._ssl.DTLSv1_get_timeout()
    assert wait_s is not None
    time.sleep(wait_s)
    client.tick()
    talk(server, client)
    assert client.state == "connected"
