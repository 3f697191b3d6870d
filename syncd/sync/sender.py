"""Sends the steps of a plan in their order, several of one stage at the same time."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from threading import BoundedSemaphore
from typing import Final, TypeVar

from syncd.core.accounts import Status
from syncd.core.assignments import LEARNER_COLUMN, USER_COLUMN, Pair, StoredAssignment
from syncd.core.fields import GRANT
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Refresh, Rekey, Returner, Step, Update
from syncd.core.records import Held, Key, Reason, stamped
from syncd.core.run import Action
from syncd.core.values import Sent
from syncd.onefile import ApiRequest, Interrupted, Response, Yielded, request_for
from syncd.state import accounts, assignments
from syncd.state.session import StateSession
from syncd.sync.accepted import AcceptedCreates
from syncd.sync.context import SyncContext
from syncd.sync.lookup import OneFileLookup
from syncd.sync.recorder import Call, Change, ChangeRecorder
from syncd.sync.tally import Progress, RunTally

#: How many steps are read from the plan ahead of the threads that send them, so that no thread waits for one.
_READ_AHEAD: Final = 500

_Change = TypeVar("_Change", Create, Update)


class Sender:
    """Sends the plan of one run.

    A record that OneFile refuses is held, and the rest goes on; a problem that makes further calls pointless ends the
    sending.
    """

    def __init__(self, context: SyncContext, run: int, lookup: OneFileLookup, progress: Progress) -> None:
        self._context = context
        self.tally = RunTally(context, progress)
        self._accepted = AcceptedCreates(context, lookup, self.tally)
        self._recorder = ChangeRecorder(context, run, self.tally, self._accepted)
        self._halt: Exception | None = None
        self._still_archived: dict[Key, Update | Refresh | None] = {}
        """The accounts that are not unarchived yet, and the step of their record."""

    def send(self, plan: Plan) -> None:
        """Send every step of the plan that takes a call.

        Raises what ended the sending early: `OneFileUnreachable`, `CredentialsRefused`, `StateUnusable`, `LockLost`,
        `Interrupted`, or `Yielded` if a resync is to go first. By then every call that was begun has an outcome.
        """
        self.tally.begin(plan.calls)
        try:
            with self._context.onefile.rate_limiter.yielding_to(self._context.should_yield):
                self._store_without_calls(plan)
                for stage in plan.stages():
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
        self._still_archived = {key: records.get(key) for key in archived}
        with self._context.session() as session:
            for refresh in plan.refreshes:
                if refresh.key not in archived:
                    _refresh(session, refresh)
            for update in plan.updates:
                if update.is_link and update.after_assigning:
                    # The account has the MISID already, and a user must be assigned to it before the rest is sent.
                    self._save_link(session, update)
            for leaver in plan.new_leavers:
                accounts.set_status(session, leaver.key, Status.LEAVER, now)
            for returner in plan.returners:
                if not returner.is_archived:
                    accounts.set_status(session, returner.key, Status.ACTIVE, None)

    def _send_stage(self, steps: Iterable[Step]) -> None:
        # A plan may be larger than memory, so only some of its steps are read before they can be sent.
        waiting = BoundedSemaphore(_READ_AHEAD)

        def work(step: Step) -> None:
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

    def _send_unless_halted(self, step: Step) -> None:
        if self._halt is not None:
            return
        if self._context.is_stopping():
            self._halt = Interrupted()
            return
        try:
            self._send_step(step)
        except Exception as problem:  # noqa: BLE001 - it ends the sending, and is raised there
            self._halt = problem

    def _send_step(self, step: Step) -> None:
        match step:
            case Create():
                self._create(step)
            case Update():
                self._update(step)
            case Grant():
                self._grant(step)
            case Assign():
                self._assign(step)
            case Rekey():
                self._rekey(step)
            case Returner():
                self._unarchive(step)
            case Leaver():
                self._archive(step)

    def _create(self, create: Create) -> None:
        resolved = self._with_awaited_ids(create)
        if resolved is None:
            return
        request = request_for(resolved, {})
        note = (
            f"was {create.former_role} until now: another role is another account"
            if create.former_role is not None
            else ""
        )
        change = Change(resolved.key, Action.CREATE, resolved.fields, None, resolved.feed, resolved.fingerprint, note)

        def accept(session: StateSession, user_id: int | None) -> None:
            self._save(session, resolved, user_id, resolved.fields)

        if refusal := self._recorder.attempt(change, lambda: self._context.onefile.create(request), accept):
            self._recorder.hold(_held(resolved, Reason.REFUSED, "", refusal))

    def _update(self, update: Update) -> None:
        # What is left out here is recorded where it failed, and the next run sends it.
        if update.key in self._still_archived or not self._is_assigned(update):
            self.tally.skip()
            return
        resolved = self._with_awaited_ids(update)
        if resolved is None:
            return
        user_id = update.user_id or self._user_id(update.key)
        if user_id is None:
            self.tally.skip()
            return
        resolved = replace(resolved, user_id=user_id)
        action = Action.LINK if update.is_link else Action.UPDATE
        change = Change(update.key, action, resolved.fields, user_id, update.feed, update.fingerprint)

        def accept(session: StateSession, user_id: int | None) -> None:
            self._save(session, resolved, user_id, resolved.fields | dict.fromkeys(resolved.invalidates))

        if refusal := self._recorder.attempt(change, self._call(request_for(resolved, {})), accept):
            self._recorder.hold(_held(resolved, Reason.REFUSED, "", refusal))
            if update.is_link:
                # It is the record's account all the same, and no second one must be created.
                with self._context.session() as session:
                    self._save_link(session, resolved)

    def _is_assigned(self, update: Update) -> bool:
        """Whether the employer is assigned, if the update has to wait for that."""
        if update.after_assigning is None:
            return True
        with self._context.session() as session:
            return assignments.is_made(session, Pair(update.key, update.after_assigning))

    def _grant(self, grant: Grant) -> None:
        key = grant.key
        with self._context.session() as session:
            accepted = accounts.values(session, [key]).get(key, {})
        user_id = self._user_id(key)
        placement = self._user_id(grant.placement) if isinstance(grant.placement, Key) else grant.placement
        # OneFile accepts it only for the placement that the employer has by now.
        if user_id is None or placement is None or accepted.get("PlacementID") != placement or self._is_held(key):
            self.tally.skip()
            return
        fields: dict[str, Sent] = {"PlacementID": placement, GRANT: grant.is_open}
        request = request_for(replace(grant, placement=placement), {key: user_id})

        def accept(session: StateSession, _user_id: int | None) -> None:
            self._save(session, grant, user_id, {GRANT: grant.is_open})

        change = Change(key, Action.ASSIGN, fields, user_id, grant.feed)
        if refusal := self._recorder.attempt(change, self._call(request), accept):
            self._recorder.hold(_held(grant, Reason.REFUSED, "", refusal))

    def _assign(self, assign: Assign) -> None:
        learner_id, user_id = self._user_id(assign.learner), self._user_id(assign.user)
        if learner_id is None or user_id is None:
            missing = assign.learner if learner_id is None else assign.user
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

        change = Change(pair.learner, Action.ASSIGN, fields, learner_id)
        refusal = self._recorder.attempt(change, self._call(request), lambda session, _id: save(session))
        if refusal:
            with self._context.session() as session:
                save(session, refusal)
            detail = f"the {pair.user.role} {pair.user.misid}: {refusal}"
            self._recorder.hold(Held(*pair.learner, assign.feed, Reason.REFUSED, USER_COLUMN, detail))

    def _rekey(self, rekey: Rekey) -> None:
        def accept(session: StateSession, _user_id: int | None) -> None:
            accounts.rekey(session, rekey.old, rekey.key)

        change = Change(rekey.key, Action.REKEY, {"MISID": rekey.key.misid}, rekey.user_id)
        self._recorder.attempt(change, self._call(request_for(rekey, {})), accept)

    def _unarchive(self, returner: Returner) -> None:
        record = self._still_archived[returner.key]

        def accept(session: StateSession, _user_id: int | None) -> None:
            accounts.set_status(session, returner.key, Status.ACTIVE, None)
            if isinstance(record, Refresh):
                _refresh(session, record)
            del self._still_archived[returner.key]

        change = Change(returner.key, Action.UNARCHIVE, {}, returner.user_id)
        refusal = self._recorder.attempt(change, self._call(request_for(returner, {})), accept)
        if refusal and record is not None:
            self._recorder.hold(_held(record, Reason.REFUSED, "", refusal))

    def _archive(self, leaver: Leaver) -> None:
        def accept(session: StateSession, _user_id: int | None) -> None:
            accounts.set_status(session, leaver.key, Status.ARCHIVED, None)

        change = Change(leaver.key, Action.ARCHIVE, {}, leaver.user_id)
        self._recorder.attempt(change, self._call(request_for(leaver, {})), accept)

    def _call(self, request: ApiRequest) -> Call:
        def send() -> tuple[None, Response]:
            return None, self._context.onefile.change(request)

        return send

    def _with_awaited_ids(self, step: _Change) -> _Change | None:
        """The step with the ids of accounts that this run was to create first.

        If one is missing, the record is held, and the answer is ``None``.
        """
        ids: dict[str, int] = {}
        for name, key in step.waits_for.items():
            user_id = self._user_id(key)
            if user_id is None:
                self._recorder.hold(_held(step, Reason.REFERENCE_NOT_FOUND, name, _not_in_onefile(key)))
                self.tally.skip()
                return None
            ids[name] = user_id
        return replace(step, fields={**step.fields, **ids}, ids=step.ids | ids, waits_for={}) if ids else step

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
        )

    def _save_link(self, session: StateSession, update: Update) -> None:
        """Store that an account is the record's, of which nothing was sent yet."""
        self._save(session, replace(update, needs_recheck=True), update.user_id, {})


def _refresh(session: StateSession, refresh: Refresh) -> None:
    fingerprint = stamped(refresh.fingerprint, refresh.ids)
    accounts.refresh(session, refresh.key, refresh.feed, fingerprint, needs_recheck=refresh.needs_recheck)


def _not_in_onefile(key: Key) -> str:
    return f"the {key.role} with the MISID {key.misid!r} is not in OneFile"


def _held(step: Create | Update | Refresh | Grant, reason: Reason, name: str, detail: str) -> Held:
    # A record of which only a part was refused is sent again, even if it is unchanged.
    is_whole = reason is Reason.REFUSED and not step.needs_recheck
    fingerprint = stamped(step.fingerprint, step.ids) if is_whole else ""
    return Held(*step.key, step.feed, reason, name, detail, 0, fingerprint)
