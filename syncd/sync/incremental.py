"""What the MIS has now, beside what the store knows: by reading every record, or only what may be news.

A run that went well remembers the feeds as chunks. As long as nothing else happens to the accounts, the next poll goes
by them: rows that are as they were come to what they came to. Whatever it cannot be sure of it reads as a whole, and
once a day it does so anyway.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

from sqlalchemy import Connection

from syncd import __version__
from syncd.core.accounts import Known, Status
from syncd.core.assignments import (
    AssignmentRecord,
    ChangedAssignments,
    Pair,
    StoredAssignment,
    find_changed_assignments,
)
from syncd.core.buffers import BufferFactory
from syncd.core.changed import ChangedRecords, find_changed
from syncd.core.digests import BLOCK_ROWS, NO_DIGEST, Block, BlockDigest, Digester, match_blocks
from syncd.core.fields import Role
from syncd.core.records import Code, Held, Key, OtherOrganisation, Reason, Record, Warned
from syncd.core.watermark import OVERLAP, WatermarkValue, higher, with_overlap
from syncd.mis.watermark_query import WatermarkQuery
from syncd.state import accounts, assignments, feed_digests, held_records, references
from syncd.state.feed_digests import FeedSnapshot, Watermark
from syncd.sync.context import Feed, SyncContext
from syncd.sync.feeds import (
    BlockTrace,
    FeedDigests,
    FeedReader,
    in_sending_order,
    open_assignment_feed,
    open_feed,
    read_assignments,
    read_feeds,
    read_selected,
)

#: However sure a poll is that there is nothing new, once a day it looks.
_LASTS: Final = timedelta(days=1)
#: The news is held in memory, and of more rows than this it is as well to read them all.
_MOST_NEWS: Final = 20_000
#: Whom a feed with a watermark may be asked for by name; of more it is as well to ask for all.
_MOST_KEYS: Final = 500
#: How many chunks of a feed are looked into at a time.
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What was found."""

    changed: ChangedRecords
    known: Mapping[Key, Known]
    """The accounts: all of them, or those that bear on the news where nobody is new."""
    assignments: ChangedAssignments = field(default_factory=ChangedAssignments)
    stored_assignments: Mapping[Pair, StoredAssignment] = field(default_factory=dict)
    """The assignments of earlier runs."""
    digests: FeedDigests | None = None
    """What the next poll may remember; ``None`` where it is not to."""
    snapshot: FeedSnapshot | None = None
    """What it may go by, and the chunks that this one has gone by."""
    is_full: bool = True
    """Whether every record was read."""
    is_quiet: bool = False
    """Whether nothing was found that the store does not say already."""

    def save(self, connection: Connection, organisation_id: int) -> None:
        """Remember it, once all that it has led to is done."""
        if self.digests is None or self.snapshot is None or self.is_quiet:
            return
        if self.assignments.gone and any(account.status is Status.ACTIVE for account in self.changed.missed.values()):
            # An assignment that only a person can take back is no longer one where somebody of it has left.
            return
        restless = _RecheckKeys(
            self.changed.changed,
            {pair.learner for pair in self.assignments.to_assign}
            | {hold.key for hold in self.changed.held if hold.reason is Reason.DUPLICATE_KEY},
        )
        noted, marks = self.digests.to_write(restless), self._marks(restless)
        feed_digests.save(connection, organisation_id, self.snapshot, noted, marks, is_anew=self.is_full)

    def _marks(self, restless: Collection[Key]) -> dict[str, Watermark]:
        """From where to ask next, of each feed that can be asked so."""
        snapshot = self.snapshot
        if self.digests is None or snapshot is None or len(restless) > _MOST_KEYS:
            return {}
        misids = sorted(key.misid for key in restless if key.role is Role.LEARNER and key.misid)
        return {
            feed: Watermark(
                marking.column,
                marking.highest,
                self._risen_at(feed, marking.highest, snapshot),
                marking.key,
                marking.keys(misids),
                self.changed.elsewhere[feed],
            )
            for feed, marking in self.digests.watermarks.items()
            if marking.highest is not None
        }

    @staticmethod
    def _risen_at(feed: str, mark: WatermarkValue, snapshot: FeedSnapshot) -> datetime:
        before = snapshot.watermarks.get(feed)
        return before.first_seen_at if before is not None and before.value == mark else snapshot.surveyed_at


class _RecheckKeys(Collection[Key]):
    """Of whom the same row may come to something new: whoever was changed, and some others."""

    def __init__(self, changed: Set[Key], others: Set[Key]) -> None:
        self._changed = changed
        self._others = others - changed

    def __contains__(self, key: object) -> bool:
        return key in self._changed or key in self._others

    def __iter__(self) -> Iterator[Key]:
        return chain(self._changed, self._others)

    def __len__(self) -> int:
        return len(self._changed) + len(self._others)


