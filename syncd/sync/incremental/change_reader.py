"""The choice between a full and an incremental read."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from syncd import __version__
from syncd.core.accounts import Known, Status
from syncd.core.digests import Digester
from syncd.core.records import Code, Key
from syncd.core.references import ids_of, is_check_due
from syncd.core.scope import EVERYONE, Scope
from syncd.state import accounts, feed_digests, references
from syncd.sync.context import SyncContext
from syncd.sync.feeds import with_second_try
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
    ids: Mapping[Code, int] | None = None,
) -> ReadResult:
    """Read the feeds and find the records that differ from the state store.

    ``is_poll`` permits an incremental read, and has this read remembered for the next poll. ``ids`` are what codes
    stand for by a look-up that was just made: then everything is read. If left out, they are those in the store.
    Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`.
    """
    if not scope.is_everyone or not is_poll:
        if ids is None:
            with context.reading_session() as session:
                ids = ids_of(references.looked_up(session))
        known_ids = ids
        return with_second_try(lambda: FullRead(context, scope, known_ids).read())
    now = context.clock()
    with context.reading_session() as session:
        snapshot = feed_digests.remembered(session)
        referents = accounts.referents(session)
        stored = references.looked_up(session)
    looked_up = ids_of(stored) if ids is None else ids
    version = _comparison_version(context, referents, looked_up)
    new_snapshot = replace(snapshot, comparison_version=version, read_at=now, blocks={})
    is_recent = timedelta() <= now - snapshot.read_at < _MAX_AGE and not is_check_due(stored.values(), now)
    is_usable = "" != version == snapshot.comparison_version and is_recent and ids is None
    # A leaver that records may refer to is archived only if none does any more, which a full read shows.
    needs_all = context.policy.archives_leavers and any(each.status is not Status.ACTIVE for each in referents.values())

    def reader() -> ChangeReader:
        full = FullRead(context, scope, looked_up, SnapshotRecorder(context, new_snapshot))
        if needs_all or not is_usable:
            return full
        return IncrementalRead(context, SnapshotRecorder(context, snapshot), looked_up, full)

    return with_second_try(lambda: reader().read())


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
