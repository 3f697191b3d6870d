"""Plan the undo of a run: reads the accounts that it has changed from OneFile, and makes the plan that reverts them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final

from syncd.core.accounts import Known, Status
from syncd.core.decisions import StepDigester
from syncd.core.plan import Leaver, Returner, Update
from syncd.core.records import Key
from syncd.core.scope import Scope
from syncd.core.undo import AccountNow, SentChange, Undo, UndoBuilder, UndoStep, only
from syncd.errors import Refused
from syncd.onefile import is_archived
from syncd.state import accounts, plan_steps, undo
from syncd.state.session import StateSession
from syncd.state.undo import UnfinishedUndo
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.planner import GuardedPlan, guard_plan
from syncd.sync.settle import settle

_AT_ONCE: Final = 500
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST})


def undo_plan(number: int, misids: Collection[str] = frozenset()) -> Callable[[SyncContext], GuardedPlan]:
    """A plan that takes back what a run has sent, to these MISIDs or to all, where OneFile still has it.

    The maker raises `NothingToSettle` if the run cannot be undone, and what OneFile's reads raise.
    """

    def maker(context: SyncContext) -> GuardedPlan:
        with context.reading_session() as session:
            undo.check(session, {context.organisation_id}, number, misids)
            keys = [key for key in undo.changed_keys(session, number) if not misids or key.misid in misids]
        return _plan(context, number, keys)

    return maker


def rest_of_undo(unfinished: UnfinishedUndo) -> Callable[[SyncContext], GuardedPlan]:
    """A plan of the permitted steps of an undo that are not sent yet, where OneFile still has what they take back."""

    def maker(context: SyncContext) -> GuardedPlan:
        return _plan(context, unfinished.undone_run, sorted(unfinished.keys), unfinished.digests)

    return maker


def _plan(context: SyncContext, number: int, keys: Sequence[Key], digests: frozenset[str] | None = None) -> GuardedPlan:
    settle(context, Scope.of(key.misid for key in keys))
    with context.reading_session() as session:
        known = accounts.known(session)
        feeds = accounts.feeds(session)
        has_created = undo.has_created(session, number)
    lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
    digester = StepDigester(context.store.cipher.fingerprint_secret)
    sends_emails = has_created and context.onefile.organisation(context.organisation_id).creates_keychains
    builder = UndoBuilder(digester, context.policy.clear, context.clock(), sends_emails=sends_emails)
    for start in range(0, len(keys), _AT_ONCE):
        context.check_interrupted()
        batch = keys[start : start + _AT_ONCE]
        with context.reading_session() as session:
            changes = undo.sent_changes(session, number, batch)
            stored = accounts.values(session, [key for key in batch if key in known])
        ids = _ids(changes, known)
        values = dict(_read(context, ids))
        archived = _archived(lookup, ids, values)
        for key in batch:
            now = None
            if key in ids:
                accepted = {name: value for name, value in stored[key].items() if value is not None}
                now = AccountNow(known[key], feeds[key], accepted, values[key], key in archived)
            builder.add(key, changes[key], now)
    built = builder.build()
    if digests is not None:
        built = only(built, digests, digester)
    _store_made(context, built)
    planned = guard_plan(context, built.plan, lookup)
    return GuardedPlan(planned.plan, planned.guard, lookup, not_undone=built.left)


def _ids(changes: Mapping[Key, Sequence[SentChange]], known: Mapping[Key, Known]) -> dict[Key, int]:
    """The ids of the accounts that are still the ones that were changed."""
    ids = {}
    for key, of_account in changes.items():
        account = known.get(key)
        user_id = account.user_id if account is not None else None
        if user_id is not None and all(change.user_id in {None, user_id} for change in of_account):
            ids[key] = user_id
    return ids


def _read(context: SyncContext, ids: Mapping[Key, int]) -> Iterator[tuple[Key, dict[str, Any] | None]]:
    def read(key: Key) -> dict[str, Any] | None:
        try:
            return context.onefile.one(key.role, ids[key])
        except Refused as refused:
            if refused.status in _GONE:
                return None
            raise

    with ThreadPoolExecutor(context.policy.max_in_flight, "undo") as pool:
        yield from zip(ids, pool.map(read, ids), strict=True)


def _archived(
    lookup: OneFileLookup, ids: Mapping[Key, int], values: Mapping[Key, Mapping[str, Any] | None]
) -> set[Key]:
    """The accounts that OneFile shows as archived; if an answer does not say so, a search by role does (U4, U5)."""
    shown = {key: is_archived(fields) for key, fields in values.items() if fields is not None and not key.role.is_place}
    unsure = {
        ids[key]: key._replace(misid=str((values[key] or {}).get("misid") or "").strip())
        for key, state in shown.items()
        if state is None
    }
    unlisted = lookup.find_unlisted(unsure)
    return {key for key, state in shown.items() if state or (state is None and ids[key] in unlisted)}


def _store_made(context: SyncContext, built: Undo) -> None:
    """Store the steps that OneFile shows as made by an earlier undo whose answers were lost."""
    for start in range(0, len(built.made), _AT_ONCE):
        with context.session() as session:
            for step in built.made[start : start + _AT_ONCE]:
                plan_steps.record_undone(session, step)
                _store(session, step)


def _store(session: StateSession, step: UndoStep) -> None:
    match step:
        case Update():
            accounts.save(
                session,
                step.key,
                user_id=step.user_id,
                feed=step.feed,
                accepted=step.fields,
                fingerprint=step.fingerprint,
                needs_recheck=True,
                keeps_status=True,
            )
        case Returner():
            accounts.change_status(session, step.key, Status.LEAVER if step.is_leaver else Status.ACTIVE)
        case Leaver():
            accounts.change_status(session, step.key, Status.ARCHIVED)
