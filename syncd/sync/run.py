"""One run, from the lock to its result: settle, read, compare, guard, send, finish."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from traceback import extract_tb
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from syncd.core.decisions import SplitPlan, count_steps, has_steps
from syncd.core.guard import Counts
from syncd.core.plan import Plan, Refresh, Update
from syncd.core.run import POLLS, Action, FailureKind, OneFileStatus, Outcome, RunState, Trigger
from syncd.core.scope import EVERYONE, NOTHING, Scope
from syncd.core.suspension import ActionKind
from syncd.errors import (
    AnswerLost,
    CredentialsRefused,
    Interrupted,
    MisUnreachable,
    OneFileError,
    OneFileUnreachable,
    SyncdError,
    Unforeseen,
    thread_problem,
)
from syncd.onefile import Yielded
from syncd.state import (
    approvals,
    complete_readings,
    feed_digests,
    held_records,
    likely_accounts,
    plan_steps,
    references,
    runs,
    undo,
)
from syncd.state.session import StateSession
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import confirm_customer
from syncd.sync.decide import DecidedPlan, decide, describe_emails
from syncd.sync.planner import GuardedPlan, make_plan
from syncd.sync.sender import Sender
from syncd.sync.settle import settle
from syncd.sync.stored_plan import StoredPlan, store_plan, store_queued
from syncd.sync.suspensions import Suspensions
from syncd.sync.tally import Progress
from syncd.sync.undo import rest_of_undo, undo_plan


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    run: int
    state: RunState
    counts: Counts
    applied: Mapping[Action, int] = field(default_factory=dict)
    """How many changes OneFile has accepted, by action."""
    left: int = 0
    """How many accounts have no record, including those that earlier runs found."""
    refused: int = 0
    in_doubt: int = 0
    held: int = 0
    warnings: int = 0
    unchanged: int = 0
    calls: int = 0
    objections: tuple[str, ...] = ()
    """Why the guard stopped it, if it did."""
    reason: str = ""
    """Why it did not finish."""
    failure: FailureKind = FailureKind.NONE
    onefile: OneFileStatus | None = None
    """How OneFile was, if it was called."""
    waiting: int = 0
    """How many of the planned changes were not sent, because they wait for an operator's decision."""
    not_undone: int = 0
    """How many entries an undo has left alone."""
    queued: int = 0
    """How many were not sent, because OneFile refuses such an action again and again, so that it is suspended."""

    @property
    def sent(self) -> int:
        """How many changes OneFile has accepted."""
        return sum(self.applied.values())

    @property
    def is_in_sync(self) -> bool:
        """Whether OneFile now has every record of the MIS as the MIS has it, or as it was before an undone run."""
        rest = self.held or self.refused or self.in_doubt or self.waiting or self.queued or self.not_undone
        return self.state is RunState.FINISHED and not rest

    @property
    def totals(self) -> dict[str, int]:
        """What the run did, as it is stored with the run."""
        return {
            "applied": self.sent,
            "refused": self.refused,
            "in_doubt": self.in_doubt,
            "held": self.held,
            "queued": self.queued,
            "calls": self.calls,
        }


PlanMaker: TypeAlias = Callable[[SyncContext], GuardedPlan]


def run_once(
    context: SyncContext,
    trigger: Trigger,
    *,
    scope: Scope = EVERYONE,
    approved_by: str = "",
    asked_by: str = "",
    progress: Progress = lambda _done, _total: None,
    on_undo: Callable[[RunResult], None] = lambda _done: None,
) -> RunResult:
    """Make one run over the feeds. The caller holds the organisation's lock.

    A run about everyone first continues an undo that was approved or cut short; ``on_undo`` gets its result.
    ``approved_by`` is the operator who has approved any plan in advance; ``asked_by`` the one who has asked for the
    run. Raises as `execute` does.
    """
    if scope.is_everyone:
        _continue_undo(context, on_undo)

    def maker(context: SyncContext) -> GuardedPlan:
        settled = settle(context, scope)
        return make_plan(
            context,
            scope,
            settled.doubts,
            absent=settled.absent,
            mismatched=settled.mismatched,
            asks_again=trigger is not Trigger.SCHEDULE,
            is_poll=True,
        )

    return execute(
        context, trigger, maker, findings=scope, approved_by=approved_by, asked_by=asked_by, progress=progress
    )


