"""A session description (RFC 8866) as plain values: read strictly, written plainly, and nothing negotiated here.

A parser of our own: aiortc's is built on asserts, forgets the direction of an `extmap` and what it does not know, so
that neither a wrapper's error nor its answer could be exact. Whatever text comes in, `parse` returns or raises
`SdpError`; the readers below it do the same for one line each.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_CHARACTERS = 256 * 1024
"""More than any browser writes for the most sections that we negotiate; what is longer is not read."""
MAX_SECTIONS = 512
"""RFC 8829 sets no limit. A room's subscriber has at most a few hundred; thousands are an attack on our time."""
MAX_MID = 16
"""The longest mid that fits in a one-byte header extension (RFC 8285 section 4.2)."""

_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+", re.ASCII)
"""RFC 8866 section 9, `token`."""
_LINE = re.compile(r"[a-z]=")
_ICE = re.compile(r"[A-Za-z0-9+/]+", re.ASCII)
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")


class SdpError(Exception):
    """An SDP that we cannot use; the message tells its author why, in one sentence."""


Attributes = tuple[tuple[str, str], ...]
"""`a=name:value` lines in their order; the value of `a=name` is the empty string."""


@dataclass(frozen=True, slots=True)
class Section:
    """One `m=` line and the attributes below it."""

    index: int
    kind: str
    """`audio`, `video`, `application`, or whatever else the line says."""
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: Attributes = field(repr=False)
    mid: str = ""
    """Unique; empty where the section has none."""
    direction: Direction = "sendrecv"

    @property
    def rejected(self) -> bool:
        """Port zero, unless the section only waits for its bundle (RFC 9143 section 6)."""
        return self.port == 0 and not self.has("bundle-only")

    def has(self, name: str) -> bool:
        """Whether there is an `a=name`, with or without a value."""
        return any(key == name for key, _ in self.attributes)

    def values(self, name: str) -> list[str]:
        """The values of every `a=name`."""
        return [value for key, value in self.attributes if key == name]

    def value(self, name: str) -> str | None:
        """The value of the first `a=name`, or None."""
        return next((value for key, value in self.attributes if key == name), None)

    @property
    def where(self) -> str:
        """How an error message calls this section."""
        return f"media section {self.index} ({self.kind})"


@dataclass(frozen=True, slots=True)
class Description:
    """A whole session description."""

    attributes: Attributes
    sections: tuple[Section, ...]

    def value(self, name: str) -> str | None:
        """The value of the first session-level `a=name`, or None."""
        return next((value for key, value in self.attributes if key == name), None)

    def has(self, name: str) -> bool:
        """Whether the session level has an `a=name`."""
        return any(key == name for key, _ in self.attributes)

    @property
    def bundle(self) -> tuple[str, ...]:
        """The mids of the first BUNDLE group (RFC 9143), or nothing."""
        groups = (value.split() for key, value in self.attributes if key == "group")
        return next((tuple(words[1:]) for words in groups if words[:1] == ["BUNDLE"]), ())


def parse(text: str) -> Description:
    """Read a session description. Lines may end in CRLF or LF.

    Raises:
        SdpError: it is not one, or it is larger than what we negotiate.
    """
    if len(text) > MAX_CHARACTERS:
        raise SdpError(f"the SDP is longer than {MAX_CHARACTERS} characters")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[0] != "v=0":
        raise SdpError("an SDP starts with v=0")
    session: list[tuple[str, str]] = []
    media: list[tuple[str, list[tuple[str, str]]]] = []
    attributes = session
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        if not _LINE.match(line) or not line.isprintable():
            raise SdpError(f"line {number} is not an SDP line")
        if line.startswith("m="):
            attributes = []
            media.append((line[2:], attributes))
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            attributes.append((name, value))
    if len(media) > MAX_SECTIONS:
        raise SdpError(f"the SDP has {len(media)} media sections; at most {MAX_SECTIONS} are read")
    fallback = _direction(session) or "sendrecv"
    sections = tuple(_section(index, line, own, fallback) for index, (line, own) in enumerate(media))
    mids = [section.mid for section in sections if section.mid]
    if len(set(mids)) != len(mids):
        raise SdpError("two media sections have the same mid")
    return Description(tuple(session), sections)


def integer(text: str, low: int, high: int, what: str) -> int:
    """A decimal number within bounds; `what` names it in the error."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and low <= int(text) <= high):
        raise SdpError(f"{what} must be a number from {low} to {high}, not {text[:20]!r}")
    return int(text)


def token(text: str, what: str) -> str:
    """RFC 8866's `token`; `what` names it in the error."""
    if not _TOKEN.fullmatch(text):
        raise SdpError(f"{what} is malformed: {text[:40]!r}")
    return text


def ice_credentials(ufrag: str | None, pwd: str | None, where: str) -> tuple[str, str]:
    """A pair of `ice-ufrag` and `ice-pwd` (RFC 8839 section 5.4); `where` names their place in the error."""
    ufrag, pwd = ufrag or "", pwd or ""
    if not (_ICE.fullmatch(ufrag) and _ICE.fullmatch(pwd) and 4 <= len(ufrag) <= 256 and 22 <= len(pwd) <= 256):
        raise SdpError(f"{where}: ice-ufrag or ice-pwd is missing or malformed (RFC 8839 section 5.4)")
    return ufrag, pwd


def _section(index: int, line: str, attributes: list[tuple[str, str]], fallback: Direction) -> Section:
    fields = line.split()
    if len(fields) < 4:
        raise SdpError(f"media section {index}: m= needs a kind, a port, a protocol and a format")
    kind, port, protocol, *formats = fields
    mid = next((value for name, value in attributes if name == "mid"), "")
    if mid:
        token(mid, f"media section {index}: mid")
    if len(mid) > MAX_MID:
        raise SdpError(f"media section {index}: a mid may have at most {MAX_MID} characters")
    return Section(
        index=index,
        kind=token(kind, f"media section {index}: kind"),
        port=integer(port.partition("/")[0], 0, 65535, f"media section {index}: port"),
        protocol=protocol,
        formats=tuple(formats),
        attributes=tuple(attributes),
        mid=mid,
        direction=_direction(attributes) or fallback,
    )


def _direction(attributes: Iterable[tuple[str, str]]) -> Direction | None:
    names = {name for name, _ in attributes}
    return next((direction for direction in _DIRECTIONS if direction in names), None)


@dataclass(frozen=True, slots=True)
class Origin:
    """The `o=` line of one connection: the id stays, the version grows with every description (RFC 8829 5.2.1)."""

    session_id: int
    version: int = 1

    @property
    def next(self) -> "Origin":
        """The origin of the next description of the same connection."""
        return Origin(self.session_id, self.version + 1)


def write(origin: Origin, bundle: Iterable[str], sections: Iterable[list[str]], *, mixed_extensions: bool) -> str:
    """The text of a description by an ICE-lite agent; each section is its lines without line ends.

    `mixed_extensions`: one- and two-byte header extensions may share the stream (RFC 8285 section 6).
    """
    lines = ["v=0", f"o=- {origin.session_id} {origin.version} IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    mids = " ".join(bundle)
    if mids:
        lines.append(f"a=group:BUNDLE {mids}")
    if mixed_extensions:
        lines.append("a=extmap-allow-mixed")
    for section in sections:
        lines += section
    return "\r\n".join([*lines, ""])
