"""Settle creates in doubt: find out what became of those whose answer an earlier run did not receive."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from syncd.core.accounts import Known
from syncd.core.drift import confirmed
from syncd.core.fields import FIELDS, Referent, Role
from syncd.core.misid import canonical
from syncd.core.records import Held, Key, Reason
from syncd.core.run import Action, Outcome
from syncd.core.scope import EVERYONE, Scope
from syncd.core.suspension import ActionKind
from syncd.core.values import Value
from syncd.errors import Refused
from syncd.state import accounts, changes, feed_digests, held_records, references, suspensions
from syncd.state.changes import KnownCreate, Unsettled
from syncd.state.in_doubt import mark_pending_in_doubt
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup

#: An account that no search shows after this many times `settle_seconds`, a day by default, says nothing of searches.
_BEHIND_AT_MOST: Final = 1440
#: How many creates are considered before and after: a person may have changed the MISID of some since.
_CANDIDATES: Final = 10


@dataclass(frozen=True, slots=True)
class SettleResult:
    """What is known of the creates in doubt."""

    ambiguous: Mapping[Key, str] = field(default_factory=dict)
    """The creates that only a person can settle, with the reason."""
    absent: Set[Key] = frozenset()
    """The creates that did not happen: OneFile was just searched and has neither the key nor one that looks like it."""
    mismatched: Mapping[Key, str] = field(default_factory=dict)
    """The creates that stay in doubt because OneFile's search has returned other MISIDs, with what was wrong."""


def settle(context: SyncContext, scope: Scope = EVERYONE) -> SettleResult:
    """Search OneFile for every create in doubt in the scope: an account is linked, a missing one was not created.

    A create that OneFile has accepted never counts as not done, however long its account cannot be found.
    Raises what OneFile's reads raise, and `Interrupted`.
    """
    organisation_id = context.organisation_id
    with context.reading_session() as session:
        if not changes.are_any_open(session):
            return SettleResult()
    with context.session() as session:
        mark_pending_in_doubt(session)
        changes.forget_pending(session)
        unsettled = [each for each in changes.unsettled(session) if each.key.misid in scope]
        if not unsettled:
            return SettleResult()
        known = accounts.known(session)
        feed_digests.pause(session)
    latest = _latest_times(context, unsettled)
    _sleep(context, max(latest.values()) + context.policy.settle - context.clock())
    lookup = OneFileLookup(context.onefile, organisation_id, known, context.policy.max_in_flight)
    found = lookup.find_new({each.key: each.detail["fields"] for each in unsettled})
    missing = {each.key: each for each in unsettled if each.key not in found and each.outcome is not Outcome.ACCEPTED}
    behind = _find_again(context, missing, latest, known, lookup, found) if context.policy.settle else set()
    users = {ids[0]: key for key, ids in found.items() if len(ids) == 1 and not key.role.is_place}
    archived = {users[user_id] for user_id in lookup.find_archived(users)}
    mismatched = lookup.mismatched(each.key for each in unsettled if each.key not in found)
    reasons = {
        each.key: _settle_one(context, each, found.get(each.key, ()), archived, lookup)
        for each in unsettled
        if each.key not in mismatched and each.key not in behind
    }
    absent = {key for key in reasons.keys() - found.keys() if not lookup.has_shown_lookalike(key)}
    return SettleResult({key: reason for key, reason in reasons.items() if reason}, absent, mismatched)


def _find_again(
    context: SyncContext,
    missing: Mapping[Key, Unsettled],
    latest: Mapping[Key, datetime],
    known: Mapping[Key, Known],
    lookup: OneFileLookup,
    found: dict[Key, tuple[int, ...]],
) -> set[Key]:
    """Search once more for creates that a search has not shown, if it shows a known account of about the same time.

    ``latest`` are the latest times at which they may have been done. Adds to ``found`` what there is. Returns the
    creates that must stay in doubt because OneFile's search is behind: it does not show that account yet.
    """
    behind: set[Key] = set()
    to_find: dict[Key, Mapping[str, object]] = {}
    for roles in sorted({key.role.sharing_ids for key in missing}):
        doubts = sorted(key for key in missing if key.role in roles)
        moment = max(latest[key] for key in doubts)
        witness = _witness(context, roles, moment, known)
        if witness is None:
            continue
        if not lookup.shows(witness.key, witness.user_id) and _exists(context, witness):
            behind.update(doubts)
            context.log.warning(
                "search_behind",
                misid=witness.key.misid,
                role=witness.key.role,
                user_id=witness.user_id,
                waiting=[key.misid for key in doubts],
            )
            continue
        earlier_by = moment - witness.at
        if earlier_by <= context.policy.settle:
            # The search shows what was created so much earlier, and shows the rest after the same time.
            _sleep(context, earlier_by)
            to_find |= {key: missing[key].detail["fields"] for key in doubts}
    found |= lookup.find_created(to_find)
    return behind


def _witness(
    context: SyncContext, roles: tuple[Role, ...], moment: datetime, known: Mapping[Key, Known]
) -> KnownCreate | None:
    """The known account that syncd has created next after a moment, else the last one before it.

    ``None`` if there is none, or if it is so old that it says nothing about how far OneFile's search is behind.
    """
    since = context.clock() - _BEHIND_AT_MOST * context.policy.settle
    with context.reading_session() as session:
        creates = changes.known_creates(session, roles, since, moment, _CANDIDATES)
    accounts_of = ((each, known.get(each.key)) for each in creates)
    return next((each for each, account in accounts_of if account and account.user_id == each.user_id), None)


def _exists(context: SyncContext, create: KnownCreate) -> bool:
    """Whether OneFile still has the account with its MISID, so that a search should show it."""
    try:
        shown = context.onefile.one(create.key.role, create.user_id)
    except Refused:
        return False
    return canonical(str(shown.get("misid") or "")) == create.key.misid


def _latest_times(context: SyncContext, unsettled: list[Unsettled]) -> dict[Key, datetime]:
    """The latest time at which each create may have been done."""
    now = context.clock()
    # A killed process has left only the intent, and its call may have waited long for the rate limit. A time in the
    # future means that the clock was set back.
    return {each.key: now if each.outcome is Outcome.PENDING else min(each.at, now) for each in unsettled}


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