def read_changes(
    context: SyncContext,
    only: frozenset[str] = frozenset(),
    *,
    is_poll: bool = False,
    buffers: BufferFactory | None = None,
) -> ReadResult:
    """Find out what may have to be done.

    ``only`` limits it to these MISIDs. ``is_poll`` lets it go by what the last poll has left, and the next one by this.
    What is changed is laid out on ``desk``; in memory, if there is none.
    Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`.
    """
    store, organisation_id, now = context.store, context.organisation_id, context.clock()
    if only or not is_poll:
        return _full_read(context, only, buffers)
    with store.reading() as connection:
        snapshot = feed_digests.remembered(connection, organisation_id, now)
        referents = accounts.referents(connection, organisation_id)
        looked_up = references.looked_up(connection, organisation_id)
    circumstances = _comparison_version(context, referents, looked_up)
    is_fresh = timedelta() <= now - snapshot.read_at < _LASTS
    # Of whoever is to be archived it matters whether anybody's record still names them.
    is_clear = not (
        context.policy.archives_leavers and any(each.status is not Status.ACTIVE for each in referents.values())
    )
    if snapshot.comparison_version and snapshot.comparison_version == circumstances and is_fresh and is_clear:
        found = _IncrementalRead(context, snapshot, looked_up).read()
        if found is not None:
            return found
    with store.begin() as connection:
        feed_digests.begin(connection, organisation_id, now)
    return replace(
        _full_read(context, only, buffers, FeedDigests()),
        snapshot=replace(snapshot, comparison_version=circumstances, read_at=now, feeds={}),
    )


def _full_read(
    context: SyncContext, only: frozenset[str], buffers: BufferFactory | None, digests: FeedDigests | None = None
) -> ReadResult:
    store, organisation_id = context.store, context.organisation_id
    with store.reading() as connection:
        known = accounts.known(connection, organisation_id)
        refused = held_records.refused(connection, organisation_id)
        looked_up = references.looked_up(connection, organisation_id)
        remembered = assignments.stored(connection, organisation_id) if context.assignment_feeds else {}
    records = read_selected(context, only) if only else read_feeds(context, digests)
    sifted = find_changed(records, known, store.cipher.fingerprint_secret, refused, only, looked_up, buffers)
    links = find_changed_assignments(read_assignments(context, digests), remembered, known, only)
    return ReadResult(sifted, known, links, remembered, digests)


def _comparison_version(context: SyncContext, referents: Mapping[Key, Known], looked_up: Mapping[Code, int]) -> str:
    """A digest of all that decides what a row comes to, beside the row and its own account."""
    policy = context.policy
    told = [
        __version__,
        [(feed.name, feed.role, feed.query) for feed in (*context.feeds, *context.assignment_feeds)],
        [feed.watermark for feed in context.feeds],
        context.organisations,
        (policy.clear, policy.archives_leavers, policy.learner_in_assign_path, sorted(policy.defaults.items())),
        sorted((key, account.user_id if account.is_usable else None) for key, account in referents.items()),
        sorted(looked_up.items()),
    ]
    return Digester(context.store.cipher.fingerprint_secret).digest(told)


class _FeedChanged(Exception):
    """A feed that was as it was a moment ago is no longer."""


