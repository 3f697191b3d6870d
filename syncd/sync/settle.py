"""Settle creates in doubt: find out what became of those whose answer an earlier run did not receive."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from syncd.core.accounts import Known, Status
from syncd.core.compare import Doubt
from syncd.core.drift import confirmed
from syncd.core.fields import FIELDS, Referent, Role
from syncd.core.misid import canonical
from syncd.core.records import Held, Key, Reason
from syncd.core.run import Action, Outcome
from syncd.core.scope import EVERYONE, Scope
from syncd.core.suspension import ActionKind
from syncd.core.values import Value
from syncd.errors import Refused
from syncd.onefile import is_archived
from syncd.state import accounts, changes, feed_digests, held_records, references, suspensions
from syncd.state.changes import KnownCreate, Unsettled
from syncd.state.in_doubt import mark_pending_in_doubt
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup

_UNARCHIVED: Final = {Status.ACTIVE, Status.LEAVER}


@dataclass(frozen=True, slots=True)
class SettleResult:
    """What is known of the creates in doubt."""

    doubts: Mapping[Key, Doubt] = field(default_factory=dict)
    """The creates that are not settled, with why not."""
    absent: Set[Key] = frozenset()
    """The creates that did not happen: OneFile was just searched and has neither the key nor one that looks like it."""
    mismatched: Mapping[Key, str] = field(default_factory=dict)
    """The creates that stay in doubt because OneFile's search has returned other MISIDs, with what was wrong."""


def settle(context: SyncContext, scope: Scope = EVERYONE) -> SettleResult:
    """Search OneFile for every create in doubt in the scope: an account is linked, a missing one was not created.

    A create that OneFile has accepted never counts as not done, however long its account cannot be found. Any other
    does only if the search is known to be up to date, or if an operator or a day has confirmed that it is missing.
    Raises what OneFile's reads raise, and `Interrupted`.
    """
    organisation_id = context.organisation_id
    with context.reading_session() as session:
        if not changes.are_any_open(session):
            return SettleResult()
    with context.session() as session:
        mark_pending_in_doubt(session)
        changes.doubt_pending(session)
        unsettled = [each for each in changes.unsettled(session) if each.key.misid in scope]
        if not unsettled:
            return SettleResult()
        known = accounts.known(session)
        feed_digests.pause(session)
    _sleep(context, max(each.at for each in unsettled) + context.policy.settle - context.clock())
    lookup = OneFileLookup(context.onefile, organisation_id, known, context.policy.max_in_flight)
    # Before the search that decides: what shows that the search is up to date also holds for a later one.
    unproven = _unproven(context, unsettled, known, lookup) if context.policy.longest_search_lag else {}
    found = lookup.find_new({each.key: each.detail["fields"] for each in unsettled})
    users = {ids[0]: key for key, ids in found.items() if len(ids) == 1 and not key.role.is_place}
    archived = {users[user_id] for user_id in lookup.find_archived(users)}
    mismatched = lookup.mismatched(each.key for each in unsettled if each.key not in found)
    doubts: dict[Key, Doubt] = {}
    waiting: dict[Key, KnownCreate | None] = {}
    absent: set[Key] = set()
    for each in unsettled:
        if each.key in mismatched:
            continue
        if each.key not in found and each.outcome is Outcome.ACCEPTED:
            doubts[each.key] = Doubt("OneFile has accepted a create, and no search shows the account yet")
        elif each.key not in found and each.key in unproven:
            waiting[each.key] = unproven[each.key]
            doubts[each.key] = Doubt(_describe_wait(waiting[each.key], each.refusal))
        elif ambiguity := _settle_one(context, each, found.get(each.key, ()), archived, lookup):
            doubts[each.key] = Doubt(ambiguity, Reason.AMBIGUOUS)
        elif each.key not in found and not lookup.has_shown_lookalike(each.key):
            absent.add(each.key)
    _log_waiting(context, waiting)
    return SettleResult(doubts, absent, mismatched)


