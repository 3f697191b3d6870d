"""Apply the answers to the proposals of first contact, and undo a wrong link."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, TypeAlias

from syncd.core.accounts import Known
from syncd.core.fields import Role
from syncd.core.identity import Answer, StoredAnswer
from syncd.core.matching import unlinked_misid
from syncd.core.misid import canonical
from syncd.core.plan import Plan, Returner, Update
from syncd.core.records import Key, OtherOrganisation
from syncd.core.run import Trigger
from syncd.errors import LinksUnusable
from syncd.onefile import is_archived, role_in
from syncd.operations.first_contact import read_account, side_by_side
from syncd.state import accounts, answers, changes, link_proposals
from syncd.sync.context import SyncContext
from syncd.sync.feeds import read_feeds
from syncd.sync.lookup import OneFileLookup
from syncd.sync.planner import GuardedPlan, guard_plan
from syncd.sync.run import PlanMaker, RunResult, execute


class Decision(Enum):
    """What an operator has answered about a proposal."""

    YES = auto()
    """It is the record's account."""
    NO = auto()
    """It is another person's account, or one that this record must not use."""
    OPEN = auto()
    """Nothing yet."""


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A proposal with an operator's answer, and where the file says so."""

    role: Role
    misid: str
    user_id: int
    where: str
    decision: Decision = Decision.YES
    misid_in_onefile: str | None = None
    """The MISID that the account had when it was proposed; ``None`` if the file does not say."""


@dataclass(frozen=True, slots=True)
class LinksApplied:
    """What became of the answers of a file."""

    run: RunResult
    """The run that sent the links."""
    new: int
    """The records of which every proposal is answered no: the next run creates them."""
    open: int
    """The records that still wait for an answer, and are held until then."""


class UnlinkResult(Enum):
    """How a link was undone."""

    MARKED = "OneFile's account has a MISID now that says so"
    WAS_GONE = "OneFile's account no longer had the MISID"
    NOT_YET = "OneFile did not take the change, and nothing was forgotten"


