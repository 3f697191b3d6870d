"""The parts of a run, and the operator's settings for its organisation."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Self

from structlog.typing import FilteringBoundLogger

from syncd.core.compare import Clear, Rules
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.records import Defaults
from syncd.errors import Interrupted
from syncd.mis import Mis
from syncd.onefile import OneFile, Yielded
from syncd.state.db.store import Store
from syncd.state.session import StateSession, reading_session, writing_session

LONGEST_SEARCH_LAG: Final = timedelta(days=1)
"""Longer than OneFile's search may ever be behind: a second account could not be taken back."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One query over the MIS that returns people of one role, one kind of place, or assignments."""

    name: str
    role: Role
    query: str
    watermark: str = ""
    """The column that grows with every change of a row, if there is one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings for runs."""

    limits: Limits = field(default_factory=Limits)
    archives_leavers: bool = False
    grace: timedelta = timedelta(days=14)
    protected: frozenset[str] = frozenset()
    clear: Clear = Clear.KEEP
    defaults: Defaults = field(default_factory=dict)
    settle: timedelta = timedelta(seconds=60)
    """How long OneFile may still work on a call whose answer was lost."""
    longest_search_lag: timedelta = LONGEST_SEARCH_LAG
    """How far OneFile's search is behind at most, if nothing shows how far; 0 trusts every search."""
    max_in_flight: int = 16
    """Enough for OneFile's rate limit if its answers take three seconds."""
    learner_in_assign_path: bool = False
    """Whether the id in the path of an Assign is the learner's (U18)."""
    compare_names: bool = True
    """Whether new records are compared by name with OneFile's accounts that no record belongs to."""

    def rules(self, now: datetime) -> Rules:
        """The settings that a plan depends on."""
        return Rules(now, self.archives_leavers, self.grace, self.protected, self.clear)


@dataclass(frozen=True, slots=True)
class SyncContext:
    """The MIS, OneFile and the store of one organisation, and the settings of its runs.

    ``clock`` returns the time in UTC. ``is_stopping`` becomes true when syncd must end: calls in flight are then
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
    """Whether a long run must pause for a resync of a few records."""
    assignment_feeds: tuple[Feed, ...] = ()
    """The feeds of assignments; the role is that of the assigned user."""
    organisations: tuple[int, ...] = ()
    """All organisations that the feeds have rows of, if there are several; they run in turn."""
    customer: str = ""
    """A hash of the customer token, by which the store knows the customer; empty if that is not checked."""
    block_rows: int = 1000
    """How many rows of a feed have one digest, by which a poll recognises that they have not changed."""

    def check_interrupted(self) -> None:
        """Stop between two parts of long work: raises `Interrupted`, or `Yielded` if a resync is to go first."""
        if self.is_stopping():
            raise Interrupted
        if self.should_yield():
            raise Yielded

    @property
    def main_organisation(self) -> int:
        """The organisation of rows that do not name one."""
        return self.organisations[0] if self.organisations else self.organisation_id

    @property
    def has_several_organisations(self) -> bool:
        """Whether the feeds have rows of several organisations, so that each row must name its own."""
        return len(self.organisations) > 1

    def session(self, *, relaxed_durability: bool = False) -> AbstractContextManager[StateSession]:
        """A session of the store in which to write. Raises `StateUnusable`."""
        return writing_session(self.store, self.organisation_id, self.clock, relaxed_durability=relaxed_durability)

    def reading_session(self) -> AbstractContextManager[StateSession]:
        """A session of the store that cannot write. Raises `StateUnusable`."""
        return reading_session(self.store, self.organisation_id, self.clock)

    def for_organisation(self, organisation_id: int) -> Self:
        """Return the context of another of the organisations."""
        return replace(self, organisation_id=organisation_id, log=self.log.bind(organisation_id=organisation_id))