def undo_once(
    context: SyncContext,
    number: int,
    misids: Collection[str] = frozenset(),
    *,
    approved_by: str = "",
    asked_by: str = "",
    progress: Progress = lambda _done, _total: None,
) -> RunResult:
    """Take back what a run has sent, to these MISIDs or to all. The caller holds the organisation's lock.

    Raises as `execute` does, and `NothingToSettle` before a run begins if the run cannot be undone.
    """
    with context.reading_session() as session:
        undo.check(session, {context.organisation_id}, number, misids)
    return execute(
        _not_yielding(context),
        Trigger.UNDO,
        undo_plan(number, misids),
        approved_by=approved_by,
        asked_by=asked_by,
        progress=progress,
        undone_run=number,
    )


def _continue_undo(context: SyncContext, on_undo: Callable[[RunResult], None]) -> None:
    with context.reading_session() as session:
        unfinished = undo.unfinished(session)
    if unfinished is not None:
        # A defect in it must not keep the feeds from being read.
        with suppress(Unforeseen):
            rest = rest_of_undo(unfinished)
            on_undo(execute(_not_yielding(context), Trigger.UNDO, rest, undone_run=unfinished.undone_run))


def _not_yielding(context: SyncContext) -> SyncContext:
    """If an undo paused for a resync, it would have to read every account once more."""
    return replace(context, should_yield=lambda: False)


def execute(
    context: SyncContext,
    trigger: Trigger,
    maker: PlanMaker,
    *,
    findings: Scope = NOTHING,
    approved_by: str = "",
    asked_by: str = "",
    progress: Progress = lambda _done, _total: None,
    undone_run: int | None = None,
) -> RunResult:
    """Make a plan and send it if the guard or an approval allows it: every change to OneFile is made here.

    ``findings`` is the scope of which the plan lists every held record and warning; the rest of the held list stays as
    it is. ``undone_run`` is the run that the plan undoes. The caller holds the organisation's lock.
    Raises what made the run fail (`MisUnreachable`, `OneFileUnreachable`, …) once that is recorded, `Unforeseen` for an
    exception that is not a `SyncdError`, and `Interrupted` if syncd must stop, or `Yielded`, a kind of `Interrupted`,
    if a resync is to go first.
    """
    # A relaxed fsync is enough here: nothing is sent before the first durable commit.
    with context.session(relaxed_durability=True) as session:
        number = runs.start(session, trigger, asked_by, is_full=findings.is_everyone, undone_run=undone_run)
    run = _Run(replace(context, log=context.log.bind(run=number)), number, trigger, findings, progress)
    run.log.info("run_started", trigger=trigger)
    try:
        with context.onefile.on_throttled(run.log_throttling):
            return run.make(maker, approved_by)
    except Yielded:
        run.end(RunState.INTERRUPTED, "paused for a more urgent run, continues after it")
        raise
    except Interrupted:
        run.end(RunState.INTERRUPTED, "syncd was stopped")
        raise
    except SyncdError as problem:
        run.end(RunState.FAILED, str(problem), problem)
        raise
    except Exception as defect:
        unforeseen = thread_problem(defect) or _unexpected(defect)
        run.end(RunState.FAILED, str(unforeseen), unforeseen, where=_where(defect))
        raise unforeseen from defect


