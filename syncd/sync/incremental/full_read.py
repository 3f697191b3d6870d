"""The full read: every row of every feed."""

from dataclasses import dataclass

from syncd.core.assignments import find_changed_assignments
from syncd.core.buffers import BufferFactory
from syncd.core.changed import find_changed
from syncd.state import accounts, assignments, feed_digests, held_records, references
from syncd.sync.context import SyncContext
from syncd.sync.feeds import all_rows, read_assignments, read_feeds, read_selected
from syncd.sync.incremental.result import ReadResult
from syncd.sync.incremental.snapshot_recorder import SnapshotRecorder


@dataclass(frozen=True, slots=True)
class FullRead:
    """Parses every row; of the learners not in ``only`` no more than the MISID, unless ``only`` is empty."""

    context: SyncContext
    only: frozenset[str]
    buffers: BufferFactory | None = None
    recorder: SnapshotRecorder | None = None
    """Records the rows for the next poll."""

    def read(self) -> ReadResult:
        """Read once. Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`."""
        context, only = self.context, self.only
        store, organisation_id = context.store, context.organisation_id
        if self.recorder:
            with store.begin() as connection:
                feed_digests.begin(connection, organisation_id, context.clock())
        with store.reading() as connection:
            known = accounts.known(connection, organisation_id)
            refused = held_records.refused(connection, organisation_id)
            looked_up = references.looked_up(connection, organisation_id)
            stored = assignments.stored(connection, organisation_id) if context.assignment_feeds else {}
        rows_of = self.recorder.record if self.recorder else all_rows
        records = read_selected(context, only) if only else read_feeds(context, rows_of)
        changed = find_changed(records, known, store.cipher.fingerprint_secret, refused, only, looked_up, self.buffers)
        changed_assignments = find_changed_assignments(read_assignments(context, rows_of), stored, known, only)
        return ReadResult(changed, known, changed_assignments, stored, self.recorder)
