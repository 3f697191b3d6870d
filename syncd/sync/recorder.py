"""Records each change before its call and its outcome after it, so that the process may be killed at any time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeAlias

from syncd.core.fields import FIELDS
from syncd.core.records import Held, Key
from syncd.core.redaction import redact
from syncd.core.run import Action, Outcome
from syncd.core.suspension import ActionKind
from syncd.core.values import Sent
from syncd.errors import AnswerLost, CredentialsRefused, Interrupted, LockLost, OneFileUnreachable, Refused
from syncd.onefile import Created, Response
from syncd.state import accounts, changes, credentials, held_records, plan_steps, references
from syncd.state.in_doubt import mark_in_doubt
from syncd.state.plan_steps import StepToSend
from syncd.state.session import StateSession
from syncd.sync.accepted import AcceptedCreates
from syncd.sync.context import SyncContext
from syncd.sync.suspensions import Suspensions
from syncd.sync.tally import RunTally

#: After this many lost answers, with none received in between, OneFile is considered down.
_LOST_IN_A_ROW: Final = 5

NO_IDS: Final[Mapping[str, int]] = {}

Call: TypeAlias = Callable[[], tuple[Created | None, Response]]
"""Sends a change. Raises what the client does."""
Accept: TypeAlias = Callable[[StateSession, int | None], None]
"""Stores with the account what OneFile has accepted, with its id if that is known."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change as the state store records it."""

    key: Key
    action: Action
    fields: Mapping[str, Sent]
    user_id: int | None
    """``None`` for a create."""
    feed: str = ""
    fingerprint: str = ""
    note: str = ""
    """What its fields do not show."""
    step: StepToSend | None = None
    """The step that it carries out."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """OneFile's refusal of a change."""

    status: int
    message: str
    """OneFile's own words, without values that were sent for the record; often empty."""

    def __str__(self) -> str:
        return f"OneFile refused it with status {self.status}" + (f": {self.message}" if self.message else "")


