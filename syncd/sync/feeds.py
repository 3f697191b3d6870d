"""Read the feeds: the rows of the MIS become records and assignments, or are held."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

from syncd.core.assignments import AssignmentLayout, AssignmentRecord
from syncd.core.fields import ORGANISATION_COLUMN, SENDING_ORDER, Role
from syncd.core.records import (
    Column,
    FetchRows,
    Held,
    Key,
    Layout,
    NotSelected,
    OtherOrganisation,
    Reason,
    Record,
    Row,
    UnusableColumns,
)
from syncd.core.watermark import DatabaseClock, WatermarkReading
from syncd.errors import ConfigurationError, MisUnreachable, ReplicaConflict
from syncd.mis.watermark_query import WatermarkQuery
from syncd.sync.context import Feed, SyncContext

_Row = TypeVar("_Row", Record, AssignmentRecord)
_Result = TypeVar("_Result")
_Row_co = TypeVar("_Row_co", Record, AssignmentRecord, covariant=True)

#: How many rows are fetched at a time.
_PAGE_ROWS: Final = 1000


class _Layout(Protocol[_Row_co]):
    def read(self, row: Row, number: int, /) -> _Row_co | Held: ...


@dataclass(slots=True)
class FeedReader(Generic[_Row]):
    """A feed that is being read: its columns, its rows, and how they are parsed."""

    feed: Feed
    column_names: Sequence[str]
    fetch: FetchRows
    _layout: _Layout[_Row]
    context: SyncContext
    watermark: WatermarkReading | None = None
    """What the rows show of the watermark, if the feed has one."""
    key_of: Callable[[Row], Key | None] = lambda _row: None
    """Returns the key of a row without parsing all of it; ``None`` if it cannot."""
    columns: tuple[Column, ...] = ()
    """Which column of a row is which field, in a feed of people or places."""

    def pages(self) -> Iterator[tuple[int, Sequence[Row]]]:
        """Return the rows, some at a time, with the number of the first. Raises as `SyncContext.check_interrupted`."""
        number = 1
        while rows := self.fetch(_PAGE_ROWS):
            self.context.check_interrupted()
            if self.watermark is not None:
                self.watermark.observe(rows)
            yield number, rows
            number += len(rows)

    def rows_with_source(self) -> Iterator[tuple[int, Row, _Row | Held | OtherOrganisation]]:
        """Return every row with its number and its raw values."""
        for number, rows in self.pages():
            for place, parsed in enumerate(self.parse_rows(rows, number)):
                yield number + place, rows[place], parsed

    def parse_rows(
        self, rows: Sequence[Row], first_number: int, places: Iterable[int] | None = None
    ) -> Iterator[_Row | Held | OtherOrganisation]:
        """Parse rows, or only those in some places; of another organisation's row only that it is there."""
        for place in range(len(rows)) if places is None else places:
            yield _of_this_organisation(self._layout.read(rows[place], first_number + place), self.feed, self.context)


class RowParser(Protocol):
    """Parses the rows of a feed."""

    def __call__(self, reader: FeedReader[_Row], /) -> Iterator[_Row | Held | OtherOrganisation]:
        """Parse the rows that are wanted."""


def all_rows(reader: FeedReader[_Row]) -> Iterator[_Row | Held | OtherOrganisation]:
    """Parse every row of a feed. Raises as `SyncContext.check_interrupted` does."""
    for number, rows in reader.pages():
        yield from reader.parse_rows(rows, number)