def _unproven(
    context: SyncContext, unsettled: Iterable[Unsettled], known: Mapping[Key, Known], lookup: OneFileLookup
) -> dict[Key, KnownCreate | None]:
    """Return the creates that OneFile may have made even if the next search does not show them.

    A search is up to date with a create if it shows an account that syncd has created after it. Each of those returned
    has the account by which the search is known to be behind, or ``None`` if nothing shows how far it is behind.
    """
    unproven: dict[Key, KnownCreate | None] = {}
    shown: dict[tuple[Role, int], bool | None] = {}
    for each in unsettled:
        if each.outcome is Outcome.ACCEPTED or each.is_confirmed_absent:
            continue
        witness, is_shown = None, True
        for create in _known_creates(context, each, known):
            account = create.key.role, create.user_id
            if account not in shown:
                shown[account] = _is_shown(context, create, lookup)
            if (answer := shown[account]) is not None:
                witness, is_shown = create, answer
                break
        if not is_shown:
            unproven[each.key] = witness
        elif not (witness and witness.is_after) and context.clock() < each.at + context.policy.longest_search_lag:
            unproven[each.key] = None
    return unproven


def _known_creates(context: SyncContext, doubt: Unsettled, known: Mapping[Key, Known]) -> list[KnownCreate]:
    """The creates by which to judge the search, those after one in doubt first.

    The account of none is archived, and all have the MISID that they were created with, as far as the store knows.
    """
    # OneFile may still have worked on the create in doubt when its answer was lost.
    moment, since = doubt.at + context.policy.settle, doubt.at - context.policy.longest_search_lag
    with context.reading_session() as session:
        creates = changes.known_creates(session, doubt.key.role.sharing_ids, doubt.change, since, moment)
    accounts_of = ((create, known.get(create.key)) for create in creates)
    return [
        create
        for create, account in accounts_of
        if account is not None and account.user_id == create.user_id and account.status in _UNARCHIVED
    ]


def _is_shown(context: SyncContext, create: KnownCreate, lookup: OneFileLookup) -> bool | None:
    """Whether a search shows an account; ``None`` if it need not, because OneFile has changed or archived it."""
    if lookup.shows(create.key, create.user_id):
        return True
    try:
        account = context.onefile.one(create.key.role, create.user_id)
    except Refused:
        return None
    has_misid = canonical(str(account.get("misid") or "")) == create.key.misid
    return False if has_misid and not is_archived(account) else None


def _describe_wait(behind: KnownCreate | None, answer: str) -> str:
    """Why a create is not settled; ``answer`` is what OneFile has answered in words, if it has."""
    if behind is None:
        why = (
            "no search shows the account, and syncd has created no account since that would show that the search is up "
            "to date"
        )
    else:
        account = f"the {behind.key.role} {behind.key.misid} (UserID {behind.user_id})"
        when = "later" if behind.is_after else "earlier"
        why = f"OneFile's search is behind, because it does not show {account}, which syncd created {when}"
    return f"it is not known whether a create was done: {why}" + (f"; {answer}" if answer else "")


def _log_waiting(context: SyncContext, waiting: Mapping[Key, KnownCreate | None]) -> None:
    for behind in sorted(set(waiting.values()), key=str):
        misids = sorted(key.misid for key, each in waiting.items() if each == behind)
        if behind is None:
            context.log.warning("search_unproven", waiting=misids)
        else:
            account = {"misid": behind.key.misid, "role": behind.key.role, "user_id": behind.user_id}
            context.log.warning("search_behind", **account, waiting=misids)


def _sleep(context: SyncContext, left: timedelta) -> None:
    if left > timedelta():
        context.onefile.rate_limiter.sleep(left.total_seconds())


