"""Plans for corrections by hand: a person's new MISID, and unarchiving."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncd.core.accounts import Known, Status
from syncd.core.fields import Role
from syncd.core.guard import guard
from syncd.core.plan import Plan, Rekey, Returner
from syncd.core.records import Key
from syncd.errors import NothingToSettle
from syncd.state import accounts
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.planner import GuardedPlan
from syncd.sync.run import PlanMaker


@dataclass(frozen=True, slots=True)
class Move:
    """A new MISID for a person's account."""

    role: Role
    old: str
    new: str


def rekey_plan(moves: Sequence[Move]) -> PlanMaker:
    """A plan that sends accounts their new MISIDs.

    The maker raises `NothingToSettle`, before anything is sent, for an old MISID without an account, a new one that
    another account has already here or in OneFile, and one that is listed twice.
    """

    def maker(context: SyncContext) -> GuardedPlan:
        known = _known(context)
        lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
        rekeys = [_rekey(context.organisation_id, move, known) for move in moves]
        _refuse_repeated([move.old for move in moves])
        _refuse_repeated([move.new for move in moves])
        for key, user_ids in lookup.find_new({rekey.key: {} for rekey in rekeys}).items():
            wanted = next(rekey.user_id for rekey in rekeys if rekey.key == key)
            # Its own account may have it already, from an attempt whose answer was lost.
            if others := [user_id for user_id in user_ids if user_id != wanted]:
                raise NothingToSettle(
                    f"OneFile has {key.misid} on another account already: UserID {others[0]}. Nothing was changed."
                )
        return _guarded(context, Plan(rekeys=tuple(rekeys)), known, lookup)

    return maker


def restore_plan(misid: str, role: Role) -> PlanMaker:
    """A plan that unarchives one account. The maker raises `NothingToSettle` if it is not archived."""

    def maker(context: SyncContext) -> GuardedPlan:
        known = _known(context)
        key = Key(context.organisation_id, role, misid)
        account = known.get(key)
        if account is None or account.user_id is None:
            raise NothingToSettle(f"There is no account for the {role} {misid}; 'syncd accounts' lists them.")
        if account.status is not Status.ARCHIVED:
            raise NothingToSettle(f"The account of the {role} {misid} is not archived, so there is nothing to restore.")
        lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
        return _guarded(context, Plan(returners=(Returner(key, account.user_id, is_archived=True),)), known, lookup)

    return maker


def _known(context: SyncContext) -> Mapping[Key, Known]:
    with context.session() as session:
        return accounts.known(session)


def _rekey(organisation_id: int, move: Move, known: Mapping[Key, Known]) -> Rekey:
    old, new = (Key(organisation_id, move.role, misid) for misid in (move.old, move.new))
    account = known.get(old)
    if account is None or account.user_id is None:
        raise NothingToSettle(f"There is no account for the {move.role} {move.old}. Nothing was changed.")
    if new in known:
        raise NothingToSettle(f"{move.new} is the MISID of another account already. Nothing was changed.")
    return Rekey(old, new, account.user_id)


def _refuse_repeated(misids: Sequence[str]) -> None:
    misid, times = Counter(misids).most_common(1)[0]
    if times > 1:
        raise NothingToSettle(f"{misid} is listed {times} times; list each MISID once. Nothing was changed.")


def _guarded(context: SyncContext, plan: Plan, known: Mapping[Key, Known], lookup: OneFileLookup) -> GuardedPlan:
    active = sum(account.status is not Status.ARCHIVED for account in known.values())
    return GuardedPlan(plan, guard(plan, context.policy.limits, active, ()), lookup)
