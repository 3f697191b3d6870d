"""A daemon and a clock that is set, changes twice a year, and goes on while the machine sleeps."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
import time_machine
from sqlalchemy import Row, select

from syncd.core.guard import Limits
from syncd.core.run import RunState, Trigger
from syncd.core.schedule import Schedule, When
from syncd.simulator import Fault, FaultKind
from syncd.state import approvals, daemons, resync_requests
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.tables import run
from syncd.state.runs import RunSummary
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.polling import wait_until
from tests.support.sessions import session_on

from .daemons import LOOK_AGAIN_SECONDS, living

_NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
_A_QUARTER = When("15m", timedelta(minutes=15))
_QUIET = ((_NOON.time(), (_NOON + timedelta(minutes=30)).time()),)
_AT_THREE = When("0 3 * * *", timezone="Europe/London")

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The machine's clock, which says noon and goes on from there."""
    with time_machine.travel(_NOON, tick=True) as traveller:
        yield traveller


def _runs(college: College, trigger: Trigger = Trigger.SCHEDULE) -> Sequence[Row[Any]]:
    with college.context.store.begin() as connection:
        return connection.execute(select(run).where(run.c.trigger == trigger).order_by(run.c.id)).all()


def _over(college: College, trigger: Trigger = Trigger.SCHEDULE) -> int:
    return sum(one.finished_at is not None for one in _runs(college, trigger))


def _next(college: College) -> datetime:
    with college.context.store.begin() as connection:
        due = daemons.next_run_at(session_on(connection, ORGANISATION))
    assert due is not None
    return due


def _let_the_daemon_look_twice() -> None:
    time.sleep(2.5 * LOOK_AGAIN_SECONDS)


def test_clock_set_back_an_hour_does_not_delay_polls_or_requests(found: Found, clock: time_machine.Traveller) -> None:
    college = found()
    college.enrol("L1")
    with living(college, every=0.2):
        wait_until(lambda: _over(college) >= 2)
        clock.shift(timedelta(hours=-1))
        seen = _over(college)
        wait_until(lambda: _over(college) >= seen + 3)
        # Who asks for a run is looked for by the same clock.
        with college.context.store.begin() as connection:
            request = resync_requests.add(session_on(connection, ORGANISATION, datetime.now(UTC)), "somebody")
        wait_until(lambda: _answer(college, request) is not None)
    assert [one.state for one in _runs(college)].count(RunState.FINISHED) >= seen + 3
    assert len(college.in_onefile("L1")) == 1


def _answer(college: College, request: int) -> RunSummary | None:
    with college.context.store.begin() as connection:
        return resync_requests.answering_run(session_on(connection), request)


@pytest.mark.parametrize("poll", [_A_QUARTER, When("*/15 * * * *", timezone="Europe/London")])
def test_clock_set_back_puts_the_next_poll_within_one_interval(
    found: Found, clock: time_machine.Traveller, poll: When
) -> None:
    college = found()
    with structlog.testing.capture_logs() as log, living(college, schedule=Schedule(poll)):
        wait_until(lambda: _over(college) == 1)
        clock.shift(timedelta(hours=-1))
        wait_until(lambda: any(line["event"] == "clock_jumped" for line in log))
        # What the monitors call overdue goes by this.
        wait_until(lambda: _next(college) <= datetime.now(UTC) + timedelta(minutes=15))
        assert _over(college) == 1
        clock.shift(timedelta(minutes=15))
        wait_until(lambda: _over(college) == 2)
    (line,) = (line for line in log if line["event"] == "clock_jumped" and line["seconds"] < 0)
    assert line["seconds"] == pytest.approx(-3600, abs=5)


