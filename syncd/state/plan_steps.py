"""The stored plans: what each run was to do, step by step, and what was decided about each step."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Row, func, literal, select, tuple_

from syncd.core.decisions import Decision, Decisions, Part, StepKind, describe_step, shown_values
from syncd.core.fields import Role
from syncd.core.guard import ChangeKind, Counts
from syncd.core.plan import Assign, Create, Grant, Leaver, Rekey, Returner, Step, Update
from syncd.core.records import Key
from syncd.core.run import Outcome, RunState
from syncd.core.values import Sent
from syncd.state import accounts
from syncd.state.db.store import Store
from syncd.state.db.tables import approval, change, plan_step, run, withheld_step
from syncd.state.session import StateSession

#: How many steps are written or read at a time.
BATCH: Final = 500

_TYPES: Final[Mapping[StepKind, type[Step]]] = {
    StepKind.CREATE: Create,
    StepKind.UPDATE: Update,
    StepKind.LINK: Update,
    StepKind.REKEY: Rekey,
    StepKind.RELEASE: Rekey,
    StepKind.UNARCHIVE: Returner,
    StepKind.RETURN: Returner,
    StepKind.ARCHIVE: Leaver,
    StepKind.LEAVE: Leaver,
}
_SENT: Final = (Decision.ALLOWED, Decision.APPROVED)


@dataclass(frozen=True, slots=True)
class StepToStore:
    """A step of a new plan."""

    step: Step
    stage: int
    digest: str
    decision: Decision
    approval_id: int | None = None
    other: str = ""
    """The MISID of the person's earlier programme, if it is known."""


@dataclass(frozen=True, slots=True)
class StepToSend:
    """A step that is read to be sent."""

    position: int
    stage: int
    is_approved: bool
    step: Step


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps of a plan are meant; an empty value means any."""

    part: str = ""
    kind: str = ""
    role: str = ""
    field: str = ""
    """The name of a field that is among the step's."""
    fields: str | None = None
    """Exactly these fields, separated by commas."""
    misid: str = ""
    """The beginning of the MISID."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on the columns of the table."""
        columns = plan_step.c
        conditions: list[ColumnElement[bool]] = []
        if self.part:
            conditions.append(columns.kind.in_(sorted(Part(self.part).kinds)))
        if self.kind:
            conditions.append(columns.kind == self.kind)
        if self.role:
            conditions.append(columns.role == self.role)
        if self.field:
            among = literal(",") + columns.fields + ","
            conditions.append(among.contains(f",{self.field},", autoescape=True))
        if self.fields is not None:
            conditions.append(columns.fields == self.fields)
        if self.misid:
            conditions.append(columns.misid.startswith(self.misid, autoescape=True))
        return conditions


ALL_STEPS: Final = StepFilter()


@dataclass(frozen=True, slots=True)
class StepValue:
    """One field of a step: its value in OneFile when the plan was made, and the one to send."""

    field: str
    before: Sent
    after: Sent | Key


@dataclass(frozen=True, slots=True)
class StoredStep:
    """A step of a stored plan, as it is listed."""

    position: int
    kind: StepKind
    role: Role
    misid: str
    other: str
    fields: tuple[str, ...]
    decision: Decision
    outcome: Outcome | None
    """What came of it in the run, if the run has begun to send it."""
    message: str = ""
    values: tuple[StepValue, ...] = field(default=(), repr=False)
    """The values of its fields, if they were asked for."""


@dataclass(frozen=True, slots=True)
class StepGroup:
    """The steps of one kind and role with the same fields."""

    kind: StepKind
    role: Role
    fields: str
    count: int


def save(session: StateSession, number: int, first: int, steps: Sequence[StepToStore]) -> None:
    """Store steps of a run's plan from position ``first``; nobody reads them until `runs.record_plan`."""
    updated = [each.step.key for each in steps if isinstance(each.step, Update)]
    before = accounts.values(session, updated) if updated else {}
    rows = [_to_row(session, number, position, each, before) for position, each in enumerate(steps, first)]
    session.connection.execute(plan_step.insert(), rows)


def _to_row(
    session: StateSession, number: int, position: int, each: StepToStore, before: Mapping[Key, Mapping[str, Sent]]
) -> dict[str, Any]:
    step = each.step
    text = describe_step(step)
    stored = before.get(text.key, {}) if isinstance(step, Update) else {}
    # A value whose answer was lost is stored as empty: what OneFile has instead is not known.
    known = {name: stored.get(name) for name in text.fields if name not in stored or stored[name] is not None}
    detail = {"step": msgspec.to_builtins(step), "before": known if stored else {}}
    return {
        "run_id": number,
        "position": position,
        "stage": each.stage,
        "kind": text.kind,
        "role": text.key.role,
        "misid": text.key.misid,
        "other": text.other or each.other,
        "fields": ",".join(text.fields),
        "digest": each.digest,
        "decision": each.decision,
        "approval_id": each.approval_id,
        "detail": session.cipher.encrypt(detail),
    }


