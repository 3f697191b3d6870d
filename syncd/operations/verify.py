"""Verify: reads accounts back from OneFile, reports drift, and corrects it if asked to."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, TypeVar

from syncd.core.accounts import Known, Status
from syncd.core.digests import Digester
from syncd.core.drift import ARCHIVED, Correction, Drift, DriftKind, Findings
from syncd.core.plan import Plan, Returner, Update
from syncd.core.records import Key
from syncd.core.run import RunState, Trigger
from syncd.errors import Refused
from syncd.onefile import OneFile, Yielded, is_archived
from syncd.state import accounts, changes, runs
from syncd.state.runs import VerifyScope
from syncd.state.session import StateSession
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.planner import GuardedPlan, guard_plan
from syncd.sync.run import RunResult, execute

#: It is not documented what changes LastModified, or by which clock (U29).
_OVERLAP: Final = timedelta(days=1)
_FULL_EVERY: Final = timedelta(days=7)
_AT_ONCE: Final = 500
#: How many accounts with a field are read before OneFile is assumed not to return it.
_CONTROL_ACCOUNTS: Final = 3
#: If more accounts still differ, they are not stored and the next verify reads every account.
_MOST_REMEMBERED: Final = 100

_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST})

_Each = TypeVar("_Each")


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verify found, and how its run ended."""

    done: RunResult
    checked: int
    """The number of accounts that were read back."""
    is_full: bool
    """Whether every account was read, or those changed since the last verify."""
    drift: tuple[Drift, ...]
    """The drift that was found, sent again or not."""
    left: tuple[Drift, ...]
    """The drift that may remain."""
    not_told: frozenset[str]
    """Fields that could not be compared, because OneFile returns them for no account."""


@dataclass(slots=True)
class VerifyProgress:
    """What a verify has read back when it yields to a resync, so that it can continue."""

    began_at: datetime | None = None
    """When the first attempt began; ``None`` before that."""
    touched: frozenset[int] | None = None
    """The UserIDs to read; ``None`` for every account."""
    listed: frozenset[int] = frozenset()
    """The UserIDs that a search by role has shown, which leaves out archived users (U4)."""
    unsure: dict[int, Key] = field(default_factory=dict)
    """The UserIDs whose answers do not say whether they are archived, each with the MISID that OneFile has."""
    findings: Findings = field(default_factory=Findings)


def verify_once(
    context: SyncContext,
    trigger: Trigger,
    *,
    fix: bool = False,
    full: bool = False,
    so_far: VerifyProgress | None = None,
) -> VerifyResult:
    """Read accounts back; with ``fix``, unarchive and send drifted fields again. The caller holds the lock.

    A value that OneFile has accepted from an earlier ``fix`` and not kept is reported once and not sent again.
    Reads the accounts that were changed in OneFile since the last verify with this trigger, those that OneFile does not
    list as active, and those that still differed then; every account in the first verify, once a week, and if ``full``.
    Raises as `execute` does; after `Yielded` it continues where it was if it is called with the same ``so_far`` again.
    """
    so_far = so_far or VerifyProgress()
    so_far.findings.digester = Digester(context.store.cipher.fingerprint_secret)
    checks: list[_Check] = []

    def maker(here: SyncContext) -> GuardedPlan:
        checks.append(_check(replace(here, should_yield=context.should_yield), trigger, so_far, full=full))
        return _plan(here, checks[-1], fix=fix)

    # If sending yielded to a resync, everything would be sent once more afterwards.
    done = execute(replace(context, should_yield=lambda: False), trigger, maker)
    (check,) = checks
    drift = check.findings.drift
    # If only a part of a fix was accepted, all of it counts as remaining drift.
    is_fixed = fix and done.state is RunState.FINISHED and done.sent == done.counts.updates
    left = tuple(one for one in drift if not is_fixed or one.kind is DriftKind.MISSING or one.not_kept)
    with context.session() as session:
        for key, corrections in _corrections(check.findings, changes.keys_updated(session, done.run)).items():
            accounts.record_corrections(session, key, corrections)
        runs.record_drift(session, done.run, len(drift))
        if done.state is RunState.FINISHED:
            listed = left if len(left) <= _MOST_REMEMBERED else None
            runs.record_verify(session, done.run, VerifyScope(check.is_full, check.began_at, listed))
    return VerifyResult(done, check.findings.checked, check.is_full, drift, left, check.findings.not_returned)


