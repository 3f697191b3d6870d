"""First contact: link the accounts that OneFile already has, and undo a wrong link."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, TypeVar

from syncd.core.accounts import Known, Status
from syncd.core.changed import find_changed
from syncd.core.fields import ROLE_BY_NUMBER, Role
from syncd.core.guard import guard
from syncd.core.matching import (
    Account,
    Person,
    Proposal,
    Traits,
    by_misid,
    duplicates,
    name_in,
    propose,
    resembling,
)
from syncd.core.plan import Plan, Update
from syncd.core.records import Held, Key, OtherOrganisation, Record
from syncd.core.run import Trigger
from syncd.errors import LinksUnusable, Refused
from syncd.state import accounts, changes
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import confirm_customer
from syncd.sync.feeds import read_feeds
from syncd.sync.lookup import OneFileLookup
from syncd.sync.planner import GuardedPlan
from syncd.sync.run import PlanMaker, RunResult, execute

#: How OneFile answers for an id that it does not have (U15).
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)

_Asked = TypeVar("_Asked")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class LinkProposals:
    """What first contact has found."""

    linked: Mapping[Key, int]
    """The accounts that were linked by their MISID."""
    duplicates: Sequence[tuple[str, tuple[int, ...]]]
    """MISIDs that several accounts of one role have, with their UserIDs."""
    taken: Mapping[Key, int]
    """Accounts that have a record's MISID in OneFile, and another one in the store."""
    proposals: Sequence[Proposal]
    without: int
    """The records that have no account, and for which none is proposed."""


@dataclass(frozen=True, slots=True)
class LinkRow:
    """An account that the operator has chosen for a record, and where the file says so."""

    role: Role
    misid: str
    user_id: int
    where: str


class UnlinkResult(Enum):
    """How a link was undone."""

    MARKED = "OneFile's account has a MISID now that says so"
    WAS_GONE = "OneFile's account no longer had the MISID"
    NOT_YET = "OneFile did not take the change, and nothing was forgotten"


def find_links(context: SyncContext, on_reading: Callable[[int], None] = lambda _calls: None) -> LinkProposals:
    """Compare the MIS with OneFile's accounts: link those whose MISIDs agree, propose others; OneFile is only read.

    ``on_reading`` is called with the number of accounts to read, at a call each. The caller holds the organisation's
    lock. Raises `MisUnreachable`, `ConfigurationError`, `StateUnusable`, what OneFile's reads raise, `Interrupted`.
    """
    confirm_customer(context)
    known, people, feeds = _unlinked_accounts(context)
    roles = sorted({feed.role for feed in _of_users(context).feeds})
    # A college has about as many accounts as people.
    expected = Counter(key.role for key in known.keys() | people.keys() if not key.role.is_place)
    listed = _listed(context, roles, expected, {key.misid for key in people}, on_reading)
    ours = {one.user_id for key, one in known.items() if one.user_id is not None and not key.role.is_place}
    sorted_ = by_misid(people, listed, ours)
    with context.session() as session:
        for key, user_id in sorted_.exact.items():
            accounts.save(
                session,
                key,
                user_id=user_id,
                feed=feeds[key],
                accepted={"MISID": key.misid},
                # OneFile's other values are unknown, so the next run must send the record.
                fingerprint="",
                needs_recheck=True,
            )
    nobodys = [people[key] for key in sorted(sorted_.without)]
    candidates = resembling(nobodys, (account for account in listed if account.user_id not in ours))
    proposals = propose(nobodys, _read(context, candidates, on_reading))
    proposed = {proposal.key for proposal in proposals}
    return LinkProposals(
        sorted_.exact, duplicates(roles, listed), sorted_.taken, proposals, len(sorted_.without - proposed)
    )


