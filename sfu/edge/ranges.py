"""Conditional and ranged reading: what of a file a request asks for (RFC 9110 sections 13 and 14). Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.datastructures import Headers

from meet.envelope import CODES
from meet.errors import MeetError

_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,19})-(\d{0,19})\s*", re.IGNORECASE | re.ASCII)


class NotSatisfiable(MeetError):
    """416: the file ends before the range begins."""

    def __init__(self, size: int) -> None:
        super().__init__(
            CODES[416],
            416,
            f"The range begins after the file's end: it has {size} bytes",
            headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"},
        )


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file, from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many they are."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Version:
    """What tells whether a file is still the one that a client has."""

    etag: str
    """Strong, without quotes."""
    modified: datetime

    @property
    def headers(self) -> dict[str, str]:
        """The two validators as they are answered."""
        return {"ETag": f'"{self.etag}"', "Last-Modified": format_datetime(self._second, usegmt=True)}

    @property
    def _second(self) -> datetime:
        """HTTP's times have whole seconds."""
        return self.modified.astimezone(UTC).replace(microsecond=0)

    def status_for(self, asked: Headers) -> int | None:
        """412 or 304 where a precondition says so, in the order of section 13.2.2; None: answer the request."""
        if (wanted := asked.get("if-match")) is not None:
            if not self._named(wanted, weakly=False):
                return 412
        elif (since := _moment(asked.get("if-unmodified-since"))) and self._second > since:
            return 412
        if (known := asked.get("if-none-match")) is not None:
            return 304 if self._named(known, weakly=True) else None
        since = _moment(asked.get("if-modified-since"))
        return 304 if since and self._second <= since else None

    def span(self, asked: Headers, size: int) -> Span | None:
        """The range that is to be answered with 206; None for the whole file. Raises `NotSatisfiable`.

        A range in a form that isn't known, or of an older version (`If-Range`), or several, is answered with all of
        it, as section 14.2 allows.
        """
        found = _ONE_RANGE.fullmatch(asked.get("range", ""))
        if found is None or not self._still(asked.get("if-range")):
            return None
        if not found[1]:
            return self._suffix(found[2], size)
        first = int(found[1])
        last = int(found[2]) if found[2] else size - 1
        if found[2] and last < first:
            return None
        if first >= size:
            raise NotSatisfiable(size)
        return Span(first, min(last, size - 1))

    @staticmethod
    def _suffix(length: str, size: int) -> Span | None:
        if not length:
            return None
        if not int(length) or not size:
            raise NotSatisfiable(size)
        return Span(max(0, size - int(length)), size - 1)

    def _still(self, if_range: str | None) -> bool:
        """Whether the file is the version that `If-Range` names, by the strong comparison (section 13.1.5)."""
        if if_range is None:
            return True
        if tag := _ENTITY_TAG.fullmatch(if_range.strip()):
            return not tag[1] and tag[2] == self.etag
        return _moment(if_range) == self._second

    def _named(self, tags: str, *, weakly: bool) -> bool:
        if tags.strip() == "*":
            return True
        return any(tag == self.etag and (weakly or not weak) for weak, tag in _ENTITY_TAG.findall(tags))


def _moment(text: str | None) -> datetime | None:
    """An HTTP date (RFC 9110 section 5.6.7); None for none, and for what isn't one, which counts as none."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None
