"""Who may import whom: the rules of the house, held over every import statement of the code.

    functions/x → meet.web → meet.{store, control, presence, tokens, ...} → meet.domain → standard library
    sfu/edge → meet.web;   a media process → meet without it, and the core of the SFU
    the core of the SFU → meet.domain;   it takes data and `now`, and returns what to send

An import counts wherever it stands, also inside of a function.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {"meet": ROOT / "layers" / "meet", "functions": ROOT, "sfu": ROOT}
"""Our packages, and the folder that each is imported from."""

CORE = (
    "sfu.signaling",
    "sfu.ortc",
    "sfu.router",
    "sfu.producer",
    "sfu.protected",
    "sfu.consumer",
    "sfu.rtp",
    "sfu.sctp",
    "sfu.data",
    "sfu.switch",
    "sfu.uplink",
    "sfu.downlink",
    "sfu.share",
    "sfu.stage",
    "sfu.speech",
    "sfu.subscriptions",
    "sfu.views",
    "sfu.wired",
    "sfu.tap",
    "sfu.egress.sink",
    "sfu.egress.wire",
    "sfu.media_events",
)
GROUND = ("meet.errors", "meet.clock")
"""What even the domain may use: the standard library alone is below them."""
DECODERS = tuple(
    f"meet.probe.{name}" for name in ("examine", "tracks", "container", "frames", "images", "documents", "pictures")
)
CLOCKS = ("asyncio", "socket", "socketserver", "selectors", "time", "threading", "anyio", "uvicorn", "websockets")


@dataclass(frozen=True)
class Import:
    """`importer` imports `name`: a module, or something in one."""

    importer: str
    name: str
    line: int
    relative: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.name}"


def within(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of these or below one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imports_of(source: str, importer: str, *, package: bool) -> Iterator[Import]:
    """Every import of a module's source, with relative ones made absolute."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(importer, alias.name, node.lineno, relative=False)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = importer.split(".")
                kept = above[: len(above) - node.level + package]
                base = ".".join([*kept, base] if base else kept)
            for alias in node.names:
                yield Import(importer, f"{base}.{alias.name}", node.lineno, relative=bool(node.level))


def modules() -> Iterator[tuple[str, Path]]:
    for top, folder in SOURCES.items():
        for path in sorted((folder / top).rglob("*.py")):
            if "node_modules" not in path.parts:
                parts = path.relative_to(folder).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return [
        found
        for name, path in modules()
        for found in imports_of(path.read_text(), name, package=path.name == "__init__.py")
    ]


def broken(imports: list[Import]) -> Iterator[str]:
    """Each import that breaks a rule, and the rule."""
    for one in imports:
        for rule, allowed in verdicts(one):
            if not allowed:
                yield f"{one}: {rule}"


def verdicts(one: Import) -> Iterator[tuple[str, bool]]:
    """The rules that speak of this import, and whether each allows it."""
    me, name = one.importer, one.name
    ours = within(name, *SOURCES)
    if within(me, "meet"):
        yield "the shared package knows neither functions nor the SFU", not within(name, "functions", "sfu")
        if not within(me, "meet.web"):
            webs = ("meet.web", "fastapi", "starlette", "mangum", "uvicorn")
            yield "only meet.web knows that there is a web", not within(name, *webs)
    if within(me, "meet.domain"):
        standard = name.partition(".")[0] in sys.stdlib_module_names
        yield "the domain needs nothing but itself", standard or within(name, "meet.domain", *GROUND)
    if within(me, *GROUND):
        yield "this stands below everything", not ours or within(name, *GROUND)
    if within(me, "functions") and me != "functions.gateway":
        own = ".".join(me.split(".")[:2])
        yield "functions never import functions", not within(name, "functions") or within(name, own)
        yield "a function imports its own folder relatively", not within(name, "functions") or one.relative
        yield "functions know the SFU through Redis only", not within(name, "sfu")
    if me == "functions.gateway":
        yield "the gateway loads functions by their names", not within(name, "functions", "sfu")
    if within(me, "sfu"):
        yield "the SFU never imports functions", not within(name, "functions")
        if not within(me, "sfu.edge"):
            yield "a media process takes meet without its web", not within(name, "meet.web", "fastapi", "mangum")
            yield "the edge is a process of its own", not within(name, "sfu.edge")
        else:
            core = (*CORE, "sfu.endpoint", "sfu.transport", "sfu.plane", "sfu.aiortc_parts")
            yield "the edge moves bytes and no media", not within(name, *core)
    if within(me, *CORE):
        yield "the core is told the time and sends nothing", not within(name, *CLOCKS)
        inside = within(name, *CORE, "sfu.aiortc_parts", "meet.domain", "meet.errors") or name == "meet.clock.iso"
        yield "the core knows the core and the domain", not ours or inside
    if within(name, "av"):
        yield (
            "av stays out of every process that forwards",
            within(me, "sfu.egress", "functions.workers", "meet.probe"),
        )
    if within(name, "PIL", "puremagic"):
        painters = ("meet.picture.labels", "meet.picture.turn")
        yield "what a file is, meet.probe tells", within(me, "meet.probe") or me in painters
    if within(name, *DECODERS):
        yield "what decodes files runs in a sandbox alone", within(me, *DECODERS, "meet.probe.__main__")


