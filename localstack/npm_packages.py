"""Unpack exactly the npm packages that a lock file names, each checked against its hash. Needs neither node nor npm.

    python localstack/npm_packages.py LOCK FOLDER

The lock is `{package: {"version", "integrity"}}`, with the integrity that the registry states (SRI, sha512). After
that a package lies in `FOLDER/<package>` as its tarball has it. `npm_config_registry` names another registry.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

REGISTRY = "https://registry.npmjs.org"
TIMEOUT_S = 60


class Refused(Exception):
    """What stands in the way, as one sentence."""


def tarball_url(registry: str, package: str, version: str) -> str:
    """Where a registry keeps a package: `<registry>/@scope/name/-/name-1.0.0.tgz`."""
    return f"{registry.rstrip('/')}/{package}/-/{package.rpartition('/')[2]}-{version}.tgz"


def fetch(url: str) -> bytes:
    """What is at a URL; `Refused` where it can't be had."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the registry that was configured
            content: bytes = answer.read()
            return content
    except (urllib.error.URLError, OSError) as error:
        raise Refused(f"{url} can't be fetched ({error}): is the registry reachable? Then run it again.") from None


def check(content: bytes, integrity: str, what: str) -> None:
    """Raise `Refused` unless the content has this hash."""
    found = "sha512-" + b64encode(hashlib.sha512(content).digest()).decode()
    if found != integrity:
        raise Refused(f"{what} is not what the lock file names: its hash is {found}")


def unpack(content: bytes, folder: Path) -> None:
    """Put a tarball's files, which lie under one top folder there, into `folder`, in place of what it had."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive.getmembers():
            member.name = member.name.partition("/")[2]
            if member.name and member.isfile():
                archive.extract(member, folder, filter="data")


def main(arguments: list[str]) -> int:
    """Do it, or say in one sentence why not."""
    lock, folder = (Path(argument) for argument in arguments)
    registry = os.environ.get("npm_config_registry") or REGISTRY  # noqa: SIM112 - npm's own spelling
    print(f"Setting up {folder} (once) ...", file=sys.stderr)
    try:
        for package, pinned in json.loads(lock.read_text()).items():
            content = fetch(tarball_url(registry, package, pinned["version"]))
            check(content, pinned["integrity"], f"{package} {pinned['version']}")
            unpack(content, folder / package)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