def _corrections(findings: Findings, updated: Collection[Key]) -> dict[Key, dict[str, Correction]]:
    """The corrections to store: those that remain, and those that OneFile has just accepted."""
    corrections = dict(findings.corrections)
    differences = findings.differences()
    for one in findings.drift:
        if one.key in updated:
            sent = _fields_to_send(one)
            accepted = {name: Correction(digest) for name, digest in differences[one.key].items() if name in sent}
            corrections[one.key] = corrections.get(one.key, {}) | accepted
    return corrections


@dataclass(frozen=True, slots=True)
class _Check:
    findings: Findings
    lookup: OneFileLookup
    is_full: bool
    began_at: datetime
    known: Mapping[Key, Known]


def _check(context: SyncContext, trigger: Trigger, so_far: VerifyProgress, *, full: bool) -> _Check:
    with context.reading_session() as session:
        known = accounts.known(session)
        before = None if full else _last_verify(session, context, trigger)
    # The MIS has no record of leavers and archived accounts, so there is nothing to compare them with.
    ours = {key: one.user_id for key, one in known.items() if one.status is Status.ACTIVE and one.user_id is not None}
    findings = so_far.findings
    lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
    with context.onefile.rate_limiter.yielding_to(context.should_yield):
        if so_far.began_at is None:
            began_at = context.clock()
            if before is not None:
                so_far.touched, so_far.listed = _changed_since(context, lookup, ours, *before)
            so_far.began_at = began_at
        touched = so_far.touched
        # OneFile does not return when a place was changed, so places wait for the next full verify.
        chosen = {
            key: user_id
            for key, user_id in ours.items()
            if touched is None or (user_id in touched and not key.role.is_place)
        }
        _read_back(context, chosen, so_far)
        _find_archived(lookup, ours, so_far)
        if findings.not_returned and touched is not None:
            # A person may have emptied the field in these accounts; others show whether OneFile ever returns it.
            others = {key: user_id for key, user_id in ours.items() if key not in chosen}
            _read_back(context, _control_accounts(context, others, findings.not_returned), so_far)
    _log_result(context, findings)
    return _Check(findings, lookup, touched is None, so_far.began_at, known)


def _last_verify(
    session: StateSession, context: SyncContext, trigger: Trigger
) -> tuple[datetime, frozenset[int]] | None:
    """Since when to ask OneFile for changes, and which UserIDs to read besides; ``None`` if a full verify is due."""
    # A verify that was killed before it could store its scope does not count.
    last = runs.last_verify(session, trigger)
    last_full = runs.last_verify(session, trigger, only_full=True)
    if last is None or last_full is None or last.still_different is None:
        return None
    if context.clock() - last_full.began_at >= _FULL_EVERY:
        return None
    return last.began_at - _OVERLAP, frozenset(one.user_id for one in last.still_different)


def _changed_since(
    context: SyncContext, lookup: OneFileLookup, ours: Mapping[Key, int], since: datetime, left: frozenset[int]
) -> tuple[frozenset[int] | None, frozenset[int]]:
    """Return the UserIDs to read, ``None`` if OneFile refuses the filter; and those that a search by role has shown.

    Those to read are the accounts that were changed or archived.
    """
    users = {user_id: key for key, user_id in ours.items() if not key.role.is_place}
    # Who is changed after this search is in those that follow.
    anybody = _anybody_changed_since(context, since)
    listed: set[int] = set()
    try:
        for role in sorted({key.role for key in users.values()}):
            listed |= {user.id for user in context.onefile.users(context.organisation_id, role, modified_since=since)}
    except Refused:
        return None, frozenset()
    # It is not documented whether archiving changes LastModified (U29), but archived users are in no search by role.
    unlisted = {
        user_id: key._replace(misid=anybody.get(user_id, key.misid))
        for user_id, key in users.items()
        if user_id not in listed
    }
    archived = lookup.find_unlisted(unlisted)
    return frozenset(listed | left | archived), frozenset(listed)


def _anybody_changed_since(context: SyncContext, since: datetime) -> dict[int, str]:
    """Return the MISIDs of the users of every role that were changed, by UserID; none if OneFile refuses that."""
    try:
        return {user.id: user.misid for user in context.onefile.users(context.organisation_id, modified_since=since)}
    except Refused:
        # Only together with a role has the filter been seen to work (§8.6).
        return {}


