"""The generator's core, in C (`lgcore.c`), as Python objects."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path
from typing import Any

from cffi import FFI

HERE = Path(__file__).parent
LIBRARIES = ("-lsrtp2", "-lssl", "-lcrypto", "-lm", "-lpthread")
CONNECTED, FAILED = 3, 4


def build(folder: Path) -> Path:
    """Compile it, unless that was done."""
    source, library = HERE / "lgcore.c", folder / "lgcore.so"
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        command = ["gcc", "-O2", "-g", "-shared", "-fPIC", "-o", str(library), str(source), *LIBRARIES]
        subprocess.run(command, check=True)
    return library


class Core:
    """All peers of a generator, and the thread that drives them."""

    def __init__(self, library: Path, address: str) -> None:
        self.address = address
        self.ffi = FFI()
        self.ffi.cdef(re.sub(r"/\*.*?\*/", "", (HERE / "lgcore.h").read_text(), flags=re.S))
        self.lib: Any = self.ffi.dlopen(str(library))
        self.handle = self.lib.lg_new(b"SRTP_AEAD_AES_128_GCM", 1, address.encode())
        assert self.handle != self.ffi.NULL
        self.fingerprint = self._text(self.lib.lg_fingerprint(self.handle))
        self._stopped = False
        self._thread = threading.Thread(target=self._drive)
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._stopped = True
        self._thread.join()
        self.lib.lg_free(self.handle)

    def now(self) -> int:
        """Nanoseconds of the generator's clock."""
        return int(self.lib.lg_now())

    def counters(self) -> dict[str, float]:
        """What was sent and received in the window."""
        found = self.ffi.new("lg_stats *")
        self.lib.lg_get_stats(self.handle, found)
        return {name: getattr(found, name) for name, _ in self.ffi.typeof("lg_stats").fields}

    def _drive(self) -> None:
        while not self._stopped:
            self.lib.lg_poll(self.handle, 50)

    def _text(self, value: Any) -> str:
        return bytes(self.ffi.string(value)).decode()


class Peer:
    """One WebRTC endpoint of the generator."""

    def __init__(self, core: Core, name: str, *, receives: bool) -> None:
        self.core, self.name = core, name
        self._number = core.lib.lg_peer_new(core.handle, int(receives))
        assert self._number >= 0, "no UDP socket"
        ufrag, password, port = core.ffi.new("char[64]"), core.ffi.new("char[64]"), core.ffi.new("int *")
        core.lib.lg_peer_local(core.handle, self._number, ufrag, password, port)
        self.ufrag, self.password, self.port = core._text(ufrag), core._text(password), int(port[0])

    @property
    def state(self) -> int:
        """`CONNECTED`, `FAILED` or on the way."""
        return int(self.core.lib.lg_peer_state(self.core.handle, self._number))

    def connect(self, ufrag: str, password: str, address: tuple[str, int], fingerprint: str, **roles: bool) -> None:
        """Begin ICE and DTLS; `roles` are `controlling` and `client`."""
        texts = [ufrag.encode(), password.encode(), address[0].encode(), address[1], fingerprint.encode()]
        lib, handle = self.core.lib, self.core.handle
        lib.lg_peer_remote(handle, self._number, *texts, int(roles["controlling"]), int(roles["client"]))

    def send(self, **fields: Any) -> None:
        """Send a stream; fields as in `lg_tx`."""
        stream = self.core.ffi.new("lg_tx *")
        for name, value in fields.items():
            setattr(stream, name, value.encode() if isinstance(value, str) else value)
        self.core.lib.lg_peer_add_tx(self.core.handle, self._number, stream)

    def listen(self, *, transport_id: int, rtx_type: int) -> None:
        """What it answers: transport-wide feedback by this extension, NACKs of what is lost, 100 Mbit/s of REMB."""
        self.core.lib.lg_peer_rx_opts(self.core.handle, self._number, transport_id, rtx_type, 1, 100_000)
