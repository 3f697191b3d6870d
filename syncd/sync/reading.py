"""Reading the feeds: the MIS's rows become records and links, or are held."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from syncd.core.assignments import Link, LinksLayout
from syncd.core.fields import ORGANISATION_COLUMN, SENDING_ORDER
from syncd.core.records import Elsewhere, Held, Layout, Reason, Record, UnusableColumns
from syncd.errors import ConfigurationError
from syncd.sync.parts import Feed, Parts

_Row = TypeVar("_Row", Record, Link)


def read_feeds(parts: Parts) -> Iterator[Record | Held | Elsewhere]:
    """Every row of every feed, in the order in which they are sent; of other organisations only that it is there.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    for feed in sorted(parts.feeds, key=lambda feed: SENDING_ORDER.index(feed.role)):
        with parts.mis.read(feed.name, feed.query) as rows:
            with _naming(feed):
                layout = Layout.of(feed.role, feed.name, rows.columns, parts.main_organisation, parts.policy.defaults)
            for number, row in enumerate(rows.stream, start=1):
                yield _of_this_organisation(layout.read(row, number), feed, parts)


def read_links(parts: Parts) -> Iterator[Link | Held | Elsewhere]:
    """The same of the feeds that say who is assigned to whom."""
    for feed in parts.links:
        with parts.mis.read(feed.name, feed.query) as rows:
            with _naming(feed):
                layout = LinksLayout.of(feed.role, feed.name, rows.columns, parts.main_organisation)
            for number, row in enumerate(rows.stream, start=1):
                yield _of_this_organisation(layout.read(row, number), feed, parts)


def check_feeds(parts: Parts) -> None:
    """Look whether every feed can be read and has the columns that it needs, without reading its rows.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    for feed in parts.feeds:
        with parts.mis.read(feed.name, feed.query) as rows, _naming(feed):
            Layout.of(feed.role, feed.name, rows.columns, parts.main_organisation, parts.policy.defaults)
    for feed in parts.links:
        with parts.mis.read(feed.name, feed.query) as rows, _naming(feed):
            LinksLayout.of(feed.role, feed.name, rows.columns, parts.main_organisation)


@contextmanager
def _naming(feed: Feed) -> Iterator[None]:
    try:
        yield
    except UnusableColumns as problem:
        raise ConfigurationError(f"Feed {feed.name}: {problem}.") from None


def _of_this_organisation(read: _Row | Held, feed: Feed, parts: Parts) -> _Row | Held | Elsewhere:
    """What nobody's turn would come to is held by the main organisation."""
    key = read.key
    if key.organisation_id == parts.organisation_id:
        return read
    if key.organisation_id in parts.organisations or parts.organisation_id != parts.main_organisation:
        return Elsewhere(feed.name)
    if isinstance(read, Held):
        return replace(read, organisation_id=parts.organisation_id)
    named = ", ".join(map(str, parts.organisations or [parts.organisation_id]))
    detail = f"{ORGANISATION_COLUMN} is not {named}, as onefile.organisation_id and onefile.organisations have it"
    return Held(parts.organisation_id, key.role, key.misid, feed.name, Reason.UNUSABLE, ORGANISATION_COLUMN, detail)
