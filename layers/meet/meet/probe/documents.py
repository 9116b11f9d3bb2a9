"""Documents: checked for being what they begin as, never interpreted."""

import re
from codecs import getincrementaldecoder
from typing import BinaryIO

from meet.domain.media import Facts

from . import kinds
from .kinds import Found, Unreadable
from .sniff import BINARY, UTF_16, is_text

TEXT_READ = 16 << 20
"""How much of a text is read in search of bytes that no text has."""
_STEP = 1 << 20
_CONTROL = re.compile(f"[{re.escape(BINARY.decode())}]")
_TAIL = 2048
"""Where the end of a PDF must be: readers look in the last 1024 bytes (PDF 1.7, annex H.3.18), and some add to it."""


def read_pdf(file: BinaryIO, size: int) -> Found:
    """A PDF with a table of objects and an end; `Unreadable` for anything less."""
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    if b"startxref" not in tail or b"%%EOF" not in tail:
        raise Unreadable("The PDF is incomplete")
    return Found(kinds.PDF, Facts())


def read_text(file: BinaryIO, size: int) -> Found:
    """Text, in UTF-16 where it says so and in whatever 8-bit encoding else; `Unreadable` where it turns into
    something else."""
    file.seek(0)
    utf_16 = getincrementaldecoder("utf-16")() if file.read(2) in UTF_16 else None
    file.seek(0)
    for _ in range(0, min(size, TEXT_READ), _STEP):
        part = file.read(_STEP)
        try:
            good = _CONTROL.search(utf_16.decode(part)) is None if utf_16 else is_text(part)
        except UnicodeDecodeError:
            good = False
        if not good:
            raise Unreadable("The file begins as text and goes on as something else")
    return Found(kinds.TXT, Facts())