def batch_to_send(session: StateSession, number: int, positions: range) -> list[StepToSend]:
    """The next steps of a run to send, at these positions; none at the end."""
    columns = plan_step.c
    rows = session.connection.execute(
        select(columns.position, columns.stage, columns.kind, columns.decision, columns.detail)
        .where(
            columns.run_id == number,
            columns.position >= positions.start,
            columns.position < positions.stop,
            columns.decision.in_(_SENT),
            columns.stage > 0,
        )
        .order_by(columns.position)
        .limit(BATCH)
    )
    return [
        StepToSend(
            row.position,
            row.stage,
            row.decision == Decision.APPROVED,
            to_step(row.kind, session.cipher.decrypt(row.detail)["step"]),
        )
        for row in rows
    ]


def to_step(kind: str, stored: Mapping[str, Any]) -> Step:
    """The step of this kind that is stored so."""
    if kind == StepKind.ASSIGN:
        return msgspec.convert(stored, Assign) if "learner" in stored else msgspec.convert(stored, Grant)
    step: Step = msgspec.convert(stored, _TYPES[StepKind(kind)])
    return step


def plan_run(session: StateSession, number: int) -> int:
    """The run whose stored steps are the plan of this run; it may be the run itself."""
    return session.connection.scalar(select(run.c.plan_run_id).where(run.c.id == number)) or number


def groups(session: StateSession, number: int, chosen: StepFilter = ALL_STEPS) -> list[StepGroup]:
    """The steps of a run's plan in groups, the largest first."""
    columns = plan_step.c
    count = func.count()
    rows = session.connection.execute(
        select(columns.kind, columns.role, columns.fields, count)
        .where(columns.run_id == plan_run(session, number), *chosen.conditions())
        .group_by(columns.kind, columns.role, columns.fields)
        .order_by(count.desc(), columns.kind, columns.role, columns.fields)
    )
    return [StepGroup(StepKind(kind), Role(role), fields, number_of) for kind, role, fields, number_of in rows]


def counts_by_decision(session: StateSession, number: int) -> Counter[Decision]:
    """How many steps of a run's plan there are with each decision."""
    columns = plan_step.c
    rows = session.connection.execute(
        select(columns.decision, func.count())
        .where(columns.run_id == plan_run(session, number))
        .group_by(columns.decision)
    )
    return Counter({Decision(row[0]): row[1] for row in rows})


def page(
    session: StateSession,
    number: int,
    chosen: StepFilter = ALL_STEPS,
    *,
    first: int = 0,
    most: int,
    with_values: bool = False,
) -> list[StoredStep]:
    """At most ``most`` steps of a run's plan in the order in which they are sent, from ``first``, counted from 0."""
    columns = plan_step.c
    rows = session.connection.execute(
        select(*_LISTED)
        .where(columns.run_id == plan_run(session, number), *chosen.conditions())
        .order_by(columns.position)
        .offset(first)
        .limit(most)
    ).all()
    return _to_stored(session, number, rows, with_values=with_values)


def batch_after(
    session: StateSession, number: int, chosen: StepFilter, after: int, *, with_values: bool
) -> list[StoredStep]:
    """The next steps of a run's plan in the order in which they are sent, behind the position; none at the end."""
    columns = plan_step.c
    rows = session.connection.execute(
        select(*_LISTED)
        .where(columns.run_id == plan_run(session, number), columns.position > after, *chosen.conditions())
        .order_by(columns.position)
        .limit(BATCH)
    ).all()
    return _to_stored(session, number, rows, with_values=with_values)


def each_step(
    session: StateSession, number: int, chosen: StepFilter = ALL_STEPS, *, with_values: bool = False
) -> Iterator[StoredStep]:
    """The steps of a run's plan in the order in which they are sent, read a few at a time."""
    after = -1
    while batch := batch_after(session, number, chosen, after, with_values=with_values):
        yield from batch
        after = batch[-1].position


_LISTED: Final = tuple(
    plan_step.c[name] for name in ("position", "kind", "role", "misid", "other", "fields", "decision", "detail")
)


