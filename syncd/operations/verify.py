"""Verifying: reads accounts back from OneFile, tells what has drifted, and sends it again if asked to."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection

from syncd.core.accounts import Known, Status
from syncd.core.drift import Drift, DriftKind, Findings
from syncd.core.guard import guard
from syncd.core.plan import Plan, Update
from syncd.core.records import Key
from syncd.errors import Refused
from syncd.onefile import OneFile, Yielded
from syncd.state import accounts, runs
from syncd.state.runs import RunState
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.planner import GuardedPlan
from syncd.sync.run import RunResult, Trigger, execute

#: Nobody knows on what LastModified moves, nor by whose clock (U29).
_OVERLAP: Final = timedelta(days=1)
_FULL_EVERY: Final = timedelta(days=7)
_AT_ONCE: Final = 500
#: So many accounts that should have a field are asked before OneFile is believed not to tell it.
_WITNESSES: Final = 3
#: If more are left as they are, the next verify reads everybody rather than remember them.
_MOST_REMEMBERED: Final = 100

_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST})

_Each = TypeVar("_Each")


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verify found, and how its run ended."""

    done: RunResult
    checked: int
    """How many accounts were read back."""
    is_full: bool
    """Whether they were all, or those changed since the last verify."""
    drift: tuple[Drift, ...]
    """What was found, whether it has been put right or not."""
    left: tuple[Drift, ...]
    """What may still be so."""
    not_told: frozenset[str]
    """Fields of which nothing can be said, for OneFile tells them of nobody."""


@dataclass(slots=True)
class VerifyProgress:
    """What a verify has read back when it gives way, for the one that goes on with it."""

    began_at: datetime | None = None
    """When the first of them did; ``None`` before that."""
    touched: frozenset[int] | None = None
    """The UserIDs to look at; ``None`` for everybody's."""
    findings: Findings = field(default_factory=Findings)


def verify_once(
    context: SyncContext,
    trigger: Trigger,
    *,
    fix: bool = False,
    full: bool = False,
    so_far: VerifyProgress | None = None,
) -> VerifyResult:
    """Read accounts back, and with ``fix`` send again what has drifted. The caller holds the organisation's lock.

    Reads those that OneFile says were changed since the last verify under this trigger and those that were left as
    they were; everybody in the first verify, once a week, and when ``full``. Raises as `carry_out` does; after
    `GaveWay` it goes on where it was when it is given the same ``so_far`` again.
    """
    so_far = so_far or VerifyProgress()
    checks: list[_Check] = []

    def maker(here: SyncContext) -> GuardedPlan:
        checks.append(_check(replace(here, should_yield=context.should_yield), trigger, so_far, full=full))
        return _plan(here, checks[-1], fix=fix)

    # Were what it sends again to give way, it would be sent once more after that.
    done = execute(replace(context, should_yield=lambda: False), trigger, maker)
    (check,) = checks
    drift = check.findings.drift
    # Of a fix that went wrong in part it is not asked in which.
    is_fixed = fix and done.state is RunState.FINISHED and done.sent == done.counts.updates
    left = tuple(one for one in drift if not is_fixed or one.kind is DriftKind.MISSING)
    with context.store.begin() as connection:
        runs.record_drift(connection, done.run, len(drift))
        if done.state is RunState.FINISHED:
            extent = VerifyScope(check.is_full, check.began_at, frozenset(one.user_id for one in left))
            runs.set_reason(connection, done.run, str(extent))
    return VerifyResult(done, check.findings.checked, check.is_full, drift, left, check.findings.not_returned)


@dataclass(frozen=True, slots=True)
class VerifyScope:
    """How far a verify went, as the reason of its run has it for the next one to know."""

    is_full: bool
    began_at: datetime
    """Before its run did, if it has given way meanwhile."""
    left: frozenset[int]
    """The UserIDs of accounts that were left as they were."""
    forgets: bool = False
    """Whether there were too many of them to be named."""

    def __str__(self) -> str:
        extent = f"{'full' if self.is_full else 'changed'} as of {self.began_at.isoformat()}"
        if not self.left:
            return extent
        named = ", ".join(map(str, sorted(self.left))) if len(self.left) <= _MOST_REMEMBERED else "too many to name"
        return f"{extent}; still different: {named}"

    @classmethod
    def from_reason(cls, reason: str, started_at: datetime) -> Self:
        """The scope that a run noted in its reason; an older note has no beginning, which then is ``started_at``."""
        extent, _, rest = reason.partition("; ")
        what, _, began_at = extent.partition(" as of ")
        left = frozenset(map(int, re.findall(r"[0-9]+", rest)))
        # One that was noted by an older syncd began when its run did.
        return cls(
            what == "full",
            datetime.fromisoformat(began_at) if began_at else started_at,
            left,
            forgets=bool(rest) and not left,
        )


@dataclass(frozen=True, slots=True)
class _Check:
    findings: Findings
    is_full: bool
    began_at: datetime
    known: Mapping[Key, Known]


