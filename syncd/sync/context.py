"""What a pass is made of, and what it was told about its organisation."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from structlog.typing import FilteringBoundLogger

from syncd.core.compare import Clear, Rules
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.records import Defaults
from syncd.mis import Mis
from syncd.onefile import Interrupted, OneFile, Yielded
from syncd.state.db.store import Store


@dataclass(frozen=True, slots=True)
class Feed:
    """One query over the MIS that yields people of one role, one kind of place, or who is assigned to whom."""

    name: str
    role: Role
    query: str
    watermark: str = ""
    """The column that grows with every change of a row, if there is one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has decided."""

    limits: Limits = field(default_factory=Limits)
    archives_leavers: bool = False
    grace: timedelta = timedelta(days=14)
    protected: frozenset[str] = frozenset()
    clear: Clear = Clear.KEEP
    defaults: Defaults = field(default_factory=dict)
    settle: timedelta = timedelta(seconds=60)
    """How long after a lost answer a search is trusted."""
    max_in_flight: int = 16
    """Enough for the pace that OneFile allows when its answers take three seconds."""
    learner_in_assign_path: bool = False
    """Whether the id in the path of an Assign is the learner's (U18)."""

    def rules(self, now: datetime) -> Rules:
        """The part of it that bears on a plan."""
        return Rules(now, self.archives_leavers, self.grace, self.protected, self.clear)


@dataclass(frozen=True, slots=True)
class SyncContext:
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
    should_yield: Callable[[], bool] = lambda: False
    """Whether somebody's few calls are to go ahead of what a long run has still to send."""
    assignment_feeds: tuple[Feed, ...] = ()
    """The feeds that say who is assigned to whom; the role is that of whoever is assigned."""
    organisations: tuple[int, ...] = ()
    """All that the feeds have rows of, if there are several; each has its turn."""
    customer: str = ""
    """What the customer is known by in the store; nothing where the store is nobody's concern."""
    block_rows: int = 1000
    """How many rows of a feed have one digest, by which a poll recognises that they have not changed."""

    def check_interrupted(self) -> None:
        """Break off, in between two parts of something long: raises `Interrupted`, or `GaveWay` if others go first."""
        if self.is_stopping():
            raise Interrupted
        if self.should_yield():
            raise Yielded

    @property
    def main_organisation(self) -> int:
        """The one that rows belong to which do not name any."""
        return self.organisations[0] if self.organisations else self.organisation_id

    def for_organisation(self, organisation_id: int) -> Self:
        """The same parts, for another of the organisations."""
        return replace(self, organisation_id=organisation_id, log=self.log.bind(organisation_id=organisation_id))
