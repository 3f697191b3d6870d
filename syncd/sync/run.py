"""One run, from the lock to its result: settle, read, compare, guard, send, finish."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.plan_sample import sample_plan
from syncd.core.run import POLLS, Action, FailureKind, OneFileStatus, Outcome, RunState, Trigger
from syncd.core.scope import EVERYONE, NOTHING, Scope
from syncd.errors import (
    AnswerLost,
    CredentialsRefused,
    MisUnreachable,
    OneFileError,
    OneFileUnreachable,
    SyncdError,
    Unforeseen,
)
from syncd.onefile import Interrupted, Yielded
from syncd.state import approvals, feed_digests, held_records, references, runs
from syncd.state.approvals import Approval
from syncd.state.session import StateSession
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import confirm_customer
from syncd.sync.planner import GuardedPlan, make_plan
from syncd.sync.sender import Sender
from syncd.sync.settle import settle
from syncd.sync.tally import Progress


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

    @property
    def sent(self) -> int:
        """How many changes OneFile has accepted."""
        return sum(self.applied.values())

    @property
    def is_in_sync(self) -> bool:
        """Whether OneFile now has every record of the MIS as the MIS has it."""
        return self.state is RunState.FINISHED and not (self.held or self.refused or self.in_doubt)

    @property
    def totals(self) -> dict[str, int]:
        """What the run did, as it is stored with the run."""
        return {
            "applied": self.sent,
            "refused": self.refused,
            "in_doubt": self.in_doubt,
            "held": self.held,
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
) -> RunResult:
    """Make one run over the feeds. The caller holds the organisation's lock.

    ``approved_by`` is the operator who has approved any plan in advance; ``asked_by`` the one who has asked for the
    run. Raises as `execute` does.
    """

    def maker(context: SyncContext) -> GuardedPlan:
        settled = settle(context, scope)
        return make_plan(
            context,
            scope,
            settled.ambiguous,
            absent=settled.absent,
            asks_again=trigger is not Trigger.SCHEDULE,
            is_poll=True,
        )

    return execute(
        context, trigger, maker, findings=scope, approved_by=approved_by, asked_by=asked_by, progress=progress
    )


def execute(
    context: SyncContext,
    trigger: Trigger,
    maker: PlanMaker,
    *,
    findings: Scope = NOTHING,
    approved_by: str = "",
    asked_by: str = "",
    progress: Progress = lambda _done, _total: None,
) -> RunResult:
    """Make a plan and send it if the guard or an approval allows it: every change to OneFile is made here.

    ``findings`` is the scope of which the plan lists every held record and warning; the rest of the held list stays as
    it is. The caller holds the organisation's lock.
    Raises what made the run fail (`MisUnreachable`, `OneFileUnreachable`, …) once that is recorded, `Unforeseen` for an
    exception that is not a `SyncdError`, and `Interrupted` if syncd must stop, or `Yielded`, a kind of `Interrupted`,
    if a resync is to go first.
    """
    # A relaxed fsync is enough here: nothing is sent before the first durable commit.
    with context.session(relaxed_durability=True) as session:
        number = runs.start(session, trigger, asked_by, is_full=findings.is_everyone)
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
        unforeseen = _unexpected(defect)
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
        self._sender: Sender | None = None

    def make(self, maker: PlanMaker, approved_by: str) -> RunResult:
        confirm_customer(self.context)
        planned = self._planned = maker(self.context)
        self._save_findings(planned)
        self._log_plan(planned)
        approval = self._approval(planned, approved_by)
        if planned.objections and approval is None:
            return self._stop(planned)
        if planned.is_quiet:
            return self.end(RunState.FINISHED, begin=partial(self._begin, planned, approval))
        with self.context.session() as session:
            self._begin(planned, approval, session)
            feed_digests.pause(session)
        # A place has no Keychain.
        if any(not create.key.role.is_place for create in planned.plan.creates):
            organisation = self.context.onefile.organisation(self.context.organisation_id)
            self.log.debug("organisation_read", keychain=organisation.creates_keychains)
        sender = self._sender = Sender(self.context, self.number, planned.lookup, self._progress)
        sender.send(planned.plan)
        return self.end(RunState.FINISHED)

    def _begin(self, planned: GuardedPlan, approval: Approval | None, session: StateSession) -> None:
        """Record the plan before it is sent."""
        if self._findings.is_everyone and not planned.objections:
            # The plan replaces those of runs that wait for an approval.
            approvals.expire_outdated(session, POLLS)
        runs.record_plan(session, self.number, planned.plan, approval.number if approval else None)

    def log_throttling(self, seconds: float) -> None:
        self.log.warning("throttled", seconds=round(seconds, 1))

    def _save_findings(self, planned: GuardedPlan) -> None:
        """Store what was found, whether the plan is going to be sent or not."""
        if self._findings.is_empty or planned.is_quiet:
            return
        plan = planned.plan
        with self.context.session() as session:
            references.save(session, planned.references)
            movement = held_records.replace(session, plan.held, plan.warnings, self._findings)
        for hold in movement.added:
            self.log.warning("record_held", misid=hold.misid, role=hold.role, reason=hold.reason, field=hold.field)
        for key in movement.released:
            self.log.info("record_released", misid=key.misid, role=key.role)

    def _log_plan(self, planned: GuardedPlan) -> None:
        plan, counts = planned.plan, planned.counts
        self.log.info(
            "plan_ready",
            creates=counts.creates,
            updates=counts.updates,
            leavers=len(plan.leavers),
            returners=len(plan.returners),
            held=len(plan.held),
            warnings=len(plan.warnings),
            unchanged=plan.unchanged,
        )

    def _approval(self, planned: GuardedPlan, approved_by: str) -> Approval | None:
        """The approval under which a plan may be sent that the guard objects to."""
        if not planned.objections:
            return None
        with self.context.session() as session:
            if approved_by:
                return approvals.approve_beforehand(session, self.number, planned.plan, approved_by)
            triggers = POLLS if self._trigger in POLLS else {self._trigger}
            approval = approvals.in_force(session, triggers)
        return approval if approval and approval.left.covers(planned.needs or planned.counts) else None

    def _stop(self, planned: GuardedPlan) -> RunResult:
        result = self._result(RunState.AWAITING_APPROVAL, "; ".join(planned.objections))
        with self.context.session() as session:
            runs.record_plan(session, self.number, planned.plan, None)
            runs.stop(
                session,
                self.number,
                result.reason,
                onefile=result.onefile,
                totals={"calls": result.calls},
                sample=sample_plan(planned.plan),
            )
        self.log.warning("run_stopped", reason=result.reason, **_counts(result))
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
        with self.context.session(relaxed_durability=begin is not None) as session:
            before = runs.unreachable_since(session)[0] if result.onefile else None
            if begin:
                begin(session)
            runs.finish(
                session,
                self.number,
                result.state,
                reason=result.reason,
                onefile=result.onefile,
                problem=result.failure,
                totals=result.totals,
            )
            if result.state is RunState.FINISHED and self._planned and self._planned.read_result:
                self._planned.read_result.save(session)
        return before

    def _log_onefile_status(self, before: OneFileStatus | None, result: RunResult) -> None:
        """Log once that OneFile cannot be reached, and once that it can again."""
        if result.onefile is OneFileStatus.UNREACHABLE and before is not OneFileStatus.UNREACHABLE:
            self.log.error("onefile_unreachable", reason=result.reason)
        if result.onefile is OneFileStatus.OK and before is OneFileStatus.UNREACHABLE:
            self.log.info("onefile_recovered")

    def _result(self, state: RunState, reason: str = "", problem: SyncdError | None = None) -> RunResult:
        plan = self._planned.plan if self._planned else Plan()
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
            objections=self._planned.objections if self._planned else (),
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
        "applied": result.sent,
        "refused": result.refused,
        "in_doubt": result.in_doubt,
        "held": result.held,
        "warnings": result.warnings,
        "unchanged": result.unchanged,
        "calls": result.calls,
    }
