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
    store, organisation_id = context.store, context.organisation_id
    with store.reading() as connection:
        if not changes.are_any_open(connection, organisation_id):
            return SettleResult()
    with store.begin() as connection:
        mark_pending_in_doubt(connection, store.cipher, organisation_id, context.clock())
        changes.forget_pending(connection, organisation_id)
        unsettled = [
            each for each in changes.unsettled(connection, store.cipher, organisation_id) if each.key.misid in scope
        ]
        if not unsettled:
            return SettleResult()
        known = accounts.known(connection, organisation_id)
        feed_digests.pause(connection, organisation_id)
    _wait_for_search_to_catch_up(context, unsettled)
    lookup = OneFileLookup(context.onefile, organisation_id, known, context.policy.max_in_flight)
    found = lookup.find_new({each.key: each.detail["fields"] for each in unsettled})
    reasons = {each.key: _settle_one(context, each, found.get(each.key, ())) for each in unsettled}
    return SettleResult({key: reason for key, reason in reasons.items() if reason}, reasons.keys() - found.keys())


def _wait_for_search_to_catch_up(context: SyncContext, unsettled: list[Unsettled]) -> None:
    now = context.clock()
    # A killed process has left only the intent, and its call may have waited long for the rate limit.
    newest = max(now if each.outcome is Outcome.PENDING else each.at for each in unsettled)
    # A time in the future means that the clock was set back.
    left = min(newest, now) + context.policy.settle - now
    if left > timedelta():
        context.onefile.rate_limiter.sleep(left.total_seconds())


def _settle_one(context: SyncContext, doubt: Unsettled, user_ids: tuple[int, ...]) -> str:
    """Record what became of one create; returns why a person must settle it, or an empty text."""
    if len(user_ids) > 1:
        listed = ", ".join(map(str, sorted(user_ids)))
        return f"a create may have been done, and OneFile has its MISID on several accounts: UserIDs {listed}"
    if not user_ids and doubt.outcome is Outcome.ACCEPTED:
        return ""
    outcome = Outcome.APPLIED if user_ids else Outcome.NOT_DONE
    user_id = user_ids[0] if user_ids else None
    now = context.clock()
    with context.store.begin() as connection:
        changes.record_outcome(connection, doubt.change, outcome, now, user_id=user_id)
        if user_id is not None and doubt.outcome is Outcome.ACCEPTED:
            accounts.identify(connection, doubt.key, user_id)
        elif user_id is not None:
            accounts.save(
                connection,
                context.store.cipher,
                doubt.key,
                user_id=user_id,
                feed=doubt.detail["feed"],
                # A person may have created it meanwhile, so its other values are not known.
                accepted={"MISID": doubt.key.misid},
                fingerprint="",
                needs_recheck=True,
                now=now,
            )
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