@contextmanager
def open_feed(context: SyncContext, feed: Feed, since: WatermarkQuery | None = None) -> Iterator[FeedReader[Record]]:
    """Run the query of a feed of people or places, or only for its changed rows.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    # A row that changes after that has a later time, by less than the overlap.
    clock = (context.mis.clock() or DatabaseClock.of_machine(context.clock())) if feed.watermark else None
    with context.mis.read(feed.name, feed.query, since) as rows:
        layout = layout_of(context, feed, rows.columns)
        watermark = None
        if clock is not None:
            watermark = WatermarkReading.from_columns(feed.watermark, rows.columns, layout.misid_position, clock)
        yield FeedReader(feed, rows.columns, rows.take, layout, context, watermark, layout.key_of, layout.columns)


def layout_of(context: SyncContext, feed: Feed, columns: Sequence[str]) -> Layout:
    """Return which column of a feed is which field. Raises `ConfigurationError`."""
    policy = context.policy
    with _naming_feed(feed):
        return Layout.from_columns(
            feed.role,
            feed.name,
            columns,
            context.main_organisation,
            policy.defaults,
            feed.watermark,
            has_several_organisations=context.has_several_organisations,
            today=context.clock().date(),
        )


@contextmanager
def open_assignment_feed(context: SyncContext, feed: Feed) -> Iterator[FeedReader[AssignmentRecord]]:
    """Run the query of a feed of assignments. Raises what `open_feed` raises."""
    with context.mis.read(feed.name, feed.query) as rows:
        with _naming_feed(feed):
            layout = AssignmentLayout.from_columns(
                feed.role,
                feed.name,
                rows.columns,
                context.main_organisation,
                has_several_organisations=context.has_several_organisations,
            )
        yield FeedReader(feed, rows.columns, rows.take, layout, context)


def in_sending_order(feeds: Iterable[Feed]) -> list[Feed]:
    """Return the feeds in the order in which their records are sent: a record after those that it refers to."""
    return sorted(feeds, key=lambda feed: SENDING_ORDER.index(feed.role))


def read_feeds(context: SyncContext, rows_of: RowParser = all_rows) -> Iterator[Record | Held | OtherOrganisation]:
    """Read every feed of people and places, in the order in which records are sent.

    Raises `MisUnreachable`, `ConfigurationError` for columns that do not fit, and as `SyncContext.check_interrupted`.
    """
    for feed in in_sending_order(context.feeds):
        with open_feed(context, feed) as reader:
            yield from rows_of(reader)


def read_selected(context: SyncContext, only: Set[str]) -> Iterator[Record | Held | OtherOrganisation | NotSelected]:
    """Read every feed, but parse only the learners with these MISIDs; staff and places may be referred to.

    Raises what `read_feeds` raises.
    """
    for feed in in_sending_order(context.feeds):
        with open_feed(context, feed) as reader:
            yield from _selected_rows(reader, only) if feed.role is Role.LEARNER else all_rows(reader)


def _selected_rows(
    reader: FeedReader[Record], only: Set[str]
) -> Iterator[Record | Held | OtherOrganisation | NotSelected]:
    context, feed = reader.context, reader.feed
    for number, rows in reader.pages():
        for place, row in enumerate(rows):
            key = reader.key_of(row)
            if key is None or key.misid in only:
                yield from reader.parse_rows(rows, number, [place])
            elif key.organisation_id == context.organisation_id:
                yield NotSelected(key, feed.name)
            else:
                yield OtherOrganisation(feed.name)


def read_assignments(
    context: SyncContext, rows_of: RowParser = all_rows
) -> Iterator[AssignmentRecord | Held | OtherOrganisation]:
    """Read every feed of assignments. Raises what `read_feeds` raises."""
    for feed in context.assignment_feeds:
        with open_assignment_feed(context, feed) as reader:
            yield from rows_of(reader)


def with_second_try(read: Callable[[], _Result]) -> _Result:
    """Read feeds, and all of them once more if the recovery of a replica stops a query. Raises what ``read`` raises."""
    try:
        return read()
    except ReplicaConflict:
        return read()


def check_feeds(context: SyncContext) -> None:
    """Check that every feed can be read and has the columns that it needs, without reading its rows.

    A feed with a watermark is also tried in the form in which a poll asks only for changes. Raises `MisUnreachable`,
    and `ConfigurationError` for columns that do not fit.
    """
    for feed in context.feeds:
        with open_feed(context, feed) as reader:
            watermark = reader.watermark
        if watermark is not None:
            check_watermark_query(context, feed, watermark, [])
    for feed in context.assignment_feeds:
        with open_assignment_feed(context, feed):
            pass


def check_watermark_query(context: SyncContext, feed: Feed, watermark: WatermarkReading, misids: Iterable[str]) -> None:
    """Try the query of a feed in the form in which a poll asks only for changes.

    ``watermark`` is what was read of the feed's rows, if any, and these MISIDs are in it. Raises `MisUnreachable`.
    """
    since = WatermarkQuery(
        watermark.column, watermark.highest, True, watermark.misid_column, watermark.misids_to_query(misids)
    )
    try:
        with open_feed(context, feed, since) as reader:
            reader.fetch(1)
    except ReplicaConflict:
        raise
    except MisUnreachable as problem:
        said = str(problem).removesuffix(".")
        raise MisUnreachable(
            f"{said}. The query works alone, but not in parentheses in the SELECT that a poll for changes uses. "
            f"{context.mis.subquery_advice}, or remove the feed's watermark."
        ) from None


@contextmanager
def _naming_feed(feed: Feed) -> Iterator[None]:
    """Name the feed whose columns do not fit. Raises `ConfigurationError`."""
    try:
        yield
    except UnusableColumns as problem:
        sentence = f"Feed {feed.name}: {problem}"
        raise ConfigurationError(sentence if sentence.endswith("?") else f"{sentence}.") from None


def _of_this_organisation(read: _Row | Held, feed: Feed, context: SyncContext) -> _Row | Held | OtherOrganisation:
    """Return a row of this organisation; the main organisation holds the rows of organisations not configured."""
    key = read.key
    if key.organisation_id == context.organisation_id:
        return read
    if isinstance(read, Held) and read.field == ORGANISATION_COLUMN and key.misid:
        # The main organisation holds it, and it may be the record of an account of this one.
        return OtherOrganisation(feed.name, key._replace(organisation_id=context.organisation_id))
    if key.organisation_id in context.organisations or context.organisation_id != context.main_organisation:
        return OtherOrganisation(feed.name)
    if isinstance(read, Held):
        return replace(read, organisation_id=context.organisation_id)
    named = ", ".join(map(str, context.organisations or [context.organisation_id]))
    detail = f"{ORGANISATION_COLUMN} is not {named}, as onefile.organisation_id and onefile.organisations have it"
    return Held(context.organisation_id, key.role, key.misid, feed.name, Reason.UNUSABLE, ORGANISATION_COLUMN, detail)
