"""What of a file a request asks for, by RFC 9110."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from sfu.edge.ranges import NotSatisfiable, Span, Version

MODIFIED = datetime(2025, 10, 5, 14, 30, 0, 700_000, tzinfo=UTC)
VERSION = Version("abc", MODIFIED)
SAME, EARLIER, LATER = (f"Sun, 05 Oct 2025 14:{minute}:00 GMT" for minute in (30, 29, 31))


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-0", Span(0, 0)),
        ("bytes=0-99", Span(0, 99)),
        ("bytes=10-19", Span(10, 19)),
        ("bytes=90-", Span(90, 99)),
        ("bytes=90-1000", Span(90, 99)),
        ("bytes=-10", Span(90, 99)),
        ("bytes=-1000", Span(0, 99)),
        ("Bytes= 10-19", Span(10, 19)),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=19-10", None),
        ("bytes=a-b", None),
        ("bytes=0-1,5-6", None),
        ("pages=1-2", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_ranges(asked: str, span: Span | None) -> None:
    assert VERSION.span(Headers({"range": asked}), 100) == span


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_beyond_the_end(asked: str) -> None:
    with pytest.raises(NotSatisfiable) as raised:
        VERSION.span(Headers({"range": asked}), 100)
    assert raised.value.headers["Content-Range"] == "bytes */100"


@given(st.text(max_size=40), st.integers(1, 10**12))
def test_whatever_is_asked_is_within_the_file(text: str, size: int) -> None:
    try:
        span = VERSION.span(Headers({"range": f"bytes={text}".encode("ascii", "ignore").decode()}), size)
    except NotSatisfiable:
        return
    assert span is None or 0 <= span.first <= span.last < size


@pytest.mark.parametrize(
    ("if_range", "honoured"),
    [
        ('"abc"', True),
        ('"old"', False),
        ('W/"abc"', False),
        (SAME, True),
        (EARLIER, False),
        (LATER, False),
        ("nonsense", False),
    ],
)
def test_a_range_of_an_older_version_is_the_whole_file(if_range: str, honoured: bool) -> None:
    span = VERSION.span(Headers({"range": "bytes=5-9", "if-range": if_range}), 100)
    assert (span is not None) == honoured


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, None),
        ({"if-none-match": '"abc"'}, 304),
        ({"if-none-match": 'W/"abc"'}, 304),
        ({"if-none-match": '"x", "abc"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, None),
        ({"if-none-match": '"x"', "if-modified-since": LATER}, None),
        ({"if-modified-since": SAME}, 304),
        ({"if-modified-since": LATER}, 304),
        ({"if-modified-since": EARLIER}, None),
        ({"if-modified-since": "yesterday"}, None),
        ({"if-match": '"abc"'}, None),
        ({"if-match": "*"}, None),
        ({"if-match": 'W/"abc"'}, 412),
        ({"if-match": '"x"'}, 412),
        ({"if-match": '"x"', "if-none-match": '"abc"'}, 412),
        ({"if-unmodified-since": EARLIER}, 412),
        ({"if-unmodified-since": SAME}, None),
        ({"if-match": '"abc"', "if-unmodified-since": EARLIER}, None),
    ],
)
def test_preconditions(asked: dict[str, str], status: int | None) -> None:
    assert VERSION.status_for(Headers(asked)) == status


def test_validators_are_what_is_compared() -> None:
    told = VERSION.headers
    assert told == {"ETag": '"abc"', "Last-Modified": SAME}
    assert VERSION.status_for(Headers({"if-none-match": told["ETag"]})) == 304
    assert VERSION.status_for(Headers({"if-modified-since": told["Last-Modified"]})) == 304
    newer = Version("abc", MODIFIED + timedelta(seconds=1))
    assert newer.status_for(Headers({"if-modified-since": told["Last-Modified"]})) is None
