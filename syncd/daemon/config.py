"""What a daemon goes by: whose accounts, when, and what else is to be done every day."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from syncd.core.schedule import Schedule
from syncd.state.db.store import Store
from syncd.sync.context import SyncContext


@dataclass(frozen=True, slots=True)
class DailyJob:
    """Something to be done on the state store once a day, beside the runs: it calls neither OneFile nor the MIS.

    It may be done more often, for a daemon does it when it begins too, and it may be killed at any moment.
    """

    name: str
    work: Callable[[Store, datetime], object]
    """Takes the store and the time. What it raises is logged, and it is tried again the next day."""


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """One configuration, ready to be worked by."""

    turns: Sequence[SyncContext]
    """The parts of each organisation, which have their turns one after the other."""
    schedule: Schedule
    daily: Sequence[DailyJob] = ()
    about: Mapping[str, object] = field(default_factory=dict)
    """What is said of it in the log when it comes into force."""
    close: Callable[[], None] = lambda: None
    """Lets go of what it holds, once no run goes by it any more."""

    def for_organisation(self, organisation_id: int) -> SyncContext:
        """The parts of one of the organisations."""
        return next(context for context in self.turns if context.organisation_id == organisation_id)
