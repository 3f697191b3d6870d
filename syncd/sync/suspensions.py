"""The suspended actions of one run: what may be sent of them, and what OneFile answers."""

from collections import Counter
from collections.abc import Mapping
from threading import Lock

from syncd.core.records import Key
from syncd.core.suspension import ActionKind, Streak, reason_of
from syncd.core.values import Sent
from syncd.state import accounts, suspensions
from syncd.state.session import StateSession
from syncd.sync.context import SyncContext


class Suspensions:
    """Which kinds of actions OneFile refuses again and again. Any thread may use it.

    Refusals are counted in the order of OneFile's answers. Calls that are in flight when an action becomes suspended
    are not taken back, so up to ``max_in_flight`` records more than `SUSPENDED_AFTER` may be refused.
    """

    def __init__(self, context: SyncContext) -> None:
        self._context = context
        self._lock = Lock()
        with context.reading_session() as session:
            self._streaks = suspensions.streaks(session)
            self._tries = {each.kind: each.tries for each in suspensions.listing(session)}
        self._to_try = set(self._tries)
        self._trying: set[ActionKind] = set()
        """The actions of which a step was sent to be tried, and whose answer is not known."""
        self.queued: Counter[ActionKind] = Counter()
        """The steps that were left unsent."""
        self.has_resumed = False
        """Whether OneFile has accepted a suspended action again."""
        self.released = 0
        """How many refused records the next run sends again, because an action was resumed."""

    @property
    def tries(self) -> Mapping[ActionKind, int]:
        """How many records earlier runs have tried of each action that was suspended when this run began."""
        return self._tries

    def may_send(self, kind: ActionKind) -> bool:
        """Whether a step of this kind may be sent; of an action that was suspended before the run, one may."""
        with self._lock:
            streak = self._streaks.get(kind)
            if streak is None or not streak.is_suspended:
                return True
            if kind not in self._to_try:
                return False
            self._to_try.remove(kind)
            self._trying.add(kind)
            return True

    def queue(self, kind: ActionKind, count: int = 1) -> None:
        """Count steps that are left unsent."""
        with self._lock:
            self.queued[kind] += count

    def streak(self, kind: ActionKind) -> Streak | None:
        """The refusals in a row of this kind so far."""
        with self._lock:
            return self._streaks.get(kind)

    def accepted(self, session: StateSession, kind: ActionKind, before: Streak | None) -> bool:
        """Record that OneFile has accepted a change of this kind; returns whether that resumes the action.

        ``before`` was the `streak` when the call began: a call that was in flight at the first refusal of a streak does
        not end it, because the cause may have come since, as when the last seats are taken.
        """
        with self._lock:
            streak = self._streaks.get(kind)
            if streak is None or not streak.continues(before) or (streak.is_suspended and kind not in self._trying):
                return False
            del self._streaks[kind]
            if not streak.is_suspended:
                suspensions.end(session, kind)
                return False
            self._trying.remove(kind)
            self.released += suspensions.resume(session, kind, streak.misids)
            self.has_resumed = True
            return True

    def log_resumed(self, kind: ActionKind) -> None:
        """Log that OneFile has accepted a suspended action."""
        self._context.log.info("action_resumed", role=kind.role, action=kind.action, reason="OneFile accepts it again")

    def refused(self, key: Key, kind: ActionKind, status: int, message: str, sent: Mapping[str, Sent]) -> bool:
        """Record a refusal; returns whether the step stays queued, because it was the try of a suspended action."""
        with self._context.session() as session:
            known = accounts.values(session, [key]).get(key, {})
            reason = reason_of(status, message, sent, known)
            with self._lock:
                before = self._streaks.get(kind)
                is_try = kind in self._trying
                self._trying.discard(kind)
                if is_try and before is not None and reason == before.reason:
                    self.queued[kind] += 1
                    return True
                streak = self._streaks[kind] = (before or Streak(reason)).refused(reason, key.misid)
                suspensions.save(session, kind, streak)
        if streak.is_suspended and not (before and before.is_suspended):
            self._context.log.error("action_suspended", role=kind.role, action=kind.action, reason=reason)
        return False

    def finish(self, session: StateSession, *, is_complete: bool) -> list[ActionKind]:
        """Record what the run has left queued; returns the suspended actions that end, as nothing is left of them.

        Only a run about everyone that ``is_complete`` shows that nothing is queued. Then one of the refused records
        goes into the queue, so that the next run has one to try.
        """
        ended = []
        suspended = [(kind, streak) for kind, streak in self._streaks.items() if streak.is_suspended]
        for kind, streak in suspended if is_complete else ():
            if self.queued[kind]:
                continue
            if suspensions.release_one(session, kind, streak.misids):
                self.queue(kind)
            else:
                suspensions.end(session, kind)
                ended.append(kind)
        tried = self._tries.keys() - self._to_try
        suspensions.record_run(session, {kind: self.queued[kind] for kind, _ in suspended}, tried)
        return ended
