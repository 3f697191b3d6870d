"""What monitors count only ever grows, and outlives what it counted."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.core.run import Action, Outcome, RunState, Trigger
from syncd.state import changes, counters, runs
from syncd.state.db.store import Store
from syncd.state.db.tables import change, run
from tests.support.sessions import session_on

ORGANISATION = 5740
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def _counted(store: Store, counter: str) -> Mapping[str, float]:
    with store.begin() as connection:
        return counters.values(connection, ORGANISATION).get(counter, {})


def _run_of(store: Store, seconds: float, state: RunState = RunState.FINISHED, calls: int = 0) -> int:
    with store.begin() as connection:
        number = runs.start(session_on(connection, ORGANISATION, NOW), Trigger.SCHEDULE)
        runs.finish(session_on(connection, at=NOW + timedelta(seconds=seconds)), number, state, totals={"calls": calls})
    return number


def test_runs_are_counted_by_state_with_their_calls_and_durations(store: Store) -> None:
    _run_of(store, 0.5, calls=3)
    _run_of(store, 61, calls=4)
    _run_of(store, 100_000)
    _run_of(store, 7, RunState.FAILED, calls=1)
    assert _counted(store, counters.RUNS) == {"finished": 3, "failed": 1}
    assert _counted(store, counters.CALLS) == {"": 8}
    assert _counted(store, counters.RUNS_WITHIN) == {"1.0": 1, "300.0": 1, "+Inf": 1}
    assert _counted(store, counters.RUN_SECONDS) == {"": 100_061.5}


@pytest.mark.parametrize(("trigger", "undone"), [(Trigger.UNDO, {"": 4}), (Trigger.COMMAND, {})])
def test_changes_of_undos_are_counted(store: Store, trigger: Trigger, undone: dict[str, float]) -> None:
    for applied in (3, 0, 1):
        with store.begin() as connection:
            session = session_on(connection, ORGANISATION, NOW)
            number = runs.start(session, trigger)
            runs.finish(session, number, RunState.FINISHED, totals={"applied": applied})
    assert _counted(store, counters.UNDONE) == undone


def test_killed_run_counts_as_interrupted_and_negative_time_as_zero(
    store: Store,
) -> None:
    with store.begin() as connection:
        runs.start(session_on(connection, ORGANISATION, NOW), Trigger.SCHEDULE)
    _run_of(store, -3600)
    assert _counted(store, counters.RUNS) == {"interrupted": 1, "finished": 1}
    assert _counted(store, counters.RUN_SECONDS) == {"": 0}


def test_change_counts_under_each_of_its_outcomes_even_after_a_purge(store: Store) -> None:
    number = _run_of(store, 1)
    key = Key(ORGANISATION, Role.LEARNER, "L1")
    with store.begin() as connection:
        intended = [
            changes.record_intent(
                session_on(connection, at=NOW, cipher=store.cipher),
                number,
                key,
                action,
                {},
                user_id=None,
                feed="f",
                fingerprint="",
            )
            for action in (Action.CREATE, Action.UPDATE)
        ]
        changes.record_outcome(session_on(connection, at=NOW), intended[0], Outcome.IN_DOUBT)
        changes.doubt_pending(session_on(connection, ORGANISATION))
        changes.record_outcome(session_on(connection, at=NOW), intended[0], Outcome.APPLIED, user_id=1)
    expected = {"create in_doubt": 1, "update in_doubt": 1, "create applied": 1}
    assert _counted(store, counters.CHANGES) == expected

    with store.begin() as connection:
        connection.execute(change.delete())
        connection.execute(run.delete())
    assert _counted(store, counters.CHANGES) == expected
    assert _counted(store, counters.RUNS) == {"finished": 1}


def test_no_count_is_lost_between_threads(store: Store) -> None:
    def count(_: int) -> None:
        with store.begin() as connection:
            counters.add(connection, ORGANISATION, counters.CHANGES, "create applied")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    assert _counted(store, counters.CHANGES) == {"create applied": 40}
