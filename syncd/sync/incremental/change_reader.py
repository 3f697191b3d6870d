"""The choice between a full and an incremental read."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from syncd import __version__
from syncd.core.accounts import Known, Status
from syncd.core.buffers import BufferFactory
from syncd.core.digests import Digester
from syncd.core.records import Code, Key
from syncd.core.scope import EVERYONE, Scope
from syncd.state import accounts, feed_digests, references
from syncd.sync.context import SyncContext
from syncd.sync.incremental.full_read import FullRead
from syncd.sync.incremental.incremental_read import IncrementalRead
from syncd.sync.incremental.result import ReadResult
from syncd.sync.incremental.snapshot_recorder import SnapshotRecorder

#: Even if nothing seems to have changed, polls read in full once a day.
_MAX_AGE: Final = timedelta(days=1)


class ChangeReader(Protocol):
    """Reads the feeds and finds the records that differ from the state store."""

    def read(self) -> ReadResult:
        """Read once. Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`."""


def read_changes(
    context: SyncContext,
    scope: Scope = EVERYONE,
    *,
    is_poll: bool = False,
    buffers: BufferFactory | None = None,
) -> ReadResult:
    """Read the feeds and find the records that differ from the state store.

    ``is_poll`` permits an incremental read, and has this read remembered for the next poll. ``buffers`` make the
    collection that changed records are kept in; it is in memory if left out.
    Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`.
    """
    if not scope.is_everyone or not is_poll:
        return FullRead(context, scope, buffers).read()
    organisation_id, now = context.organisation_id, context.clock()
    with context.store.reading() as connection:
        snapshot = feed_digests.remembered(connection, organisation_id, now)
        referents = accounts.referents(connection, organisation_id)
        looked_up = references.looked_up(connection, organisation_id)
    version = _comparison_version(context, referents, looked_up)
    new_snapshot = replace(snapshot, comparison_version=version, read_at=now, blocks={})
    is_usable = "" != version == snapshot.comparison_version and timedelta() <= now - snapshot.read_at < _MAX_AGE
    # A leaver that records may refer to is archived only if none does any more, which a full read shows.
    needs_all = context.policy.archives_leavers and any(each.status is not Status.ACTIVE for each in referents.values())
    full = FullRead(context, scope, buffers, SnapshotRecorder(context, new_snapshot))
    incremental = IncrementalRead(context, SnapshotRecorder(context, snapshot), looked_up, full)
    reader: ChangeReader = incremental if is_usable and not needs_all else full
    return reader.read()


def _comparison_version(context: SyncContext, referents: Mapping[Key, Known], looked_up: Mapping[Code, int]) -> str:
    """Return a digest of everything, beside a row and its own account, that the plan for the row depends on."""
    policy = context.policy
    dependencies = [
        __version__,
        [(feed.name, feed.role, feed.query) for feed in (*context.feeds, *context.assignment_feeds)],
        [feed.watermark for feed in context.feeds],
        context.organisations,
        (policy.clear, policy.archives_leavers, policy.learner_in_assign_path, sorted(policy.defaults.items())),
        sorted((key, account.user_id if account.is_usable else None) for key, account in referents.items()),
        sorted(looked_up.items()),
    ]
    return Digester(context.store.cipher.fingerprint_secret).digest(dependencies)
