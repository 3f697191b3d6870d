"""Corrections by hand: a person's new MISID, a MISID's new owner, and unarchiving."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from syncd.core.accounts import Known, Status
from syncd.core.fields import Role
from syncd.core.misid import skeleton
from syncd.core.plan import Plan, Rekey, Returner
from syncd.core.plan_builder import around_rekeys
from syncd.core.records import Key, OtherOrganisation, Reason
from syncd.core.run import Action, Outcome, Trigger
from syncd.core.text import join, quoted
from syncd.errors import NothingToSettle, Refused
from syncd.onefile import is_archived
from syncd.state import accounts, changes, held_records
from syncd.state.held_records import Selection
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import confirm_customer
from syncd.sync.feeds import read_selected
from syncd.sync.lookup import OneFileLookup
from syncd.sync.planner import GuardedPlan, guard_plan
from syncd.sync.run import PlanMaker, RunResult, execute


@dataclass(frozen=True, slots=True)
class Move:
    """A new MISID for a person's account."""

    role: Role
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """How the run of a restore ended, and what was known of the account."""

    done: RunResult
    status: Status
    """What the state store had."""
    was_archived: bool | None
    """Whether the account was archived; ``None`` if nothing showed it."""
    refusal: str
    """Why OneFile refused; empty if it did not."""


def rekey_plan(moves: Sequence[Move]) -> PlanMaker:
    """A plan that sends accounts their new MISIDs; moves that were made before are left out.

    The maker raises `NothingToSettle`, before anything is sent, for an old MISID without an account, a new one that
    another account has already here or in OneFile or that no feed has, and one that is listed twice. It also raises
    what reading the feeds raises.
    """

    def maker(context: SyncContext) -> GuardedPlan:
        known = _known(context)
        lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
        _refuse_repeated([move.old for move in moves])
        _refuse_repeated([move.new for move in moves])
        rekeys = [_rekey(context.organisation_id, move, known) for move in _not_made(context, moves, known)]
        _refuse_not_in_feeds(context, [rekey.key for rekey in rekeys])
        for key, user_ids in lookup.find_new({rekey.key: {} for rekey in rekeys}).items():
            wanted = next(rekey.user_id for rekey in rekeys if rekey.key == key)
            # Its own account may have it already, from an attempt whose answer was lost.
            if others := [user_id for user_id in user_ids if user_id != wanted]:
                raise NothingToSettle(
                    f"OneFile has {key.misid} on another account already: UserID {others[0]}. Nothing was changed."
                )
        return guard_plan(context, _with_archived(context, rekeys, known), lookup)

    return maker


def release_plan(misid: str, role: Role | None) -> PlanMaker:
    """A plan that takes its MISID from an account, because the MISID has a new owner in the MIS.

    The maker raises `NothingToSettle`, before anything is sent, if there is no such account, if several roles have one
    and none is chosen, or if no feed has the MISID. It also raises what reading the feeds raises.
    """

    def maker(context: SyncContext) -> GuardedPlan:
        known = _known(context)
        key, user_id = _owner_to_release(context, known, misid, role)
        in_feeds, _ = _find_in_feeds(context, {key})
        if key not in in_feeds:
            account = known.get(key)
            state = "archived" if account is not None and account.status is Status.ARCHIVED else "a leaver"
            raise NothingToSettle(
                f"No feed has the {key.role} {misid} any more, so its account is {state} already and there is nothing "
                "to release. Nothing was changed."
            )
        lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
        return guard_plan(context, _with_archived(context, [Rekey.release(key, user_id)], known), lookup)

    return maker


def restore(context: SyncContext, misid: str, role: Role) -> RestoreResult:
    """Unarchive one account, in a run. The caller holds the organisation's lock.

    The account is read first, unless the state store has it as archived. Raises as `execute` does, and before a run
    begins `NothingToSettle` if there is no such account, or if OneFile shows it as not archived.
    """
    known = _known(context)
    key = Key(context.organisation_id, role, misid)
    account = known.get(key)
    if account is None or account.user_id is None or role.is_place:
        raise NothingToSettle(f"There is no account for the {role} {misid}; 'syncd accounts' lists them.")
    was_archived: bool | None = True
    if account.status is not Status.ARCHIVED:
        confirm_customer(context)
        was_archived = _is_archived(context, key, account.user_id)
    if was_archived is False:
        raise NothingToSettle(
            f"OneFile shows the account of the {role} {misid} as not archived, so there is nothing to restore."
        )
    plan = Plan(returners=(Returner(key, account.user_id, is_archived=True),))

    def maker(context: SyncContext) -> GuardedPlan:
        lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
        return guard_plan(context, plan, lookup)

    done = execute(context, Trigger.RESTORE, maker)
    with context.reading_session() as session:
        sent = [each for each in changes.history(session, misid) if each.run_id == done.run and each.role is role]
    for change in sent:
        # OneFile may refuse to unarchive an active account (U19), which counts as done.
        if change.outcome is Outcome.APPLIED and (change.http_status or 0) >= HTTPStatus.BAD_REQUEST:
            was_archived = False
    refusals = (change.message for change in sent if change.outcome is Outcome.REFUSED)
    return RestoreResult(done, account.status, was_archived, next(refusals, ""))


