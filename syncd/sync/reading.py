"""Reading the feeds: the MIS's rows become records and links, or are held."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from syncd.core.assignments import Link, LinksLayout
from syncd.core.chunks import Chunk, Digester, Span, Take, follow
from syncd.core.fields import ORGANISATION_COLUMN, SENDING_ORDER, Role
from syncd.core.records import Elsewhere, Held, Key, Layout, Passed, Reason, Record, Row, UnusableColumns
from syncd.core.watermarks import Marking
from syncd.errors import ConfigurationError, MisUnreachable
from syncd.mis import Rows
from syncd.mis.since import Since
from syncd.state.chunks import Inside, Noted
from syncd.sync.parts import Feed, Parts

_Row = TypeVar("_Row", Record, Link)
_Row_co = TypeVar("_Row_co", Record, Link, covariant=True)


@dataclass(slots=True)
class Trace:
    """What is left of a span: its chunk, and whose the rows are that were looked at."""

    chunk: Chunk
    position: int
    digests: Sequence[str] = ()
    """Of each row, short ones; none where the chunk is an old one."""
    keys: dict[int, Key] = field(default_factory=dict)
    """Of the rows of this organisation that were looked at, by place."""
    kept: dict[int, str | None] = field(default_factory=dict)
    """The MISIDs in rows that were as they were, in a chunk that was not; ``None`` for other organisations'."""

    def folded(self) -> "Folded":
        """The same in a tenth of the memory, once all of its rows have passed."""
        return Folded(self.chunk, self.position, _ENCODER.encode((self.digests, self.keys, self.kept)))


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[str], dict[int, Key], dict[int, str | None]])


@dataclass(frozen=True, slots=True)
class Folded:
    """A trace that is over."""

    chunk: Chunk
    position: int
    _content: bytes

    def noted(self, restless: Container[Key]) -> Noted:
        """What is to be remembered; ``restless`` are those of whom the same row may come to something new."""
        digests, keys, kept = _DECODER.decode(self._content)
        # A row without a MISID is known by its number, which may be another's by the next poll.
        places = tuple(place for place, key in keys.items() if not key.misid or key in restless)
        if not digests:
            return Noted(replace(self.chunk, restless=places), None, self.position)
        misids = [keys[place].misid if place in keys else kept.get(place) for place in range(len(digests))]
        ours = len(misids) - misids.count(None)
        return Noted(replace(self.chunk, ours=ours, restless=places), Inside(misids, digests), self.position)


class Traces:
    """What was read of each feed, for the next poll to go by; ``remembered`` is what this one goes by."""

    def __init__(self, remembered: Mapping[str, Sequence[Chunk]] | None = None) -> None:
        self._remembered = remembered or {}
        self._feeds: dict[str, list[Folded]] = {}
        self._newest: dict[str, Trace] = {}
        """Of each feed the one whose rows are still being looked at."""
        self.marks: dict[str, Marking] = {}
        """How far the feeds with a watermark have come."""

    def begin(self, feed: str) -> None:
        """A feed is being read."""
        self._feeds[feed] = []
        self._newest.pop(feed, None)

    def of(self, feed: str, span: Span, digester: Digester) -> Trace:
        """Rows of it have come."""
        if span.is_kept:
            trace = Trace(self._remembered[feed][span.position], span.position)
        else:
            digests = [digester.short(row) for row in span.rows]
            trace = Trace(Chunk(len(span.rows), digests[0], digester.of(span.rows), 0), span.position, digests)
        self._fold(feed)
        self._newest[feed] = trace
        return trace

    def noted(self, restless: Container[Key]) -> Mapping[str, list[Noted]]:
        """What is to be remembered of every feed."""
        for feed in self._feeds:
            self._fold(feed)
        return {feed: [trace.noted(restless) for trace in told] for feed, told in self._feeds.items()}

    def _fold(self, feed: str) -> None:
        if trace := self._newest.pop(feed, None):
            self._feeds[feed].append(trace.folded())


class _Layout(Protocol[_Row_co]):
    def read(self, row: Row, number: int, /) -> _Row_co | Held: ...


@dataclass(slots=True)
class Sheet(Generic[_Row]):
    """A feed that is being read: how its columns are understood, and its rows."""

    feed: Feed
    take: Take
    digester: Digester
    _layout: _Layout[_Row]
    parts: Parts
    marking: Marking | None = None
    """Of a feed with a watermark."""
    key_of: Callable[[Row], Key | None] = lambda _row: None
    """Whose row it is, where that can be told without looking at all of it."""

    def look(
        self, span: Span, trace: Trace | None = None, places: Iterable[int] | None = None
    ) -> Iterator[_Row | Held | Elsewhere]:
        """What its rows come to, or those in some places; of other organisations' only that they are there."""
        for place in range(len(span.rows)) if places is None else places:
            if self.marking is not None:
                self.marking.note(span.rows[place])
            read = self._layout.read(span.rows[place], span.number + place)
            ours = _of_this_organisation(read, self.feed, self.parts)
            if trace is not None and not isinstance(ours, Elsewhere):
                trace.keys[place] = ours.key
            yield ours


