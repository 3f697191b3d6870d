"""Paging: how large a page to ask for, where nobody outside knows how large a page OneFile gives (U1).

Asked for too large a page, OneFile may say 400, or say nothing and cut it short. A 400 costs a call, and shows that a
smaller one is to be asked for. A page cut short costs nothing as long as it is never taken for the end: so whatever
comes after a first page of n rows, fewer than were asked for, is asked for in pages of n, which begin where that one
ended however OneFile counts. Only a page with nothing new in it is the end.
"""

from collections.abc import Callable, Iterator
from itertools import count
from math import ceil
from threading import Lock
from typing import Final, Protocol, TypeVar

from syncd.errors import OneFileUnreachable, Refused

#: 50 has been seen to work (§8.6). What other APIs stop at is 100 more than anything else, then 1,000 and 500; a step
#: between any two of these would be refused more often than it would save anything. A thousand rows are a tenth of a
#: megabyte, or a few if OneFile gives all fields (U2): more would be no way to page, which is what the vendor asks for
#: (§3), and 60,000 accounts are 61 calls with it.
_SIZES: Final = (50, 100, 500, 1000)
_SEEN_IN_THE_WILD: Final = _SIZES[0]
#: Where there is more than was expected, so many times as much as has come is expected now.
_TIMES: Final = 4


class TooManyPages(Exception):
    """A search takes more calls than it is worth to whoever asked."""


class _Identified(Protocol):
    @property
    def id(self) -> int: ...


_Row = TypeVar("_Row", bound=_Identified)


class PageSizes:
    """The sizes of pages that OneFile may give, and what it has shown of them; any thread may ask and tell."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sizes: tuple[int, ...] = _SIZES
        self._tried = _SEEN_IN_THE_WILD
        """The largest that was not refused."""

    def best_size(self, rows: int | None) -> int:
        """The size for so many rows: the smallest, and so the surest, of those that take the fewest pages.

        For nobody knows how many it is one that needs no trying.
        """
        return self._tried if rows is None else min(self._sizes, key=lambda size: ceil(rows / size))

    def calls(self, rows: int | None) -> int:
        """How many calls it takes to get so many rows, the empty page at the end included."""
        rows = rows or 0
        return ceil(rows / self.best_size(rows)) + 1

    def is_untried(self, size: int) -> bool:
        """Whether OneFile may still turn out to refuse a page for its size."""
        return size > self._tried

    def record_accepted(self, size: int) -> None:
        """A page of this size was not refused."""
        with self._lock:
            self._tried = max(self._tried, size)

    def record_refused(self, size: int) -> None:
        """A page of this size was refused."""
        with self._lock:
            self._sizes = tuple(smaller for smaller in self._sizes if smaller < size)

    def cut(self, size: int) -> None:
        """A larger page was cut to this size."""
        # Fewer may be all that there were, with somebody new on the second page.
        if size >= _SEEN_IN_THE_WILD:
            with self._lock:
                self._sizes = (*(smaller for smaller in self._sizes if smaller < size), size)
                self._tried = size


def every_row(
    ask: Callable[[int, int], list[_Row]], sizes: PageSizes, expected: int | None, at_most: int | None
) -> Iterator[_Row]:
    """Every row of a search once, for pages may overlap (U3), in about as few calls as can be.

    Args:
        ask: gives the rows of a page, by its number and its size.
        sizes: what is known of OneFile's pages, and learns from these.
        expected: how many rows there may be; ``None`` where nothing speaks for any number.
        at_most: how many calls this is worth.

    Raises:
        TooManyPages: as soon as it can be seen that there are going to be more calls than that.
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
        # Where larger pages are tried in place of those that have come, what was on them comes again.
        if end > reached and not is_news:
            return
        reached = max(reached, end)


def _pages(
    ask: Callable[[int, int], list[_Row]], sizes: PageSizes, expected: int | None, at_most: int | None
) -> Iterator[tuple[int, list[_Row]]]:
    """The pages, each with how many rows there are up to its end."""
    full, pages = 0, 0
    """The size in which pages have come whole, and how many of them."""
    while True:
        wanted = sizes.best_size(expected)
        # What a size not yet seen whole begins with, only its first page can tell.
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
                # It may be gone, or choke on large pages: before anybody says so, it is asked for one it has taken.
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
    """What there is beyond a first page that was shorter than it might have been."""
    for page in count(2):
        rows = ask(page, size)
        if not rows:
            return
        sizes.cut(size)
        yield (page - 1) * size + len(rows), rows
        if at_most is not None and sizes.calls(expected) - page > at_most:
            raise TooManyPages