def _check(context: SyncContext, trigger: Trigger, so_far: VerifyProgress, *, full: bool) -> _Check:
    with context.store.reading() as connection:
        known = accounts.known(connection, context.organisation_id)
        before = None if full else _last_verify(connection, context, trigger)
    # Of leavers and the archived the MIS says nothing any more, so there is nothing to hold OneFile to.
    ours = {key: one.user_id for key, one in known.items() if one.status is Status.ACTIVE and one.user_id is not None}
    findings = so_far.findings
    with context.onefile.rate_limiter.yielding_to(context.should_yield):
        if so_far.began_at is None:
            began_at = context.clock()
            so_far.touched = None if before is None else _changed_since(context, ours, *before)
            so_far.began_at = began_at
        touched = so_far.touched
        # When a place was changed OneFile does not tell, so those wait for the next full verify.
        chosen = {
            key: user_id
            for key, user_id in ours.items()
            if touched is None or (user_id in touched and not key.role.is_place)
        }
        _read_back(context, chosen, findings)
        if findings.not_returned and touched is not None:
            # In a few accounts it may be that somebody has emptied the field; others know whether it is ever told.
            others = {key: user_id for key, user_id in ours.items() if key not in chosen}
            _read_back(context, _control_accounts(context, others, findings.not_returned), findings)
    _log_result(context, findings)
    return _Check(findings, touched is None, so_far.began_at, known)


def _last_verify(
    connection: Connection, context: SyncContext, trigger: Trigger
) -> tuple[datetime, frozenset[int]] | None:
    """Since when OneFile is to be asked for changes, and whom to read besides; ``None`` when a full one is due."""
    # One that was killed before it could say how far it went counts for nothing.
    last = runs.last_finished(connection, context.organisation_id, trigger)
    last_full = runs.last_finished(connection, context.organisation_id, trigger, noted="full")
    if last is None or last_full is None:
        return None
    extent, full = (VerifyScope.from_reason(reason, started_at) for started_at, reason in (last, last_full))
    if context.clock() - full.began_at >= _FULL_EVERY or extent.forgets:
        return None
    return extent.began_at - _OVERLAP, extent.left


def _changed_since(
    context: SyncContext, ours: Mapping[Key, int], since: datetime, left: frozenset[int]
) -> frozenset[int] | None:
    """The UserIDs to look at; ``None`` where OneFile does not take the filter."""
    found = set(left)
    try:
        for role in sorted({key.role for key in ours if not key.role.is_place}):
            found |= {user.id for user in context.onefile.users(context.organisation_id, role, modified_since=since)}
    except Refused:
        return None
    return frozenset(found)


def _read_back(context: SyncContext, whom: Mapping[Key, int], findings: Findings) -> None:
    for batch in _batches([key for key in whom if key not in findings.seen]):
        with context.store.reading() as connection:
            values = accounts.values(connection, context.store.cipher, batch)
        gave_way = None
        with ThreadPoolExecutor(context.policy.max_in_flight, "verify") as pool:
            answers = pool.map(lambda key: _returned_values(context.onefile, key, whom[key]), batch)
            for key, told in zip(batch, answers, strict=True):
                if isinstance(told, Yielded):
                    gave_way = told
                else:
                    findings.add(key, whom[key], values[key], told)
        if gave_way is not None:
            raise gave_way


def _returned_values(onefile: OneFile, key: Key, onefile_id: int) -> dict[str, Any] | Yielded | None:
    try:
        return onefile.one(key.role, onefile_id)
    except Yielded as gave_way:
        # What others were told meanwhile is not lost.
        return gave_way
    except Refused as refused:
        if refused.status in _GONE:
            return None
        raise


def _control_accounts(context: SyncContext, others: Mapping[Key, int], names: Collection[str]) -> dict[Key, int]:
    """A few accounts that should have these fields."""
    wanted = dict.fromkeys(names, _WITNESSES)
    chosen: dict[Key, int] = {}
    for batch in _batches(list(others)):
        with context.store.reading() as connection:
            values = accounts.values(connection, context.store.cipher, batch)
        for key in batch:
            helps = [name for name, count in wanted.items() if count and name in values[key]]
            for name in helps:
                wanted[name] -= 1
            if helps:
                chosen[key] = others[key]
        if not any(wanted.values()):
            break
    return chosen


def _log_result(context: SyncContext, findings: Findings) -> None:
    for one in findings.drift:
        context.log.warning(
            "drift_found",
            misid=one.key.misid,
            role=one.key.role,
            user_id=one.user_id,
            kind=one.kind,
            fields=list(one.fields),
        )
    if findings.not_returned:
        context.log.info("fields_not_told", fields=sorted(findings.not_returned))


def _plan(context: SyncContext, check: _Check, *, fix: bool) -> GuardedPlan:
    drift = check.findings.drift
    # Whoever it gave way to may have let go of one, or have given it another MISID.
    drifted = [one for one in drift if one.kind is DriftKind.CHANGED and one.key in check.known]
    updates = _updates(context, drifted, check.known) if fix else ()
    plan = Plan(updates=updates, unchanged=check.findings.checked - len(drift))
    active = sum(one.status is not Status.ARCHIVED for one in check.known.values())
    lookup = OneFileLookup(context.onefile, context.organisation_id, check.known, context.policy.max_in_flight)
    return GuardedPlan(plan, guard(plan, context.policy.limits, active, ()), lookup)


def _updates(context: SyncContext, drifted: Sequence[Drift], known: Mapping[Key, Known]) -> tuple[Update, ...]:
    keys = [one.key for one in drifted]
    with context.store.reading() as connection:
        values = accounts.values(connection, context.store.cipher, keys)
        feeds = accounts.feeds(connection, context.organisation_id)
    return tuple(
        Update(
            one.key,
            feeds[one.key],
            one.user_id,
            {name: values[one.key][name] for name in one.fields},
            fingerprint=known[one.key].fingerprint,
            needs_recheck=known[one.key].needs_recheck,
        )
        for one in drifted
    )


def _batches(each: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    for start in range(0, len(each), _AT_ONCE):
        yield each[start : start + _AT_ONCE]
