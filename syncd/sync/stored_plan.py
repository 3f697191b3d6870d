"""Stores the plan of a run before it is sent or waits; everything later reads the stored plan."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from syncd.core.decisions import (
    Decision,
    SplitPlan,
    StepDigester,
    count_steps,
    describe_step,
    has_steps,
    steps_with_decisions,
)
from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.state import approvals, plan_steps, runs
from syncd.state.plan_steps import StepToStore
from syncd.sync.context import SyncContext
from syncd.sync.decide import DecidedPlan


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """Where the steps of a plan are stored."""

    run: int | None = None
    """The run whose steps they are: an earlier one if its plan was the same; ``None`` if there are none."""
    digest: str = ""
    """Equal for equal plans."""
    waiting: int = 0
    """How many of the steps wait for a decision."""
    to_send: range = range(0)
    """The positions of the steps that are sent."""
    queued: range = range(0)
    """The positions of the queued steps, if they are stored by now."""


def store_plan(
    context: SyncContext, number: int, decided: DecidedPlan, split: SplitPlan, approved_by: str = ""
) -> StoredPlan:
    """Store the steps of a run, a few at a time, so that other writers wait only briefly.

    If nothing is to be sent and the run that waits for approval has the same plan, nothing is written. Queued steps are
    not stored, because they would be in every run; only an operator who approves the plan in advance, ``approved_by``,
    approves them as well. Raises `StateUnusable`, and `Interrupted` if syncd
    must stop.
    """
    digester = StepDigester(context.store.cipher.fingerprint_secret)
    waiting = count_steps(split.waiting)
    if not has_steps(split.to_send):
        with context.reading_session() as session:
            is_any_waiting = runs.waiting(session) is not None
        if is_any_waiting:
            whole = _digest(digest for _, _, digest, _ in steps_with_decisions(split, decided.decisions, digester))
            with context.reading_session() as session:
                same = runs.waiting_plan(session, whole)
            if same is not None:
                return StoredPlan(same, whole, waiting)
    approval_id = None
    if approved_by:
        counts = Counts.from_plan(split.to_send) + Counts.from_plan(split.queued)
        with context.session() as session:
            approval_id = approvals.approve_beforehand(session, number, counts, approved_by)
    content = blake2b(digest_size=16)
    steps = steps_to_store(decided, split, digester, approval_id)
    to_send = _store(context, number, 0, steps, content)
    steps = steps_to_store(decided, SplitPlan(split.queued if approved_by else Plan(), Plan()), digester, approval_id)
    queued = _store(context, number, to_send.stop, steps, content)
    return StoredPlan(number if queued.stop else None, content.hexdigest(), waiting, to_send, queued)


def store_queued(context: SyncContext, number: int, decided: DecidedPlan, queued: Plan, first: int) -> range:
    """Store the queued steps of a run that are sent after all, from position ``first``; returns their positions.

    Raises as `store_plan` does.
    """
    digester = StepDigester(context.store.cipher.fingerprint_secret)
    steps = steps_to_store(decided, SplitPlan(queued, Plan()), digester)
    return _store(context, number, first, steps, blake2b(digest_size=16))


def _store(context: SyncContext, number: int, first: int, steps: Iterator[StepToStore], content: blake2b) -> range:
    """Store steps, and add their digests to ``content``; returns their positions."""
    position = first
    while batch := list(islice(steps, plan_steps.BATCH)):
        if position:
            # Only a plan of some size is worth an interruption before its first change.
            context.check_interrupted()
        with context.session(relaxed_durability=True) as session:
            plan_steps.save(session, number, position, batch)
        position += len(batch)
        for each in batch:
            content.update(each.digest.encode())
    return range(first, position)


def steps_to_store(
    decided: DecidedPlan, split: SplitPlan, digester: StepDigester, approval_id: int | None = None
) -> Iterator[StepToStore]:
    """The steps of a plan in the order in which they are sent, as they are stored.

    ``approval_id`` is the approval of all of it that was given beforehand.
    """
    earlier = {one.key: one.old.misid for one in decided.plan.next_programmes}
    steps = steps_with_decisions(split, decided.decisions, digester, is_approved=approval_id is not None)
    for stage, step, digest, decision in steps:
        covering = decided.decisions.approved.get(digest, approval_id) if decision is Decision.APPROVED else None
        other = earlier.get(describe_step(step).key, "") if earlier else ""
        yield StepToStore(step, stage, digest, decision, covering, other)


def _digest(digests: Iterable[str]) -> str:
    content = blake2b(digest_size=16)
    for digest in digests:
        content.update(digest.encode())
    return content.hexdigest()