def _accepted(context: SyncContext, doubt: Unsettled, user_id: int, lookup: OneFileLookup) -> dict[str, Value]:
    """What OneFile has of what a create has sent, and the names that the search has shown.

    A person may have created the account meanwhile, or edited it, so OneFile is asked. The names show whether a MISID
    is used again.
    """
    try:
        shown = context.onefile.one(doubt.key.role, user_id)
    except Refused:
        shown = {}
    accepted = {**confirmed(doubt.detail["fields"], shown), "MISID": doubt.key.misid}
    names = None if doubt.key.role.is_place else lookup.names_of(user_id)
    return accepted if names is None else accepted | {"FirstName": names.first, "LastName": names.last}


def _owner_of(context: SyncContext, key: Key, user_id: int) -> Key | None:
    with context.reading_session() as session:
        return accounts.owner_of(session, key, user_id)


def _settle_one(
    context: SyncContext, doubt: Unsettled, user_ids: tuple[int, ...], archived: Set[Key], lookup: OneFileLookup
) -> str:
    """Record what became of one create; returns why a person must settle it, or an empty text.

    If the account is archived, the run unarchives it before it sends the record.
    """
    if len(user_ids) > 1:
        listed = ", ".join(map(str, sorted(user_ids)))
        return f"a create may have been done, and OneFile has its MISID on several accounts: UserIDs {listed}"
    if not user_ids and doubt.outcome is Outcome.ACCEPTED:
        return ""
    if user_ids and (owner := _owner_of(context, doubt.key, user_ids[0])) is not None:
        account = f"the account with the UserID {user_ids[0]}, which is that of the {owner.role} {owner.misid}"
        return f"a create may have been done, and OneFile has its MISID on {account}"
    user_id = user_ids[0] if user_ids else None
    outcome = Outcome.APPLIED if user_ids else Outcome.REFUSED if doubt.refusal else Outcome.NOT_DONE
    refused = _refused(context, doubt) if outcome is Outcome.REFUSED else None
    is_new = user_id is not None and doubt.outcome is not Outcome.ACCEPTED
    accepted = _accepted(context, doubt, user_id, lookup) if is_new and user_id is not None else {}
    with context.session() as session:
        changes.record_outcome(session, doubt.change, outcome, user_id=user_id)
        if refused is not None:
            held_records.hold(session, refused)
            references.doubt(session, doubt.run, _ids_sent(doubt))
        if user_id is not None and doubt.outcome is Outcome.ACCEPTED:
            accounts.identify(session, doubt.key, user_id)
        elif user_id is not None:
            accounts.save(
                session,
                doubt.key,
                user_id=user_id,
                feed=doubt.detail["feed"],
                accepted=accepted,
                fingerprint="",
                needs_recheck=True,
            )
        if doubt.key in archived:
            accounts.set_archived(session, doubt.key)
    context.log.info(
        "change_settled",
        change=doubt.change,
        action="create",
        misid=doubt.key.misid,
        role=doubt.key.role,
        user_id=user_id,
        fields=sorted(doubt.detail["fields"]),
        outcome=outcome,
    )
    if refused is not None:
        context.log.warning(
            "record_held", misid=refused.misid, role=refused.role, reason=refused.reason, field=refused.field
        )
    return ""


def _refused(context: SyncContext, doubt: Unsettled) -> Held | None:
    """The record to hold of a create that OneFile has answered in words and did not do.

    ``None`` if the create was the try of a suspended action, so that its step stays queued.
    """
    with context.reading_session() as session:
        streak = suspensions.streaks(session).get(ActionKind(doubt.key.role, Action.CREATE))
    if streak is not None and streak.is_suspended and doubt.key.misid not in streak.misids:
        return None
    return Held(
        *doubt.key, doubt.detail["feed"], Reason.REFUSED, "", doubt.refusal, fingerprint=doubt.detail["fingerprint"]
    )


def _ids_sent(doubt: Unsettled) -> list[tuple[Referent, int]]:
    """The ids of other accounts and of places that a create has sent."""
    fields = ((FIELDS[name].referent, value) for name, value in doubt.detail["fields"].items())
    return [(referent, value) for referent, value in fields if referent is not None and isinstance(value, int)]
