"""One pass, from the lock to the summary: settle, read, compare, guard, send, finish."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Final, TypeAlias

from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.plan_sample import sample_plan
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
from syncd.state import feed_digests, held_records, references, runs
from syncd.state.changes import Action, Outcome
from syncd.state.runs import Approval, FailureKind, OneFileStatus, RunState
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import confirm_customer
from syncd.sync.planner import GuardedPlan, make_plan
from syncd.sync.sender import Progress, Sender
from syncd.sync.settle import settle


class Trigger(StrEnum):
    """What a run was started by."""

    SCHEDULE = "schedule"
    COMMAND = "command"
    REQUEST = "request"
    LINK = "link"
    REKEY = "rekey"
    RESTORE = "restore"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    run: int
    state: RunState
    counts: Counts
    applied: Mapping[Action, int] = field(default_factory=dict)
    """What was sent and accepted."""
    left: int = 0
    """The accounts whose record is gone, those of earlier runs included."""
    refused: int = 0
    in_doubt: int = 0
    held: int = 0
    warnings: int = 0
    unchanged: int = 0
    calls: int = 0
    objections: tuple[str, ...] = ()
    """What the guard had against it, if it was stopped."""

    @property
    def sent(self) -> int:
        """How many changes OneFile has taken."""
        return sum(self.applied.values())

    @property
    def is_in_sync(self) -> bool:
        """Whether everybody in the MIS is in OneFile as the MIS has them."""
        return self.state is RunState.FINISHED and not (self.held or self.refused or self.in_doubt)


#: A poll is a poll, whoever asked for it: what is approved for one holds for the next.
POLLS: Final = frozenset({Trigger.SCHEDULE, Trigger.COMMAND, Trigger.REQUEST})

PlanMaker: TypeAlias = Callable[[SyncContext], GuardedPlan]


def run_once(
    context: SyncContext,
    trigger: Trigger,
    *,
    only: frozenset[str] = frozenset(),
    approved_by: str = "",
    asked_by: str = "",
    progress: Progress = lambda _done, _total: None,
) -> RunResult:
    """Make one pass: settle, read, compare, guard, send, finish. The caller holds the organisation's lock.

    ``only`` limits it to these MISIDs; ``approved_by`` names who has approved its plan beforehand, whatever it is, and
    ``asked_by`` who has asked for it, if somebody has.
    Raises as `carry_out` does.
    """

    def maker(context: SyncContext) -> GuardedPlan:
        settled = settle(context, only)
        return make_plan(
            context,
            only,
            settled.ambiguous,
            absent=settled.absent,
            asks_again=trigger is not Trigger.SCHEDULE,
            is_poll=True,
        )

    return execute(
        context, trigger, maker, lists_held_of=only, approved_by=approved_by, asked_by=asked_by, progress=progress
    )


def execute(
    context: SyncContext,
    trigger: Trigger,
    maker: PlanMaker,
    *,
    lists_held_of: frozenset[str] | None = None,
    approved_by: str = "",
    asked_by: str = "",
    progress: Progress = lambda _done, _total: None,
) -> RunResult:
    """Make a plan and, if the guard or an approval lets it, send it: every change of OneFile is made in here.

    ``lists_held_of`` are the MISIDs whose held records the plan tells all of, empty for everybody's; ``None`` leaves
    the held list as it is. The caller holds the organisation's lock.
    Raises what kept it from being done (`MisUnreachable`, `OneFileUnreachable`, …) once that is written down,
    `Unforeseen` for what is no `SyncdError`, and `Interrupted` when syncd was told to stop; `GaveWay`, when others
    are to go first, is one of those.
    """
    # Lost together with the machine, it has sent nothing: whatever is about to be sent is written down to last.
    with context.store.begin(relaxed_durability=True) as connection:
        is_full = lists_held_of == frozenset()
        number = runs.start(connection, context.organisation_id, trigger, context.clock(), asked_by, is_full=is_full)
    pass_ = _Run(replace(context, log=context.log.bind(run=number)), number, trigger, progress)
    pass_.log.info("run_started", trigger=trigger)
    try:
        with context.onefile.on_throttled(pass_.log_throttling):
            return pass_.make(maker, lists_held_of, approved_by)
    except Yielded:
        pass_.end(RunState.INTERRUPTED, "paused for a more urgent run, continues after it")
        raise
    except Interrupted:
        pass_.end(RunState.INTERRUPTED, "syncd was stopped")
        raise
    except SyncdError as problem:
        pass_.end(RunState.FAILED, str(problem), problem)
        raise
    except Exception as defect:
        unforeseen = _unexpected(defect)
        pass_.end(RunState.FAILED, str(unforeseen), unforeseen, where=_where(defect))
        raise unforeseen from defect


class _Run:
    def __init__(self, context: SyncContext, number: int, trigger: Trigger, progress: Progress) -> None:
        self.context = context
        self._trigger = trigger
        self.log: FilteringBoundLogger = context.log
        self.number = number
        self._progress = progress
        self._calls_before = context.onefile.rate_limiter.calls
        self._planned: GuardedPlan | None = None
        self._sender: Sender | None = None

    def make(self, maker: PlanMaker, lists_held_of: frozenset[str] | None, approved_by: str) -> RunResult:
        confirm_customer(self.context)
        planned = self._planned = maker(self.context)
        if lists_held_of is not None:
            self._save_findings(planned, lists_held_of)
        self._log_plan(planned)
        approval = self._approval(planned, approved_by)
        if planned.objections and approval is None:
            return self._stop(planned)
        outdates = not planned.objections and lists_held_of == frozenset()
        if planned.is_quiet:
            return self.end(RunState.FINISHED, begins=partial(self._begin, planned, approval, outdates=outdates))
        with self.context.store.begin() as connection:
            self._begin(planned, approval, connection, outdates=outdates)
            feed_digests.pause(connection, self.context.organisation_id)
        # A place has no Keychain.
        if any(not create.key.role.is_place for create in planned.plan.creates):
            organisation = self.context.onefile.organisation(self.context.organisation_id)
            self.log.debug("organisation_read", keychain=organisation.creates_keychains)
        sender = self._sender = Sender(self.context, self.number, planned.lookup, self._progress)
        sender.send(planned.plan)
        return self.end(RunState.FINISHED)

    def _begin(
        self, planned: GuardedPlan, approval: Approval | None, connection: Connection, *, outdates: bool
    ) -> None:
        """Write down what is going to be done."""
        if outdates:
            # What was stopped before was stopped for something that is so no longer.
            runs.expire_outdated(connection, self.context.organisation_id, POLLS, self.context.clock())
        runs.record_plan(connection, self.number, planned.plan, approval.number if approval else None)

    def log_throttling(self, seconds: float) -> None:
        self.log.warning("throttled", seconds=round(seconds, 1))

    def _save_findings(self, planned: GuardedPlan, only: frozenset[str]) -> None:
        """Write down what was found, whether it is going to be sent or not."""
        if planned.is_quiet:
            return
        plan = planned.plan
        now = self.context.clock()
        with self.context.store.begin() as connection:
            references.save(connection, self.context.organisation_id, planned.references, now)
            movement = held_records.replace(
                connection, self.context.organisation_id, plan.held, plan.warnings, now, only
            )
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
        """What lets a plan go that the guard objects to."""
        if not planned.objections:
            return None
        now = self.context.clock()
        with self.context.store.begin() as connection:
            if approved_by:
                return runs.approve_beforehand(connection, self.number, planned.plan, approved_by, now)
            triggers = POLLS if self._trigger in POLLS else {self._trigger}
            approval = runs.approval_in_force(connection, self.context.organisation_id, triggers, now)
        return approval if approval and approval.left.covers(planned.needs or planned.counts) else None

    def _stop(self, planned: GuardedPlan) -> RunResult:
        reason = "; ".join(planned.objections)
        done = self._result(RunState.AWAITING_APPROVAL)
        with self.context.store.begin() as connection:
            runs.record_plan(connection, self.number, planned.plan, None)
            runs.stop(
                connection,
                self.number,
                self.context.organisation_id,
                reason,
                self.context.clock(),
                onefile=OneFileStatus.OK if done.calls else None,
                totals={"calls": done.calls},
                sample=sample_plan(planned.plan),
            )
        self.log.warning("run_stopped", reason=reason, **_counts(done))
        return done

    def end(
        self,
        state: RunState,
        reason: str = "",
        problem: SyncdError | None = None,
        where: Sequence[str] = (),
        begins: Callable[[Connection], None] | None = None,
    ) -> RunResult:
        """Write down how it has ended; ``begins`` does so of its plan, where there is nothing to send in between."""
        done = self._result(state)
        was = OneFileStatus.OK if done.calls else None
        if isinstance(problem, OneFileError):
            was = OneFileStatus.UNREACHABLE
        with self.context.store.begin(relaxed_durability=begins is not None) as connection:
            before = runs.unreachable_since(connection, self.context.organisation_id)[0] if was else None
            if begins:
                begins(connection)
            runs.finish(
                connection,
                self.number,
                state,
                self.context.clock(),
                reason=reason,
                onefile=was,
                problem=_kind_of(problem),
                totals={
                    "applied": done.sent,
                    "refused": done.refused,
                    "in_doubt": done.in_doubt,
                    "held": done.held,
                    "calls": done.calls,
                },
            )
            if state is RunState.FINISHED and self._planned and self._planned.read_result:
                self._planned.read_result.save(connection, self.context.organisation_id)
        self._log_onefile_status(before, was, reason)
        if self._sender and self._sender.passwords_dropped:
            self.log.warning(
                "passwords_dropped", accounts=self._sender.passwords_dropped, why="no encryption key is set"
            )
        say = self.log.error if state is RunState.FAILED else self.log.info
        say(
            "run_finished",
            state=state,
            **_counts(done),
            **({"reason": reason} if reason else {}),
            **({"where": where} if where else {}),
        )
        return done

    def _log_onefile_status(self, before: OneFileStatus | None, was: OneFileStatus | None, reason: str) -> None:
        """Say once that OneFile has gone away, and once that it is back."""
        if was is OneFileStatus.UNREACHABLE and before is not OneFileStatus.UNREACHABLE:
            self.log.error("onefile_unreachable", reason=reason)
        if was is OneFileStatus.OK and before is OneFileStatus.UNREACHABLE:
            self.log.info("onefile_recovered")

    def _result(self, state: RunState) -> RunResult:
        plan = self._planned.plan if self._planned else Plan()
        sender = self._sender
        outcomes = sender.outcomes if sender else Counter[Outcome]()
        return RunResult(
            self.number,
            state,
            Counts.from_plan(plan),
            applied=sender.applied if sender else {},
            left=len(plan.leavers),
            refused=outcomes[Outcome.REFUSED],
            in_doubt=outcomes[Outcome.IN_DOUBT],
            held=len(plan.held) + (sender.held if sender else 0),
            warnings=len(plan.warnings),
            unchanged=plan.unchanged,
            calls=self.context.onefile.rate_limiter.calls - self._calls_before,
            objections=self._planned.objections if self._planned else (),
        )


def _unexpected(defect: Exception) -> Unforeseen:
    return Unforeseen(
        f"The run ended with an unexpected error ({type(defect).__name__}), a defect of syncd. "
        "The line run_finished of its log says where; please report that. The next run continues from here."
    )


def _where(defect: Exception) -> list[str]:
    """The way to a defect, innermost last: files, lines and names of functions, and nothing of what they were given."""
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


def _counts(done: RunResult) -> dict[str, int]:
    return {
        "creates": done.counts.creates,
        "updates": done.counts.updates,
        "leavers": done.counts.leavers,
        "applied": done.sent,
        "refused": done.refused,
        "in_doubt": done.in_doubt,
        "held": done.held,
        "warnings": done.warnings,
        "unchanged": done.unchanged,
        "calls": done.calls,
    }
