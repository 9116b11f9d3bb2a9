"""What holds of the engine alone: who may use it, and what becomes of it."""

import gc
import socket
import struct
import sys
import threading
import weakref

import pytest

from sfu.plane.base import SrtpKeys
from sfu.plane.choice import make_plane
from sfu.plane.engine import native
from sfu.plane.engine.plane import EnginePlane
from sfu.plane.python import PythonPlane

KEYS = SrtpKeys("SRTP_AEAD_AES_128_GCM", b"A" * 16, b"a" * 12, b"B" * 16, b"b" * 12)
HEADER = struct.pack("!BBHLL", 0x80, 96, 1, 2, 3)


def udp_socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def test_it_is_what_a_process_has_where_it_was_built() -> None:
    with udp_socket() as sock:
        assert isinstance(make_plane("auto", sock, lambda: None, None), EnginePlane)
        assert isinstance(make_plane("python", sock, lambda: None, None), PythonPlane)


def test_without_it_there_is_python_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sfu.plane.engine.plane", None)
    with udp_socket() as sock:
        assert isinstance(make_plane("auto", sock, lambda: None, None), PythonPlane)
        with pytest.raises(ImportError):
            make_plane("engine", sock, lambda: None, None)


def test_what_waits_for_a_closed_socket_is_dropped() -> None:
    """Its number may be another file's by then."""
    with udp_socket() as sock, udp_socket() as sink:
        plane = EnginePlane(sock, lambda: None)
        session = plane.session(KEYS, sink.getsockname())
        for index in range(3):
            session.send_rtp(3, index, HEADER, b"late")
        sock.close()
        plane.flush()
        assert (plane.departed, plane.dropped, plane.waiting) == (0, 3, 0)


def test_another_thread_is_refused() -> None:
    refused: list[str] = []
    with udp_socket() as sock, udp_socket() as sink:
        plane = EnginePlane(sock, lambda: None)
        session = plane.session(KEYS, sink.getsockname())

        def intrude() -> None:
            for action in (plane.flush, lambda: session.send_rtp(3, 1, HEADER, b"")):
                try:
                    action()
                except RuntimeError as error:
                    refused.append(str(error))

        thread = threading.Thread(target=intrude)
        thread.start()
        thread.join()
    assert len(refused) == 2


def test_what_a_wake_raises_comes_out_and_the_packet_stays() -> None:
    with udp_socket() as sock, udp_socket() as sink:
        plane = EnginePlane(sock, lambda: 1 / 0)  # type: ignore[arg-type,return-value]
        session = plane.session(KEYS, sink.getsockname())
        with pytest.raises(ZeroDivisionError):
            session.send_rtp(3, 1, HEADER, b"video")
        plane.flush()
        assert plane.departed == 1


class Owner:
    """Holds on to all kinds of the engine's objects, each of which holds on to it."""

    def __init__(self, sock: socket.socket, sink: socket.socket) -> None:
        self.plane = EnginePlane(sock, self.wake)
        self.session = self.plane.session(KEYS, sink.getsockname())
        self.lane = native.Lane(0)
        self.lane.last = self
        self.fan = native.Fan((self.lane,), (self.wake,))

    def wake(self, *_: object) -> None:
        """Nothing is flushed."""


def test_nothing_is_kept_of_a_plane_that_nobody_has() -> None:
    with udp_socket() as sock, udp_socket() as sink:
        owner = Owner(sock, sink)
        owner.session.send_rtp(3, 1, HEADER, b"waits")
        gone = weakref.ref(owner)
        del owner
        gc.collect()
        assert gone() is None
