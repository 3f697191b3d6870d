"""What operators have decided about a plan's steps, and what the guard says to the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from syncd.core.decisions import Decisions, DividedPlan, StepDigester, count_steps, divide, has_steps
from syncd.core.guard import Counts
from syncd.core.plan import Plan
from syncd.core.run import POLLS, Trigger
from syncd.core.text import plural
from syncd.errors import OneFileError
from syncd.state import approvals, runs
from syncd.state.approvals import ApprovalEntry
from syncd.sync.context import SyncContext
from syncd.sync.planner import GuardedPlan


@dataclass(frozen=True, slots=True)
class DecidedPlan:
    """A plan without what was rejected, and whether the rest may be sent."""

    divided: DividedPlan
    objections: tuple[str, ...] = ()
    """Why the new steps must not be sent without an approval; empty if they may."""
    decisions: Decisions = field(default_factory=Decisions)
    approvals: Sequence[ApprovalEntry] = ()
    """The approvals in force."""

    @property
    def plan(self) -> Plan:
        """The plan; records of which a step was rejected are held."""
        return self.divided.plan

    @property
    def counts(self) -> Counts:
        """The changes of the plan, as the guard counts them."""
        return Counts.from_plan(self.plan)


def decide(context: SyncContext, planned: GuardedPlan, trigger: Trigger) -> DecidedPlan:
    """Apply the decisions in force to a plan. Raises `StateUnusable`."""
    if planned.is_quiet:
        objections = planned.guard.objections(planned.plan)
        if not objections:
            return DecidedPlan(DividedPlan(planned.plan))
    triggers = POLLS if trigger in POLLS else {trigger}
    with context.reading_session() as session:
        in_force = approvals.in_force(session, triggers)
        decisions = approvals.decisions(session, in_force, is_poll=trigger in POLLS)
        is_waiting = runs.waiting(session) is not None
    divided = divide(planned.plan, decisions, StepDigester(context.store.cipher.fingerprint_secret))
    new = divided.new
    objections = planned.guard.objections(new, is_approved=decisions.is_approved)
    if objections and in_force and has_steps(new):
        objections = (*objections, _difference(divided.plan, new, in_force[-1]))
    if divided.has_set_aside and not is_waiting and not objections:
        objections = ("some changes still wait for a decision",)
    return DecidedPlan(divided, objections, decisions, in_force)


def describe_emails(context: SyncContext, plan: Plan) -> tuple[str, OneFileError | None]:
    """How many people OneFile e-mails for the new accounts of a plan, as a sentence; empty if none.

    If OneFile cannot be asked, the sentence says so, and the error is returned with it: a plan can be decided about
    all the same.
    """
    people = sum(not create.key.role.is_place for create in plan.creates)
    try:
        if not people or not context.onefile.organisation(context.organisation_id).creates_keychains:
            return "", None
    except OneFileError as problem:
        recipients = plural(people, "person", "people")
        return (
            f"it is not known whether OneFile e-mails {recipients} for the new accounts: it could not be asked",
            problem,
        )
    # The link is to set a password (F6).
    recipients = "1 person, and its link" if people == 1 else f"{people:,} people, and the link in each e-mail"
    return f"for the new accounts OneFile e-mails {recipients} works for 72 hours", None


def _difference(plan: Plan, new: Plan, approval: ApprovalEntry) -> str:
    """How much of a plan an approval does not cover."""
    when = f"{approval.approved_at:%d %b %Y %H:%M} UTC"
    return f"{count_steps(new):,} of these {count_steps(plan):,} changes were not in the plan approved on {when}"
