"""Sends the steps of a plan in their order, several of one stage at the same time."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, groupby
from operator import attrgetter
from threading import BoundedSemaphore
from typing import Final, TypeVar

from syncd.core.accounts import Status
from syncd.core.assignments import LEARNER_COLUMN, USER_COLUMN, Pair, StoredAssignment
from syncd.core.decisions import describe_step
from syncd.core.fields import GRANT, is_mandatory
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Update
from syncd.core.records import Held, Key, Reason, stamped
from syncd.core.run import Action
from syncd.core.suspension import ActionKind
from syncd.core.values import Sent
from syncd.errors import Interrupted, Refused
from syncd.onefile import ApiRequest, Response, Yielded, request_for, says_archived
from syncd.state import accounts, answers, assignments, held_records, link_proposals, plan_steps
from syncd.state.plan_steps import StepToSend
from syncd.state.session import StateSession
from syncd.sync.accepted import AcceptedCreates
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.recorder import NO_IDS, Call, Change, ChangeRecorder, Refusal
from syncd.sync.suspensions import Suspensions
from syncd.sync.tally import Progress, RunTally

#: How many steps are read from the plan ahead of the threads that send them, so that no thread waits for one.
READ_AHEAD: Final = 500

_Change = TypeVar("_Change", Create, Update)


class Sender:
    """Sends the plan of one run.

    A record that OneFile refuses is held, and the rest goes on; a suspended action is left queued with what depends on
    it; a problem that makes further calls pointless ends the sending.
    """

    def __init__(
        self, context: SyncContext, run: int, lookup: OneFileLookup, suspensions: Suspensions, progress: Progress
    ) -> None:
        self._context = context
        self._run = run
        self._lookup = lookup
        self.tally = RunTally(context, progress)
        self._accepted = AcceptedCreates(context, lookup, self.tally)
        self._suspensions = suspensions
        self._recorder = ChangeRecorder(context, run, self.tally, self._accepted, suspensions, lookup.has_shown)
        self._halt: Exception | None = None
        self._to_rekey: set[Key] = set()
        self._rekeyed: set[Key] = set()
        """The new keys of the plan's rekeys, and of those that OneFile has accepted."""
        self._still_archived: dict[Key, Update | Refresh | None] = {}
        """The accounts that are not unarchived yet, and the step of their record."""
        self._unarchived: set[Key] = set()
        """The accounts that this run has unarchived."""
        self._queued: set[Key] = set()
        """The accounts of steps that were left queued."""

    def send(self, plan: Plan, positions: range) -> None:
        """Send every step of the plan that takes a call, as they were stored, at these positions.

        Raises what ended the sending early: `OneFileUnreachable`, `CredentialsRefused`, `StateUnusable`, `LockLost`,
        `Interrupted`, or `Yielded` if a resync is to go first. By then every call that was begun has an outcome.
        """
        self.tally.begin(plan.calls)
        self._to_rekey |= {rekey.key for rekey in plan.rekeys}
        try:
            with self._context.onefile.rate_limiter.yielding_to(self._context.should_yield):
                self._store_without_calls(plan)
                for _, stage in groupby(self._stored_steps(positions), attrgetter("stage")):
                    self._send_stage(stage)
                    self._accepted.find()
        except Yielded:
            # The resync does not wait for ids to be found; the next run finds them.
            raise
        except Interrupted:
            self._accepted.find_before_shutdown()
            raise
        finally:
            self._accepted.give_up()

    def _store_without_calls(self, plan: Plan) -> None:
        now = self._context.clock()
        archived = {returner.key for returner in plan.returners if returner.is_archived}
        records: dict[Key, Update | Refresh] = {
            step.key: step for step in chain[Update | Refresh](plan.refreshes, plan.updates) if step.key in archived
        }
        self._still_archived |= {key: records.get(key) for key in archived}
        with self._context.session() as session:
            for refresh in plan.refreshes:
                if refresh.key not in archived:
                    _refresh(session, refresh)
            for update in plan.updates:
                if update.is_link and update.after_assigning:
                    # The account has the MISID already, and a user must be assigned to it before the rest is sent.
                    self._save_link(session, update)
                    if update.key in archived:
                        accounts.set_archived(session, update.key)
            for leaver in plan.new_leavers:
                accounts.set_status(session, leaver.key, Status.LEAVER, now)
            for returner in plan.returners:
                if not returner.is_archived:
                    accounts.set_status(session, returner.key, Status.ACTIVE, None)

    def _stored_steps(self, positions: range) -> Iterator[StepToSend]:
        while positions:
            with self._context.reading_session() as session:
                batch = plan_steps.batch_to_send(session, self._run, positions)
            if not batch:
                return
            yield from batch
            positions = range(batch[-1].position + 1, positions.stop)

    def _send_stage(self, steps: Iterable[StepToSend]) -> None:
        # A plan may be larger than memory, so only some of its steps are read before they can be sent.
        waiting = BoundedSemaphore(READ_AHEAD)

        def work(step: StepToSend) -> None:
            try:
                self._send_unless_halted(step)
            finally:
                waiting.release()

        with ThreadPoolExecutor(self._context.policy.max_in_flight, "send") as pool:
            for step in steps:
                if self._halt is not None:
                    break
                waiting.acquire()
                pool.submit(work, step)
        if self._halt is not None:
            raise self._halt

    def _send_unless_halted(self, step: StepToSend) -> None:
        if self._halt is not None:
            return
        if self._context.is_stopping():
            self._halt = Interrupted()
            return
        try:
            if self._suspensions.may_send(ActionKind.of(step.step)):
                self._send_step(step)
            else:
                self._queue(step)
        except Exception as problem:  # noqa: BLE001 - it ends the sending, and is raised there
            self._halt = problem

    def _send_step(self, at: StepToSend) -> None:
        match at.step:
            case Create():
                self._create(at.step, at)
            case Update():
                self._update(at.step, at)
            case Grant():
                self._grant(at.step, at)
            case Assign():
                self._assign(at.step, at)
            case Rekey():
                self._rekey(at.step, at)
            case Returner():
                self._unarchive(at.step, at)
            case Leaver():
                self._archive(at.step, at)

    def _queue(self, at: StepToSend, *, is_refused: bool = False) -> None:
        """Leave a step for a later run; ``is_refused`` says that it was tried, and is counted by now."""
        self._queued.add(describe_step(at.step).key)
        if not is_refused:
            self._suspensions.queue(ActionKind.of(at.step))
            self.tally.skip()

    def _leave_out(self, at: StepToSend, *keys: Key) -> None:
        """Leave out a step that depends on these accounts: if one of them is queued, so is the step."""
        if self._queued.isdisjoint(keys):
            self.tally.skip()
        else:
            self._queue(at)

    def _create(self, create: Create, at: StepToSend) -> None:
        resolved = self._with_awaited_ids(create, at)
        if resolved is None:
            return
        request = request_for(resolved, {})
        note = (
            f"was {create.former_role} until now: another role is another account"
            if create.former_role is not None
            else ""
        )
        change = Change(
            resolved.key,
            Action.CREATE,
            resolved.fields,
            None,
            resolved.feed,
            stamped(resolved.fingerprint, resolved.ids),
            note,
            at,
        )

        def accept(session: StateSession, user_id: int | None) -> None:
            self._save(session, resolved, user_id, resolved.fields)

        if refusal := self._recorder.attempt(change, lambda: self._context.onefile.create(request), accept):
            self._refuse(change, refusal, _held(resolved, Reason.REFUSED, "", str(refusal)), _sent_ids(resolved))

    def _refuse(
        self, change: Change, refusal: Refusal, hold: Held | None, sent_ids: Mapping[str, int] = NO_IDS
    ) -> bool:
        """Hold the record of a refused change; returns whether its step stays queued instead."""
        stays_queued = self._recorder.refuse(change, refusal, hold, sent_ids)
        if stays_queued and change.step is not None:
            self._queue(change.step, is_refused=True)
        return stays_queued

    def _update(self, update: Update, at: StepToSend) -> None:
        # What is left out here is recorded where it failed, and the next run sends it.
        if update.key in self._still_archived or not self._is_assigned(update):
            self._leave_out(at, update.key)
            return
        resolved = self._with_awaited_ids(update, at)
        if resolved is None:
            return
        user_id = update.user_id or self._user_id(update.key)
        if user_id is None:
            self._leave_out(at, update.key)
            return
        resolved = replace(resolved, user_id=user_id)
        action = Action.LINK if update.is_link else Action.UPDATE
        change = Change(update.key, action, resolved.fields, user_id, update.feed, update.fingerprint, step=at)

        def accept(session: StateSession, user_id: int | None) -> None:
            self._save(session, resolved, user_id, resolved.fields | dict.fromkeys(resolved.invalidates))
            if update.is_link:
                # The record has an account now, whichever others were proposed for it.
                link_proposals.forget(session, update.key)

        if refusal := self._recorder.attempt(change, self._call(request_for(resolved, {})), accept):
            self._hold_refused(change, resolved, user_id, refusal)

    def _hold_refused(self, change: Change, update: Update, user_id: int, refusal: Refusal) -> None:
        """Hold a record whose update was refused; if its account is archived, only until the next run unarchives it."""
        is_archived = self._is_for_being_archived(update, user_id, refusal)
        # If this run has unarchived it, that did not help, and another time would not.
        is_to_unarchive = is_archived and update.key not in self._unarchived
        with self._context.session() as session:
            if update.is_link:
                # It is the record's account all the same, and no second one must be created.
                self._save_link(session, update)
            if is_to_unarchive:
                accounts.set_archived(session, update.key)
        if is_to_unarchive:
            detail = f"{refusal}; the next run unarchives the account and sends this again"
            self._recorder.hold(replace(_held(update, Reason.REFUSED, "", detail), fingerprint=""))
        else:
            sent_ids = {} if is_archived else _sent_ids(update)
            self._refuse(change, refusal, _held(update, Reason.REFUSED, "", str(refusal)), sent_ids)

    def _is_for_being_archived(self, update: Update, user_id: int, refusal: Refusal) -> bool:
        """Whether OneFile refused an update because the account is archived (U21)."""
        # The update of an unlink has no feed: no run sends it again.
        return bool(update.feed) and self._is_archived(update.key, user_id, refusal)

    def _is_archived(self, key: Key, user_id: int, refusal: Refusal) -> bool:
        """Whether OneFile refused a change of an account because it is archived (U21)."""
        if key.role.is_place:
            return False
        if says_archived(refusal.message):
            # It may be another account that it says this of, such as the assessor's.
            return self._lookup.shows_archived(user_id) is not False
        return not refusal.message and self._lookup.shows_archived(user_id) is True

    def _is_assigned(self, update: Update) -> bool:
        """Whether the employer is assigned, if the update has to wait for that."""
        if update.after_assigning is None:
            return True
        with self._context.session() as session:
            return assignments.is_made(session, Pair(update.key, update.after_assigning))

    def _grant(self, grant: Grant, at: StepToSend) -> None:
        key = grant.key
        with self._context.session() as session:
            accepted = accounts.values(session, [key]).get(key, {})
        user_id = self._user_id(key)
        placement = self._user_id(grant.placement) if isinstance(grant.placement, Key) else grant.placement
        # OneFile accepts it only for the placement that the employer has by now.
        if user_id is None or placement is None or accepted.get("PlacementID") != placement or self._is_held(key):
            self._leave_out(at, key, *([grant.placement] if isinstance(grant.placement, Key) else []))
            return
        fields: dict[str, Sent] = {"PlacementID": placement, GRANT: grant.is_open}
        request = request_for(replace(grant, placement=placement), {key: user_id})

        def accept(session: StateSession, _user_id: int | None) -> None:
            self._save(session, grant, user_id, {GRANT: grant.is_open})

        change = Change(key, Action.ASSIGN, fields, user_id, grant.feed, step=at)
        if refusal := self._recorder.attempt(change, self._call(request), accept):
            self._refuse(change, refusal, _held(grant, Reason.REFUSED, "", str(refusal)), _sent_ids(grant))

    def _assign(self, assign: Assign, at: StepToSend) -> None:
        learner_id, user_id = self._user_id(assign.learner), self._user_id(assign.user)
        if learner_id is None or user_id is None:
            missing = assign.learner if learner_id is None else assign.user
            if missing in self._queued:
                self._queue(at)
                return
            column = LEARNER_COLUMN if learner_id is None else USER_COLUMN
            self._recorder.hold(
                Held(*assign.learner, assign.feed, Reason.REFERENCE_NOT_FOUND, column, _not_in_onefile(missing))
            )
            self.tally.skip()
            return
        pair = Pair(assign.learner, assign.user)
        fields: dict[str, Sent] = {"LearnerID": learner_id, "UserID": user_id, "Level": 1}
        request = request_for(
            assign,
            {assign.learner: learner_id, assign.user: user_id},
            learner_in_path=self._context.policy.learner_in_assign_path,
        )

        def save(session: StateSession, refusal: str = "") -> None:
            assignments.save(session, pair, StoredAssignment(learner_id, user_id, refusal))

        change = Change(pair.learner, Action.ASSIGN, fields, learner_id, step=at)
        refusal = self._recorder.attempt(change, self._call(request), lambda session, _id: save(session))
        if refusal:
            detail = f"the {pair.user.role} {pair.user.misid}: {refusal}"
            if self._refuse(change, refusal, Held(*pair.learner, assign.feed, Reason.REFUSED, USER_COLUMN, detail)):
                return
            with self._context.session() as session:
                save(session, str(refusal))

    def _rekey(self, rekey: Rekey, at: StepToSend) -> None:
        if rekey.old in self._still_archived:
            self._leave_out(at, rekey.old)
            return

        def accept(session: StateSession, _user_id: int | None) -> None:
            accounts.rekey(session, rekey.old, rekey.key, session.now if rekey.is_release else None)
            if rekey.is_release:
                # If the record resembles the released account after all, that is another question.
                answers.forget(session, [rekey.old])
            self._rekeyed.add(rekey.key)

        change = Change(rekey.key, Action.REKEY, {"MISID": rekey.key.misid}, rekey.user_id, note=rekey.note, step=at)
        refusal = self._recorder.attempt(change, self._call(request_for(rekey, {})), accept)
        if refusal is None:
            return
        is_to_unarchive = rekey.old not in self._unarchived and self._is_archived(rekey.old, rekey.user_id, refusal)
        if is_to_unarchive:
            with self._context.session() as session:
                accounts.set_archived(session, rekey.old)
        detail = f"{refusal}; the next run unarchives the account and sends this again" * is_to_unarchive
        fingerprint = "" if is_to_unarchive else rekey.fingerprint
        held = Held(*rekey.record_key, rekey.feed, Reason.REFUSED, "", detail or str(refusal), 0, fingerprint)
        if not is_to_unarchive:
            self._refuse(change, refusal, held if rekey.fingerprint else None)
        elif rekey.fingerprint:
            self._recorder.hold(held)

    def _unarchive(self, returner: Returner, at: StepToSend) -> None:
        key, user_id = returner.key, returner.user_id
        record = self._still_archived[key]
        request = request_for(returner, {})

        def send() -> tuple[None, Response]:
            try:
                return None, self._context.onefile.change(request)
            except Refused as refused:
                # OneFile may refuse to unarchive an active account (U19).
                if not self._lookup.is_active(key.role, user_id):
                    raise
                return None, Response(refused.status, refused.attempts, "the account was not archived")

        def accept(session: StateSession, _user_id: int | None) -> None:
            if returner.is_leaver:
                accounts.change_status(session, key, Status.LEAVER)
            else:
                accounts.set_status(session, key, Status.ACTIVE, None)
            held_records.release_refused(session, key)
            if isinstance(record, Refresh):
                _refresh(session, record)
            self._unarchived.add(key)
            del self._still_archived[key]

        change = Change(key, Action.UNARCHIVE, {}, user_id, step=at)
        refusal = self._recorder.attempt(change, send, accept)
        if refusal is None:
            return
        hold = _held(record, Reason.REFUSED, "", str(refusal)) if record is not None else None
        if self._refuse(change, refusal, hold):
            return
        if isinstance(record, Update) and record.is_link:
            with self._context.session() as session:
                self._save_link(session, record)
                accounts.set_archived(session, key)

    def _archive(self, leaver: Leaver, at: StepToSend) -> None:
        if leaver.key in self._to_rekey and leaver.key not in self._rekeyed:
            self._leave_out(at, leaver.key)
            return

        def accept(session: StateSession, _user_id: int | None) -> None:
            accounts.change_status(session, leaver.key, Status.ARCHIVED)

        change = Change(leaver.key, Action.ARCHIVE, {}, leaver.user_id, step=at)
        if refusal := self._recorder.attempt(change, self._call(request_for(leaver, {})), accept):
            self._refuse(change, refusal, None)

    def _call(self, request: ApiRequest) -> Call:
        def send() -> tuple[None, Response]:
            return None, self._context.onefile.change(request)

        return send

    def _with_awaited_ids(self, step: _Change, at: StepToSend) -> _Change | None:
        """The step with the ids of accounts that this run was to create first.

        If a mandatory one is missing, the record is held, or its step queued if that account is, and the answer is
        ``None``. An optional one is left out: the next run sends it, or warns.
        """
        ids: dict[str, int] = {}
        for name, key in step.waits_for.items():
            user_id = self._user_id(key)
            if user_id is not None:
                ids[name] = user_id
            elif not is_mandatory(step.key.role, name):
                step = replace(step, needs_recheck=True)
            elif key in self._queued:
                self._queue(at)
                return None
            else:
                self._recorder.hold(_held(step, Reason.REFERENCE_NOT_FOUND, name, _not_in_onefile(key)))
                self.tally.skip()
                return None
        if not step.fields and not ids:
            self._leave_out(at, *step.waits_for.values())
            return None
        return replace(step, fields={**step.fields, **ids}, ids=step.ids | ids, waits_for={})

    def _user_id(self, key: Key) -> int | None:
        with self._context.session() as session:
            found = accounts.user_ids_by_misid(session, [key.role], [key.misid])
        return found.get((key.role, key.misid))

    def _is_held(self, key: Key) -> bool:
        return self._recorder.is_held(key)

    def _save(
        self,
        session: StateSession,
        step: Create | Update | Grant,
        user_id: int | None,
        accepted: Mapping[str, Sent],
    ) -> None:
        accounts.save(
            session,
            step.key,
            user_id=user_id,
            feed=step.feed,
            accepted=accepted,
            fingerprint=stamped(step.fingerprint, step.ids),
            needs_recheck=step.needs_recheck,
            person_key="" if isinstance(step, Grant) else step.person_key,
            keeps_status=isinstance(step, Update) and bool(step.undoes or step.redoes),
        )

    def _save_link(self, session: StateSession, update: Update) -> None:
        """Store that an account is the record's, of which nothing was sent yet."""
        self._save(session, replace(update, needs_recheck=True), update.user_id, {})


def _refresh(session: StateSession, refresh: Refresh) -> None:
    fingerprint = stamped(refresh.fingerprint, refresh.ids)
    accounts.refresh(
        session,
        refresh.key,
        refresh.feed,
        fingerprint,
        needs_recheck=refresh.needs_recheck,
        person_key=refresh.person_key,
    )


def _not_in_onefile(key: Key) -> str:
    return f"the {key.role} with the MISID {key.misid!r} is not in OneFile"


def _sent_ids(step: Create | Update | Grant) -> dict[str, int]:
    """The ids, by field, that the step sends and that codes of its record stand for."""
    sent = {"PlacementID"} if isinstance(step, Grant) else step.fields.keys()
    return {name: onefile_id for name, onefile_id in step.ids.items() if name in sent}


def _held(step: Create | Update | Refresh | Grant, reason: Reason, name: str, detail: str) -> Held:
    # What OneFile has refused is sent again once the record is another one, or its codes stand for other ids.
    fingerprint = stamped(step.fingerprint, step.ids) if reason is Reason.REFUSED else ""
    return Held(*step.key, step.feed, reason, name, detail, 0, fingerprint)
