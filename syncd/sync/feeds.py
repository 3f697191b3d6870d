"""Reading the feeds: the MIS's rows become records and links, or are held."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from syncd.core.assignments import AssignmentLayout, AssignmentRecord
from syncd.core.digests import Block, BlockDigest, Digester, FetchRows, match_blocks
from syncd.core.fields import ORGANISATION_COLUMN, SENDING_ORDER, Role
from syncd.core.records import Held, Key, Layout, NotSelected, OtherOrganisation, Reason, Record, Row, UnusableColumns
from syncd.core.watermark import WatermarkReading
from syncd.errors import ConfigurationError, MisUnreachable
from syncd.mis import Rows
from syncd.mis.watermark_query import WatermarkQuery
from syncd.state.feed_digests import BlockRows, BlockWrite
from syncd.sync.context import Feed, SyncContext

_Row = TypeVar("_Row", Record, AssignmentRecord)
_Row_co = TypeVar("_Row_co", Record, AssignmentRecord, covariant=True)


@dataclass(slots=True)
class BlockTrace:
    """What is left of a span: its chunk, and whose the rows are that were looked at."""

    chunk: BlockDigest
    position: int
    digests: Sequence[str] = ()
    """Of each row, short ones; none where the chunk is an old one."""
    keys: dict[int, Key] = field(default_factory=dict)
    """Of the rows of this organisation that were looked at, by place."""
    kept: dict[int, str | None] = field(default_factory=dict)
    """The MISIDs in rows that were as they were, in a chunk that was not; ``None`` for other organisations'."""

    def compact(self) -> "CompactTrace":
        """The same in a tenth of the memory, once all of its rows have passed."""
        return CompactTrace(self.chunk, self.position, _ENCODER.encode((self.digests, self.keys, self.kept)))


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[str], dict[int, Key], dict[int, str | None]])


@dataclass(frozen=True, slots=True)
class CompactTrace:
    """A trace that is over."""

    chunk: BlockDigest
    position: int
    _content: bytes

    def noted(self, recheck_rows: Container[Key]) -> BlockWrite:
        """What is to be remembered; ``restless`` are those of whom the same row may come to something new."""
        digests, keys, kept = _DECODER.decode(self._content)
        # A row without a MISID is known by its number, which may be another's by the next poll.
        places = tuple(place for place, key in keys.items() if not key.misid or key in recheck_rows)
        if not digests:
            return BlockWrite(replace(self.chunk, recheck_rows=places), None, self.position)
        misids = [keys[place].misid if place in keys else kept.get(place) for place in range(len(digests))]
        own_rows = len(misids) - misids.count(None)
        return BlockWrite(
            replace(self.chunk, own_rows=own_rows, recheck_rows=places), BlockRows(misids, digests), self.position
        )


class FeedDigests:
    """What was read of each feed, for the next poll to go by; ``remembered`` is what this one goes by."""

    def __init__(self, remembered: Mapping[str, Sequence[BlockDigest]] | None = None) -> None:
        self._remembered = remembered or {}
        self._feeds: dict[str, list[CompactTrace]] = {}
        self._newest: dict[str, BlockTrace] = {}
        """Of each feed the one whose rows are still being looked at."""
        self.watermarks: dict[str, WatermarkReading] = {}
        """How far the feeds with a watermark have come."""

    def begin(self, feed: str) -> None:
        """A feed is being read."""
        self._feeds[feed] = []
        self._newest.pop(feed, None)

    def add_block(self, feed: str, span: Block, digester: Digester) -> BlockTrace:
        """Rows of it have come."""
        if span.is_unchanged:
            trace = BlockTrace(self._remembered[feed][span.position], span.position)
        else:
            digests = [digester.short_digest(row) for row in span.rows]
            trace = BlockTrace(
                BlockDigest(len(span.rows), digests[0], digester.digest(span.rows), 0), span.position, digests
            )
        self._fold(feed)
        self._newest[feed] = trace
        return trace

    def to_write(self, recheck_rows: Container[Key]) -> Mapping[str, list[BlockWrite]]:
        """What is to be remembered of every feed."""
        for feed in self._feeds:
            self._fold(feed)
        return {feed: [trace.noted(recheck_rows) for trace in told] for feed, told in self._feeds.items()}

    def _fold(self, feed: str) -> None:
        if trace := self._newest.pop(feed, None):
            self._feeds[feed].append(trace.compact())


