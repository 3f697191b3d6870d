"""Records each change before its call and its outcome after it, so that the process may be killed at any time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Final, TypeAlias

from syncd.core.fields import FIELDS, Role
from syncd.core.records import Held, Key
from syncd.core.redaction import redact
from syncd.core.run import Action, Outcome
from syncd.core.suspension import ActionKind, Streak
from syncd.core.values import Sent
from syncd.errors import AnswerLost, CredentialsRefused, Interrupted, LockLost, OneFileUnreachable, Refused
from syncd.onefile import Created, Response
from syncd.state import accounts, changes, credentials, held_records, plan_steps, references
from syncd.state.changes import ChangeEntry
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
_Claim: TypeAlias = tuple[tuple[Role, ...], int]
"""An id in OneFile, with the roles that share it."""
HasShown: TypeAlias = Callable[[Role, int], bool]
"""Whether OneFile had a user or a place of this id before the run sent anything."""


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
        self,
        context: SyncContext,
        run: int,
        tally: RunTally,
        accepted: AcceptedCreates,
        suspensions: Suspensions,
        has_shown: HasShown,
    ) -> None:
        self._context = context
        self._run = run
        self._tally = tally
        self._accepted = accepted
        self._suspensions = suspensions
        self._has_shown = has_shown
        self._lock = Lock()
        self._claimed_ids: set[_Claim] = set()
        """The ids in answers to creates that are being stored."""
        self._unusable_ids: set[_Claim] = set()
        """The ids in answers to creates that are not those of new accounts."""
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
            outcome, is_resumed = self._store(number, change, created, response, accept, before)
        except (OneFileUnreachable, CredentialsRefused, LockLost, Interrupted) as problem:
            # An earlier attempt may have been carried out, and its answer lost.
            attempts = getattr(problem, "attempts", None)
            also = None if attempts == 1 else doubt
            self._record_outcome(number, Outcome.NOT_DONE, attempts=attempts or 1, also=also)
            raise
        except Refused as refused:
            refusal = self._refusal(change, refused.status, refused.message)
            # With a status of success, or after a lost answer, it is not known what OneFile has now.
            is_in_doubt = refused.attempts > 1 or refused.status < HTTPStatus.BAD_REQUEST
            self._record_outcome(
                number,
                Outcome.REFUSED,
                http_status=refused.status,
                attempts=refused.attempts,
                message=str(refusal),
                also=doubt if is_in_doubt else None,
            )
            log.warning("change_refused", http_status=refused.status)
            self._tally.count(Outcome.REFUSED)
            return refusal
        except AnswerLost as lost:
            if lost.words:
                self._record_words(number, change, lost, doubt)
            else:
                self._record_outcome(
                    number,
                    Outcome.IN_DOUBT,
                    http_status=lost.status,
                    attempts=lost.attempts,
                    message=lost.why,
                    also=doubt,
                )
            log.warning("change_in_doubt", http_status=lost.status, **({"reason": lost.why} if lost.why else {}))
            self._tally.count(Outcome.IN_DOUBT)
            if not lost.words:
                self._raise_if_down(lost)
            return None

        self._lost_in_a_row = 0
        if is_resumed:
            self._suspensions.log_resumed(kind)
        if outcome is Outcome.ACCEPTED:
            self._accepted.add(change.key, number, change.fields, log)
        else:
            log.info("change_applied", http_status=response.status, **({"user_id": created.user_id} if created else {}))
            self._tally.count(outcome, change.action)
        return None

    def _store(
        self,
        number: int,
        change: Change,
        created: Created | None,
        response: Response,
        accept: Accept,
        before: Streak | None,
    ) -> tuple[Outcome, bool]:
        """Store what OneFile has accepted; returns the outcome, and whether it resumes a suspended action.

        Raises `AnswerLost` if the id in the answer to a create is not that of a new account.
        """
        new_id = change.user_id if created is None else created.user_id
        outcome = Outcome.APPLIED if new_id is not None else Outcome.ACCEPTED
        new_account = nullcontext() if created is None or new_id is None else self._claim(change, new_id, response)
        with new_account, self._context.session() as session:
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
            kind = ActionKind(change.key.role, change.action)
            is_resumed = self._suspensions.accepted(session, kind, before)
        return outcome, is_resumed

    @contextmanager
    def _claim(self, change: Change, new_id: int, response: Response) -> Iterator[None]:
        """Store a new account within the context. Raises `AnswerLost` if the id is not that of a new account.

        It is not if it belongs to another account, or did before the create. If it answers two creates of this run,
        neither is known to have made that account.
        """
        key, claim = change.key, (change.key.role.sharing_ids, new_id)
        with self._lock:
            if claim in self._claimed_ids:
                # The other create notices it once it is stored.
                self._unusable_ids.add(claim)
            if claim in self._unusable_ids:
                raise _answer_of_another(new_id, None, response)
            self._claimed_ids.add(claim)
        try:
            with self._context.reading_session() as session:
                owner = accounts.owner_of(session, key, new_id)
                is_referred_to = references.is_referred_to(session, key.role, new_id)
            if owner is not None:
                self._doubt_earlier(owner, new_id)
            is_old = is_referred_to or new_id in _ids_sent(change) or self._has_shown(key.role, new_id)
            if owner is not None or is_old:
                with self._lock:
                    self._unusable_ids.add(claim)
                raise _answer_of_another(new_id, owner, response)
            yield
        finally:
            with self._lock:
                self._claimed_ids.remove(claim)
                is_disputed = claim in self._unusable_ids
        if is_disputed:
            self._withdraw(key, new_id)
            raise _answer_of_another(new_id, None, response)

    def _doubt_earlier(self, owner: Key, user_id: int) -> None:
        """Doubt the create of this run that has made the account of ``owner``, if one has."""
        create = self._withdraw(owner, user_id)
        if create is not None:
            self._context.log.warning(
                "change_in_doubt",
                change=create.id,
                action=create.action,
                misid=create.misid,
                role=create.role,
                user_id=None,
                fields=create.fields,
                http_status=create.http_status,
                reason=_not_new(user_id, None),
            )
            self._tally.doubt_create()

    def _withdraw(self, key: Key, user_id: int) -> ChangeEntry | None:
        """Take an account out of the store that this run has created, and return its create; ``None`` if it has not."""
        with self._context.session() as session:
            create = changes.applied_create(session, self._run, key, user_id)
            if create is not None:
                changes.doubt_applied(session, create, _not_new(user_id, None))
                credentials.drop(session, key, user_id)
                accounts.withdraw(session, key)
        return create

    def _record_words(
        self, number: int, change: Change, lost: AnswerLost, doubt: Callable[[StateSession], None]
    ) -> None:
        """Record that OneFile has answered a create in words: settling decides whether it is a refusal.

        Such answers count as refusals for suspending the action.
        """
        refusal = self._refusal(change, lost.status or HTTPStatus.OK, lost.words)

        def keep(session: StateSession) -> None:
            doubt(session)
            changes.keep_refusal(session, number, str(refusal))

        self._record_outcome(
            number,
            Outcome.IN_DOUBT,
            http_status=lost.status,
            attempts=lost.attempts,
            message=str(refusal),
            also=keep,
        )
        kind = ActionKind(change.key.role, change.action)
        self._suspensions.refused(change.key, kind, refusal.status, refusal.message, change.fields)

    def _refusal(self, change: Change, status: int, message: str) -> Refusal:
        return Refusal(status, redact(message, change.fields, self._accepted_values(change.key)))

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


def _ids_sent(change: Change) -> set[Sent]:
    """The ids of other accounts that a create has sent, such as the assessor's."""
    names = {
        name
        for name in change.fields
        if (of := FIELDS[name].referent) and set(of.roles) & set(change.key.role.sharing_ids)
    }
    return {change.fields[name] for name in names}


def _answer_of_another(onefile_id: int, owner: Key | None, response: Response) -> AnswerLost:
    lost = AnswerLost(response.status, _not_new(onefile_id, owner))
    lost.attempts = response.attempts
    return lost


def _not_new(onefile_id: int, owner: Key | None) -> str:
    """Why the id in the answer to a create is not that of a new account."""
    whose = "of another account" if owner is None else f"of the {owner.role} {owner.misid}"
    return f"the id {onefile_id} in OneFile's answer is that {whose}"