@pytest.mark.slow
def test_a_clock_set_back_after_the_daily_verify_does_not_bring_it_twice(
    found: Found, clock: time_machine.Traveller
) -> None:
    college = found()
    clock.move_to(datetime(2026, 1, 15, 2, 59, 58, tzinfo=UTC), tick=True)
    with living(college, schedule=Schedule(_A_QUARTER, _AT_THREE)):
        wait_until(lambda: _over(college, Trigger.VERIFY) == 1)
        clock.shift(timedelta(hours=-1))
        _let_the_daemon_look_twice()
        clock.shift(timedelta(hours=1))
        _let_the_daemon_look_twice()
        assert _over(college, Trigger.VERIFY) == 1
        clock.shift(timedelta(days=1))
        wait_until(lambda: _over(college, Trigger.VERIFY) == 2)


def test_a_machine_asleep_for_days_wakes_to_one_poll_and_one_verify(
    found: Found, clock: time_machine.Traveller
) -> None:
    college = found()
    with living(college, schedule=Schedule(_A_QUARTER, _AT_THREE)):
        wait_until(lambda: _over(college) == 1)
        assert _over(college, Trigger.VERIFY) == 0
        for day in (1, 2):
            clock.shift(timedelta(days=day))
            wait_until(lambda day=day: _over(college, Trigger.VERIFY) == day)  # type: ignore[misc]
            wait_until(lambda day=day: _over(college) == day + 1)  # type: ignore[misc]
        _let_the_daemon_look_twice()
    assert (len(_runs(college)), len(_runs(college, Trigger.VERIFY))) == (3, 2)


@pytest.mark.slow
def test_what_falls_due_again_and_again_during_a_run_is_made_up_for_once(
    found: Found, clock: time_machine.Traveller
) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.LATENCY, path="/User", latency_seconds=4))
    with living(college, schedule=Schedule(_A_QUARTER)):
        wait_until(lambda: bool(_runs(college)))
        clock.shift(timedelta(hours=2))
        wait_until(lambda: _over(college) == 2)
        _let_the_daemon_look_twice()
    first, second = _runs(college)
    assert second.started_at >= first.finished_at