class _Layout(Protocol[_Row_co]):
    def read(self, row: Row, number: int, /) -> _Row_co | Held: ...


@dataclass(slots=True)
class FeedReader(Generic[_Row]):
    """A feed that is being read: how its columns are understood, and its rows."""

    feed: Feed
    take: FetchRows
    digester: Digester
    _layout: _Layout[_Row]
    context: SyncContext
    marking: WatermarkReading | None = None
    """Of a feed with a watermark."""
    key_of: Callable[[Row], Key | None] = lambda _row: None
    """Whose row it is, where that can be told without looking at all of it."""

    def parse_rows(
        self, span: Block, trace: BlockTrace | None = None, places: Iterable[int] | None = None
    ) -> Iterator[_Row | Held | OtherOrganisation]:
        """What its rows come to, or those in some places; of other organisations' only that they are there."""
        for place in range(len(span.rows)) if places is None else places:
            if self.marking is not None:
                self.marking.observe(span.rows[place])
            read = self._layout.read(span.rows[place], span.number + place)
            row = _of_this_organisation(read, self.feed, self.context)
            if trace is not None and not isinstance(row, OtherOrganisation):
                trace.keys[place] = row.key
            yield row


@contextmanager
def open_feed(context: SyncContext, feed: Feed, since: WatermarkQuery | None = None) -> Iterator[FeedReader[Record]]:
    """Run the query of a feed of people or places, or that part of it.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    with context.mis.read(feed.name, feed.query, since) as rows:
        layout = layout_of(context, feed, rows.columns)
        reader = FeedReader(feed, rows.take, _digester(context, rows), layout, context, key_of=layout.key_of)
        if feed.watermark:
            place, key = _position_of(feed.watermark, rows.columns), layout.misid_position
            reader.marking = WatermarkReading(rows.columns[place], place, rows.columns[key], key)
        yield reader


def layout_of(context: SyncContext, feed: Feed, columns: Sequence[str]) -> Layout:
    """How the columns of a feed are understood. Raises `ConfigurationError`."""
    policy = context.policy
    with _naming_feed(feed):
        return Layout.from_columns(
            feed.role, feed.name, columns, context.main_organisation, policy.defaults, feed.watermark
        )


def _position_of(watermark: str, columns: Sequence[str]) -> int:
    return [column.lower() for column in columns].index(watermark.lower())


@contextmanager
def open_assignment_feed(context: SyncContext, feed: Feed) -> Iterator[FeedReader[AssignmentRecord]]:
    """The same of a feed that says who is assigned to whom."""
    with context.mis.read(feed.name, feed.query) as rows:
        with _naming_feed(feed):
            layout = AssignmentLayout.from_columns(feed.role, feed.name, rows.columns, context.main_organisation)
        yield FeedReader(feed, rows.take, _digester(context, rows), layout, context)


def _digester(context: SyncContext, rows: Rows) -> Digester:
    return Digester(context.store.cipher.fingerprint_secret, rows.columns)


def in_sending_order(feeds: Iterable[Feed]) -> list[Feed]:
    """The feeds in the order in which their records are sent: whoever is referred to before those who refer to them."""
    return sorted(feeds, key=lambda feed: SENDING_ORDER.index(feed.role))


def read_feeds(context: SyncContext, digests: FeedDigests | None = None) -> Iterator[Record | Held | OtherOrganisation]:
    """Every row of every feed, in the order in which they are sent; of other organisations only that it is there.

    Raises `MisUnreachable`, `ConfigurationError` for columns that do not fit, and as `Parts.give_way` does.
    """
    for feed in in_sending_order(context.feeds):
        with open_feed(context, feed) as reader:
            yield from _all_rows(reader, digests)


def read_selected(context: SyncContext, only: Set[str]) -> Iterator[Record | Held | OtherOrganisation | NotSelected]:
    """The same, but no closer look at learners who have none of these MISIDs; whoever else there is may be needed.

    Raises what `read_feeds` raises.
    """
    for feed in in_sending_order(context.feeds):
        with open_feed(context, feed) as reader:
            yield from _selected_rows(reader, only) if feed.role is Role.LEARNER else _all_rows(reader, None)


def _selected_rows(
    reader: FeedReader[Record], only: Set[str]
) -> Iterator[Record | Held | OtherOrganisation | NotSelected]:
    context, feed = reader.context, reader.feed
    for span in match_blocks([], reader.take, reader.digester):
        context.check_interrupted()
        for place, row in enumerate(span.rows):
            key = reader.key_of(row)
            if key is None or key.misid in only:
                yield from reader.parse_rows(span, places=[place])
            elif key.organisation_id == context.organisation_id:
                yield NotSelected(key, feed.name)
            else:
                yield OtherOrganisation(feed.name)


def read_assignments(
    context: SyncContext, digests: FeedDigests | None = None
) -> Iterator[AssignmentRecord | Held | OtherOrganisation]:
    """The same of the feeds that say who is assigned to whom."""
    for feed in context.assignment_feeds:
        with open_assignment_feed(context, feed) as reader:
            yield from _all_rows(reader, digests)


def _all_rows(reader: FeedReader[_Row], digests: FeedDigests | None) -> Iterator[_Row | Held | OtherOrganisation]:
    if digests is not None and reader.marking is not None:
        digests.watermarks[reader.feed.name] = reader.marking
        digests = None
    if digests is not None:
        digests.begin(reader.feed.name)
    for span in match_blocks([], reader.take, reader.digester):
        reader.context.check_interrupted()
        trace = digests.add_block(reader.feed.name, span, reader.digester) if digests is not None else None
        yield from reader.parse_rows(span, trace)


def check_feeds(context: SyncContext) -> None:
    """Look whether every feed can be read and has the columns that it needs, without reading its rows.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    for feed in context.feeds:
        with open_feed(context, feed):
            pass
    for feed in context.assignment_feeds:
        with open_assignment_feed(context, feed):
            pass


