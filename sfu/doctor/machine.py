"""What the machine itself has: versions, and limits that a busy media process meets."""

from __future__ import annotations

import platform
import resource
import ssl
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from meet import ffmpeg
from sfu.doctor.finding import Finding, doubt, ok

PACKAGES = ("aiortc", "cryptography", "pylibsrtp", "redis", "uvicorn", "websockets", "av")
FILES = 4096
"""Sockets of a few hundred clients and their relays; the usual 1024 ends at about 300."""
BUFFER_BYTES = 4 << 20
"""What half a second of 64 Mbit/s needs: a media process that pauses so long loses nothing."""
BUFFERS = Path("/proc/sys/net/core/rmem_max")


def check_machine() -> list[Finding]:
    """All of it."""
    return [_versions(), _ffmpeg(), _files(), *_buffers()]


def _versions() -> Finding:
    found = [f"Python {platform.python_version()}", " ".join(ssl.OPENSSL_VERSION.split()[:2])]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return doubt(f"The package {name} is missing: `make setup` installs what belongs here.")
    return ok(", ".join(found))


def _ffmpeg() -> Finding:
    try:
        return ok(f"FFmpeg is {ffmpeg.find()}.")
    except ffmpeg.Missing as error:
        return doubt(f"{error} Calls do without; recordings and streams don't.")


def _files() -> Finding:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < FILES:
        return doubt(f"This process may open {allowed} files and sockets (at most {most}): `ulimit -n {FILES}`.")
    return ok(f"This process may open {allowed} files and sockets.")


def _buffers() -> list[Finding]:
    if not BUFFERS.exists():
        return []
    most = int(BUFFERS.read_text())
    if most < BUFFER_BYTES:
        return [
            doubt(
                f"A socket may hold {most} bytes of what arrives, so bursts are lost under load: "
                f"`sysctl -w net.core.rmem_max={BUFFER_BYTES}`."
            )
        ]
    return [ok(f"A socket may hold {most} bytes of what arrives.")]