def _read_back(context: SyncContext, whom: Mapping[Key, int], so_far: VerifyProgress) -> None:
    findings = so_far.findings
    for batch in _batches([key for key in whom if key not in findings.seen]):
        with context.reading_session() as session:
            values = accounts.values(session, batch)
            corrections = accounts.corrections(session, batch)
        gave_way = None
        with ThreadPoolExecutor(context.policy.max_in_flight, "verify") as pool:
            answers = pool.map(lambda key: _returned_values(context.onefile, key, whom[key]), batch)
            for key, returned in zip(batch, answers, strict=True):
                if isinstance(returned, Yielded):
                    gave_way = returned
                    continue
                findings.add(key, whom[key], values[key], returned, corrections.get(key))
                if returned is not None and not key.role.is_place:
                    _add_state(key, whom[key], returned, so_far)
        if gave_way is not None:
            raise gave_way


def _add_state(key: Key, user_id: int, returned: Mapping[str, Any], so_far: VerifyProgress) -> None:
    """Add whether the answer for an account shows it as archived."""
    match is_archived(returned):
        case True:
            so_far.findings.add_archived(key, user_id)
        case None if user_id not in so_far.listed:
            misid = str(returned.get("misid") or "").strip()
            so_far.unsure[user_id] = key if misid == key.misid else key._replace(misid=misid)


def _find_archived(lookup: OneFileLookup, ours: Mapping[Key, int], so_far: VerifyProgress) -> None:
    """Add the accounts that are archived because no search by role shows them, if their answers do not say."""
    archived = lookup.find_unlisted(so_far.unsure)
    for key, user_id in ours.items():
        if user_id in archived and not key.role.is_place:
            so_far.findings.add_archived(key, user_id)


def _returned_values(onefile: OneFile, key: Key, onefile_id: int) -> dict[str, Any] | Yielded | None:
    try:
        return onefile.one(key.role, onefile_id)
    except Yielded as gave_way:
        # The answers that other threads got meanwhile are kept.
        return gave_way
    except Refused as refused:
        if refused.status in _GONE:
            return None
        raise


def _control_accounts(context: SyncContext, others: Mapping[Key, int], names: Collection[str]) -> dict[Key, int]:
    """A few accounts that have these fields in the store."""
    wanted = dict.fromkeys(names, _CONTROL_ACCOUNTS)
    chosen: dict[Key, int] = {}
    for batch in _batches(list(others)):
        with context.reading_session() as session:
            values = accounts.values(session, batch)
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
        if one.not_kept:
            context.log.warning(
                "value_not_kept",
                misid=one.key.misid,
                role=one.key.role,
                user_id=one.user_id,
                fields=list(one.not_kept),
            )
    if findings.not_returned:
        context.log.info("fields_not_returned", fields=sorted(findings.not_returned))


def _plan(context: SyncContext, check: _Check, *, fix: bool) -> GuardedPlan:
    drift = check.findings.drift
    # A run that it yielded to may have unlinked an account, or changed its MISID.
    drifted = [one for one in drift if one.kind is DriftKind.CHANGED and one.key in check.known]
    unchanged = check.findings.checked - len(drift)
    plan = _fix(context, drifted, check.known, unchanged) if fix else Plan(unchanged=unchanged)
    return guard_plan(context, plan, check.lookup)


def _fix(context: SyncContext, drifted: Sequence[Drift], known: Mapping[Key, Known], unchanged: int) -> Plan:
    """The plan that unarchives accounts and sends the fields that differ."""
    returners = tuple(Returner(one.key, one.user_id, is_archived=True) for one in drifted if ARCHIVED in one.fields)
    changed = [one for one in drifted if _fields_to_send(one)]
    return Plan(updates=_updates(context, changed, known), returners=returners, unchanged=unchanged)


def _updates(context: SyncContext, drifted: Sequence[Drift], known: Mapping[Key, Known]) -> tuple[Update, ...]:
    keys = [one.key for one in drifted]
    with context.reading_session() as session:
        values = accounts.values(session, keys)
        feeds = accounts.feeds(session)
    return tuple(
        Update(
            one.key,
            feeds[one.key],
            one.user_id,
            {name: values[one.key][name] for name in _fields_to_send(one)},
            fingerprint=known[one.key].fingerprint,
            needs_recheck=known[one.key].needs_recheck,
        )
        for one in drifted
    )


def _fields_to_send(drift: Drift) -> list[str]:
    return [name for name in drift.fields if name != ARCHIVED and name not in drift.not_kept]


def _batches(each: Sequence[_Each]) -> Iterator[Sequence[_Each]]:
    for start in range(0, len(each), _AT_ONCE):
        yield each[start : start + _AT_ONCE]