def _to_stored(session: StateSession, number: int, rows: Sequence[Row[Any]], *, with_values: bool) -> list[StoredStep]:
    positions = [row.position for row in rows]
    found = session.connection.execute(
        select(change.c.step, change.c.outcome, change.c.message)
        .where(change.c.run_id == number, change.c.step.in_(positions))
        .order_by(change.c.id)
    )
    outcomes: dict[int, tuple[Outcome | None, str]] = {
        step: (Outcome(outcome), session.cipher.decrypt_text(message)) for step, outcome, message in found
    }
    listed = []
    for row in rows:
        outcome, message = outcomes.get(row.position, (None, ""))
        listed.append(
            StoredStep(
                row.position,
                StepKind(row.kind),
                Role(row.role),
                row.misid,
                row.other,
                tuple(row.fields.split(",")) if row.fields else (),
                Decision(row.decision),
                outcome,
                message,
                _values(session, row) if with_values else (),
            )
        )
    return listed


def _values(session: StateSession, row: Row[Any]) -> tuple[StepValue, ...]:
    detail = session.cipher.decrypt(row.detail)
    shown = shown_values(to_step(row.kind, detail["step"]))
    return tuple(StepValue(name, detail["before"].get(name), value) for name, value in sorted(shown.items()))


def approve(session: StateSession, number: int, approval_id: int, chosen: StepFilter) -> Counts:
    """Approve the undecided steps of a run's plan that are chosen; returns how many, as the guard counts them."""
    columns = plan_step.c
    counts = undecided_counts(session, number, chosen)
    session.connection.execute(
        plan_step.update()
        .where(*_undecided(session, number), *chosen.conditions())
        .values(decision=Decision.APPROVED, approval_id=approval_id)
    )
    approved = select(columns.digest).where(columns.approval_id == approval_id)
    session.connection.execute(
        withheld_step.delete().where(
            withheld_step.c.organisation_id == session.organisation_id, withheld_step.c.digest.in_(approved)
        )
    )
    return counts


def undecided_counts(session: StateSession, number: int, chosen: StepFilter = ALL_STEPS) -> Counts:
    """How many steps of a run's plan wait for a decision, as the guard counts them."""
    kind = plan_step.c.kind
    wanted = [*_undecided(session, number), *chosen.conditions()]
    rows = session.connection.execute(select(kind, func.count()).where(*wanted).group_by(kind))
    counted: Counter[ChangeKind] = Counter()
    for row in rows:
        counted[StepKind(row[0]).change_kind] += row[1]
    return Counts.by_kind(counted)


def _undecided(session: StateSession, number: int) -> list[ColumnElement[bool]]:
    columns = plan_step.c
    return [columns.run_id == plan_run(session, number), columns.decision == Decision.UNDECIDED]


def withhold(session: StateSession, number: int, *, is_rejected: bool) -> None:
    """Withhold the undecided steps of a run's plan from later runs.

    They are rejected, or wait for a decision.
    """
    columns = plan_step.c
    undecided = _undecided(session, number)
    here = session.organisation_id
    chosen = select(columns.digest).where(*undecided)
    session.connection.execute(
        withheld_step.delete().where(withheld_step.c.organisation_id == here, withheld_step.c.digest.in_(chosen))
    )
    content = select(
        literal(here), columns.digest, columns.role, columns.misid, literal(is_rejected), literal(session.now, _NOW)
    ).where(*undecided)
    names = ["organisation_id", "digest", "role", "misid", "is_rejected", "decided_at"]
    session.connection.execute(withheld_step.insert().from_select(names, content.distinct()))
    if is_rejected:
        reject(session, number)


def reject(session: StateSession, number: int) -> None:
    """Reject the undecided steps of a run's plan; `withhold` keeps later runs from sending them as well."""
    session.connection.execute(
        plan_step.update().where(*_undecided(session, number)).values(decision=Decision.REJECTED)
    )


_NOW: Final = withheld_step.c.decided_at.type


def count_undecided(session: StateSession, number: int) -> int:
    """How many steps of a run's plan wait for a decision."""
    waiting = select(func.count()).select_from(plan_step).where(*_undecided(session, number))
    return session.connection.scalar(waiting) or 0


