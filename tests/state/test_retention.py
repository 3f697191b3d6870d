"""What is older than it is kept goes, in small batches; nothing goes that syncd still goes by."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from syncd.core.decisions import Decision
from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.plan import Create, Plan
from syncd.core.records import Held, Key, Reason
from syncd.core.run import Action, OneFileStatus, Outcome, RunState, Trigger
from syncd.state import (
    accounts,
    approvals,
    changes,
    counters,
    held_records,
    plan_steps,
    resync_requests,
    retention,
    runs,
)
from syncd.state.changes import UNSETTLED
from syncd.state.conditions import current_conditions
from syncd.state.db import maintenance
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import approval, change, metadata, plan_step, resync_request, run
from syncd.state.plan_steps import StepToStore
from syncd.state.retention import purge
from syncd.state.views import lag
from tests.support.sessions import session_on

_NOW: Final = datetime(2026, 11, 30, 4, tzinfo=UTC)
_KEEP: Final = timedelta(days=400)
_LONG_AGO: Final = _NOW - _KEEP - timedelta(days=1)
_HERE, _THERE = 5740, 5741
_TRIGGERS: Final = (Trigger.SCHEDULE, Trigger.COMMAND, Trigger.VERIFY)


def _run(
    store: Store,
    at: datetime,
    state: RunState = RunState.FINISHED,
    *,
    trigger: Trigger = Trigger.SCHEDULE,
    onefile: OneFileStatus | None = None,
    organisation_id: int = _HERE,
) -> int:
    with store.begin() as connection:
        number = runs.start(session_on(connection, organisation_id, at), trigger)
        if state is not RunState.RUNNING:
            runs.finish(
                session_on(connection, at=at), number, state, reason="none", onefile=onefile, totals={"calls": 3}
            )
            runs.record_verify(session_on(connection), number, runs.VerifyScope(True, at, ()))
    return number


def _change(
    store: Store,
    run_id: int,
    at: datetime,
    outcome: Outcome = Outcome.APPLIED,
    action: Action = Action.UPDATE,
    misid: str = "L1",
    value: str = "Ann",
    organisation_id: int = _HERE,
) -> int:
    with store.begin() as connection:
        number = changes.record_intent(
            session_on(connection, at=at, cipher=store.cipher),
            run_id,
            Key(organisation_id, Role.LEARNER, misid),
            action,
            {"FirstName": value},
            user_id=None,
            feed="learners",
            fingerprint="",
        )
        if outcome is not Outcome.PENDING:
            changes.record_outcome(session_on(connection, at=at), number, outcome)
    return number


def _approve(store: Store, run_id: int, at: datetime) -> int:
    with store.begin() as connection:
        return approvals.approve_beforehand(session_on(connection, at=at), run_id, Counts(creates=1), "somebody")


def _numbers(store: Store, table: Any) -> list[int]:
    with store.begin() as connection:
        return list(connection.scalars(select(table.c.id).order_by(table.c.id)))


def test_changes_and_runs_go_when_they_are_older_than_they_are_kept(store: Store) -> None:
    old, younger, newest = (_run(store, at) for at in (_LONG_AGO, _LONG_AGO + timedelta(days=2), _NOW))
    _change(store, old, _LONG_AGO)
    kept = _change(store, younger, _NOW - _KEEP)

    assert purge(store, [_HERE], _NOW, _KEEP) == 1

    assert (_numbers(store, run), _numbers(store, change)) == ([younger, newest], [kept])
    assert purge(store, [_HERE], _NOW, _KEEP) == 0


def test_purge_keeps_all_without_a_limit_and_skips_other_organisations(store: Store) -> None:
    for _ in range(2):
        _change(store, _run(store, _LONG_AGO, organisation_id=_THERE), _LONG_AGO, organisation_id=_THERE)
    assert purge(store, [_THERE], _NOW, timedelta()) == 0
    assert purge(store, [_HERE], _NOW, _KEEP) == 0
    assert (len(_numbers(store, run)), len(_numbers(store, change))) == (2, 2)


def test_purge_works_in_small_batches_and_stops_between_them_on_request(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    run_id = _run(store, _LONG_AGO)
    for _ in range(5):
        _change(store, run_id, _LONG_AGO)
    deleted: list[int] = []

    @event.listens_for(store.engine, "after_cursor_execute")
    def note(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM change"):
            deleted.append(cursor.rowcount)

    answers = iter([False, True, True, True])

    assert purge(store, [_HERE], _NOW, _KEEP, lambda: next(answers)) == 2
    assert purge(store, [_HERE], _NOW, _KEEP) == 3
    assert max(deleted) == 2


def test_a_batch_goes_on_where_the_one_before_has_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    run_id = _run(store, _LONG_AGO)
    moments = [_LONG_AGO + timedelta(minutes=minutes) for minutes in (0, 1, 2, 2, 3)]
    for at in moments:
        _change(store, run_id, at)
    kept = _change(store, run_id, _LONG_AGO - timedelta(days=1), Outcome.PENDING, Action.CREATE)
    looked_from: list[list[datetime]] = []

    @event.listens_for(store.engine, "before_execute")
    def note(_connection: Any, clause: Any, *_: Any) -> None:
        if str(clause).startswith("SELECT change.id"):
            given = clause.compile().params.values()
            looked_from.append([each for each in given if each in moments])

    assert purge(store, [_HERE], _NOW, _KEEP) == 5
    assert looked_from == [[], [moments[1]], [moments[3]], [moments[4]]]
    assert _numbers(store, change) == [kept]


@pytest.mark.parametrize("outcome", UNSETTLED)
def test_unsettled_create_is_kept_at_any_age_with_all_its_data(store: Store, outcome: Outcome) -> None:
    _change(store, _run(store, _LONG_AGO), _LONG_AGO, outcome, Action.CREATE)
    _run(store, _NOW)
    with store.begin() as connection:
        before = changes.unsettled(session_on(connection, _HERE, cipher=store.cipher))

    assert purge(store, [_HERE], _NOW, _KEEP) == 0

    with store.begin() as connection:
        assert changes.unsettled(session_on(connection, _HERE, cipher=store.cipher)) == before != []


def test_change_of_a_killed_run_is_kept_until_it_has_been_put_in_doubt(store: Store) -> None:
    killed = _change(store, _run(store, _LONG_AGO), _LONG_AGO, Outcome.PENDING, Action.ARCHIVE)
    assert purge(store, [_HERE], _NOW, _KEEP) == 0
    with store.begin() as connection:
        changes.doubt_pending(session_on(connection, _HERE))
    assert _numbers(store, change) == [killed]
    assert purge(store, [_HERE], _NOW, _KEEP) == 1


def test_plan_is_deleted_with_its_run_unless_a_later_run_has_the_same(store: Store) -> None:
    old, first = _run(store, _LONG_AGO), _run(store, _LONG_AGO, RunState.SUPERSEDED)
    later = _run(store, _NOW, RunState.AWAITING_APPROVAL)
    for number in (old, first):
        steps = [_step(f"L{each}") for each in range(retention.BATCH_ROWS + 1)]
        with store.begin() as connection:
            plan_steps.save(session_on(connection), number, 0, steps)
            runs.record_plan(session_on(connection), number, Plan(), number)
    with store.begin() as connection:
        runs.record_plan(session_on(connection), later, Plan(), first)
    _run(store, _LONG_AGO)

    purge(store, [_HERE], _NOW, _KEEP)

    with store.begin() as connection:
        assert set(connection.scalars(select(plan_step.c.run_id))) == {first}
    assert old not in _numbers(store, run)


def _step(misid: str) -> StepToStore:
    create = Create(Key(_HERE, Role.LEARNER, misid), "learners", {"MISID": misid})
    return StepToStore(create, 1, misid, Decision.UNDECIDED)


def test_the_number_of_an_approval_is_never_given_again(store: Store) -> None:
    number = _approve(store, _run(store, _LONG_AGO, RunState.APPROVED), _LONG_AGO)
    _run(store, _LONG_AGO, RunState.APPROVED)

    purge(store, [_HERE], _NOW, _KEEP)

    assert _approve(store, _run(store, _NOW, RunState.APPROVED), _NOW) > number


def test_resync_request_is_kept_with_its_run_and_always_if_unanswered(store: Store) -> None:
    requests = []
    for at in (_LONG_AGO, _NOW - timedelta(days=30), _NOW):
        number = _run(store, at)
        with store.begin() as connection:
            requests.append(resync_requests.add(session_on(connection, _HERE, at), "somebody"))
            resync_requests.record_answer(session_on(connection), requests[-1:], number)
    with store.begin() as connection:
        unanswered = resync_requests.add(session_on(connection, _HERE, _LONG_AGO), "somebody")

    purge(store, [_HERE], _NOW, _KEEP)

    assert _numbers(store, resync_request) == [*requests[1:], unanswered]


def test_accounts_accepted_values_and_held_records_survive_a_purge(store: Store) -> None:
    key = Key(_HERE, Role.LEARNER, "L1")
    with store.begin() as connection:
        accounts.save(
            session_on(connection, at=_LONG_AGO, cipher=store.cipher),
            key,
            user_id=7,
            feed="learners",
            accepted={"MISID": "L1", "FirstName": "Ann"},
            fingerprint="f",
        )
        hold = Held(_HERE, Role.LEARNER, "L2", "learners", Reason.MISSING, "Email", "Email is empty", 1)
        held_records.hold(session_on(connection, at=_LONG_AGO), hold)
    _change(store, _run(store, _LONG_AGO), _LONG_AGO, action=Action.CREATE)

    assert purge(store, [_HERE], _NOW, _KEEP) == 1

    with store.begin() as connection:
        assert accounts.known(session_on(connection, _HERE))[key].user_id == 7
        assert accounts.values(session_on(connection, cipher=store.cipher), [key]) == {
            key: {"MISID": "L1", "FirstName": "Ann"}
        }
        assert [row.misid for row in held_records.listing(session_on(connection, _HERE))] == ["L2"]


def test_what_was_sent_is_no_longer_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "syncd.db"
    store = Store(f"sqlite:///{file}", ValueCipher())
    store.upgrade()
    run_id = _run(store, _LONG_AGO)
    for number in range(50):
        _change(store, run_id, _LONG_AGO, value=f"Blodeuwedd {number}")
    assert b"Blodeuwedd" in b"".join(each.read_bytes() for each in tmp_path.iterdir())

    assert purge(store, [_HERE], _NOW, _KEEP) == 50
    store.close()

    assert b"Blodeuwedd" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


_ages = st.sampled_from([timedelta(), timedelta(days=1), timedelta(days=399), timedelta(days=401), timedelta(days=999)])
_histories = st.lists(
    st.tuples(
        _ages,
        st.sampled_from([*RunState]),
        st.sampled_from(_TRIGGERS),
        st.sampled_from([None, *OneFileStatus]),
        st.booleans(),
        st.lists(st.tuples(st.sampled_from([*Action]), st.sampled_from([*Outcome])), max_size=2),
    ),
    max_size=12,
)


# Each is a store of its own.
@settings(max_examples=25)
@given(_histories)
def test_purge_of_any_history_keeps_the_state_that_syncd_depends_on(history: list[Any]) -> None:
    store = Store("sqlite://", ValueCipher())
    # Much quicker than all migrations.
    metadata.create_all(store.engine)
    for age, state, trigger, onefile, is_approved, made in sorted(history, key=lambda one: -one[0]):
        number = _run(store, _NOW - age, state, trigger=trigger, onefile=onefile)
        if is_approved:
            _approve(store, number, _NOW - age)
        for action, outcome in made:
            _change(store, number, _NOW - age, outcome, action)
    before = list(_gone_by(store))

    purge(store, [_HERE], _NOW, _KEEP)

    assert list(_gone_by(store)) == before
    assert list(maintenance.defects(store)) == []
    with store.begin() as connection:
        left = connection.execute(select(change).where(change.c.at < _NOW - _KEEP)).all()
        old_runs = connection.scalars(select(run.c.id).where(run.c.started_at < _NOW - _KEEP)).all()
    assert all(
        one.outcome == Outcome.PENDING or (one.action == Action.CREATE and one.outcome in UNSETTLED) for one in left
    )
    # One of each trigger and state and some more, besides those that a change keeps.
    assert len(set(old_runs) - {one.run_id for one in left}) <= len(_TRIGGERS) * len(RunState) + 5
    store.close()


def _gone_by(store: Store) -> Iterator[object]:
    with store.begin() as connection:
        yield changes.unsettled(session_on(connection, _HERE, cipher=store.cipher))
        yield changes.in_doubt(session_on(connection, _HERE))
        yield counters.values(connection, _HERE)
        yield connection.scalars(select(change.c.id).where(change.c.outcome == Outcome.PENDING)).all()
        yield runs.last(session_on(connection, _HERE))
        yield runs.waiting(session_on(connection, _HERE))
        yield runs.unreachable_since(session_on(connection, _HERE))
        yield runs.last_success_at(session_on(connection, _HERE))
        yield current_conditions(session_on(connection, _HERE))
        yield lag.oldest(connection, _HERE)
        for trigger in _TRIGGERS:
            yield approvals.in_force(session_on(connection, _HERE, _NOW), {trigger})
            yield runs.last_verify(session_on(connection, _HERE), trigger)
            yield runs.last_verify(session_on(connection, _HERE), trigger, only_full=True)
        yield connection.scalar(select(approval.c.id).order_by(approval.c.id.desc()).limit(1))