class _IncrementalRead:
    """A poll that goes by the chunks: it looks at learners whose rows are news, and gives up where more may be."""

    def __init__(self, context: SyncContext, snapshot: FeedSnapshot, looked_up: Mapping[Code, int]) -> None:
        self._context = context
        self._snapshot = snapshot
        self._looked_up = looked_up
        self._digests = FeedDigests(snapshot.feeds)
        self._changed_rows: list[Record | Held | OtherOrganisation] = []
        self._old: set[str] = set()
        """The MISIDs of learners whose rows are no longer there, or were restless."""
        self._kept: Counter[str] = Counter()
        """How many rows of this organisation were not looked at, by feed."""
        self._elsewhere: Counter[str] = Counter()
        self._asked: dict[str, set[Key]] = {}
        """Whose rows the feeds with a watermark have given."""
        self._is_quiet = True
        self._room = _MOST_NEWS

    def read(self) -> ReadResult | None:
        """What was found; ``None`` where everything must be read."""
        if not all(map(self._read_feed, in_sending_order(self._context.feeds))) or not all(
            map(self._is_kept, self._context.assignment_feeds)
        ):
            return None
        if self._context.assignment_feeds and not self._is_quiet:
            return None
        try:
            return self._result()
        except _FeedChanged:
            return None

    def _is_kept(self, feed: Feed) -> bool:
        chunks_ = self._chunks_of(feed)
        with open_assignment_feed(self._context, feed) as reader:
            spans = 0
            for span in self._followed(reader):
                if not span.is_unchanged or chunks_[span.position].recheck_rows:
                    return False
                self._digests.add_block(feed.name, span, reader.digester)
                spans += 1
        return spans == len(chunks_)

    def _read_feed(self, feed: Feed) -> bool:
        """Look at what may be news of one feed; gives whether that will do."""
        if feed.watermark:
            return self._read_since_watermark(feed)
        lost = set(range(len(self._chunks_of(feed))))
        rows_kept: dict[str, int] = {}
        with open_feed(self._context, feed) as reader:
            for span in self._followed(reader):
                trace = self._digests.add_block(feed.name, span, reader.digester)
                if span.is_unchanged:
                    lost.remove(span.position)
                    places: Sequence[int] = self._kept_of(feed, span)
                elif feed.role is Role.LEARNER:
                    places = self._changed_in(feed, trace, rows_kept)
                else:
                    return False
                looked_at = list(reader.parse_rows(span, trace, places))
                self._is_quiet = self._is_quiet and span.is_unchanged and not looked_at
                self._room -= len(looked_at)
                if feed.role is Role.LEARNER:
                    self._changed_rows += looked_at
                    if span.is_unchanged:
                        self._old |= {read.key.misid for read in looked_at if not isinstance(read, OtherOrganisation)}
                if self._room < 0:
                    return False
                # Before the next is fetched, so that its memory serves again.
                del span
        if lost:
            self._is_quiet = False
            self._forget(feed, sorted(lost), rows_kept.keys())
        # Where a row is in a chunk that is there as it was, there are two of it.
        return lost.issuperset(rows_kept.values()) and (feed.role is Role.LEARNER or not lost)

    def _read_since_watermark(self, feed: Feed) -> bool:
        """The same of one with a watermark, which is asked for what has changed and whatever was restless."""
        marked = self._snapshot.watermarks.get(feed.name)
        if marked is None:
            return False
        keys = self._asked.setdefault(feed.name, set())
        # A change may be stamped before it can be seen. Once that is past, nothing is asked for again.
        is_young = abs(self._context.clock() - marked.first_seen_at) <= OVERLAP
        mark = with_overlap(marked.value) if is_young else marked.value
        asked = WatermarkQuery(marked.column, mark, is_young, marked.misid_column, marked.recheck_misids)
        with open_feed(self._context, feed, asked) as reader:
            while rows := reader.take(BLOCK_ROWS):
                looked_at = list(reader.parse_rows(Block(1, rows, 0)))
                self._room -= len(looked_at)
                self._changed_rows += looked_at
                keys |= {read.key for read in looked_at if not isinstance(read, OtherOrganisation)}
                # A row without a MISID is known by its number among all of them.
                if self._room < 0 or not all(key.misid for key in keys):
                    return False
        if reader.marking is not None:
            reader.marking.highest = higher(marked.value, reader.marking.highest)
            self._digests.watermarks[feed.name] = reader.marking
        self._old |= {key.misid for key in keys}
        self._elsewhere[feed.name] = marked.other_organisation_rows
        self._is_quiet = self._is_quiet and not keys
        return True

    def _count_unread_rows(self, known: Mapping[Key, Known], held: list[Held]) -> None:
        """Of a feed with a watermark the accounts tell how many rows there are besides those that it gave."""
        if not self._asked:
            return
        with self._context.store.reading() as connection:
            by_feed = accounts.count_by_feed(connection, self._context.organisation_id)
            for feed, keys in self._asked.items():
                in_use = sum(key in known and known[key].status is Status.ACTIVE for key in keys)
                at_rest = {hold.key for hold in held if hold.feed == feed}
                theirs = accounts.known_with_misids(
                    connection, self._context.organisation_id, {key.misid for key in at_rest}
                )
                without = sum(key not in theirs or theirs[key].status is not Status.ACTIVE for key in at_rest)
                self._kept[feed] = by_feed.get(feed, 0) - in_use + without

    def _kept_of(self, feed: Feed, span: Block) -> Sequence[int]:
        """Count a chunk that is as it was; gives which rows of it are to be looked at all the same."""
        chunk = self._chunks_of(feed)[span.position]
        self._kept[feed.name] += chunk.own_rows - len(chunk.recheck_rows)
        self._elsewhere[feed.name] += chunk.rows - chunk.own_rows
        return chunk.recheck_rows

    def _changed_in(self, feed: Feed, trace: BlockTrace, rows_kept: dict[str, int]) -> Sequence[int]:
        """Which rows are others than those of the chunks that they stand in for.

        ``rows_kept`` says of those that are not, by their digests, in which chunk each was: there it counts once.
        """
        with self._context.store.reading() as connection:
            near = range(trace.position - 1, trace.position + 2)
            there = feed_digests.rows_of_blocks(connection, self._context.organisation_id, feed.name, near)
        at_rest = {
            digest: (position, inside.misids[place])
            for position, inside in there.items()
            for place, digest in enumerate(inside.digests)
            if digest != NO_DIGEST and place not in self._chunks_of(feed)[position].recheck_rows
        }
        for place, digest in enumerate(trace.digests):
            if digest in at_rest and digest not in rows_kept:
                rows_kept[digest], trace.kept[place] = at_rest[digest]
        elsewhere = sum(misid is None for misid in trace.kept.values())
        self._elsewhere[feed.name] += elsewhere
        self._kept[feed.name] += len(trace.kept) - elsewhere
        return [place for place in range(len(trace.digests)) if place not in trace.kept]

    def _forget(self, feed: Feed, lost: Sequence[int], rows_kept: Set[str]) -> None:
        """Take note of whose rows were in chunks that are no more, and are in no other either."""
        for start in range(0, len(lost), _AT_ONCE):
            with self._context.store.reading() as connection:
                some = lost[start : start + _AT_ONCE]
                there = feed_digests.rows_of_blocks(connection, self._context.organisation_id, feed.name, some)
            self._old |= {
                misid
                for inside in there.values()
                for misid, digest in zip(inside.misids, inside.digests, strict=True)
                if misid is not None and digest not in rows_kept
            }

    def _followed(self, reader: FeedReader[Record] | FeedReader[AssignmentRecord]) -> Iterator[Block]:
        self._digests.begin(reader.feed.name)
        return match_blocks(self._chunks_of(reader.feed), reader.take, reader.digester)

    def _chunks_of(self, feed: Feed) -> Sequence[BlockDigest]:
        return self._snapshot.feeds.get(feed.name, ())

    def _result(self) -> ReadResult | None:
        store, organisation_id = self._context.store, self._context.organisation_id
        looked_at = {read.key for read in self._changed_rows if not isinstance(read, OtherOrganisation)}
        about = {key.misid for key in looked_at} | self._old
        with store.reading() as connection:
            refused = {} if self._is_quiet else held_records.refused(connection, organisation_id)
            holds, warnings = held_records.entries(connection, organisation_id)
            known = (
                accounts.not_in_use(connection, organisation_id)
                if self._is_quiet
                else accounts.known_with_misids(connection, organisation_id, about)
            )
        held = [hold for hold in holds if self._is_unchanged(hold.key, about)]
        warned = [warning for warning in warnings if self._is_unchanged(warning.key, about)]
        if self._may_be_twice(looked_at, known, held):
            return None
        records = chain(self._referents(), self._changed_rows)
        sifted = find_changed(records, known, store.cipher.fingerprint_secret, refused, looked_up=self._looked_up)
        self._count_unread_rows(known, held)
        self._add_what_was_kept(sifted, held, warned)
        if not sifted.changed <= known.keys():
            # OneFile may have somebody new under any account that we know.
            with store.reading() as connection:
                known = accounts.known(connection, organisation_id)
        return ReadResult(
            sifted, known, digests=self._digests, snapshot=self._snapshot, is_full=False, is_quiet=self._is_quiet
        )

    def _is_unchanged(self, key: Key, about: Set[str]) -> bool:
        return self._is_quiet or (key.role is Role.LEARNER and bool(key.misid) and key.misid not in about)

    def _may_be_twice(self, looked_at: Set[Key], known: Mapping[Key, Known], held: list[Held]) -> bool:
        """Whether a row has the MISID of one that was not looked at."""
        there = {key for key, account in known.items() if account.status is Status.ACTIVE} | {each.key for each in held}
        return any(key in there for key in looked_at if key.misid not in self._old)

    def _referents(self) -> Iterator[Record | Held | OtherOrganisation]:
        """Whoever the news may refer to, read once more; nobody if there is none."""
        if self._is_quiet:
            return
        for feed in in_sending_order(self._context.feeds):
            if feed.role is Role.LEARNER:
                continue
            del self._kept[feed.name], self._elsewhere[feed.name]
            with open_feed(self._context, feed) as reader:
                spans = 0
                for span in self._followed(reader):
                    if not span.is_unchanged:
                        raise _FeedChanged
                    spans += 1
                    yield from reader.parse_rows(span, self._digests.add_block(feed.name, span, reader.digester))
            if spans < len(self._chunks_of(feed)):
                raise _FeedChanged

    def _add_what_was_kept(self, sifted: ChangedRecords, held: list[Held], warned: list[Warned]) -> None:
        sifted.rows += self._kept
        sifted.elsewhere += self._elsewhere
        sifted.held += held
        sifted.warnings += warned
        of_records = {hold.key for hold in held if hold.feed in self._kept}
        sifted.unchanged += self._kept.total() - len(of_records)
        for key in of_records:
            sifted.absent.pop(key, None)
            sifted.missed.pop(key, None)