def test_run_continues_when_the_clock_is_set_back_and_no_run_overlaps(
    found: Found, clock: time_machine.Traveller
) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(10)))
    college.onefile.faults.add(Fault(FaultKind.LATENCY, times=None, latency_seconds=0.3))
    with structlog.testing.capture_logs() as log, living(college, every=1):
        wait_until(lambda: bool(college.in_onefile("L1")))
        clock.shift(timedelta(hours=-1))
        wait_until(lambda: _over(college) >= 3)
    ends = [line["event"] for line in log if line["event"] in {"run_started", "run_finished"}]
    assert ends == ["run_started", "run_finished"] * (len(ends) // 2)
    assert [len(college.in_onefile(f"L{number}")) for number in range(10)] == [1] * 10


@pytest.mark.parametrize(
    "just_before",
    [datetime(2026, 10, 25, 0, 59, 58, tzinfo=UTC), datetime(2026, 3, 29, 0, 59, 58, tzinfo=UTC)],
    ids=["autumn", "spring"],
)
def test_when_londons_clock_changes_polls_go_on_every_second(
    found: Found, clock: time_machine.Traveller, just_before: datetime
) -> None:
    college = found()
    clock.move_to(just_before, tick=True)
    every_second = When("1s", timedelta(seconds=1), timezone="Europe/London")
    with living(college, schedule=Schedule(every_second)):
        wait_until(lambda: any(one.started_at > just_before + timedelta(seconds=4) for one in _runs(college)))
    assert len(_runs(college)) >= 3


def test_verify_missed_while_the_daemon_was_down_runs_after_its_start(
    found: Found, clock: time_machine.Traveller
) -> None:
    college = found()
    schedule = Schedule(_A_QUARTER, _AT_THREE)
    with living(college, schedule=schedule):
        wait_until(lambda: _over(college) == 1)
        clock.shift(timedelta(days=1))
        wait_until(lambda: _over(college, Trigger.VERIFY) == 1)
    # Not at once again …
    with living(college, schedule=schedule):
        wait_until(lambda: _over(college) == 3)
        _let_the_daemon_look_twice()
        assert _over(college, Trigger.VERIFY) == 1
    # … but when it was switched off at three.
    clock.shift(timedelta(days=1))
    with living(college, schedule=schedule):
        wait_until(lambda: _over(college, Trigger.VERIFY) == 2)


def test_an_approval_holds_for_its_day_however_the_clock_is_set_meanwhile(found: Found) -> None:
    college = found()
    college.with_policy(limits=Limits(percent=0, floor=0))
    # OneFile's classes are older than the time to which the clock is set back.
    college.clock.now += timedelta(hours=2)
    college.enrol("L1")
    for hours, state in ((-1, RunState.FINISHED), (25, RunState.AWAITING_APPROVAL)):
        assert college.run().state is RunState.AWAITING_APPROVAL
        with college.context.store.begin() as connection:
            approvals.approve(session_on(connection, ORGANISATION, college.clock()), None, "somebody")
        college.clock.now += timedelta(hours=hours)
        assert college.run().state is state
        college.enrol(f"L{hours}")


def test_quiet_window_defers_polls_and_requests_and_holds_no_lock(found: Found, clock: time_machine.Traveller) -> None:
    college = found(quiet=_QUIET)
    college.enrol("L1")
    assert college.context.onefile.rate_limiter.seconds_of_quiet() == 1800
    with living(college, schedule=Schedule(_A_QUARTER.apart(ORGANISATION, timedelta(minutes=1)))):
        wait_until(lambda: _has_next(college))
        with college.context.store.begin() as connection:
            request = resync_requests.add(session_on(connection, ORGANISATION, datetime.now(UTC)), "somebody")
        _let_the_daemon_look_twice()
        assert not _runs(college)
        assert not _runs(college, Trigger.REQUEST)
        with locked(college.context.store, ORGANISATION, Purpose.WRITING):
            pass
        assert _next(college) >= _NOON + timedelta(minutes=30)

        college.clock.now += timedelta(minutes=30)
        clock.shift(timedelta(minutes=32))
        wait_until(lambda: _over(college) == 1)
        wait_until(lambda: _answer(college, request) is not None)
    assert len(_runs(college)) == len(_runs(college, Trigger.REQUEST)) == 1


def _has_next(college: College) -> bool:
    with college.context.store.begin() as connection:
        return daemons.next_run_at(session_on(connection, ORGANISATION)) is not None


def test_a_poll_that_falls_due_in_a_quiet_window_is_put_off_to_its_end(
    found: Found, clock: time_machine.Traveller
) -> None:
    college = found(quiet=_QUIET)
    college.clock.go_on(minutes=-1)
    with structlog.testing.capture_logs() as log, living(college, schedule=Schedule(_A_QUARTER)):
        wait_until(lambda: _over(college) == 1)
        college.clock.go_on(minutes=1)
        clock.shift(timedelta(minutes=15))
        wait_until(lambda: any(line["event"] == "job_postponed" for line in log))
        assert _over(college) == 1
        assert _next(college) >= _NOON + timedelta(minutes=30)
    (line,) = (line for line in log if line["event"] == "job_postponed")
    assert (line["job"], line["why"]) == ("poll", "quiet window")


def test_jitter_does_not_delay_the_first_poll_but_delays_the_next(found: Found, clock: time_machine.Traveller) -> None:
    college = found()
    poll = _A_QUARTER.apart(ORGANISATION, timedelta(minutes=1))
    with living(college, schedule=Schedule(poll)):
        wait_until(lambda: _over(college) == 1)
        started_at = _runs(college)[0].started_at
        assert started_at - _NOON < timedelta(minutes=1)
        wait_until(lambda: _next(college) - _NOON >= timedelta(minutes=15) + poll.later)
