"""What monitors count only ever grows, and outlives what it counted."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from syncd.core.fields import Role
from syncd.core.records import Key
from syncd.resources import shipped
from syncd.state import changes, counters, runs
from syncd.state.changes import Action, Outcome
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.state.db.tables import change, run
from syncd.state.runs import RunState

ORGANISATION = 5740
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def _counted(store: Store, counter: str) -> Mapping[str, float]:
    with store.begin() as connection:
        return counters.values(connection, ORGANISATION).get(counter, {})


def _run_of(store: Store, seconds: float, state: RunState = RunState.FINISHED, calls: int = 0) -> int:
    with store.begin() as connection:
        number = runs.start(connection, ORGANISATION, "schedule", NOW)
        runs.finish(connection, number, state, NOW + timedelta(seconds=seconds), totals={"calls": calls})
    return number


def test_runs_are_counted_by_how_they_ended_with_their_calls_and_how_long_they_took(store: Store) -> None:
    _run_of(store, 0.5, calls=3)
    _run_of(store, 61, calls=4)
    _run_of(store, 100_000)
    _run_of(store, 7, RunState.FAILED, calls=1)
    assert _counted(store, counters.RUNS) == {"finished": 3, "failed": 1}
    assert _counted(store, counters.CALLS) == {"": 8}
    assert _counted(store, counters.RUNS_WITHIN) == {"1.0": 1, "300.0": 1, "+Inf": 1}
    assert _counted(store, counters.RUN_SECONDS) == {"": 100_061.5}


def test_a_run_whose_process_was_killed_counts_as_interrupted_and_a_clock_set_back_takes_no_time_away(
    store: Store,
) -> None:
    with store.begin() as connection:
        runs.start(connection, ORGANISATION, "schedule", NOW)
    _run_of(store, -3600)
    assert _counted(store, counters.RUNS) == {"interrupted": 1, "finished": 1}
    assert _counted(store, counters.RUN_SECONDS) == {"": 0}


def test_a_change_counts_under_each_thing_that_became_of_it_and_still_does_when_it_is_purged(store: Store) -> None:
    number = _run_of(store, 1)
    key = Key(ORGANISATION, Role.LEARNER, "L1")
    with store.begin() as connection:
        intended = [
            changes.record_intent(
                connection, store.cipher, number, key, action, {}, user_id=None, feed="f", fingerprint="", now=NOW
            )
            for action in (Action.CREATE, Action.UPDATE)
        ]
        changes.record_outcome(connection, intended[0], Outcome.IN_DOUBT, NOW)
        changes.forget_pending(connection, ORGANISATION)
        changes.record_outcome(connection, intended[0], Outcome.APPLIED, NOW, user_id=1)
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


@pytest.mark.parametrize("make", ["sqlite_url", "postgres_url"])
def test_what_was_done_before_anything_was_counted_is_counted_by_the_migration(
    request: pytest.FixtureRequest, make: str
) -> None:
    store = Store(request.getfixturevalue(make), ValueCipher())
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for state, calls in (("finished", 3), ("superseded", 1), ("approved", 0), ("running", 2)):
            connection.execute(
                text(
                    "INSERT INTO run (organisation_id, trigger, state, started_at, creates, updates, leavers,"
                    " returners, held, warnings, unchanged, applied, refused, in_doubt, calls, reason, onefile)"
                    " VALUES (5740, 'schedule', :state, :now, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, :calls, '', '')"
                ),
                {"state": state, "calls": calls, "now": NOW},
            )
        for outcome in ("applied", "applied", "pending"):
            connection.execute(
                text(
                    "INSERT INTO change (run_id, at, organisation_id, role, misid, action, fields, outcome, attempts,"
                    " detail, message) VALUES (1, :now, 5740, 'Learner', 'L1', 'create', '[]', :outcome, 1, '', '')"
                ),
                {"outcome": outcome, "now": NOW},
            )
        for counter, label, count in (("changes", "create applied", 5), ("runs", "rejected", 1), ("calls", "", 100)):
            connection.execute(
                text("INSERT INTO tally VALUES (5740, :counter, :label, :count)"),
                {"counter": counter, "label": label, "count": count},
            )
    store.upgrade()
    assert _counted(store, counters.RUNS) == {"finished": 1, "awaiting_approval": 3}
    assert _counted(store, counters.CHANGES) == {"create applied": 7}
    assert _counted(store, counters.CALLS) == {"": 106}
    _run_of(store, 1, calls=1)
    assert _counted(store, counters.CALLS) == {"": 107}

    with store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
        left = connection.execute(text("SELECT counter, label, count FROM tally")).all()
    # What is there is counted where it is.
    assert {(row[0], row[1]): row[2] for row in left} == {
        ("changes", "create applied"): 5,
        ("runs", "awaiting_approval"): 1,
        ("calls", ""): 100,
    }
    store.close()
