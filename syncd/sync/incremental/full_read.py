"""The full read: every row of every feed."""

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.core.assignments import find_changed_assignments
from syncd.core.changed import find_changed
from syncd.core.records import Code
from syncd.core.scope import Scope
from syncd.state import accounts, assignments, feed_digests, held_records
from syncd.sync.context import SyncContext
from syncd.sync.feeds import all_rows, read_assignments, read_feeds, read_selected
from syncd.sync.incremental.result import ReadResult
from syncd.sync.incremental.snapshot_recorder import SnapshotRecorder


@dataclass(frozen=True, slots=True)
class FullRead:
    """Parses every row; of the learners that are not in ``scope`` no more than the MISID."""

    context: SyncContext
    scope: Scope
    looked_up: Mapping[Code, int]
    """The ids that OneFile has returned for codes."""
    recorder: SnapshotRecorder | None = None
    """Records the rows for the next poll."""

    def read(self) -> ReadResult:
        """Read once. Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`."""
        context, scope = self.context, self.scope
        store = context.store
        if self.recorder:
            with context.session() as session:
                feed_digests.begin(session)
        with context.reading_session() as session:
            known = accounts.known(session)
            refused = held_records.refused(session)
            stored = assignments.stored(session) if context.assignment_feeds else {}
        rows_of = self.recorder.record if self.recorder else all_rows
        records = read_feeds(context, rows_of) if scope.misids is None else read_selected(context, scope.misids)
        secret = store.cipher.fingerprint_secret
        changed = find_changed(records, known, secret, refused, scope, self.looked_up)
        changed_assignments = find_changed_assignments(read_assignments(context, rows_of), stored, known, scope)
        return ReadResult(changed, known, changed_assignments, stored, self.recorder)
