"""`If-Match`, compared strongly (RFC 9110 section 13.1.1)."""

import pytest
from fastapi import Request

from meet.web.etag import PreconditionFailed, etag, require_match


def request(if_match: str | None) -> Request:
    headers = [] if if_match is None else [(b"if-match", if_match.encode())]
    return Request({"type": "http", "headers": headers})


def test_an_etag_is_a_quoted_string() -> None:
    assert etag(7) == '"7"'


@pytest.mark.parametrize("if_match", [None, "*", " * ", '"7"', '"6", "7"', 'W/"1","7"'])
def test_a_match(if_match: str | None) -> None:
    require_match(request(if_match), 7)


@pytest.mark.parametrize("if_match", ['"6"', 'W/"7"', "7", "", '"77"', '"6", W/"7"'])
def test_no_match(if_match: str) -> None:
    with pytest.raises(PreconditionFailed) as caught:
        require_match(request(if_match), 7)
    assert (caught.value.status, caught.value.code) == (412, "PRECONDITION_FAILED")
