"""Settle creates in doubt: find out what became of those whose answer an earlier run did not receive."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import timedelta

from syncd.core.records import Key
from syncd.core.run import Outcome
from syncd.core.scope import EVERYONE, Scope
from syncd.state import accounts, changes, feed_digests
from syncd.state.changes import Unsettled
from syncd.state.in_doubt import mark_pending_in_doubt
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup


@dataclass(frozen=True, slots=True)
class SettleResult:
    """What is known of the creates in doubt."""

    ambiguous: Mapping[Key, str] = field(default_factory=dict)
    """The creates that only a person can settle, with the reason."""
    absent: Set[Key] = frozenset()
    """The creates that did not happen: OneFile was just searched and does not have the key."""


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
    _wait_for_search_to_catch_up(context, unsettled)
    lookup = OneFileLookup(context.onefile, organisation_id, known, context.policy.max_in_flight)
    found = lookup.find_new({each.key: each.detail["fields"] for each in unsettled})
    users = {ids[0]: key for key, ids in found.items() if len(ids) == 1 and not key.role.is_place}
    archived = {users[user_id] for user_id in lookup.find_archived(users)}
    reasons = {each.key: _settle_one(context, each, found.get(each.key, ()), archived, lookup) for each in unsettled}
    return SettleResult({key: reason for key, reason in reasons.items() if reason}, reasons.keys() - found.keys())


def _wait_for_search_to_catch_up(context: SyncContext, unsettled: list[Unsettled]) -> None:
    now = context.clock()
    # A killed process has left only the intent, and its call may have waited long for the rate limit.
    newest = max(now if each.outcome is Outcome.PENDING else each.at for each in unsettled)
    # A time in the future means that the clock was set back.
    left = min(newest, now) + context.policy.settle - now
    if left > timedelta():
        context.onefile.rate_limiter.sleep(left.total_seconds())


def _shown_names(key: Key, user_id: int, lookup: OneFileLookup) -> dict[str, str]:
    """The names that the search has shown, by which a MISID that is used again is noticed.

    A person may have created the account meanwhile, so its other values are not known.
    """
    names = None if key.role.is_place else lookup.names_of(user_id)
    return {} if names is None else {"FirstName": names.first, "LastName": names.last}


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
    outcome = Outcome.APPLIED if user_ids else Outcome.NOT_DONE
    user_id = user_ids[0] if user_ids else None
    with context.session() as session:
        changes.record_outcome(session, doubt.change, outcome, user_id=user_id)
        if user_id is not None and doubt.outcome is Outcome.ACCEPTED:
            accounts.identify(session, doubt.key, user_id)
        elif user_id is not None:
            accounts.save(
                session,
                doubt.key,
                user_id=user_id,
                feed=doubt.detail["feed"],
                accepted={"MISID": doubt.key.misid, **_shown_names(doubt.key, user_id, lookup)},
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
    return ""
