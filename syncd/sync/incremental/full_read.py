"""The full read: every row of every feed."""

from dataclasses import dataclass

from syncd.core.assignments import find_changed_assignments
from syncd.core.buffers import BufferFactory
from syncd.core.changed import find_changed
from syncd.core.scope import Scope
from syncd.state import accounts, assignments, feed_digests, held_records, references
from syncd.sync.context import SyncContext
from syncd.sync.feeds import all_rows, read_assignments, read_feeds, read_selected
from syncd.sync.incremental.result import ReadResult
from syncd.sync.incremental.snapshot_recorder import SnapshotRecorder


@dataclass(frozen=True, slots=True)
class FullRead:
    """Parses every row; of the learners that are not in ``scope`` no more than the MISID."""

    context: SyncContext
    scope: Scope
    buffers: BufferFactory | None = None
    recorder: SnapshotRecorder | None = None
    """Records the rows for the next poll."""

    def read(self) -> ReadResult:
        """Read once. Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`."""
        context, scope = self.context, self.scope
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
        records = read_feeds(context, rows_of) if scope.misids is None else read_selected(context, scope.misids)
        changed = find_changed(records, known, store.cipher.fingerprint_secret, refused, scope, looked_up, self.buffers)
        changed_assignments = find_changed_assignments(read_assignments(context, rows_of), stored, known, scope)
        return ReadResult(changed, known, changed_assignments, stored, self.recorder)