def test_who_may_import_whom(imports: list[Import]) -> None:
    assert list(broken(imports)) == []


def test_only_config_reads_the_environment() -> None:
    readers = [
        name
        for name, path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv"))
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "os"
            and {"environ", "getenv"} & {a.name for a in node.names}
        )
    ]
    assert readers == []


def test_everything_is_looked_at(imports: list[Import]) -> None:
    importers = {one.importer for one in imports}
    assert {"meet.web.app", "meet.domain.user", "functions.gateway", "sfu.signaling.room"} <= importers


@pytest.mark.parametrize(
    ("importer", "source", "rule"),
    [
        ("meet.store.users", "from meet.web.auth import Principal", "only meet.web"),
        ("meet.store.users", "import fastapi", "only meet.web"),
        ("meet.tokens", "def f():\n from sfu import session", "neither functions nor the SFU"),
        ("meet.domain.user", "import pydantic", "domain"),
        ("meet.domain.user", "from meet import config", "domain"),
        ("meet.errors", "import meet.config", "below everything"),
        ("functions.users.app", "from functions.meetings import schemas", "never import functions"),
        ("functions.users.app", "from ..meetings import schemas", "never import functions"),
        ("functions.users.app", "from functions.users import auth", "relatively"),
        ("functions.users.app", "import sfu.session", "through Redis"),
        ("functions.gateway", "from functions.users.app import handler", "by their names"),
        ("sfu.node", "from meet.web import redis", "without its web"),
        ("sfu.node", "from functions.users import app", "never imports functions"),
        ("sfu.app", "import sfu.edge.relay", "process of its own"),
        ("sfu.edge.relay", "from sfu import router", "no media"),
        ("sfu.router", "import asyncio", "told the time"),
        ("sfu.rtp.nack", "from time import monotonic", "told the time"),
        ("sfu.signaling.room", "from meet.clock import utcnow", "core knows"),
        ("sfu.signaling.room", "from meet.store import meetings", "core knows"),
        ("sfu.transport", "import av.codec", "av stays out"),
        ("sfu.edge.uploads", "import av", "av stays out"),
        ("sfu.edge.uploads", "from PIL import Image", "meet.probe tells"),
        ("meet.probe.client", "from . import sniff\nfrom meet.probe import tracks", "sandbox alone"),
    ],
)
def test_each_rule_catches_its_breach(importer: str, source: str, rule: str) -> None:
    found = list(broken(list(imports_of(source, importer, package=False))))
    assert any(rule in one for one in found), found


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        (
            "functions.users.app",
            "from . import auth\nfrom meet.web.app import create_app\nfrom meet.domain import user",
        ),
        ("meet.web.auth", "from meet import tokens\nfrom fastapi import Depends"),
        ("sfu.edge.app", "from meet.web.errors import answer_to\nfrom starlette.applications import Starlette"),
        ("sfu.rtp.nack", "from sfu.rtp.packet import RtpPacket\nfrom struct import Struct"),
        ("sfu.signaling.frames", "from meet.clock import iso"),
    ],
)
def test_what_is_right_passes(importer: str, source: str) -> None:
    assert list(broken(list(imports_of(source, importer, package=False)))) == []
