"""Pagination: which page size to ask for, because OneFile's largest page size is not documented (U1).

If a page size is too large, OneFile may answer 400, or silently return a shorter page. A 400 costs one call, and the
client then asks for smaller pages. A short page costs nothing if it is not mistaken for the end: after a first page
of n rows, fewer than requested, the client asks for pages of n, which begin where that page ended however OneFile
counts. Only a page with no new rows is the end.
"""

from collections.abc import Callable, Iterator
from itertools import count
from math import ceil
from threading import Lock
from typing import Final, Protocol, TypeVar

from syncd.errors import OneFileUnreachable, Refused

#: 50 is known to work (§8.6). Other APIs usually stop at 100, then at 1,000 or 500; sizes between these would be
#: refused more often than they would save calls. A thousand rows are a tenth of a megabyte, or a few megabytes if
#: OneFile returns all fields (U2). Larger pages would defeat paging, which the vendor asks for (§3), and 60,000
#: accounts take 61 calls at this size.
_SIZES: Final = (50, 100, 500, 1000)
_SEEN_IN_THE_WILD: Final = _SIZES[0]
#: If a search returns more rows than expected, the new estimate is the rows received times this.
_TIMES: Final = 4


class TooManyPages(Exception):
    """A search would take more calls than the caller allows."""


class _Identified(Protocol):
    @property
    def id(self) -> int: ...


_Row = TypeVar("_Row", bound=_Identified)


class PageSizes:
    """The page sizes that OneFile may accept, narrowed by its responses. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sizes: tuple[int, ...] = _SIZES
        self._tried = _SEEN_IN_THE_WILD
        """The largest size that was not refused."""

    def best_size(self, rows: int | None) -> int:
        """Return the size for this many rows: the smallest, and so the safest, of those that take the fewest pages.

        If the number of rows is unknown, return a size that is known to work.
        """
        return self._tried if rows is None else min(self._sizes, key=lambda size: ceil(rows / size))

    def calls(self, rows: int | None) -> int:
        """Return how many calls it takes to read this many rows, including the empty page at the end."""
        rows = rows or 0
        return ceil(rows / self.best_size(rows)) + 1

    def is_untried(self, size: int) -> bool:
        """Whether OneFile might still refuse a page of this size."""
        return size > self._tried

    def record_accepted(self, size: int) -> None:
        """Record that OneFile did not refuse a page of this size."""
        with self._lock:
            self._tried = max(self._tried, size)

    def record_refused(self, size: int) -> None:
        """Record that OneFile refused a page of this size."""
        with self._lock:
            self._sizes = tuple(smaller for smaller in self._sizes if smaller < size)

    def cut(self, size: int) -> None:
        """Record that OneFile cut a larger page to this size."""
        # Fewer rows may have been all there were, with a new user on the second page.
        if size >= _SEEN_IN_THE_WILD:
            with self._lock:
                self._sizes = (*(smaller for smaller in self._sizes if smaller < size), size)
                self._tried = size


def every_row(
    ask: Callable[[int, int], list[_Row]], sizes: PageSizes, expected: int | None, at_most: int | None
) -> Iterator[_Row]:
    """Yield every row of a search once, although pages may overlap (U3), in about as few calls as possible.

    Args:
        ask: returns the rows of a page, by its number and its size.
        sizes: OneFile's page sizes; updated from the responses.
        expected: the estimated number of rows; ``None`` if unknown.
        at_most: the maximum number of calls.

    Raises:
        TooManyPages: as soon as the search is seen to need more calls than ``at_most``.
    """
    seen: set[int] = set()
    reached = 0
    for end, rows in _pages(ask, sizes, expected, at_most):
        is_news = False
        for row in rows:
            if row.id not in seen:
                seen.add(row.id)
                is_news = True
                yield row
        # If larger pages replace smaller ones, the rows already received come again.
        if end > reached and not is_news:
            return
        reached = max(reached, end)


def _pages(
    ask: Callable[[int, int], list[_Row]], sizes: PageSizes, expected: int | None, at_most: int | None
) -> Iterator[tuple[int, list[_Row]]]:
    """Yield the pages, each with the number of rows up to its end."""
    full, pages = 0, 0
    """The size at which OneFile has returned full pages, and how many of them."""
    while True:
        wanted = sizes.best_size(expected)
        # A size that has not yet returned a full page must start at page 1.
        page, size = (1, wanted) if wanted > full else (pages + 1, full)
        if at_most is not None and sizes.calls(expected) - (page - 1) > at_most:
            raise TooManyPages
        try:
            rows = ask(page, size)
        except (Refused, OneFileUnreachable) as problem:
            if not sizes.is_untried(size):
                raise
            sizes.record_refused(size)
            if isinstance(problem, OneFileUnreachable):
                # OneFile may be down, or fail on large pages: try a size it has accepted before reporting an error.
                expected = None
            continue
        sizes.record_accepted(size)
        if not rows:
            return
        yield (page - 1) * size + len(rows), rows
        if page == 1 and len(rows) < size:
            yield from _rest(ask, sizes, len(rows), expected, at_most)
            return
        full, pages = size, page
        if len(rows) == size and page * size > (expected or 0):
            expected = _TIMES * page * size


def _rest(
    ask: Callable[[int, int], list[_Row]], sizes: PageSizes, size: int, expected: int | None, at_most: int | None
) -> Iterator[tuple[int, list[_Row]]]:
    """Yield the pages after a first page that was shorter than requested."""
    for page in count(2):
        rows = ask(page, size)
        if not rows:
            return
        sizes.cut(size)
        yield (page - 1) * size + len(rows), rows
        if at_most is not None and sizes.calls(expected) - page > at_most:
            raise TooManyPages
