"""Names of files: as a client sent one, and as it is given back (RFC 6266)."""

import re
import unicodedata
from urllib.parse import quote

MOST_CHARS = 255
_NOT_PLAIN = re.compile(r'[^\x20-\x7e]|["\\%]')
_ATTRIBUTE = "!#$&+-.^_`|~"
"""RFC 8187 section 3.2.1: what stands for itself besides letters and digits."""


def cleaned(name: str, extension: str) -> str:
    """What a client called a file, as it is kept: 1 to 255 characters that can be seen, and no path.

    Of a path only the last part is left; of a name that is too long, its beginning and its ending. Controls go, and
    marks that turn the direction of text. Where nothing is left, it is `file.<extension>`.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    seen = "".join(char for char in " ".join(last.split()) if char.isprintable()).strip()
    if not seen.strip("."):
        return f"file.{extension}"
    if len(seen) <= MOST_CHARS:
        return seen
    stem, dot, ending = seen.rpartition(".")
    if not stem or len(ending) > 16:
        return seen[:MOST_CHARS]
    return stem[: MOST_CHARS - 1 - len(ending)] + dot + ending


def content_disposition(name: str, *, inline: bool) -> str:
    """The header that names a file. Where the name is no plain ASCII, it is there twice, as RFC 6266 appendix D says:
    for the few that don't read `filename*` with `_` in place of the rest."""
    kind = "inline" if inline else "attachment"
    plain = _NOT_PLAIN.sub("_", name)
    if plain == name:
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE)}"