def apply_links(
    context: SyncContext,
    links: Sequence[LinkRow],
    *,
    approved_by: str = "",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RunResult:
    """Send accounts the MISIDs that the operator has chosen for them, in a run.

    The caller holds the organisation's lock. Raises as `execute` does, and `LinksUnusable` before anything is sent if
    one of the links cannot be made.
    """
    return execute(context, Trigger.LINK, _plan_of(links), approved_by=approved_by, progress=progress)


def known_keys(context: SyncContext, misid: str, role: Role | None) -> dict[Key, Known]:
    """The accounts that the store has with this MISID, of one role or of any."""
    with context.session() as session:
        known = accounts.known(session)
    return {key: account for key, account in known.items() if key.misid == misid and role in {None, key.role}}


def unlink(context: SyncContext, key: Key, user_id: int, who: str) -> UnlinkResult:
    """Undo a link: the account no longer has the MISID, in the state store and in OneFile.

    It is not documented whether OneFile can clear a field (U16), so the account is sent a MISID that says what was done
    and that no record has. ``who`` asked for it. The caller holds the organisation's lock. Raises as `execute` does.
    """
    outcome = UnlinkResult.WAS_GONE
    told = _told(context, user_id)
    if told is not None and _misid_in(told) == key.misid:
        plan = Plan(updates=(Update(key, "", user_id, {"MISID": f"unlinked-{user_id}"}, needs_recheck=True),))
        done = execute(context, Trigger.LINK, _only(plan), approved_by=who)
        outcome = UnlinkResult.MARKED if done.sent else UnlinkResult.NOT_YET
    if outcome is not UnlinkResult.NOT_YET:
        forget(context, key)
    return outcome


def forget(context: SyncContext, key: Key) -> None:
    """Remove a link from the state store, and leave OneFile unchanged."""
    with context.session() as session:
        accounts.forget(session, key)


def _unlinked_accounts(context: SyncContext) -> tuple[Mapping[Key, Known], dict[Key, Person], dict[Key, str]]:
    """Return the accounts of the store, the people of the MIS without one, and the feed of each."""
    store = context.store
    with context.session() as session:
        known = accounts.known(session)
        # Their creates are settled by the next run, which knows what was sent.
        unsettled = {each.key for each in changes.unsettled(session)}
    changed = find_changed(_records(context), known, store.cipher.fingerprint_secret, {}).changed
    strangers = [record for record in changed.records() if record.key not in known and record.key not in unsettled]
    return (
        known,
        {record.key: Person.of(record) for record in strangers},
        {record.key: record.feed for record in strangers},
    )


def _records(context: SyncContext) -> Iterator[Record | Held]:
    return (read for read in read_feeds(_of_users(context)) if not isinstance(read, OtherOrganisation))


def _of_users(context: SyncContext) -> SyncContext:
    """Return the context without classrooms and placements, which a run links by itself."""
    return replace(context, feeds=tuple(feed for feed in context.feeds if not feed.role.is_place))


def _listed(
    context: SyncContext,
    roles: Iterable[Role],
    expected: Counter[Role],
    misids: Collection[str],
    on_reading: Callable[[int], None],
) -> list[Account]:
    """Return every account, with its role if that matters for its MISID."""
    found: dict[int, Account] = {}
    # A search by role leaves out archived users (U4); one without a role does not return roles.
    for role in (*roles, None):
        for account in _search(context, role, expected.total() if role is None else expected[role]):
            found.setdefault(account.user_id, account)
    shared = Counter(account.misid for account in found.values())
    unsure = [
        account
        for account in found.values()
        if account.role is None and account.misid and (account.misid in misids or shared[account.misid] > 1)
    ]
    return list((found | {account.user_id: account for account in _read(context, unsure, on_reading)}).values())


def _search(context: SyncContext, role: Role | None, expected: int) -> Iterator[Account]:
    for user in context.onefile.users(context.organisation_id, role, expected=expected or None):
        yield Account(user.id, role, user.misid, name_in(user.told), Traits.from_fields(user.told))


def _read(context: SyncContext, listed: Sequence[Account], on_reading: Callable[[int], None]) -> list[Account]:
    """Return the accounts with all that OneFile returns for them, at a call each."""

    def read(account: Account) -> Account:
        told = _told(context, account.user_id)
        if told is None:
            # It existed a moment ago, and there is no evidence for it now.
            return account
        return replace(
            account,
            # OneFile may return a separate role number, or none, for an archived account (§8.1, §8.5).
            role=_role_in(told) or account.role,
            misid=_misid_in(told),
            traits=Traits.from_fields(told),
        )

    on_reading(len(listed))
    return _side_by_side(context, read, listed)


def _only(plan: Plan) -> PlanMaker:
    def maker(context: SyncContext) -> GuardedPlan:
        lookup = OneFileLookup(context.onefile, context.organisation_id, {}, context.policy.max_in_flight)
        return _guarded(context, plan, {}, lookup)

    return maker


def _plan_of(links: Sequence[LinkRow]) -> PlanMaker:
    def maker(context: SyncContext) -> GuardedPlan:
        with context.session() as session:
            known = accounts.known(session)
            unsettled = {each.key for each in changes.unsettled(session)}
        chosen = _by_key(context.organisation_id, links)
        # A file may be applied twice, for example after an interrupted run.
        open_ = {key: link for key, link in chosen.items() if key not in known or known[key].user_id != link.user_id}
        lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
        owners = {account.user_id: key for key, account in known.items() if not key.role.is_place}
        checks = _Checks(
            context, known, owners, unsettled, lookup.find_new({key: {} for key in open_}), _feeds(context)
        )
        answers = _side_by_side(context, lambda one: checks.objection(*one), list(open_.items()))
        _refuse([f"{link.where}, {said}" for link, said in zip(open_.values(), answers, strict=True) if said])
        updates = (
            Update(key, checks.feeds[key], link.user_id, {"MISID": key.misid}, is_link=True, needs_recheck=True)
            for key, link in open_.items()
        )
        return _guarded(context, Plan(updates=tuple(updates)), known, lookup)

    return maker


@dataclass(frozen=True, slots=True)
class _Checks:
    """What a chosen link is checked against."""

    context: SyncContext
    known: Mapping[Key, Known]
    owners: Mapping[int | None, Key]
    """The key that each UserID has in the store."""
    unsettled: Set[Key]
    in_onefile: Mapping[Key, tuple[int, ...]]
    """The UserIDs that have the MISID already."""
    feeds: Mapping[Key, str]
    """The people of the MIS, and the feed of each."""

    def objection(self, key: Key, link: LinkRow) -> str:
        """Return why this link cannot be made, the column first; empty if it can."""
        others = [user_id for user_id in self.in_onefile.get(key, ()) if user_id != link.user_id]
        owner = self.owners.get(link.user_id)
        if key not in self.feeds:
            return (
                f"column misid: no feed has this MISID for the role {key.role}. "
                "A spreadsheet may have dropped the zeros at its front"
            )
        if key in self.unsettled:
            return "column misid: a create for this person is in doubt; the next 'syncd sync' resolves it"
        if key in self.known:
            return f"column misid: this person has an account already, UserID {self.known[key].user_id}"
        if others:
            return f"column misid: OneFile has it on another account, UserID {others[0]}"
        if owner is not None:
            return f"column user_id: it is the account of the {owner.role} {owner.misid}"
        return self._objection_of_onefile(key, link.user_id)

    def _objection_of_onefile(self, key: Key, user_id: int) -> str:
        told = _told(self.context, user_id)
        if told is None or str(told.get("organisationid", key.organisation_id)) != str(key.organisation_id):
            return "column user_id: the organisation has no such account in OneFile"
        role = _role_in(told) or key.role
        if role is not key.role:
            return f"column role: the account is that of a role {role}"
        if _misid_in(told) not in {"", key.misid}:
            return "column user_id: the account now has another MISID in OneFile"
        return ""


def _by_key(organisation_id: int, links: Sequence[LinkRow]) -> dict[Key, LinkRow]:
    chosen: dict[Key, LinkRow] = {}
    owners: dict[int, LinkRow] = {}
    for link in links:
        key = Key(organisation_id, link.role, link.misid)
        if key in chosen:
            _refuse([f"{link.where}, column misid: the same person as in {chosen[key].where}"])
        if link.user_id in owners:
            _refuse([f"{link.where}, column user_id: the same account as in {owners[link.user_id].where}"])
        chosen[key] = owners[link.user_id] = link
    return chosen


def _refuse(objections: Sequence[str]) -> None:
    if objections:
        more = f" So it is with {len(objections) - 1} more rows." if objections[1:] else ""
        raise LinksUnusable(f"{objections[0]}. Nothing was changed.{more}")


def _feeds(context: SyncContext) -> dict[Key, str]:
    """The people of the MIS, and the feed of each."""
    return {one.key: one.feed for one in _records(context)}


def _told(context: SyncContext, user_id: int) -> dict[str, Any] | None:
    """Return what OneFile has of an account; ``None`` if it has no such account."""
    try:
        return context.onefile.user(user_id)
    except Refused as refused:
        if refused.status in _GONE:
            return None
        raise


def _role_in(told: Mapping[str, Any]) -> Role | None:
    number: Any = told.get("role")
    return ROLE_BY_NUMBER.get(number)


def _misid_in(told: Mapping[str, Any]) -> str:
    return str(told.get("misid") or "").strip()


def _side_by_side(context: SyncContext, ask: Callable[[_Asked], _Answer], about: Iterable[_Asked]) -> list[_Answer]:
    with ThreadPoolExecutor(context.policy.max_in_flight) as pool:
        return list(pool.map(ask, about))


def _guarded(context: SyncContext, plan: Plan, known: Mapping[Key, Known], lookup: OneFileLookup) -> GuardedPlan:
    active = sum(account.status is not Status.ARCHIVED for account in known.values())
    return GuardedPlan(plan, guard(plan, context.policy.limits, active, ()), lookup)
