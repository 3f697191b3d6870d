"""The state of the whole, as `syncd status` and the overview page show it; all of it is read from the store."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from operator import attrgetter
from typing import TypeVar

from syncd.core.guard import Counts
from syncd.core.rate import CALLS_PER_MINUTE
from syncd.core.records import Reason
from syncd.core.run import OneFileStatus
from syncd.state import accounts, approvals, changes, daemons, held_records, runs, suspensions
from syncd.state.runs import RunSummary
from syncd.state.session import StateSession
from syncd.state.suspensions import Suspension
from syncd.state.views.progress import Progress, progress

_Present = TypeVar("_Present")


@dataclass(frozen=True, slots=True)
class OneFileReachability:
    """Whether OneFile answered when it was last called."""

    status: OneFileStatus | None
    """``None`` if it was never called."""
    unreachable_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of one organisation, or of several together."""

    last_run: RunSummary | None
    progress: Progress | None
    """The progress of the last run, if it is not over."""
    next_run_at: datetime | None
    waiting: RunSummary | None
    """The run that waits for approval."""
    accounts: Counter[str]
    """The accounts by role, without archived ones."""
    leavers: int
    held: Counter[Reason]
    warnings: int
    in_doubt: int
    drift: int | None
    """In how many accounts the last verify has left drift; ``None`` if there was no verify."""
    as_of: datetime | None
    """When the last finished run of every record began to read the MIS; ``None`` if there was none."""
    onefile: OneFileReachability
    waiting_counts: Counts = field(default_factory=Counts)
    """What still waits for a decision of that run's plan."""
    suspended: Sequence[Suspension] = ()
    """The kinds of actions that OneFile refuses again and again."""


def status(session: StateSession, calls_per_minute: int = CALLS_PER_MINUTE) -> StatusReport:
    """The state of one organisation; ``calls_per_minute`` is OneFile's limit, for the time a run still needs."""
    held, warnings = held_records.counts(session)
    waiting = runs.waiting(session)
    return StatusReport(
        last_run=runs.last(session),
        progress=progress(session, calls_per_minute),
        next_run_at=daemons.next_run_at(session),
        waiting=waiting,
        accounts=accounts.count_by_role(session),
        leavers=accounts.leavers(session),
        held=held,
        warnings=warnings,
        in_doubt=changes.in_doubt(session),
        drift=runs.drift_left(session),
        as_of=runs.last_reading_at(session),
        onefile=OneFileReachability(*runs.unreachable_since(session)),
        waiting_counts=approvals.waiting_counts(session, waiting) if waiting else Counts(),
        suspended=suspensions.listing(session),
    )


def status_by_organisation(
    session: StateSession, organisations: Sequence[int], calls_per_minute: int = CALLS_PER_MINUTE
) -> dict[int, StatusReport]:
    """The state of each of several organisations."""
    return {each: status(session.for_organisation(each), calls_per_minute) for each in organisations}


def combine(reports: Collection[StatusReport]) -> StatusReport:
    """Several organisations together: the newest run, the run that has waited longest, and the totals."""
    number = attrgetter("id")
    longest = min((each for each in reports if each.waiting), key=lambda each: number(each.waiting), default=None)
    return StatusReport(
        last_run=max(_present(each.last_run for each in reports), key=number, default=None),
        progress=max(_present(each.progress for each in reports), key=attrgetter("run"), default=None),
        next_run_at=min(_present(each.next_run_at for each in reports), default=None),
        waiting=longest.waiting if longest else None,
        accounts=sum((each.accounts for each in reports), Counter()),
        leavers=sum(each.leavers for each in reports),
        held=sum((each.held for each in reports), Counter()),
        warnings=sum(each.warnings for each in reports),
        in_doubt=sum(each.in_doubt for each in reports),
        drift=sum(drift) if (drift := _present(each.drift for each in reports)) else None,
        as_of=None if any(each.as_of is None for each in reports) else min(_present(each.as_of for each in reports)),
        onefile=max((each.onefile for each in reports), key=_severity),
        waiting_counts=longest.waiting_counts if longest else Counts(),
        suspended=sorted(chain.from_iterable(each.suspended for each in reports), key=attrgetter("since")),
    )


def _present(values: Iterable[_Present | None]) -> list[_Present]:
    return [value for value in values if value is not None]


def _severity(onefile: OneFileReachability) -> int:
    return [None, OneFileStatus.OK, OneFileStatus.UNREACHABLE].index(onefile.status)
