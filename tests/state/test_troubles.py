"""What is amiss and since when, as the runs tell it; and since when something waits."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.core.alerts import AlertKind
from syncd.core.run import FailureKind, OneFileStatus, RunState, Trigger
from syncd.state import runs
from syncd.state.conditions import current_conditions
from syncd.state.db.store import Store
from syncd.state.db.tables import run
from syncd.state.views import lag
from syncd.state.views.lag import UnsentChange
from tests.support.sessions import session_on

ORGANISATION = 5740
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)

#: A run in each way that it can end: state, problem, how OneFile was.
_ENDS = {
    "in step, nothing to send": (RunState.FINISHED, FailureKind.NONE, None),
    "in step": (RunState.FINISHED, FailureKind.NONE, OneFileStatus.OK),
    "stopped": (RunState.AWAITING_APPROVAL, FailureKind.NONE, None),
    "interrupted": (RunState.INTERRUPTED, FailureKind.NONE, None),
    "no MIS": (RunState.FAILED, FailureKind.MIS, None),
    "no OneFile": (RunState.FAILED, FailureKind.ONEFILE, OneFileStatus.UNREACHABLE),
    "refused token": (RunState.FAILED, FailureKind.CREDENTIALS, OneFileStatus.UNREACHABLE),
    "bad feed": (RunState.FAILED, FailureKind.OTHER, None),
}


def _play(store: Store, ends: Iterable[str], *, is_full: bool = True) -> None:
    """One run an hour."""
    with store.begin() as connection:
        for hour, end in enumerate(ends):
            state, problem, onefile = _ENDS[end]
            now = NOON + timedelta(hours=hour)
            number = runs.start(session_on(connection, ORGANISATION, now), Trigger.SCHEDULE, is_full=is_full)
            if state is RunState.AWAITING_APPROVAL:
                runs.stop(
                    session_on(connection, ORGANISATION, now),
                    number,
                    end,
                    onefile=onefile,
                    totals={"calls": 0},
                )
            else:
                runs.finish(session_on(connection, at=now), number, state, reason=end, onefile=onefile, problem=problem)


def _amiss(store: Store) -> dict[AlertKind, int]:
    """By subject, the hour since which it is so."""
    with store.begin() as connection:
        found = current_conditions(session_on(connection, ORGANISATION))
    return {alert.kind: int((each.since - NOON) / timedelta(hours=1)) for alert, each in found.items()}


@pytest.mark.parametrize(
    ("ends", "amiss"),
    [
        ([], {}),
        (["in step"], {}),
        (["in step", "no OneFile", "no OneFile"], {AlertKind.ONEFILE: 1}),
        (["no OneFile", "in step"], {}),
        # A poll without a call does not show that OneFile answers, nor that it does not.
        (["no OneFile", "in step, nothing to send"], {AlertKind.ONEFILE: 0}),
        (["no OneFile", "interrupted"], {AlertKind.ONEFILE: 0}),
        # Who refuses answers.
        (["no OneFile", "refused token"], {AlertKind.CREDENTIALS: 1}),
        (["refused token", "no OneFile"], {AlertKind.CREDENTIALS: 0, AlertKind.ONEFILE: 1}),
        (["refused token", "in step"], {}),
        # What ended before it had read the MIS says nothing of it.
        (["no MIS", "no OneFile"], {AlertKind.MIS: 0, AlertKind.ONEFILE: 1}),
        (["no MIS", "in step, nothing to send"], {}),
        (["no MIS", "stopped"], {AlertKind.APPROVAL: 1}),
        (["bad feed", "no MIS", "bad feed"], {AlertKind.FAILING: 0, AlertKind.MIS: 1}),
        (["bad feed", "in step"], {}),
        # However often it is planned anew, it waits since it first did.
        (["stopped", "in step", "stopped", "stopped", "bad feed", "stopped"], {AlertKind.APPROVAL: 2}),
        (["stopped", "in step"], {AlertKind.APPROVAL: 0}),
    ],
)
def test_problem_lasts_from_first_run_showing_it_to_first_disproving_it(
    store: Store, ends: list[str], amiss: dict[AlertKind, int]
) -> None:
    _play(store, ends)
    assert _amiss(store) == amiss


def test_partial_run_does_not_show_that_the_mis_can_be_read(store: Store) -> None:
    _play(store, ["no MIS"])
    _play(store, ["in step"], is_full=False)
    assert _amiss(store) == {AlertKind.MIS: 0}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.sampled_from(sorted(_ENDS)), max_size=8))
def test_run_in_sync_ends_all_problems_but_a_plan_awaiting_approval(store: Store, ends: list[str]) -> None:
    with store.begin() as connection:
        connection.execute(run.delete())
    _play(store, [*ends, "in step"])
    assert _amiss(store).keys() <= {AlertKind.APPROVAL}


def test_unsent_changes_are_queued_since_the_first_run_that_planned_them(store: Store) -> None:
    def planned(hour: int, state: RunState, creates: int, applied: int, *, is_full: bool = True) -> None:
        now = NOON + timedelta(hours=hour)
        with store.begin() as connection:
            number = runs.start(session_on(connection, ORGANISATION, now), Trigger.SCHEDULE, is_full=is_full)
            connection.execute(run.update().where(run.c.id == number).values(creates=creates))
            runs.finish(session_on(connection, at=now), number, state, totals={"applied": applied})

    def since() -> datetime | None:
        with store.begin() as connection:
            return lag.oldest(connection, ORGANISATION)[UnsentChange.QUEUED]

    assert since() is None
    planned(0, RunState.FAILED, creates=0, applied=0)
    assert since() is None
    planned(1, RunState.FAILED, creates=3, applied=1)
    planned(2, RunState.AWAITING_APPROVAL, creates=2, applied=0)
    assert since() == NOON + timedelta(hours=1)
    planned(3, RunState.FINISHED, creates=1, applied=1, is_full=False)
    assert since() == NOON + timedelta(hours=1)
    planned(4, RunState.FINISHED, creates=2, applied=1)
    assert since() is None
