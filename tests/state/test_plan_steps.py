"""A stored plan is read as it was made, in batches, and its values are encrypted."""

from datetime import UTC, datetime
from typing import Final

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, text

from syncd.core.decisions import Decision, Part, StepKind
from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Rekey, Returner, Step, Update
from syncd.core.records import Key
from syncd.core.run import RunState, Trigger
from syncd.state import accounts, plan_steps, runs
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import plan_step
from syncd.state.plan_steps import StepFilter, StepToStore, StepValue
from tests.support.sessions import session_on

_HERE: Final = 5740
_NOW: Final = datetime(2026, 11, 30, 4, tzinfo=UTC)
_SECRET: Final = "Zz-a-personal-value"


def _key(misid: str, role: Role = Role.LEARNER) -> Key:
    return Key(_HERE, role, misid)


_ASSESSOR: Final = _key("A1", Role.ASSESSOR)
_STEPS: Final[tuple[Step, ...]] = (
    Returner(_key("L1"), 1, is_archived=True),
    Rekey(_key("L2"), _key("L3"), 2),
    Rekey.release(_key("L4"), 4),
    Create(
        _key("L5"),
        "learners",
        {"LastName": _SECRET, "SupportFunding": True, "ClassroomID": 7},
        {"DefaultAssessorID": _ASSESSOR},
        "f" * 32,
        former_role=Role.ASSESSOR,
        refers_to={"DefaultAssessorID": _ASSESSOR},
    ),
    Update(_key("L6"), "learners", 6, {"LastName": _SECRET, "Email": None}, after_assigning=_ASSESSOR),
    Update(_key("L7"), "learners", 7, {"LastName": _SECRET}, is_link=True, ids={"ClassroomID": 7}),
    Grant(_key("E1", Role.EMPLOYER), "employers", _key("P1", Role.PLACEMENT), is_open=False),
    Grant(_key("E2", Role.EMPLOYER), "employers", 18928, is_open=True),
    Assign(_key("L5"), _ASSESSOR, "assignments"),
    Leaver(_key("L8"), 8, _NOW, to_archive=True),
)


def _stored(store: Store, *, cipher: ValueCipher | None = None, decision: Decision = Decision.UNDECIDED) -> int:
    with store.begin() as connection:
        session = session_on(connection, _HERE, _NOW, **({"cipher": cipher} if cipher else {}))
        number = runs.start(session, Trigger.COMMAND)
        steps = [StepToStore(step, at + 1, f"digest {at}", decision) for at, step in enumerate(_STEPS)]
        plan_steps.save(session, number, 0, steps)
        runs.record_plan(session, number, Plan(), number)
    return number


def test_every_kind_of_step_is_read_as_it_was_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_steps, "BATCH", 3)
    number = _stored(store, decision=Decision.ALLOWED)
    read = []
    positions = range(len(_STEPS))
    with store.reading() as connection:
        while batch := plan_steps.batch_to_send(session_on(connection, _HERE), number, positions):
            assert len(batch) <= 3
            read += batch
            positions = range(batch[-1].position + 1, positions.stop)
        listed = list(plan_steps.each_step(session_on(connection, _HERE), number))
    assert [each.step for each in read] == list(_STEPS)
    assert [each.position for each in read] == [each.position for each in listed] == list(range(len(_STEPS)))
    create = read[3].step
    assert isinstance(create, Create)
    assert create.refers_to == {"DefaultAssessorID": _ASSESSOR}


def test_values_are_encrypted_and_listed_with_those_of_before(store: Store) -> None:
    cipher = ValueCipher(Fernet.generate_key().decode())
    with store.begin() as connection:
        session = session_on(connection, _HERE, _NOW, cipher=cipher)
        values = {"LastName": "Zz-before", "Email": "old@example.org"}
        accounts.save(session, _key("L6"), user_id=6, feed="learners", accepted=values, fingerprint="")
    number = _stored(store, cipher=cipher)
    with store.reading() as connection:
        at_rest = str(connection.execute(text("SELECT * FROM plan_step")).all())
        session = session_on(connection, _HERE, cipher=cipher)
        (update,) = plan_steps.page(session, number, StepFilter(kind="update"), most=9, with_values=True)
        (create,) = plan_steps.page(session, number, StepFilter(kind="create"), most=9, with_values=True)
    assert _SECRET not in at_rest
    assert "Zz-before" not in at_rest
    assert update.values == (
        StepValue("Email", "old@example.org", None),
        StepValue("LastName", "Zz-before", _SECRET),
    )
    assert StepValue("DefaultAssessorID", None, _ASSESSOR) in create.values


def test_steps_are_chosen_counted_and_approved_by_part_role_and_field(store: Store) -> None:
    number = _stored(store)
    with store.begin() as connection:
        session = session_on(connection, _HERE, _NOW)
        assert plan_steps.undecided_counts(session, number) == Counts(1, 8, archivings=1)
        assert plan_steps.undecided_counts(session, number, StepFilter(part=Part.LEAVERS)) == Counts(archivings=1)
        assert plan_steps.undecided_counts(session, number, StepFilter(role=Role.EMPLOYER)) == Counts(0, 2, 0)
        assert plan_steps.undecided_counts(session, number, StepFilter(field="Email")) == Counts(0, 1, 0)
        assert plan_steps.undecided_counts(session, number, StepFilter(misid="L")) == Counts(1, 6, archivings=1)
        assert plan_steps.approve(session, number, 1, StepFilter(part=Part.CREATES)) == Counts(1, 0, 0)
        plan_steps.withhold(session, number, is_rejected=False)
        assert len(plan_steps.decisions(session, [], with_rejected=True).set_aside) == 9
        plan_steps.withhold(session, number, is_rejected=True)
        found = plan_steps.decisions(session, [1], with_rejected=True)
        assert (found.approved, len(found.rejected), found.set_aside) == ({"digest 3": 1}, 9, set())
        assert plan_steps.counts_by_decision(session, number) == {Decision.APPROVED: 1, Decision.REJECTED: 9}
        plan_steps.retry(session, [_key("L6")])
        assert len(plan_steps.decisions(session, [], with_rejected=True).rejected) == 8
        groups = plan_steps.groups(session, number, StepFilter(kind=StepKind.ASSIGN))
        assert sorted((group.role.value, group.fields, group.count) for group in groups) == [
            ("Employer", "GrantAccess,PlacementID", 2),
            ("Learner", "UserID", 1),
        ]


def test_plan_of_a_run_that_was_cut_short_while_it_was_stored_is_deleted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_steps, "BATCH", 1)
    kept, incomplete = _stored(store), _stored(store)
    with store.begin() as connection:
        session = session_on(connection, _HERE, _NOW)
        runs.finish(session, kept, RunState.INTERRUPTED)
        runs.record_plan(session, incomplete, Plan(), None)
        runs.finish(session, incomplete, RunState.INTERRUPTED)

    plan_steps.drop_outdated(store, _HERE)

    with store.reading() as connection:
        assert set(connection.scalars(select(plan_step.c.run_id))) == {kept}
