"""The incremental read: only the rows that may have changed since the last run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeVar

from syncd.core.accounts import Known, Status
from syncd.core.assignments import AssignmentRecord
from syncd.core.changed import ChangedRecords, find_changed
from syncd.core.digests import NO_DIGEST
from syncd.core.feed_snapshot import BlockDigest, BlockRows
from syncd.core.fields import Role
from syncd.core.records import Code, Held, Key, OtherOrganisation, Record, Warned
from syncd.core.watermark import OVERLAP, with_overlap
from syncd.mis.watermark_query import WatermarkQuery
from syncd.state import accounts, feed_digests, held_records
from syncd.sync.context import Feed, SyncContext
from syncd.sync.feeds import FeedReader, in_sending_order, open_assignment_feed, open_feed
from syncd.sync.incremental.blocks import Block
from syncd.sync.incremental.full_read import FullRead
from syncd.sync.incremental.result import ReadResult
from syncd.sync.incremental.snapshot_recorder import BlockTrace, SnapshotRecorder

_Row = TypeVar("_Row", Record, AssignmentRecord)

#: Parsed rows are kept in memory; if more have changed, a full read is as fast.
_MAX_PARSED: Final = 20_000


class _FullReadNeeded(Exception):
    """Rows have changed in a way that the incremental read cannot handle."""


@dataclass(slots=True)
class IncrementalRead:
    """Parses the rows of learners that may have changed; reads in full if other rows have, or too many."""

    context: SyncContext
    recorder: SnapshotRecorder
    """Has the snapshot that the feeds are matched with."""
    looked_up: Mapping[Code, int]
    """The ids that OneFile has returned for codes."""
    full_read: FullRead
    _parsed: list[Record | Held | OtherOrganisation] = field(default_factory=list)
    """The rows of learners that were parsed."""
    _superseded: set[str] = field(default_factory=set)
    """The MISIDs of learners whose remembered row is gone, or was parsed again."""
    _unparsed: Counter[str] = field(default_factory=Counter)
    """How many rows of this organisation were not parsed, by feed."""
    _unparsed_elsewhere: Counter[str] = field(default_factory=Counter)
    """How many rows of other organisations were not parsed, by feed."""
    _read_by_watermark: dict[str, set[Key]] = field(default_factory=dict)
    """The keys of the rows that each feed with a watermark has returned."""
    _is_quiet: bool = True

    def read(self) -> ReadResult:
        """Read once. Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`."""
        try:
            for feed in in_sending_order(self.context.feeds):
                self._read_feed(feed)
            self._read_assignments()
            return self._result()
        except _FullReadNeeded:
            return self.full_read.read()

    def _read_feed(self, feed: Feed) -> None:
        if feed.watermark:
            self._read_since_watermark(feed)
            return
        with open_feed(self.context, feed) as reader:
            if feed.role is Role.LEARNER:
                self._read_blocks(reader)
                return
            for _, trace in self._matched_blocks(reader):
                self._is_quiet = not self._rows_to_recheck(feed, trace.block) and self._is_quiet

    def _read_assignments(self) -> None:
        for feed in self.context.assignment_feeds:
            with open_assignment_feed(self.context, feed) as reader:
                is_same = not any(trace.block.recheck_rows for _, trace in self._matched_blocks(reader))
            if not (is_same and self._is_quiet):
                raise _FullReadNeeded

    def _matched_blocks(self, reader: FeedReader[_Row]) -> Iterator[tuple[Block, BlockTrace]]:
        """Return the blocks of a feed that must be as it is remembered. Raises `_FullReadNeeded` if it is not."""
        count = 0
        for block, trace in self.recorder.match(reader):
            if not block.is_match:
                raise _FullReadNeeded
            count += 1
            yield block, trace
        if count < len(self._remembered(reader.feed)):
            raise _FullReadNeeded

    def _read_blocks(self, reader: FeedReader[Record]) -> None:
        """Parse the rows of a feed of learners that may have changed."""
        feed = reader.feed
        missing = set(range(len(self._remembered(feed))))
        matched_rows: dict[str, int] = {}
        for block, trace in self.recorder.match(reader):
            if block.is_match:
                missing.remove(block.position)
                places = self._rows_to_recheck(feed, trace.block)
            else:
                places = self._unmatched_rows(feed, trace, matched_rows)
            keys = self._add_parsed(trace.parse(reader, block, places))
            self._is_quiet = self._is_quiet and block.is_match and not places
            if block.is_match:
                self._superseded |= {key.misid for key in keys}
            # Freed before the next rows are fetched, so that they reuse the memory.
            del block
        if missing:
            self._is_quiet = False
            self._superseded |= {
                misid
                for rows in self._load_rows(feed, missing).values()
                for misid, digest in zip(rows.misids, rows.digests, strict=True)
                if misid is not None and digest not in matched_rows
            }
        if not missing.issuperset(matched_rows.values()):
            # A row that matches one of a block that is still there is in the feed twice.
            raise _FullReadNeeded

    def _rows_to_recheck(self, feed: Feed, matched: BlockDigest) -> Sequence[int]:
        """Return the places of a matched block's rows that must be parsed nevertheless, and count the others."""
        self._unparsed[feed.name] += matched.own_rows - len(matched.recheck_rows)
        self._unparsed_elsewhere[feed.name] += matched.rows - matched.own_rows
        return matched.recheck_rows

    def _unmatched_rows(self, feed: Feed, trace: BlockTrace, matched_rows: dict[str, int]) -> Sequence[int]:
        """Return the places of an unmatched block's rows that match no remembered row, and count the others.

        The digests of the others are added to ``matched_rows``, each with the position of its remembered block. A
        remembered row matches one row only.
        """
        remembered = {
            digest: (position, rows.misids[place])
            for position, rows in self._load_rows(feed, range(trace.position - 1, trace.position + 2)).items()
            for place, digest in enumerate(rows.digests)
            if digest != NO_DIGEST and place not in self._remembered(feed)[position].recheck_rows
        }
        unmatched = []
        for place, digest in enumerate(trace.row_digests):
            if digest not in remembered or digest in matched_rows:
                unmatched.append(place)
                continue
            matched_rows[digest], misid = remembered[digest]
            if misid is None:
                self._unparsed_elsewhere[feed.name] += 1
            else:
                self._unparsed[feed.name] += 1
                trace.keys[place] = Key(self.context.organisation_id, feed.role, misid)
        return unmatched

    def _read_since_watermark(self, feed: Feed) -> None:
        """Query a feed for the rows that have changed since its watermark, and for those that must be rechecked."""
        watermark = self.recorder.snapshot.watermarks.get(feed.name)
        if watermark is None:
            raise _FullReadNeeded
        # A change may become visible some time after its time stamp, so that time is read again until it is past.
        is_recent = abs(self.context.clock() - watermark.first_seen_at) <= OVERLAP
        begin = with_overlap(watermark.value) if is_recent else watermark.value
        since = WatermarkQuery(watermark.column, begin, is_recent, watermark.misid_column, watermark.recheck_misids)
        with open_feed(self.context, feed, since) as reader:
            if reader.watermark is not None:
                if reader.watermark.clock.is_before(watermark.value):
                    # The database's time zone was changed, so changes may have lower values.
                    raise _FullReadNeeded
                reader.watermark.begin_at(watermark.value)
            keys = self._add_parsed(self.recorder.record(reader))
        if not all(key.misid for key in keys):
            # A row without a MISID is known by its number among all rows.
            raise _FullReadNeeded
        self._read_by_watermark[feed.name] = keys
        self._superseded |= {key.misid for key in keys}
        self._unparsed_elsewhere[feed.name] = watermark.other_organisation_rows
        self._is_quiet = self._is_quiet and not keys

    def _add_parsed(self, rows: Iterable[Record | Held | OtherOrganisation]) -> set[Key]:
        """Add rows of learners, and return their keys. Raises `_FullReadNeeded` if there are too many."""
        keys = set()
        for row in rows:
            self._parsed.append(row)
            if len(self._parsed) > _MAX_PARSED:
                raise _FullReadNeeded
            if not isinstance(row, OtherOrganisation):
                keys.add(row.key)
        return keys

    def _result(self) -> ReadResult:
        store = self.context.store
        parsed = {row.key for row in self._parsed if not isinstance(row, OtherOrganisation)}
        affected = {key.misid for key in parsed} | self._superseded
        with self.context.reading_session() as session:
            refused = {} if self._is_quiet else held_records.refused(session)
            held, warnings = held_records.entries(session)
            known = accounts.not_in_use(session) if self._is_quiet else accounts.known_with_misids(session, affected)
        held = [hold for hold in held if self._is_unparsed(hold.key, affected)]
        warnings = [warning for warning in warnings if self._is_unparsed(warning.key, affected)]
        self._require_no_duplicate(parsed, known, held)
        records = chain(self._referents(), self._parsed)
        changed = find_changed(records, known, store.cipher.fingerprint_secret, refused, looked_up=self.looked_up)
        self._count_unread_rows(known, held)
        self._add_unparsed(changed, held, warnings)
        if not changed.changed <= known.keys():
            # OneFile may have a new record's person under any account in the store.
            with self.context.reading_session() as session:
                known = accounts.known(session)
        return ReadResult(changed, known, recorder=self.recorder, is_full=False, is_quiet=self._is_quiet)

    def _is_unparsed(self, key: Key, affected: Set[str]) -> bool:
        """Whether what the store says of a record still holds, because its row was not parsed."""
        return self._is_quiet or (key.role is Role.LEARNER and bool(key.misid) and key.misid not in affected)

    def _require_no_duplicate(self, parsed: Set[Key], known: Mapping[Key, Known], held: list[Held]) -> None:
        """Raise `_FullReadNeeded` if a parsed row has the MISID of a row that was not parsed."""
        unparsed = {key for key, account in known.items() if account.status is Status.ACTIVE}
        unparsed |= {hold.key for hold in held}
        if any(key in unparsed for key in parsed if key.misid not in self._superseded):
            raise _FullReadNeeded

    def _referents(self) -> Iterator[Record | Held | OtherOrganisation]:
        """Read the staff and places again, which the parsed rows may refer to; none if nothing has changed."""
        if self._is_quiet:
            return
        for feed in in_sending_order(self.context.feeds):
            if feed.role is Role.LEARNER:
                continue
            del self._unparsed[feed.name], self._unparsed_elsewhere[feed.name]
            with open_feed(self.context, feed) as reader:
                for block, trace in self._matched_blocks(reader):
                    yield from trace.parse(reader, block)

    def _count_unread_rows(self, known: Mapping[Key, Known], held: list[Held]) -> None:
        """Count the rows that a feed with a watermark did not return, by the accounts and the held records."""
        if not self._read_by_watermark:
            return
        with self.context.reading_session() as session:
            accounts_by_feed = accounts.count_by_feed(session)
            of_held = accounts.known_with_misids(session, {hold.key.misid for hold in held})
        active = {key for key, account in chain(known.items(), of_held.items()) if account.status is Status.ACTIVE}
        for feed, keys in self._read_by_watermark.items():
            held_keys = {hold.key for hold in held if hold.feed == feed}
            self._unparsed[feed] = accounts_by_feed.get(feed, 0) - len(keys & active) + len(held_keys - active)

    def _add_unparsed(self, changed: ChangedRecords, held: list[Held], warnings: list[Warned]) -> None:
        """Add what the store says of the rows that were not parsed."""
        changed.rows += self._unparsed
        changed.elsewhere += self._unparsed_elsewhere
        changed.held += held
        changed.warnings += warnings
        held_keys = {hold.key for hold in held if hold.feed in self._unparsed}
        changed.unchanged += self._unparsed.total() - len(held_keys)
        for key in held_keys:
            changed.absent.pop(key, None)
            changed.missed.pop(key, None)

    def _load_rows(self, feed: Feed, positions: Iterable[int]) -> Mapping[int, BlockRows]:
        with self.context.reading_session() as session:
            return feed_digests.rows_of_blocks(session, feed.name, list(positions))

    def _remembered(self, feed: Feed) -> Sequence[BlockDigest]:
        return self.recorder.snapshot.blocks.get(feed.name, ())