class _Run:
    def __init__(
        self, context: SyncContext, number: int, trigger: Trigger, findings: Scope, progress: Progress
    ) -> None:
        self.context = context
        self._trigger = trigger
        self._findings = findings
        self.log: FilteringBoundLogger = context.log
        self.number = number
        self._progress = progress
        self._calls_before = context.onefile.rate_limiter.calls
        self._planned: GuardedPlan | None = None
        self._decided: DecidedPlan | None = None
        self._split: SplitPlan | None = None
        self._stored = StoredPlan()
        self._must_wait = False
        self._unapproved_leavers = 0
        self._sender: Sender | None = None
        self._suspensions: Suspensions | None = None

    def make(self, maker: PlanMaker, approved_by: str) -> RunResult:
        confirm_customer(self.context)
        planned = self._planned = maker(self.context)
        decided = self._decided = decide(self.context, planned, self._trigger)
        self._save_findings(planned, decided.plan)
        self._log_plan(decided)
        # An operator who approves a plan in advance also approves what the limits allow.
        is_approved = bool(approved_by)
        must_wait = self._must_wait = bool(decided.objections) and not is_approved
        if not (must_wait or is_approved):
            self._unapproved_leavers = len(decided.divided.new.new_leavers)
        split = decided.divided.split(sends_new=not must_wait, sends_all=is_approved)
        if planned.is_quiet and not (has_steps(split.to_send) or must_wait):
            self._split, self._stored = split, StoredPlan(waiting=count_steps(split.waiting))
            return self.end(RunState.FINISHED, begin=self._begin)
        suspensions = self._suspensions = Suspensions(self.context)
        split = self._split = split.hold_back(suspensions.tries)
        has_some = has_steps(split.to_send) or has_steps(split.queued)
        if has_some or must_wait:
            self._stored = store_plan(self.context, self.number, decided, split, approved_by)
        else:
            self._stored = StoredPlan(waiting=count_steps(split.waiting))
        if must_wait and not has_some:
            return self._stop(decided, begin=self._begin)
        with self.context.session() as session:
            self._begin(session)
            feed_digests.pause(session)
        # A place has no Keychain.
        if any(not create.key.role.is_place for create in split.to_send.creates):
            organisation = self.context.onefile.organisation(self.context.organisation_id)
            self.log.debug("organisation_read", keychain=organisation.creates_keychains)
        sender = self._sender = Sender(self.context, self.number, planned.lookup, suspensions, self._progress)
        sender.send(split.to_send, self._stored.to_send)
        self._send_queued(decided, split.queued, sender, suspensions)
        if must_wait:
            return self._stop(decided)
        result = self.end(RunState.FINISHED)
        if self._stored.run is not None:
            plan_steps.drop_outdated(self.context.store, self.context.organisation_id)
        return result

    def _send_queued(self, decided: DecidedPlan, queued: Plan, sender: Sender, suspensions: Suspensions) -> None:
        """Send what is queued if OneFile has accepted the step that was tried."""
        if not suspensions.has_resumed:
            for step in queued.steps():
                suspensions.queue(ActionKind.of(step))
        elif has_steps(queued):
            stored = self._stored.queued or store_queued(
                self.context, self.number, decided, queued, self._stored.to_send.stop
            )
            sender.send(queued, stored)

    def _begin(self, session: StateSession) -> None:
        """Record the plan before it is sent."""
        decided = self._decided
        if decided is None:
            return
        if self._findings.is_everyone and not self._must_wait:
            complete_readings.count(session)
        if self._findings.is_everyone and not decided.objections and not decided.divided.has_set_aside:
            # The plan replaces those of runs that wait for an approval.
            approvals.supersede_waiting(session, POLLS)
        runs.record_plan(session, self.number, decided.plan, self._stored.run, self._stored.digest)
        if self._planned is not None:
            undo.save_left(session, self.number, self._planned.not_undone)
        if self._split is not None and decided.decisions.rejected:
            to_send = self._split.to_send
            changed = chain[Update | Refresh](to_send.updates, to_send.refreshes)
            plan_steps.forget_undone(session, {step.key for step in changed})
        if self._unapproved_leavers:
            runs.record_unapproved_leavers(session, self.number, self._unapproved_leavers)

    def log_throttling(self, seconds: float) -> None:
        self.log.warning("throttled", seconds=round(seconds, 1))

    def _save_findings(self, planned: GuardedPlan, plan: Plan) -> None:
        """Store what was found, whether the plan is going to be sent or not."""
        if self._findings.is_empty or planned.is_quiet:
            return
        with self.context.session() as session:
            references.forget(session, planned.unused_references)
            references.save(session, planned.references)
            likely_accounts.replace(session, planned.likely_accounts, self._findings)
            movement = held_records.replace(session, plan.held, plan.warnings, self._findings)
        for hold in movement.added:
            self.log.warning("record_held", misid=hold.misid, role=hold.role, reason=hold.reason, field=hold.field)
        for key in movement.released:
            self.log.info("record_released", misid=key.misid, role=key.role)

    def _log_plan(self, decided: DecidedPlan) -> None:
        plan, counts = decided.plan, decided.counts
        self.log.info(
            "plan_ready",
            creates=counts.creates,
            updates=counts.updates,
            leavers=len(plan.leavers),
            archivings=counts.archivings,
            returners=len(plan.returners),
            held=len(plan.held),
            warnings=len(plan.warnings),
            unchanged=plan.unchanged,
        )
        if self._planned is not None and self._planned.mismatched:
            self.log.warning("search_mismatch", misids=sorted(key.misid for key in self._planned.mismatched))

    def _stop(self, decided: DecidedPlan, begin: Callable[[StateSession], None] | None = None) -> RunResult:
        """End the run with steps that wait for an approval; what was approved is sent by now."""
        waiting = self._split.waiting if self._split else decided.plan
        emails, problem = describe_emails(self.context, waiting)
        reason = "; ".join(filter(None, (*decided.objections, emails)))
        result = self._result(RunState.AWAITING_APPROVAL, reason, problem)
        before = self._save(result, begin)
        self._log_onefile_status(before, result)
        self.log.warning("run_stopped", reason=result.reason, **_counts(result))
        plan_steps.drop_outdated(self.context.store, self.context.organisation_id)
        return result

    def end(
        self,
        state: RunState,
        reason: str = "",
        problem: SyncdError | None = None,
        where: Sequence[str] = (),
        begin: Callable[[StateSession], None] | None = None,
    ) -> RunResult:
        """Record and log how the run has ended.

        ``begin`` records its plan in the same transaction, if there is nothing to send in between.
        """
        result = self._result(state, reason, problem)
        before = self._save(result, begin)
        self._log_onefile_status(before, result)
        if self._sender and self._sender.tally.passwords_dropped:
            self.log.warning(
                "passwords_dropped",
                accounts=self._sender.tally.passwords_dropped,
                why="no encryption key is set",
            )
        log = self.log.error if state is RunState.FAILED else self.log.info
        log(
            "run_finished",
            state=state,
            **_counts(result),
            **({"reason": reason} if reason else {}),
            **({"where": where} if where else {}),
        )
        return result

    def _save(self, result: RunResult, begin: Callable[[StateSession], None] | None) -> OneFileStatus | None:
        """Store the result, and return how OneFile was before this run."""
        ended: Sequence[ActionKind] = ()
        with self.context.session(relaxed_durability=begin is not None) as session:
            before = runs.unreachable_since(session)[0] if result.onefile else None
            if begin:
                begin(session)
            if result.state is RunState.AWAITING_APPROVAL:
                runs.stop(session, self.number, result.reason, onefile=result.onefile, totals=result.totals)
            else:
                runs.finish(
                    session,
                    self.number,
                    result.state,
                    reason=result.reason,
                    onefile=result.onefile,
                    problem=result.failure,
                    totals=result.totals,
                )
            is_finished = result.state is RunState.FINISHED
            # A leaver that is withheld must be found by the next poll as well, although its row is long gone.
            is_withheld = self._decided is not None and self._decided.divided.withholds_leavers
            if is_finished and self._planned and self._planned.read_result and not is_withheld:
                self._planned.read_result.save(session)
            if self._suspensions and (is_finished or result.state is RunState.AWAITING_APPROVAL):
                ended = self._suspensions.finish(session, is_complete=is_finished and self._findings.is_everyone)
            if is_finished:
                self._end_approvals(session)
        for kind in ended:
            self.log.info("action_resumed", role=kind.role, action=kind.action, reason="nothing is left of it")
        return before

    def _end_approvals(self, session: StateSession) -> None:
        """Nothing is left to send under an approval once a run about every record has finished.

        What is queued stays approved, and so do the refused records that are sent again when an action is resumed.
        """
        if self._suspensions and (self._suspensions.queued.total() or self._suspensions.released):
            return
        is_complete = self._split is None or not self._split.has_blocked
        if self._trigger not in POLLS:
            approvals.end_older(session, {self._trigger}, self.number + 1)
        elif self._findings.is_everyone and is_complete:
            approvals.end_older(session, POLLS, self.number + 1)

    def _log_onefile_status(self, before: OneFileStatus | None, result: RunResult) -> None:
        """Log once that OneFile cannot be reached, and once that it can again."""
        if result.onefile is OneFileStatus.UNREACHABLE and before is not OneFileStatus.UNREACHABLE:
            self.log.error("onefile_unreachable", reason=result.reason)
        if result.onefile is OneFileStatus.OK and before is OneFileStatus.UNREACHABLE:
            self.log.info("onefile_recovered")

    def _result(self, state: RunState, reason: str = "", problem: SyncdError | None = None) -> RunResult:
        plan = self._decided.plan if self._decided else Plan()
        tally = self._sender.tally if self._sender else None
        outcomes = tally.outcomes if tally else Counter[Outcome]()
        calls = self.context.onefile.rate_limiter.calls - self._calls_before
        onefile = OneFileStatus.OK if calls else None
        return RunResult(
            self.number,
            state,
            Counts.from_plan(plan),
            applied=tally.applied if tally else {},
            left=len(plan.leavers),
            refused=outcomes[Outcome.REFUSED],
            in_doubt=outcomes[Outcome.IN_DOUBT],
            held=len(plan.held) + (tally.held if tally else 0),
            warnings=len(plan.warnings),
            unchanged=plan.unchanged,
            calls=calls,
            objections=self._decided.objections if self._decided else (),
            waiting=self._stored.waiting,
            not_undone=len(self._planned.not_undone) if self._planned else 0,
            queued=self._suspensions.queued.total() if self._suspensions else 0,
            reason=reason,
            failure=_kind_of(problem),
            onefile=OneFileStatus.UNREACHABLE if isinstance(problem, OneFileError) else onefile,
        )


