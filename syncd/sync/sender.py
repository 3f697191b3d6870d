"""Sending: each change of a plan becomes an intent, a call and an outcome, a few of them side by side."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from itertools import chain
from math import ceil
from threading import BoundedSemaphore, Lock
from typing import Final, TypeAlias

from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from syncd.core.accounts import Status
from syncd.core.assignments import LEARNER_COLUMN, USER_COLUMN, Pair, StoredAssignment
from syncd.core.fields import GRANT, SENDING_ORDER
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.records import Held, Key, Reason, stamped
from syncd.core.redaction import redact
from syncd.core.run import Action, Outcome
from syncd.core.values import Sent
from syncd.errors import (
    AnswerLost,
    CredentialsRefused,
    LockLost,
    OneFileError,
    OneFileUnreachable,
    Refused,
    StateUnusable,
)
from syncd.onefile import Created, Interrupted, Response, Yielded
from syncd.state import accounts, assignments, changes, credentials, held_records
from syncd.state.in_doubt import mark_in_doubt
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup

#: So many answers lost running, and none got, is a OneFile that is down.
_LOST_RUNNING: Final = 5
_FIRST_LOOK_AGAIN_SECONDS: Final = 1.0
#: Service managers kill what takes too long to end, and before this there may be calls in flight to wait for.
_LAST_SECONDS: Final = 20.0
#: So many changes are taken from the plan while others are sent: enough that nobody ever waits for one.
_MADE_AHEAD: Final = 500
#: How often a long run says in the log how far it has come.
_SAYS_SO_EVERY: Final = timedelta(minutes=5)

_HALTING: Final = (OneFileUnreachable, CredentialsRefused, StateUnusable, Interrupted)

Call: TypeAlias = Callable[[], tuple[Created | None, Response]]
Progress: TypeAlias = Callable[[int, int], None]
"""Told how many changes are done, of how many."""


class Sender:
    """Sends one run's plan.

    Every change is on record before its call and again after it, so that the process may be killed anywhere. What
    OneFile refuses is held and the rest goes on; what makes calling pointless ends the sending.
    """

    def __init__(self, context: SyncContext, run: int, lookup: OneFileLookup, progress: Progress) -> None:
        self._context = context
        self._store = context.store
        self._run = run
        self._lookup = lookup
        self._progress = progress
        self._lock = Lock()
        self._halt: Exception | None = None
        self._lost_running = 0
        self._done = 0
        self._total = 0
        self._said_at = context.clock()
        self._accepted: dict[Key, _Accepted] = {}
        """Creates that OneFile said yes to without telling the id."""
        self._unsent: set[Key] = set()
        """Whose record could not be sent as it is, so that nothing further is sent of it."""
        self._still_archived: dict[Key, Update | Refresh | None] = {}
        """Whose account is yet to be brought back, and what their record says."""
        self.outcomes: Counter[Outcome] = Counter()
        self.applied: Counter[Action] = Counter()
        self.held = 0
        """How many records turned out not to be sendable."""
        self.passwords_dropped = 0

    def send(self, plan: Plan) -> None:
        """Send everything in the plan, staff before the learners they look after.

        Raises what ended the sending early: `OneFileUnreachable`, `CredentialsRefused`, `StateUnusable`,
        `LockLost`, `Interrupted`, or `GaveWay` when somebody else's calls are to go ahead of the rest. All that was
        begun is concluded by then, as far as it can be.
        """
        self._total = plan.calls
        try:
            with self._context.onefile.rate_limiter.yielding_to(self._context.should_yield):
                self._send(plan)
        except Yielded:
            # Whoever is to go first does not wait for ids to be found, which the next run does.
            raise
        except Interrupted:
            self._find_the_accepted_before_the_end()
            raise
        finally:
            self._doubt_the_accepted()

    def _send(self, plan: Plan) -> None:
        self._note_without_calling(plan)
        self._side_by_side(partial(self._unarchive, back) for back in plan.returners if back.is_archived)
        self._side_by_side(partial(self._rekey, rekey) for rekey in plan.rekeys)
        # Each role is a way through all of a plan that may not be in memory.
        roles = {change.key.role for change in chain[Create | Update | Grant](plan.creates, plan.updates, plan.grants)}
        for role in filter(roles.__contains__, SENDING_ORDER):
            creates = (partial(self._create, create) for create in plan.creates if create.key.role is role)
            updates = (
                partial(self._update, update)
                for update in plan.updates
                if update.key.role is role and update.assigned is None
            )
            self._side_by_side(chain(creates, updates))
            self._find_the_accepted()
            self._side_by_side(partial(self._grant, grant) for grant in plan.grants if grant.key.role is role)
        self._side_by_side(partial(self._assign, assign) for assign in plan.assigns)
        self._side_by_side(
            partial(self._update_assigned, update, update.assigned) for update in plan.updates if update.assigned
        )
        self._side_by_side(partial(self._archive, leaver) for leaver in plan.leavers if leaver.to_archive)

    def _note_without_calling(self, plan: Plan) -> None:
        now = self._context.clock()
        archived = {returner.key for returner in plan.returners if returner.is_archived}
        records: dict[Key, Update | Refresh] = {
            step.key: step for step in chain[Update | Refresh](plan.refreshes, plan.updates) if step.key in archived
        }
        self._still_archived = {key: records.get(key) for key in archived}
        with self._store.begin() as connection:
            for refresh in plan.refreshes:
                if refresh.key in archived:
                    continue
                accounts.refresh(connection, refresh.key, refresh.feed, stamped(refresh.fingerprint, refresh.ids))
            for update in plan.updates:
                if update.is_link and update.assigned:
                    # It has their MISID, and somebody is to be assigned to it before the rest can be told.
                    self._keep(connection, replace(update, fingerprint=""), update.user_id, {})
            for leaver in plan.new_leavers:
                accounts.set_status(connection, leaver.key, Status.LEAVER, now)
            for returner in plan.returners:
                if not returner.is_archived:
                    accounts.set_status(connection, returner.key, Status.ACTIVE, None)

    def _side_by_side(self, tasks: Iterable[Callable[[], None]]) -> None:
        workers = self._context.policy.max_in_flight
        # A plan may be larger than memory: of its tasks only some are made before their turn.
        waiting = BoundedSemaphore(_MADE_AHEAD)

        def work(task: Callable[[], None]) -> None:
            try:
                self._guarded(task)
            finally:
                waiting.release()

        with ThreadPoolExecutor(workers, "send") as pool:
            for task in tasks:
                if self._halt is not None:
                    break
                waiting.acquire()
                pool.submit(work, task)
        if self._halt is not None:
            raise self._halt

    def _guarded(self, task: Callable[[], None]) -> None:
        if self._halt is not None:
            return
        if self._context.is_stopping():
            self._halt = Interrupted()
            return
        try:
            task()
        except Exception as problem:  # noqa: BLE001 - it ends the sending, and is raised there
            self._halt = problem

    def _create(self, create: Create) -> None:
        awaited = self._awaited(create)
        if awaited is None:
            return
        fields = create.fields | awaited
        key = create.key
        call = partial(self._context.onefile.create, key.role, key.organisation_id, fields)
        self._change(replace(create, ids=create.ids | awaited), Action.CREATE, fields, None, call)

    def _update(self, update: Update) -> None:
        if update.key in self._still_archived:
            # OneFile changes no archived learner, and its no would be taken for one to the record.
            self._count(None)
            return
        awaited = self._awaited(update)
        if awaited is None:
            return
        user_id = update.user_id or self._user_id(update.key)
        if user_id is None:
            # Its create has not come off, which is on record there.
            self._count(None)
            return
        fields = update.fields | awaited
        action = Action.LINK if update.is_link else Action.UPDATE
        call = partial(self._context.onefile.update, update.key.role, user_id, fields)
        self._change(replace(update, ids=update.ids | awaited), action, fields, user_id, lambda: (None, call()))

    def _update_assigned(self, update: Update, assigned: Key) -> None:
        with self._store.begin() as connection:
            is_made = assignments.is_made(connection, Pair(update.key, assigned))
        if is_made:
            self._update(update)
        else:
            # That is on record as well, and the next run sends it once the assignment is made.
            self._count(None)

    def _grant(self, grant: Grant) -> None:
        key = grant.key
        with self._store.begin() as connection:
            values = accounts.values(connection, self._store.cipher, [key]).get(key, {})
        user_id, placement_id = self._user_id(key), values.get("PlacementID")
        if user_id is None or not isinstance(placement_id, int) or key in self._unsent:
            self._count(None)
            return
        fields: dict[str, Sent] = {"PlacementID": placement_id, GRANT: grant.is_open}
        onefile = self._context.onefile

        def accept(connection: Connection, _user_id: int | None) -> None:
            self._keep(connection, grant, user_id, {GRANT: grant.is_open})

        def call() -> tuple[None, Response]:
            return None, onefile.assign_placement(user_id, placement_id, grants_access=grant.is_open)

        refusal = self._attempt(key, Action.ASSIGN, fields, user_id, call, accept, feed=grant.feed)
        if refusal:
            self._hold(_held(grant, Reason.REFUSED, "", refusal))

    def _assign(self, assign: Assign) -> None:
        learner_id, user_id = self._user_id(assign.learner), self._user_id(assign.user)
        if learner_id is None or user_id is None:
            missing = assign.learner if learner_id is None else assign.user
            column = LEARNER_COLUMN if learner_id is None else USER_COLUMN
            detail = f"the {missing.role} with the MISID {missing.misid!r} is not in OneFile"
            self._hold(Held(*assign.learner, assign.feed, Reason.REFERENCE_NOT_FOUND, column, detail))
            self._count(None)
            return
        pair = Pair(assign.learner, assign.user)
        fields: dict[str, Sent] = {"LearnerID": learner_id, "UserID": user_id, "Level": 1}

        def note(connection: Connection, refusal: str = "") -> None:
            assignments.save(connection, pair, StoredAssignment(learner_id, user_id, refusal), self._context.clock())

        def call() -> tuple[None, Response]:
            learner_in_path = self._context.policy.learner_in_assign_path
            return None, self._context.onefile.assign(user_id, learner_id, learner_in_path=learner_in_path)

        refusal = self._attempt(
            pair.learner, Action.ASSIGN, fields, learner_id, call, lambda connection, _id: note(connection)
        )
        if refusal:
            with self._store.begin() as connection:
                note(connection, refusal)
            detail = f"the {pair.user.role} {pair.user.misid}: {refusal}"
            self._hold(Held(*pair.learner, assign.feed, Reason.REFUSED, USER_COLUMN, detail))

    def _user_id(self, key: Key) -> int | None:
        with self._store.begin() as connection:
            found = accounts.user_ids_by_misid(connection, key.organisation_id, [key.role], [key.misid])
        return found.get((key.role, key.misid))

    def _awaited(self, change: Create | Update) -> dict[str, int] | None:
        """The ids of accounts that this run was to create first; ``None``, and the record held, if one is missing."""
        ids: dict[str, int] = {}
        for name, key in change.waits_for.items():
            user_id = self._user_id(key)
            if user_id is None:
                detail = f"the {key.role} with the MISID {key.misid!r} is not in OneFile"
                self._hold(_held(change, Reason.REFERENCE_NOT_FOUND, name, detail))
                self._count(None)
                return None
            ids[name] = user_id
        return ids

    def _change(
        self, change: Create | Update, action: Action, fields: Mapping[str, Sent], user_id: int | None, call: Call
    ) -> None:
        def accept(connection: Connection, user_id: int | None) -> None:
            # With another placement an employer's access is to be told again.
            told_later = {GRANT: None} if "PlacementID" in fields else {}
            self._keep(connection, change, user_id, {**fields, **told_later})

        refusal = self._attempt(
            change.key,
            action,
            fields,
            user_id,
            call,
            accept,
            feed=change.feed,
            fingerprint=change.fingerprint,
            note=_note(change),
        )
        if refusal:
            self._hold(_held(change, Reason.REFUSED, "", refusal))
            if action is Action.LINK:
                # It is this person's account all the same, and another one must not be made.
                with self._store.begin() as connection:
                    self._keep(connection, replace(change, fingerprint=""), user_id, {})

    def _keep(
        self, connection: Connection, change: Create | Update | Grant, user_id: int | None, accepted: Mapping[str, Sent]
    ) -> None:
        accounts.save(
            connection,
            self._store.cipher,
            change.key,
            user_id=user_id,
            feed=change.feed,
            accepted=accepted,
            fingerprint=stamped(change.fingerprint, change.ids),
            now=self._context.clock(),
        )

    def _rekey(self, rekey: Rekey) -> None:
        def accept(connection: Connection, _user_id: int | None) -> None:
            accounts.rekey(connection, self._store.cipher, rekey.old, rekey.key, self._context.clock())

        fields = {"MISID": rekey.key.misid}
        call = partial(self._context.onefile.update, rekey.key.role, rekey.user_id, fields)
        self._attempt(rekey.key, Action.REKEY, fields, rekey.user_id, lambda: (None, call()), accept)

    def _unarchive(self, returner: Returner) -> None:
        record = self._still_archived[returner.key]

        def accept(connection: Connection, _user_id: int | None) -> None:
            accounts.set_status(connection, returner.key, Status.ACTIVE, None)
            if isinstance(record, Refresh):
                accounts.refresh(connection, record.key, record.feed, stamped(record.fingerprint, record.ids))
            with self._lock:
                del self._still_archived[returner.key]

        call = partial(self._context.onefile.unarchive_user, returner.user_id)
        refusal = self._attempt(returner.key, Action.UNARCHIVE, {}, returner.user_id, lambda: (None, call()), accept)
        if refusal and record is not None:
            self._hold(_held(record, Reason.REFUSED, "", refusal))

    def _archive(self, leaver: Leaver) -> None:
        user_id = leaver.user_id
        if user_id is None:
            return

        def accept(connection: Connection, _user_id: int | None) -> None:
            accounts.set_status(connection, leaver.key, Status.ARCHIVED, None)

        call = partial(self._context.onefile.archive_user, user_id)
        self._attempt(leaver.key, Action.ARCHIVE, {}, user_id, lambda: (None, call()), accept)

    def _attempt(
        self,
        key: Key,
        action: Action,
        fields: Mapping[str, Sent],
        user_id: int | None,
        call: Call,
        accept: Callable[[Connection, int | None], None],
        *,
        feed: str = "",
        fingerprint: str = "",
        note: str = "",
    ) -> str:
        """One change from its intent to its outcome; gives OneFile's words if it refused, else nothing."""
        clock = self._context.clock
        with self._store.begin() as connection:
            number = changes.record_intent(
                connection,
                self._store.cipher,
                self._run,
                key,
                action,
                fields,
                user_id=user_id,
                feed=feed,
                fingerprint=fingerprint,
                now=clock(),
                message=note,
            )
        log = self._context.log.bind(
            change=number, action=action, misid=key.misid, role=key.role, user_id=user_id, fields=sorted(fields)
        )

        def doubt_it(connection: Connection) -> None:
            mark_in_doubt(connection, self._store.cipher, key, action, fields, clock())

        try:
            created, answered = call()
        except (OneFileUnreachable, CredentialsRefused, LockLost, Interrupted) as problem:
            # An earlier attempt may have lost its answer.
            attempts = getattr(problem, "attempts", None)
            also = None if attempts == 1 else doubt_it
            self._conclude(number, Outcome.NOT_DONE, attempts=attempts or 1, also=also)
            raise
        except Refused as refused:
            said = redact(refused.message, fields.values())
            refusal = f"OneFile refused it with status {refused.status}" + (f": {said}" if said else "")
            self._conclude(
                number,
                Outcome.REFUSED,
                http_status=refused.status,
                attempts=refused.attempts,
                message=refusal,
                also=doubt_it if refused.attempts > 1 else None,
            )
            log.warning("change_refused", http_status=refused.status)
            self._count(Outcome.REFUSED)
            return refusal
        except AnswerLost as lost:
            self._conclude(number, Outcome.IN_DOUBT, http_status=lost.status, attempts=lost.attempts, also=doubt_it)
            log.warning("change_in_doubt", http_status=lost.status)
            self._count(Outcome.IN_DOUBT)
            self._give_up_when_down(lost)
            return ""

        self._lost_running = 0
        new_id = user_id if created is None else created.user_id
        outcome = Outcome.APPLIED if new_id is not None else Outcome.ACCEPTED
        with self._store.begin() as connection:
            accept(connection, new_id)
            if created is not None and new_id is not None and created.password:
                self._keep_password(connection, key, new_id, created)
            changes.record_outcome(
                connection,
                number,
                outcome,
                clock(),
                http_status=answered.status,
                user_id=new_id,
                attempts=answered.attempts,
            )
        if outcome is Outcome.ACCEPTED:
            with self._lock:
                self._accepted[key] = _Accepted(number, fields, log)
        else:
            log.info("change_applied", http_status=answered.status, **({"user_id": new_id} if created else {}))
            self._count(outcome, action)
        return ""

    def _conclude(
        self,
        number: int,
        outcome: Outcome,
        *,
        attempts: int,
        http_status: int | None = None,
        message: str = "",
        also: Callable[[Connection], None] | None = None,
    ) -> None:
        with self._store.begin() as connection:
            if also is not None:
                also(connection)
            changes.record_outcome(
                connection,
                number,
                outcome,
                self._context.clock(),
                http_status=http_status,
                attempts=attempts,
                message=message,
            )

    def _keep_password(self, connection: Connection, key: Key, user_id: int, created: Created) -> None:
        is_kept = credentials.save(
            connection, self._store.cipher, key, user_id, created.username, created.password, self._context.clock()
        )
        if not is_kept:
            with self._lock:
                self.passwords_dropped += 1

    def _find_the_accepted(self) -> None:
        """Find the ids of accounts that OneFile made without telling them, while Keychain creation is on (§8.3).

        Searches may lag behind, so it looks again for as long as answers are waited for elsewhere; what is not found
        by then is settled by a later run.
        """
        pause = _FIRST_LOOK_AGAIN_SECONDS
        left = self._context.policy.settle.total_seconds()
        while self._accepted:
            wanted = {key: accepted.fields for key, accepted in self._accepted.items()}
            for key, user_ids in self._lookup.find_created(wanted).items():
                if len(user_ids) == 1:
                    self._identify(key, user_ids[0])
            if not self._accepted or left <= 0:
                break
            pause = min(pause * 2, left)
            left -= pause
            self._context.onefile.rate_limiter.sleep(pause)
        self._doubt_the_accepted()

    def _find_the_accepted_before_the_end(self) -> None:
        with suppress(OneFileError, Interrupted), self._context.onefile.rate_limiter.shutdown_grace(_LAST_SECONDS):
            self._find_the_accepted()

    def _doubt_the_accepted(self) -> None:
        for accepted in self._accepted.values():
            accepted.log.warning("change_in_doubt")
            self._count(Outcome.IN_DOUBT)
        self._accepted.clear()

    def _identify(self, key: Key, user_id: int) -> None:
        accepted = self._accepted.pop(key)
        now = self._context.clock()
        with self._store.begin() as connection:
            accounts.identify(connection, key, user_id)
            changes.record_outcome(
                connection, accepted.change, Outcome.APPLIED, now, http_status=HTTPStatus.OK, user_id=user_id
            )
        accepted.log.info("change_applied", http_status=HTTPStatus.OK.value, user_id=user_id)
        self._count(Outcome.APPLIED, Action.CREATE)

    def _hold(self, hold: Held) -> None:
        with self._store.begin() as connection:
            held_records.hold(connection, hold, self._context.clock())
        self._context.log.warning("record_held", misid=hold.misid, role=hold.role, reason=hold.reason, field=hold.field)
        with self._lock:
            self.held += 1
            self._unsent.add(hold.key)

    def _count(self, outcome: Outcome | None, action: Action | None = None) -> None:
        with self._lock:
            if action is not None:
                self.applied[action] += 1
            if outcome is not None:
                self.outcomes[outcome] += 1
            self._done += 1
            self._progress(self._done, self._total)
            self._say_how_far()

    def _say_how_far(self) -> None:
        now = self._context.clock()
        # A clock that was set back keeps it from saying nothing for long.
        if timedelta() <= now - self._said_at < _SAYS_SO_EVERY:
            return
        self._said_at = now
        left = max(0, self._total - self._done)
        seconds = ceil(left / self._context.onefile.rate_limiter.calls_per_second)
        self._context.log.info("run_progress", done=self._done, planned=self._total, seconds_left=seconds)

    def _give_up_when_down(self, lost: AnswerLost) -> None:
        with self._lock:
            self._lost_running += 1
            is_down = self._lost_running >= _LOST_RUNNING
        if is_down:
            said = f"answers status {lost.status}" if lost.status else "does not answer"
            raise OneFileUnreachable(f"OneFile {said}: {_LOST_RUNNING} calls running came to nothing.") from lost


@dataclass(frozen=True, slots=True)
class _Accepted:
    change: int
    fields: Mapping[str, Sent]
    log: FilteringBoundLogger


def _note(change: Create | Update) -> str:
    """What is to be known about a change that its fields do not tell."""
    if isinstance(change, Update) or change.was is None:
        return ""
    return f"was {change.was} until now: another role is another account"


def _held(change: Create | Update | Refresh | Grant, reason: Reason, name: str, detail: str) -> Held:
    fingerprint = stamped(change.fingerprint, change.ids) if reason is Reason.REFUSED else ""
    return Held(*change.key, change.feed, reason, name, detail, 0, fingerprint)
