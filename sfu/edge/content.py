"""The bytes of an object of the bucket as the answer to a request: whole, a range of them, or word that they are the
client's already (RFC 9110 sections 13 and 14).

What is given is given as what it was found to be, and a browser is told to keep to that: no sniffing, no scripts.
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from meet.domain.media import Blob
from meet.web.etag import PreconditionFailed
from sfu.edge.fetcher import Fetcher, Piped
from sfu.edge.ranges import Span, Version

POLICY = {
    "sandbox": "",
    "default-src": "'none'",
    # A browser that shows a picture or a video makes a page around it, with a style of its own.
    "img-src": "'self'",
    "media-src": "'self'",
    "style-src": "'unsafe-inline'",
}

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "; ".join(f"{name} {value}".strip() for name, value in POLICY.items()),
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}
"""Of every answer with bytes of a file. Browsers keep them for their user, and ask each time whether they may."""


async def content(
    fetcher: Fetcher, request: Request, blob: Blob, version: Version, headers: Mapping[str, str]
) -> tuple[Response, Span | None]:
    """The answer to a GET or HEAD, with these headers where it has content; and the bytes that it has, if any.

    Raises `PreconditionFailed`, `NotSatisfiable`, and what `Fetcher.open` does.
    """
    whole = Span(0, blob.size - 1)
    told = {**SAFE, **version.headers}
    status = version.status_for(request.headers)
    if status == 412:
        raise PreconditionFailed
    if status == 304:
        return Response(status_code=304, headers=told), None
    told |= headers
    span = version.span(request.headers, blob.size) if request.method == "GET" else None
    told["Content-Length"] = str((span or whole).length)
    if span is not None:
        told["Content-Range"] = f"bytes {span.first}-{span.last}/{blob.size}"
    if request.method == "HEAD":
        return Response(headers=told), None
    source = await fetcher.open(blob, span or whole)
    return Piped(source, 206 if span else 200, told), span or whole
