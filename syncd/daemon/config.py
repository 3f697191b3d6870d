"""The daemon's configuration: its organisations, its schedule and its daily jobs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from syncd.core.schedule import Schedule
from syncd.state.db.store import Store
from syncd.sync.context import SyncContext


@dataclass(frozen=True, slots=True)
class DailyJob:
    """A job on the state store that is run once a day, beside the runs: it calls neither OneFile nor the MIS.

    It may run more often, because a daemon also runs it when it starts, and it may be killed at any moment.
    """

    name: str
    work: Callable[[Store, datetime], object]
    """Takes the store and the time. An exception is logged, and the job is tried again the next day."""


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """One configuration, ready for use."""

    turns: Sequence[SyncContext]
    """The sync context of each organisation; organisations are run one after the other."""
    schedule: Schedule
    daily: Sequence[DailyJob] = ()
    about: Mapping[str, object] = field(default_factory=dict)
    """What the log says about it when it comes into force."""
    heartbeat: Callable[[], None] = lambda: None
    """Tells an outside watcher that a poll has completed; raises nothing."""
    close: Callable[[], None] = lambda: None
    """Releases its resources, once no run uses it any more."""

    def for_organisation(self, organisation_id: int) -> SyncContext:
        """The sync context of one of the organisations."""
        return next(context for context in self.turns if context.organisation_id == organisation_id)