class ChangeRecorder:
    """Records the changes of one run, and holds the records that OneFile refuses. Any thread may use it."""

    def __init__(
        self, context: SyncContext, run: int, tally: RunTally, accepted: AcceptedCreates, suspensions: Suspensions
    ) -> None:
        self._context = context
        self._run = run
        self._tally = tally
        self._accepted = accepted
        self._suspensions = suspensions
        self._lock = Lock()
        self._lost_in_a_row = 0
        self._held: set[Key] = set()

    def attempt(self, change: Change, call: Call, accept: Accept) -> Refusal | None:
        """Carry out one change from intent to outcome; returns OneFile's refusal, if it was refused.

        Raises `OneFileUnreachable`, `CredentialsRefused`, `LockLost`, `Interrupted` and `StateUnusable`, which end the
        sending.
        """
        number = self._record_intent(change)
        log = self._context.log.bind(
            change=number,
            action=change.action,
            misid=change.key.misid,
            role=change.key.role,
            user_id=change.user_id,
            fields=sorted(change.fields),
        )

        def doubt(session: StateSession) -> None:
            mark_in_doubt(session, change.key, change.action, change.fields)

        kind = ActionKind(change.key.role, change.action)
        before = self._suspensions.streak(kind)
        try:
            created, response = call()
        except (OneFileUnreachable, CredentialsRefused, LockLost, Interrupted) as problem:
            # An earlier attempt may have been carried out, and its answer lost.
            attempts = getattr(problem, "attempts", None)
            also = None if attempts == 1 else doubt
            self._record_outcome(number, Outcome.NOT_DONE, attempts=attempts or 1, also=also)
            raise
        except Refused as refused:
            refusal = Refusal(refused.status, redact(refused.message, change.fields, self._accepted_values(change.key)))
            self._record_outcome(
                number,
                Outcome.REFUSED,
                http_status=refused.status,
                attempts=refused.attempts,
                message=str(refusal),
                also=doubt if refused.attempts > 1 else None,
            )
            log.warning("change_refused", http_status=refused.status)
            self._tally.count(Outcome.REFUSED)
            return refusal
        except AnswerLost as lost:
            self._record_outcome(number, Outcome.IN_DOUBT, http_status=lost.status, attempts=lost.attempts, also=doubt)
            log.warning("change_in_doubt", http_status=lost.status)
            self._tally.count(Outcome.IN_DOUBT)
            self._raise_if_down(lost)
            return None

        self._lost_in_a_row = 0
        new_id = change.user_id if created is None else created.user_id
        outcome = Outcome.APPLIED if new_id is not None else Outcome.ACCEPTED
        with self._context.session() as session:
            accept(session, new_id)
            if created is not None and new_id is not None and created.password:
                self._save_password(session, change.key, new_id, created)
            changes.record_outcome(
                session,
                number,
                outcome,
                http_status=response.status,
                user_id=new_id,
                attempts=response.attempts,
                message=response.note,
            )
            is_resumed = self._suspensions.accepted(session, kind, before)
        if is_resumed:
            self._suspensions.log_resumed(kind)
        if outcome is Outcome.ACCEPTED:
            self._accepted.add(change.key, number, change.fields, log)
        else:
            log.info("change_applied", http_status=response.status, **({"user_id": new_id} if created else {}))
            self._tally.count(outcome, change.action)
        return None

    def hold(self, hold: Held, sent_ids: Mapping[str, int] = NO_IDS) -> None:
        """Add a record that cannot be sent to the held list.

        ``sent_ids`` are the ids, by field, that codes stand for and that OneFile has refused with the record.
        """
        referents = ((FIELDS[name].referent, onefile_id) for name, onefile_id in sent_ids.items())
        with self._context.session() as session:
            held_records.hold(session, hold)
            references.doubt(
                session, self._run, [(referent, onefile_id) for referent, onefile_id in referents if referent]
            )
        self._context.log.warning("record_held", misid=hold.misid, role=hold.role, reason=hold.reason, field=hold.field)
        self._tally.count_held()
        with self._lock:
            self._held.add(hold.key)

    def refuse(self, change: Change, refusal: Refusal, hold: Held | None, sent_ids: Mapping[str, int] = NO_IDS) -> bool:
        """Hold the record of a refused change, if it has one; returns whether it stays queued instead.

        It does if it was the try of a suspended action.
        """
        kind = ActionKind(change.key.role, change.action)
        if self._suspensions.refused(change.key, kind, refusal.status, refusal.message, change.fields):
            return True
        if hold is not None:
            self.hold(hold, sent_ids)
        return False

    def is_held(self, key: Key) -> bool:
        """Whether the record was held while the plan was sent, so that nothing more of it may be sent."""
        return key in self._held

    def _accepted_values(self, key: Key) -> Mapping[str, Sent]:
        """What was sent for the record before, which OneFile may repeat as well."""
        with self._context.session() as session:
            return accounts.values(session, [key]).get(key, {})

    def _record_intent(self, change: Change) -> int:
        with self._context.session() as session:
            if change.step is not None:
                plan_steps.record_undone(session, change.step.step)
            return changes.record_intent(
                session,
                self._run,
                change.key,
                change.action,
                change.fields,
                user_id=change.user_id,
                feed=change.feed,
                fingerprint=change.fingerprint,
                message=change.note,
                step=change.step.position if change.step else None,
                is_approved=change.step is not None and change.step.is_approved,
            )

    def _record_outcome(
        self,
        number: int,
        outcome: Outcome,
        *,
        attempts: int,
        http_status: int | None = None,
        message: str = "",
        also: Callable[[StateSession], None] | None = None,
    ) -> None:
        with self._context.session() as session:
            if also is not None:
                also(session)
            changes.record_outcome(
                session,
                number,
                outcome,
                http_status=http_status,
                attempts=attempts,
                message=message,
            )

    def _save_password(self, session: StateSession, key: Key, user_id: int, created: Created) -> None:
        is_saved = credentials.save(session, key, user_id, created.username, created.password)
        if not is_saved:
            self._tally.count_dropped_password()

    def _raise_if_down(self, lost: AnswerLost) -> None:
        with self._lock:
            self._lost_in_a_row += 1
            is_down = self._lost_in_a_row >= _LOST_IN_A_ROW
        if is_down:
            answer = f"answers status {lost.status}" if lost.status else "does not answer"
            raise OneFileUnreachable(f"OneFile {answer}: {_LOST_IN_A_ROW} calls running came to nothing.") from lost
