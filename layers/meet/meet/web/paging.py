"""Pages of a list: `?page=2&page_size=20` in, the document's `pagination` object out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Query

Item = TypeVar("Item")

DEFAULT_PAGE_SIZE = 20
MOST_PAGE_SIZE = 100
MOST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which page was asked for, counted from 1."""

    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE

    @property
    def offset(self) -> int:
        """How many items come before this page."""
        return (self.page - 1) * self.page_size

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """This page of a list that is there whole."""
        return items[self.offset : self.offset + self.page_size]


async def page_query(
    page: Annotated[int, Query(ge=1, le=MOST_PAGE)] = 1,
    page_size: Annotated[int, Query(ge=1, le=MOST_PAGE_SIZE)] = DEFAULT_PAGE_SIZE,
) -> PageQuery:
    """The dependency behind `Page`."""
    return PageQuery(page, page_size)


Page = Annotated[PageQuery, Depends(page_query)]
"""A route parameter of this type reads `page` and `page_size`."""


def pagination(page: PageQuery, total: int) -> dict[str, int]:
    """The document's `pagination` object; `pages` is 0 when `total` is 0 (decision 35)."""
    pages = -(-total // page.page_size)
    return {"page": page.page, "page_size": page.page_size, "total": total, "pages": pages}