def check_watermark_query(context: SyncContext, watermark: WatermarkReading, misids: Iterable[str]) -> None:
    """Try the query of this context's one feed in the form in which a poll asks only for changes.

    ``watermark`` is from a full read, and these MISIDs are in it. Raises `MisUnreachable`.
    """
    (feed,) = context.feeds
    if watermark.highest is None:
        return
    since = WatermarkQuery(watermark.column, watermark.highest, True, watermark.key, watermark.keys(misids))
    try:
        with open_feed(context, feed, since) as reader:
            reader.take(1)
    except MisUnreachable as problem:
        said = str(problem).removesuffix(".")
        raise MisUnreachable(
            f"{said}. The query works alone, but not in parentheses in the SELECT that a poll for changes uses. "
            f"{context.mis.subquery_advice}, or remove the feed's watermark."
        ) from None


@contextmanager
def _naming_feed(feed: Feed) -> Iterator[None]:
    """Say which feed it is that has columns that do not fit. Raises `ConfigurationError`."""
    try:
        yield
    except UnusableColumns as problem:
        sentence = f"Feed {feed.name}: {problem}"
        raise ConfigurationError(sentence if sentence.endswith("?") else f"{sentence}.") from None


def _of_this_organisation(read: _Row | Held, feed: Feed, context: SyncContext) -> _Row | Held | OtherOrganisation:
    """What nobody's turn would come to is held by the main organisation."""
    key = read.key
    if key.organisation_id == context.organisation_id:
        return read
    if key.organisation_id in context.organisations or context.organisation_id != context.main_organisation:
        return OtherOrganisation(feed.name)
    if isinstance(read, Held):
        return replace(read, organisation_id=context.organisation_id)
    named = ", ".join(map(str, context.organisations or [context.organisation_id]))
    detail = f"{ORGANISATION_COLUMN} is not {named}, as onefile.organisation_id and onefile.organisations have it"
    return Held(context.organisation_id, key.role, key.misid, feed.name, Reason.UNUSABLE, ORGANISATION_COLUMN, detail)