def decisions(session: StateSession, approval_ids: Sequence[int], *, with_rejected: bool) -> Decisions:
    """The decisions about steps, with those of the approvals that are in force.

    A step that was sent under its approval, and accepted by OneFile, is not approved another time.
    """
    columns, withheld = plan_step.c, withheld_step.c
    rows = session.connection.execute(
        select(withheld.digest, withheld.is_rejected).where(withheld.organisation_id == session.organisation_id)
    ).all()
    approved: dict[str, int] = {}
    if approval_ids:
        under_it = columns.approval_id.in_(approval_ids)
        covered = session.connection.execute(select(columns.digest, columns.approval_id).where(under_it))
        approved = {row.digest: row.approval_id for row in covered}
        sent = (
            select(columns.digest)
            .join(change, (change.c.run_id == columns.run_id) & (change.c.step == columns.position))
            .where(
                under_it,
                # A create that was sent is over, but an update may have to complete it.
                columns.kind != StepKind.CREATE,
                change.c.outcome.in_((Outcome.APPLIED, Outcome.ACCEPTED)),
            )
        )
        for digest in session.connection.scalars(sent):
            approved.pop(digest, None)
    return Decisions(
        approved,
        {row.digest for row in rows if not row.is_rejected},
        {row.digest for row in rows if row.is_rejected} if with_rejected else frozenset(),
        is_approved=bool(approval_ids),
    )


def retry(session: StateSession, keys: Iterable[Key]) -> None:
    """Let the rejected steps of these records be planned again."""
    withheld = withheld_step.c
    for key in keys:
        session.connection.execute(
            withheld_step.delete().where(
                withheld.organisation_id == key.organisation_id,
                withheld.role == key.role,
                withheld.misid == key.misid,
                withheld.is_rejected,
            )
        )


def record_undone(session: StateSession, step: Step) -> None:
    """Store that a step is about to take changes back, or to make them again: whether polls may make them."""
    if not isinstance(step, Update | Returner | Leaver) or not (step.undoes or step.redoes):
        return
    columns, key = withheld_step.c, step.key
    marks = sorted({*step.undoes.values(), *step.redoes.values()})
    session.connection.execute(
        withheld_step.delete().where(columns.organisation_id == key.organisation_id, columns.digest.in_(marks))
    )
    rows = [
        {
            "organisation_id": key.organisation_id,
            "digest": mark,
            "role": key.role,
            "misid": key.misid,
            "is_rejected": True,
            "is_undone": True,
            "decided_at": session.now,
        }
        for mark in sorted(set(step.undoes.values()))
    ]
    if rows:
        session.connection.execute(withheld_step.insert(), rows)


def forget_undone(session: StateSession, keys: Iterable[Key]) -> None:
    """Forget that changes of these records were taken back: the records have changed since."""
    columns = withheld_step.c
    wanted = sorted(keys)
    for start in range(0, len(wanted), BATCH):
        some = wanted[start : start + BATCH]
        session.connection.execute(
            withheld_step.delete().where(
                columns.organisation_id == session.organisation_id,
                tuple_(columns.role, columns.misid).in_([(key.role, key.misid) for key in some]),
                columns.is_undone,
            )
        )


def drop_outdated(store: Store, organisation_id: int) -> None:
    """Delete the plans of runs that waited and that a later run has replaced.

    Those of which a part was approved or sent are kept. Deletes as well what a run has stored that was cut short before
    its plan was complete. A plan may be large: some of its steps are deleted at a time, so that other writers wait only
    briefly. Raises `StateUnusable`.
    """
    other, here = run.alias(), run.c.organisation_id == organisation_id
    is_replaced = (
        run.c.state == RunState.SUPERSEDED,
        run.c.plan_run_id.is_not(None),
        ~select(approval.c.id).where(approval.c.run_id == run.c.id).exists(),
        ~select(change.c.id).where(change.c.run_id == run.c.plan_run_id).exists(),
        ~select(other.c.id)
        .where(other.c.plan_run_id == run.c.plan_run_id, other.c.state != RunState.SUPERSEDED)
        .exists(),
    )
    is_incomplete = (
        run.c.state.in_((RunState.INTERRUPTED, RunState.FAILED)),
        run.c.plan_run_id.is_(None),
        select(plan_step.c.position).where(plan_step.c.run_id == run.c.id).exists(),
    )
    with store.reading() as connection:
        outdated = set(connection.scalars(select(run.c.plan_run_id).where(here, *is_replaced)))
        outdated |= set(connection.scalars(select(run.c.id).where(here, *is_incomplete)))
    for number in outdated:
        while _drop_some(store, number):
            pass


def _drop_some(store: Store, number: int) -> bool:
    """Delete some steps of a run; returns whether there may be more."""
    mine = plan_step.c.run_id == number
    with store.begin(relaxed_durability=True) as connection:
        positions = connection.scalars(
            select(plan_step.c.position).where(mine).order_by(plan_step.c.position).limit(BATCH * 4)
        ).all()
        if not positions:
            connection.execute(run.update().where(run.c.plan_run_id == number).values(plan_run_id=None))
            return False
        connection.execute(plan_step.delete().where(mine, plan_step.c.position.between(positions[0], positions[-1])))
    return True
