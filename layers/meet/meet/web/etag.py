"""`ETag` and `If-Match`: an update that says which version it was made from (RFC 9110 sections 8.8.3 and 13.1.1)."""

import re

from fastapi import Request

from meet.errors import MeetError

_ENTITY_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


class PreconditionFailed(MeetError):
    """412: the resource is no longer the version that the caller named."""

    def __init__(self) -> None:
        super().__init__(
            "PRECONDITION_FAILED",
            412,
            "The resource was changed since it was read. Read it again and repeat the update.",
        )


def etag(version: int | str) -> str:
    """The strong entity tag of a version, quotes included: `"7"`."""
    return f'"{version}"'


def require_match(request: Request, version: int | str) -> None:
    """Raise `PreconditionFailed` (412) where the request has an `If-Match` that doesn't name this version.

    The comparison is the strong one: a weak tag never matches. No header: no condition.
    """
    wanted = request.headers.get("if-match")
    if wanted is None or wanted.strip() == "*":
        return
    if not any(not weak and tag == str(version) for weak, tag in _ENTITY_TAG.findall(wanted)):
        raise PreconditionFailed
