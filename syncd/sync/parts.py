"""What a pass is made of, and what it was told about its organisation."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from structlog.typing import FilteringBoundLogger

from syncd.core.compare import Clear, Rules
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.mis import Mis
from syncd.onefile import OneFile
from syncd.state.store import Store


@dataclass(frozen=True, slots=True)
class Feed:
    """One query over the MIS that yields people of one role."""

    name: str
    role: Role
    query: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has decided."""

    limits: Limits = field(default_factory=Limits)
    archives_leavers: bool = False
    grace: timedelta = timedelta(days=14)
    protected: frozenset[str] = frozenset()
    clear: Clear = Clear.KEEP
    defaults: dict[str, int] = field(default_factory=dict)
    """Ids for mandatory references that the MIS does not give, by field."""
    settle: timedelta = timedelta(seconds=60)
    """How long after a lost answer a search is trusted."""
    max_in_flight: int = 8

    def rules(self, now: datetime) -> Rules:
        """The part of it that bears on a plan."""
        return Rules(now, self.archives_leavers, self.grace, self.protected, self.clear)


@dataclass(frozen=True, slots=True)
class Parts:
    """The MIS, OneFile and the store of one organisation, and how they are to be brought together.

    ``clock`` gives the time in UTC. ``is_stopping`` turns true when syncd is to end: calls in flight are then
    finished and no others begun.
    """

    organisation_id: int
    mis: Mis
    feeds: tuple[Feed, ...]
    onefile: OneFile
    store: Store
    policy: Policy
    log: FilteringBoundLogger
    clock: Callable[[], datetime]
    is_stopping: Callable[[], bool] = lambda: False
