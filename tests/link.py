"""A bad network for one program: a namespace whose only way out is a link with delay, loss and a bottleneck.

    with Link(seed=7) as link:
        link.down.rate_bps = 300_000
        link.up.loss = 0.05
        subprocess.run([*link.inside, "curl", f"http://{link.server_address}:8000/"])

Two TUN devices, one here and one in the namespace, and a thread that carries packets between them through two `Way`s,
which may be changed at any time. Everything that listens here on all addresses is reached from the namespace at
`server_address`; nothing else is reached. Needs root (`ip netns`, `/dev/net/tun`) and no module of the kernel
that containers lack, as netem is.
"""

import contextlib
import fcntl
import ipaddress
import os
import select
import shlex
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from math import ceil
from pathlib import Path
from types import TracebackType

import pytest

from tests.way import MTU, Way

NETWORK = ipaddress.ip_network("10.211.0.0/16")
"""Each link takes four addresses of it."""
NAMESPACES = Path("/run/netns")
_PREFIX = "meet"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LINGER_S = 5.0
_numbers = count()


def need_link() -> None:
    """Skip the test where nobody may make a link; call it before a system is started for one."""
    if os.geteuid():
        pytest.skip("needs root: a bad network is made of a network namespace and TUN devices")


class Link:
    """A namespace behind a link; made by `with`, gone after it with every process that is still inside."""

    def __init__(self, seed: int = 0) -> None:
        """Perfect until its ways are told otherwise; the same seed loses the same packets."""
        need_link()
        self.up: Way[bytes] = Way(2 * seed)
        """From the namespace to the servers."""
        self.down: Way[bytes] = Way(2 * seed + 1)
        """From the servers to the namespace."""
        self.namespace = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        self.server_address = ""
        """Where the namespace reaches what listens here."""
        self.client_address = ""
        self.inside: tuple[str, ...] = ("ip", "netns", "exec", self.namespace)
        """What a command is prefixed with to run behind the link."""
        self._close = contextlib.ExitStack()

    def __enter__(self) -> "Link":
        with contextlib.ExitStack() as stack:
            _remove_orphans()
            _ip("netns", "add", self.namespace)
            stack.callback(_remove_namespace, self.namespace)
            _ip("-n", self.namespace, "link", "set", "lo", "up")
            here, there = (stack.enter_context(_tun(self.namespace.replace("-", "") + end)) for end in "ab")
            _ip("link", "set", there.name, "netns", self.namespace)
            self._address(here.name, there.name)
            self._carry_until_closed(stack, here.fd, there.fd)
            self._close = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close.close()

    def mend(self) -> None:
        """Perfect again, both ways."""
        self.up.mend()
        self.down.mend()

    def set_rtt(self, rtt_s: float) -> None:
        """The delay of both ways, half of it each."""
        self.up.delay_s = self.down.delay_s = rtt_s / 2

    @contextmanager
    def program(self, path: str, folder: Path) -> Iterator[str]:
        """A script that runs `path` behind the link, for who starts programs by their path alone."""
        script = folder / f"{Path(path).name}-behind-{self.namespace}"
        script.write_text(f'#!/bin/sh\nexec {shlex.join([*self.inside, path])} "$@"\n')
        script.chmod(0o755)
        try:
            yield str(script)
        finally:
            script.unlink()

    def _address(self, here: str, there: str) -> None:
        """Give both ends their addresses: the first four of the network that are free."""
        shown = _ip("-o", "-4", "addr", "show").split()
        taken = {ipaddress.ip_interface(word).network for word in shown if "/" in word and word[0].isdigit()}
        network = next(free for free in NETWORK.subnets(new_prefix=30) if free not in taken)
        server, client = network.hosts()
        self.server_address, self.client_address = str(server), str(client)
        for at, name, address in (((), here, server), (("-n", self.namespace), there, client)):
            _ip(*at, "link", "set", name, "addrgenmode", "none")  # without an IPv6 address that announces itself
            _ip(*at, "link", "set", name, "mtu", str(MTU), "up")
            _ip(*at, "addr", "add", f"{address}/30", "dev", name)
        _ip("-n", self.namespace, "route", "add", "default", "via", self.server_address)

    def _carry_until_closed(self, stack: contextlib.ExitStack, here: int, there: int) -> None:
        stop = os.eventfd(0)
        thread = threading.Thread(target=self._carry, args=(here, there, stop), name=self.namespace)
        thread.start()
        stack.callback(os.close, stop)
        stack.callback(thread.join)
        stack.callback(os.eventfd_write, stop, 1)

    def _carry(self, here: int, there: int, stop: int) -> None:
        """Packets from one device through a way into the other, until `stop` can be read."""
        courses = ((here, self.down, there), (there, self.up, here))
        poll = select.poll()
        for fd in (here, there, stop):
            poll.register(fd, select.POLLIN)
        while True:
            now = time.monotonic()
            for _, way, sink in courses:
                for packet in way.take(now):
                    os.write(sink, packet)
            due = [at for _, way, _ in courses if (at := way.next_at()) is not None]
            ready = poll.poll(max(0, ceil((min(due) - now) * 1000)) if due else None)
            if any(fd == stop for fd, _ in ready):
                return
            for source, way, _ in courses:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        packet = os.read(source, MTU)
                        way.put(packet, len(packet), time.monotonic())


class _Tun:
    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd


@contextmanager
def _tun(name: str) -> Iterator[_Tun]:
    """A TUN device, which is gone when its descriptor is closed, whichever namespace it was moved to."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
        yield _Tun(name, fd)
    finally:
        os.close(fd)


def _remove_orphans() -> None:
    """What a test run that was killed has left behind."""
    for path in NAMESPACES.glob(f"{_PREFIX}-*-*"):
        pid = path.name.split("-")[1]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            _remove_namespace(path.name)


def _remove_namespace(name: str) -> None:
    """The namespace goes, and with it what still runs inside: it has no network any more."""
    end = time.monotonic() + _LINGER_S
    while pids := _ip("netns", "pids", name).split():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        if time.monotonic() > end:
            raise RuntimeError(f"processes {pids} do not leave the network namespace {name}")
        time.sleep(0.01)
    _ip("netns", "del", name)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