@contextmanager
def opened(parts: Parts, feed: Feed, since: Since | None = None) -> Iterator[Sheet[Record]]:
    """Run the query of a feed of people or places, or that part of it.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    with parts.mis.read(feed.name, feed.query, since) as rows:
        layout = layout_of(parts, feed, rows.columns)
        sheet = Sheet(feed, rows.take, _digester(parts, rows), layout, parts, key_of=layout.key_of)
        if feed.watermark:
            place, key = _position_of(feed.watermark, rows.columns), layout.misid_position
            sheet.marking = Marking(rows.columns[place], place, rows.columns[key], key)
        yield sheet


def layout_of(parts: Parts, feed: Feed, columns: Sequence[str]) -> Layout:
    """How the columns of a feed are understood. Raises `ConfigurationError`."""
    policy = parts.policy
    with _naming(feed):
        return Layout.of(feed.role, feed.name, columns, parts.main_organisation, policy.defaults, feed.watermark)


def _position_of(watermark: str, columns: Sequence[str]) -> int:
    return [column.lower() for column in columns].index(watermark.lower())


@contextmanager
def opened_links(parts: Parts, feed: Feed) -> Iterator[Sheet[Link]]:
    """The same of a feed that says who is assigned to whom."""
    with parts.mis.read(feed.name, feed.query) as rows:
        with _naming(feed):
            layout = LinksLayout.of(feed.role, feed.name, rows.columns, parts.main_organisation)
        yield Sheet(feed, rows.take, _digester(parts, rows), layout, parts)


def _digester(parts: Parts, rows: Rows) -> Digester:
    return Digester(parts.store.vault.fingerprint_secret, rows.columns)


def in_order(feeds: Iterable[Feed]) -> list[Feed]:
    """The feeds in the order in which their records are sent: whoever is referred to before those who refer to them."""
    return sorted(feeds, key=lambda feed: SENDING_ORDER.index(feed.role))


def read_feeds(parts: Parts, traces: Traces | None = None) -> Iterator[Record | Held | Elsewhere]:
    """Every row of every feed, in the order in which they are sent; of other organisations only that it is there.

    Raises `MisUnreachable`, `ConfigurationError` for columns that do not fit, and as `Parts.give_way` does.
    """
    for feed in in_order(parts.feeds):
        with opened(parts, feed) as sheet:
            yield from _all_of(sheet, traces)


def read_feeds_about(parts: Parts, only: Set[str]) -> Iterator[Record | Held | Elsewhere | Passed]:
    """The same, but no closer look at learners who have none of these MISIDs; whoever else there is may be needed.

    Raises what `read_feeds` raises.
    """
    for feed in in_order(parts.feeds):
        with opened(parts, feed) as sheet:
            yield from _some_of(sheet, only) if feed.role is Role.LEARNER else _all_of(sheet, None)


def _some_of(sheet: Sheet[Record], only: Set[str]) -> Iterator[Record | Held | Elsewhere | Passed]:
    parts, feed = sheet.parts, sheet.feed
    for span in follow([], sheet.take, sheet.digester):
        parts.give_way()
        for place, row in enumerate(span.rows):
            key = sheet.key_of(row)
            if key is None or key.misid in only:
                yield from sheet.look(span, places=[place])
            elif key.organisation_id == parts.organisation_id:
                yield Passed(key, feed.name)
            else:
                yield Elsewhere(feed.name)


def read_links(parts: Parts, traces: Traces | None = None) -> Iterator[Link | Held | Elsewhere]:
    """The same of the feeds that say who is assigned to whom."""
    for feed in parts.links:
        with opened_links(parts, feed) as sheet:
            yield from _all_of(sheet, traces)


def _all_of(sheet: Sheet[_Row], traces: Traces | None) -> Iterator[_Row | Held | Elsewhere]:
    if traces is not None and sheet.marking is not None:
        traces.marks[sheet.feed.name] = sheet.marking
        traces = None
    if traces is not None:
        traces.begin(sheet.feed.name)
    for span in follow([], sheet.take, sheet.digester):
        sheet.parts.give_way()
        trace = traces.of(sheet.feed.name, span, sheet.digester) if traces is not None else None
        yield from sheet.look(span, trace)


def check_feeds(parts: Parts) -> None:
    """Look whether every feed can be read and has the columns that it needs, without reading its rows.

    Raises `MisUnreachable`, and `ConfigurationError` for columns that do not fit.
    """
    for feed in parts.feeds:
        with opened(parts, feed):
            pass
    for feed in parts.links:
        with opened_links(parts, feed):
            pass


def check_since(parts: Parts, marking: Marking, misids: Iterable[str]) -> None:
    """Look whether the one feed of these parts can be asked for what has changed, as a poll asks it.

    ``marking`` is from a reading of all of it, and these MISIDs are in it. Raises `MisUnreachable`.
    """
    (feed,) = parts.feeds
    if marking.highest is None:
        return
    since = Since(marking.column, marking.highest, True, marking.key, marking.keys(misids))
    try:
        with opened(parts, feed, since) as sheet:
            sheet.take(1)
    except MisUnreachable as problem:
        said = str(problem).removesuffix(".")
        raise MisUnreachable(
            f"{said}, when it is asked only for changes, for which it stands in parentheses in another SELECT. "
            "Change the query so that it can, or remove the feed's watermark."
        ) from None


@contextmanager
def _naming(feed: Feed) -> Iterator[None]:
    """Say which feed it is that has columns that do not fit. Raises `ConfigurationError`."""
    try:
        yield
    except UnusableColumns as problem:
        sentence = f"Feed {feed.name}: {problem}"
        raise ConfigurationError(sentence if sentence.endswith("?") else f"{sentence}.") from None


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