def _is_archived(context: SyncContext, key: Key, user_id: int) -> bool | None:
    try:
        return is_archived(context.onefile.user(user_id))
    except Refused:
        raise NothingToSettle(
            f"OneFile does not return the account of the {key.role} {key.misid}, UserID {user_id}: it may be deleted."
        ) from None


def _known(context: SyncContext) -> Mapping[Key, Known]:
    with context.session() as session:
        return accounts.known(session)


def _not_made(context: SyncContext, moves: Iterable[Move], known: Mapping[Key, Known]) -> list[Move]:
    """Return the moves without those that an earlier run has made: a file may be applied twice."""
    not_made = []
    with context.reading_session() as session:
        for move in moves:
            old, new = (Key(context.organisation_id, move.role, misid) for misid in (move.old, move.new))
            made = Rekey(old, new, 0).note
            is_made = old not in known and new in known and changes.was_applied(session, new, Action.REKEY, made)
            if not is_made:
                not_made.append(move)
    return not_made


def _rekey(organisation_id: int, move: Move, known: Mapping[Key, Known]) -> Rekey:
    old, new = (Key(organisation_id, move.role, misid) for misid in (move.old, move.new))
    account = known.get(old)
    if account is None:
        raise NothingToSettle(
            f"There is no account for the {move.role} {move.old}{_nearest(old, known)} Nothing was changed."
        )
    if account.user_id is None:
        raise NothingToSettle(_no_user_id(old))
    if new in known:
        raise NothingToSettle(f"{move.new} is the MISID of another account already. Nothing was changed.")
    return Rekey(old, new, account.user_id)


def _owner_to_release(
    context: SyncContext, known: Mapping[Key, Known], misid: str, role: Role | None
) -> tuple[Key, int]:
    """Return the account with a MISID, and its UserID; it may be one that only OneFile has with this MISID."""
    found = {key: account.user_id for key, account in known.items() if key.misid == misid and role in {None, key.role}}
    if not found:
        with context.reading_session() as session:
            asked = held_records.listing(session, Selection([misid], Reason.ANOTHER_PERSON, role))
        found = {entry.key: entry.user_id for entry in asked}
    if not found:
        of_role = [key for key in known if role in {None, key.role}]
        near = _nearest(Key(context.organisation_id, role or Role.LEARNER, misid), of_role)
        whose = f"the {role} {misid}" if role else misid
        raise NothingToSettle(f"There is no account for {whose}{near} Nothing was changed.")
    if len(found) > 1:
        roles = join(sorted(key.role for key in found))
        raise NothingToSettle(f"{misid} is the MISID of several accounts: {roles}. Choose one with --role.")
    ((key, user_id),) = found.items()
    if user_id is None:
        raise NothingToSettle(_no_user_id(key))
    return key, user_id


def _no_user_id(key: Key) -> str:
    return (
        f"The account of the {key.role} {key.misid} has no UserID yet: run 'syncd sync' first to find it. Nothing was "
        "changed."
    )


def _nearest(key: Key, known: Iterable[Key]) -> str:
    """The end of a sentence about a MISID that has none: those that look like it."""
    look = skeleton(key.misid)
    alike = sorted({each.misid for each in known if each != key and skeleton(each.misid) == look})
    return f"; did you mean {join([quoted(misid) for misid in alike])}?" if alike else "."


def _refuse_not_in_feeds(context: SyncContext, keys: Collection[Key]) -> None:
    if not keys:
        return
    found, alike = _find_in_feeds(context, keys)
    for key in sorted(set(keys) - found):
        near = _nearest(key, (each for each in alike if each.role is key.role))
        raise NothingToSettle(f"No feed has the {key.role} {key.misid}{near} Nothing was changed.")


def _find_in_feeds(context: SyncContext, keys: Collection[Key]) -> tuple[set[Key], set[Key]]:
    """Return which of these keys the feeds have, and the keys that look like one of them."""
    roles = {key.role for key in keys}
    context = replace(context, feeds=tuple(feed for feed in context.feeds if feed.role in roles))
    looks = {(key.role, skeleton(key.misid)) for key in keys}
    found: set[Key] = set()
    alike: set[Key] = set()
    for row in read_selected(context, {key.misid for key in keys}):
        if isinstance(row, OtherOrganisation):
            continue
        if row.key in keys:
            found.add(row.key)
        elif (row.key.role, skeleton(row.key.misid)) in looks:
            alike.add(row.key)
    return found, alike


def _refuse_repeated(misids: Sequence[str]) -> None:
    misid, times = Counter(misids).most_common(1)[0]
    if times > 1:
        raise NothingToSettle(f"{misid} is listed {times} times; list each MISID once. Nothing was changed.")


def _with_archived(context: SyncContext, rekeys: Sequence[Rekey], known: Mapping[Key, Known]) -> Plan:
    returners, leavers = around_rekeys(rekeys, known, context.clock())
    return Plan(rekeys=tuple(rekeys), returners=tuple(returners), leavers=tuple(leavers))
