"""What a read of the feeds has found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncd.core.accounts import Known, Status
from syncd.core.assignments import ChangedAssignments, Pair, StoredAssignment
from syncd.core.buffers import KeySet
from syncd.core.changed import ChangedRecords
from syncd.core.records import Key, Reason
from syncd.state import feed_digests
from syncd.state.session import StateSession
from syncd.sync.incremental.snapshot_recorder import SnapshotRecorder


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The records that differ from the state store, and what they were compared with."""

    changed: ChangedRecords
    known: Mapping[Key, Known]
    """All accounts; after an incremental read that found no new record, those that the changed records concern."""
    assignments: ChangedAssignments = field(default_factory=ChangedAssignments)
    stored_assignments: Mapping[Pair, StoredAssignment] = field(default_factory=dict)
    """The assignments of earlier runs."""
    recorder: SnapshotRecorder | None = None
    """What the next poll compares with; ``None`` if this read is not remembered."""
    is_full: bool = True
    """Whether every row was parsed."""
    is_quiet: bool = False
    """Whether the feeds are as the state store has them."""

    def save(self, session: StateSession) -> None:
        """Store the snapshot for the next poll, after the run has made its changes."""
        if self.recorder is None or self.is_quiet:
            return
        if self.changed.has_rows_without_organisation:
            # The snapshot does not say whose such a row may be, so the next poll must read it again.
            return
        if self.assignments.gone and any(account.status is Status.ACTIVE for account in self.changed.missed.values()):
            # The warning about an assignment that only a person can remove ends when one of the two accounts becomes
            # a leaver: the next run must compare the assignments again.
            return
        recheck = self._recheck_keys()
        feed_digests.save(
            session,
            self.recorder.snapshot,
            self.recorder.blocks(recheck),
            self.recorder.watermarks(recheck, self.changed.elsewhere),
        )

    def _recheck_keys(self) -> KeySet:
        """Return the keys whose rows the next poll must parse even if they have not changed."""
        keys = KeySet()
        keys |= self.changed.changed
        keys |= {pair.learner for pair in self.assignments.to_assign}
        keys |= {hold.key for hold in self.changed.held if hold.reason is Reason.DUPLICATE_KEY}
        return keys
