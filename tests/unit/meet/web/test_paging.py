"""Pages of a list."""

import pytest

from meet.web.paging import PageQuery, pagination


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2), (40, 2), (41, 3)])
def test_pagination(total: int, pages: int) -> None:
    assert pagination(PageQuery(2, 20), total) == {"page": 2, "page_size": 20, "total": total, "pages": pages}


def test_of() -> None:
    assert PageQuery(2, 3).of("abcdefgh") == "def"
    assert PageQuery(3, 3).of("abcdefgh") == "gh"
    assert PageQuery(9, 3).of("abcdefgh") == ""