def apply_links(
    context: SyncContext,
    rows: Sequence[LinkRow],
    *,
    approved_by: str = "",
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> LinksApplied:
    """Send accounts and places the MISIDs that the operator has chosen for them, in a run, and store the other answers.

    A record of which every proposal is answered no is a new person: the next run creates it.
    The caller holds the organisation's lock. Raises as `execute` does, and `LinksUnusable` before anything is changed
    if one of the links cannot be made.
    """
    links = [row for row in rows if row.decision is Decision.YES]
    refused = [row for row in rows if row.decision is Decision.NO]
    done = execute(context, Trigger.LINK, _plan_of(links, refused), approved_by=approved_by, progress=progress)
    new, open_ = _store_answers(context, rows)
    return LinksApplied(done, new, open_)


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
    told = read_account(context, key.role, user_id)
    if told is not None and _misid_in(told) == key.misid:
        plan = Plan(updates=(Update(key, "", user_id, {"MISID": unlinked_misid(user_id)}, needs_recheck=True),))
        done = execute(context, Trigger.LINK, _only(plan), approved_by=who)
        outcome = UnlinkResult.MARKED if done.sent else UnlinkResult.NOT_YET
    if outcome is not UnlinkResult.NOT_YET:
        forget(context, key)
        with context.session() as session:
            # The account has the record's names by now, and the operator has said that it is not the record's.
            answers.save(session, key, StoredAnswer(Answer.NEW))
    return outcome


def forget(context: SyncContext, key: Key) -> None:
    """Remove a link from the state store, and leave OneFile unchanged."""
    with context.session() as session:
        accounts.forget(session, key)
        # A run may have linked the record by its MISID since it was proposed.
        link_proposals.forget(session, key)


def _only(plan: Plan) -> PlanMaker:
    def maker(context: SyncContext) -> GuardedPlan:
        lookup = OneFileLookup(context.onefile, context.organisation_id, {}, context.policy.max_in_flight)
        return guard_plan(context, plan, lookup)

    return maker


def _plan_of(links: Sequence[LinkRow], refused: Sequence[LinkRow]) -> PlanMaker:
    def maker(context: SyncContext) -> GuardedPlan:
        with context.session() as session:
            known = accounts.known(session)
            unsettled = {each.key for each in changes.unsettled(session)}
            pending = link_proposals.pending(session)
        chosen = _by_key(context.organisation_id, links)
        # A file may be applied twice, for example after an interrupted run.
        open_ = {key: link for key, link in chosen.items() if key not in known or known[key].user_id != link.user_id}
        lookup = OneFileLookup(context.onefile, context.organisation_id, known, context.policy.max_in_flight)
        owners = {_id(key.role, account.user_id): key for key, account in known.items() if account.user_id is not None}
        checks = _Checks(
            context,
            known,
            owners,
            unsettled,
            lookup.find_new({key: {} for key in open_}),
            _feeds(context),
            {_id(key.role, link.user_id) for key, link in open_.items()},
        )
        said = [
            (row, checks.objection_to_key(key))
            for row in refused
            if (key := Key(context.organisation_id, row.role, row.misid)) not in pending
        ]
        answers_ = side_by_side(context, lambda one: checks.objection(*one), list(open_.items()))
        said += zip(open_.values(), answers_, strict=True)
        _refuse([f"{row.where}, {objection}" for row, objection in said if objection])
        updates = (
            Update(key, checks.feeds[key], link.user_id, {"MISID": key.misid}, is_link=True, needs_recheck=True)
            for key, link in open_.items()
        )
        archived = checks.archived | lookup.find_unlisted(checks.unsure)
        returners = (
            Returner(key, link.user_id, is_archived=True) for key, link in open_.items() if link.user_id in archived
        )
        return guard_plan(context, Plan(updates=tuple(updates), returners=tuple(returners)), lookup)

    return maker


def _store_answers(context: SyncContext, rows: Iterable[LinkRow]) -> tuple[int, int]:
    """Store what the rows say of records without a link; returns how many are new people, and how many are open."""
    by_key: dict[Key, list[LinkRow]] = {}
    for row in rows:
        by_key.setdefault(Key(context.organisation_id, row.role, row.misid), []).append(row)
    new = open_ = 0
    with context.session() as session:
        known, pending = accounts.known(session), link_proposals.pending(session)
        for key, of_record in by_key.items():
            if key in known:
                link_proposals.forget(session, key)
                if any(row.decision is Decision.YES and row.user_id == known[key].user_id for row in of_record):
                    answers.forget(session, [key])
                continue
            others = {row.user_id for row in of_record if row.decision is Decision.NO}
            link_proposals.forget(session, key, others)
            if set(pending.get(key, ())) - others:
                open_ += 1
            elif all(row.decision is Decision.NO for row in of_record):
                answers.save(session, key, StoredAnswer(Answer.NEW))
                new += 1
    return new, open_


@dataclass(frozen=True, slots=True)
class _Checks:
    """What a chosen link is checked against."""

    context: SyncContext
    known: Mapping[Key, Known]
    owners: Mapping["_Id", Key]
    """The key that each account and place has in the store."""
    unsettled: Set[Key]
    in_onefile: Mapping[Key, tuple[int, ...]]
    """The UserIDs that have the MISID already."""
    feeds: Mapping[Key, str]
    """The people and places of the MIS, and the feed of each."""
    chosen: Set["_Id"]
    """The accounts and places that get another MISID by this file."""
    archived: set[int] = field(default_factory=set)
    """The chosen UserIDs that OneFile shows as archived, as far as they were checked."""
    unsure: dict[int, Key] = field(default_factory=dict)
    """The chosen UserIDs whose answers do not say, each with the MISID that OneFile has, if any."""

    def objection_to_key(self, key: Key) -> str:
        """Return why no record can have this key; empty if one has it."""
        if key in self.feeds:
            return ""
        return (
            f"column misid: no feed has this MISID for the role {key.role}. "
            "A spreadsheet may have dropped the zeros at its front"
        )

    def objection(self, key: Key, link: LinkRow) -> str:
        """Return why this link cannot be made, the column first; empty if it can."""
        others = [
            user_id
            for user_id in self.in_onefile.get(key, ())
            if user_id != link.user_id and _id(key.role, user_id) not in self.chosen
        ]
        owner = self.owners.get(_id(key.role, link.user_id))
        if said := self.objection_to_key(key):
            return said
        if key in self.unsettled:
            return "column misid: a create for this person is in doubt; the next 'syncd sync' resolves it"
        if key in self.known:
            return f"column misid: this person has an account already, UserID {self.known[key].user_id}"
        if others:
            return (
                f"column misid: OneFile has it on another account, UserID {others[0]}; remove it there, or say yes in "
                "the row that gives that account another MISID"
            )
        if owner is not None:
            return f"column user_id: it is the account of the {owner.role} {owner.misid}"
        return self._objection_of_onefile(key, link)

    def _objection_of_onefile(self, key: Key, link: LinkRow) -> str:
        told = read_account(self.context, key.role, link.user_id)
        if told is None or str(told.get("organisationid", key.organisation_id)) != str(key.organisation_id):
            what = "place" if key.role.is_place else "account"
            return f"column user_id: the organisation has no such {what} in OneFile"
        role = role_in(told) or key.role
        if role is not key.role:
            return f"column role: the account is that of a role {role}"
        misid, stated = _misid_in(told), link.misid_in_onefile
        if misid not in {canonical(stated or ""), key.misid}:
            if stated is None:
                return "column user_id: the account now has another MISID in OneFile"
            return "column misid_in_onefile: in OneFile this is not, or no longer, its MISID; run 'syncd link' again"
        if is_archived(told) and not key.role.is_place:
            self.archived.add(link.user_id)
        elif is_archived(told) is None and not key.role.is_place:
            self.unsure[link.user_id] = key._replace(misid=misid)
        return ""


#: Users and each kind of place have ids of their own.
_Id: TypeAlias = tuple[str, int]


def _id(role: Role, number: int) -> _Id:
    return role if role.is_place else "", number


def _by_key(organisation_id: int, links: Sequence[LinkRow]) -> dict[Key, LinkRow]:
    chosen: dict[Key, LinkRow] = {}
    owners: dict[_Id, LinkRow] = {}
    for link in links:
        key, its_id = Key(organisation_id, link.role, link.misid), _id(link.role, link.user_id)
        if key in chosen:
            _refuse([f"{link.where}, column misid: the same person as in {chosen[key].where}"])
        if its_id in owners:
            _refuse([f"{link.where}, column user_id: the same account as in {owners[its_id].where}"])
        chosen[key] = owners[its_id] = link
    return chosen


def _refuse(objections: Sequence[str]) -> None:
    if objections:
        more = f" So it is with {len(objections) - 1} more rows." if objections[1:] else ""
        raise LinksUnusable(f"{objections[0]}. Nothing was changed.{more}")


def _feeds(context: SyncContext) -> dict[Key, str]:
    """The people and places of the MIS, and the feed of each."""
    return {row.key: row.feed for row in read_feeds(context) if not isinstance(row, OtherOrganisation)}


def _misid_in(told: Mapping[str, Any]) -> str:
    return canonical(str(told.get("misid") or ""))