def _unexpected(defect: Exception) -> Unforeseen:
    return Unforeseen(
        f"The run ended with an unexpected error ({type(defect).__name__}), a defect of syncd. "
        "The line run_finished of its log says where; please report that. The next run continues from here."
    )


def _where(defect: Exception) -> list[str]:
    """The traceback of a defect, innermost last: files, lines and names of functions, without any values."""
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in extract_tb(defect.__traceback__)]


def _kind_of(problem: SyncdError | None) -> FailureKind:
    match problem:
        case None:
            return FailureKind.NONE
        case MisUnreachable():
            return FailureKind.MIS
        case CredentialsRefused():
            return FailureKind.CREDENTIALS
        case OneFileUnreachable() | AnswerLost():
            return FailureKind.ONEFILE
        case _:
            return FailureKind.OTHER


def _counts(result: RunResult) -> dict[str, int]:
    return {
        "creates": result.counts.creates,
        "updates": result.counts.updates,
        "leavers": result.counts.leavers,
        "archivings": result.counts.archivings,
        "applied": result.sent,
        "refused": result.refused,
        "in_doubt": result.in_doubt,
        "held": result.held,
        "queued": result.queued,
        "warnings": result.warnings,
        "unchanged": result.unchanged,
        "calls": result.calls,
    }
