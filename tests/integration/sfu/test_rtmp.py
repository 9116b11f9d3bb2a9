"""What a push does with servers that are real, refuse, are not to be trusted, or come late."""

import asyncio
import os
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meet.config import settings
from sfu.egress.rtmp import push as pushing
from sfu.egress.rtmp.push import Push
from tests.rtmp_server import RtmpServer

KEY = "the-secret-stream-key"
WAITS_S = 20.0
STEP_S = 0.02
Serve = Callable[[StreamReader, StreamWriter], None]


@pytest.fixture(autouse=True)
def let_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """RTMP may be sent to this machine; attempts come fast, and what goes at all is proven."""
    monkeypatch.setenv("MEET_EGRESS_ALLOW", "127.0.0.1")
    monkeypatch.setattr(pushing, "FIRST_AGAIN_S", 0.05)
    monkeypatch.setattr(pushing, "MOST_AGAIN_S", 0.2)
    settings.cache_clear()
    yield
    settings.cache_clear()


def flv() -> bytes:
    """Two seconds of a picture with a key frame each half a second, by FFmpeg."""
    out = BytesIO()
    with av.open(out, "w", format="flv", options={"flvflags": "no_duration_filesize"}) as muxer:
        stream = muxer.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 5
        stream.options, stream.time_base = {"tune": "zerolatency", "preset": "ultrafast"}, Fraction(1, 10)
        for number in range(20):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([10 * number]) * plane.buffer_size)
            frame.pts = number
            muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))
    return out.getvalue()


@asynccontextmanager
async def pushed(url: str) -> AsyncIterator[Push]:
    """A push of a stream that goes on for as long as it is looked at."""
    reading, writing = os.pipe()
    push = Push(url)
    await push.start(reading)
    feeding = asyncio.create_task(feed(writing))
    try:
        yield push
        push.check()
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await push.close()


async def feed(pipe: int) -> None:
    data = flv()
    assert len(data) < 20_000
    try:
        os.write(pipe, data[:13])
        while True:  # its times begin anew each time: what matters here is that they come
            os.write(pipe, data[13:])  # some kilobytes, which a pipe has room for
            await asyncio.sleep(0.1)
    finally:
        os.close(pipe)


async def until(good: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAITS_S):
        while not good():  # noqa: ASYNC110 - a push has no events: its owner asks once a second
            await asyncio.sleep(STEP_S)


def clock() -> float:
    return asyncio.get_running_loop().time()


async def test_a_real_server_takes_it(rtmp_server: RtmpServer) -> None:
    async with pushed(rtmp_server.url(KEY)) as push:
        assert not push.is_publishing(clock())
        await until(lambda: push.is_publishing(clock()))
        assert push.was_publishing
        rtmp_server.stop()
        await until(lambda: not push.is_publishing(clock()))
        await until(lambda: "Connection refused" in push.reason or "Connect call failed" in push.reason)
        rtmp_server.start()
        await until(lambda: push.is_publishing(clock()))


async def test_a_server_that_says_yes_and_closes_is_not_there(rtmp_server: RtmpServer) -> None:
    async with pushed(rtmp_server.url(KEY, "closed")) as push:
        await until(lambda: "closed the connection" in push.reason)
        assert not push.was_publishing
        assert push.away_s(clock() + 60) > 60


async def test_a_name_that_leads_into_our_network_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint let it through; at the connection it is looked at once more."""
    monkeypatch.setenv("MEET_EGRESS_ALLOW", "")
    settings.cache_clear()
    async with pushed(f"rtmp://localhost/live/{KEY}") as push:
        await until(lambda: "not on the public Internet" in push.reason)


async def test_what_is_no_rtmp_server() -> None:
    another = served(lambda _, writer: writer.write(b"SSH-2.0-OpenSSH_9.2\r\n"))
    async with another as port, pushed(f"rtmp://127.0.0.1:{port}/live/{KEY}") as push:
        await until(lambda: "does not speak RTMP" in push.reason)


async def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "CONNECT_S", 0.2)
    async with served(lambda *_: None) as port, pushed(f"rtmp://127.0.0.1:{port}/live/{KEY}") as push:
        await until(lambda: push.reason == "The server does not answer")


@pytest.mark.parametrize(
    ("named", "trusted", "reason"),
    [
        ("localhost", True, "does not speak RTMP"),  # so TLS went well
        ("live.example.com", True, "certificate"),
        ("localhost", False, "certificate"),
    ],
)
async def test_rtmps_is_for_the_name_in_the_url(
    named: str, trusted: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = certified(named, tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # OpenSSL's own way of naming whom to trust
    monkeypatch.setenv("MEET_EGRESS_ALLOW", "127.0.0.1,::1")
    settings.cache_clear()
    another = served(lambda _, writer: writer.write(b"HTTP/1.1 400\r\n"), context)
    async with another as port, pushed(f"rtmps://localhost:{port}/live/{KEY}") as push:
        await until(lambda: reason in push.reason)


@asynccontextmanager
async def served(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server of this machine that does that with each connection."""
    writers: list[StreamWriter] = []

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        writers.append(writer)
        serve(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


def certified(name: str, folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for a name, which signs itself, and a server that has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return path, context
