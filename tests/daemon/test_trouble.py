"""What a daemon lives through, and what it does not: a store in trouble, a lost lead, a schedule that has ended."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from syncd.core.schedule import Schedule, When
from syncd.daemon.config import DailyJob
from syncd.daemon.jobs import Jobs
from syncd.errors import DaemonBroken, StateUnusable
from syncd.state.db.store import Store
from tests.support.college import College, Found
from tests.support.polling import wait_until

from .daemons import living

on_sqlite = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)
on_postgresql = pytest.mark.parametrize("state_url", ["postgres_url"], indirect=True)

_Log = list[Any]


def _count(log: _Log, event: str) -> int:
    return sum(line["event"] == event for line in log)


@contextmanager
def _gone(college: College, table: str) -> Iterator[None]:
    """A state store from which a table is missing for a while."""
    with college.context.store.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
    try:
        yield
    finally:
        with college.context.store.begin() as connection:
            connection.execute(text(f"ALTER TABLE {table}_away RENAME TO {table}"))


@pytest.mark.slow
def test_a_store_that_fails_for_a_while_ends_no_daemon(found: Found) -> None:
    college = found()
    college.enrol("L1")
    with structlog.testing.capture_logs() as log, living(college, every=1):
        wait_until(lambda: _count(log, "run_finished") >= 1)
        with _gone(college, "run"):
            wait_until(lambda: _count(log, "poll_failed") >= 2)
        for table in ("daemon", "resync_request"):
            with _gone(college, table):
                seen = _count(log, "run_finished")
                wait_until(lambda seen=seen: _count(log, "run_finished") >= seen + 2)  # type: ignore[misc]
        seen = _count(log, "run_finished")
        wait_until(lambda: _count(log, "run_finished") >= seen + 1)
    assert (_count(log, "daemon_started"), _count(log, "daemon_stopped")) == (1, 1)
    assert "state store" in next(line["reason"] for line in log if line["event"] == "poll_failed")


@on_postgresql
def test_a_daemon_that_loses_its_lead_stops_polling_until_it_has_it_again(found: Found) -> None:
    college = found()
    college.enrol("L1")
    with structlog.testing.capture_logs() as log, living(college, every=1):
        wait_until(lambda: _count(log, "run_finished") >= 1)
        with college.context.store.begin() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        wait_until(lambda: _count(log, "daemon_started") == 2)
        seen = _count(log, "run_finished")
        wait_until(lambda: _count(log, "run_finished") >= seen + 2)
    told = [line["event"] for line in log if line["event"] in {"daemon_started", "leadership_lost", "daemon_stopped"}]
    assert told == ["daemon_started", "leadership_lost", "daemon_stopped", "daemon_started", "daemon_stopped"]
    assert len(college.in_onefile("L1")) == 1


@on_postgresql
def test_a_daemon_waits_for_a_store_that_is_not_there_and_says_so_once(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    college = found()
    college.enrol("L1")
    is_away = threading.Event()
    is_away.set()
    connect = college.context.store.engine.connect
    tried = []

    def away(*arguments: Any, **options: Any) -> Any:
        tried.append(is_away.is_set())
        if is_away.is_set():
            raise StateUnusable("The state store cannot be reached.")
        return connect(*arguments, **options)

    monkeypatch.setattr(college.context.store.engine, "connect", away)
    with structlog.testing.capture_logs() as log, living(college):
        wait_until(lambda: len(tried) >= 3)
        is_away.clear()
        wait_until(lambda: _count(log, "run_finished") == 1)
    assert _count(log, "state_store_unavailable") == 1


@on_sqlite
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_daemon_whose_schedule_has_ended_ends_too_and_says_so(found: Found) -> None:
    college = found()
    college.enrol("L1")
    problems: list[BaseException] = []
    is_broken = threading.Event()

    class Breaking(When):
        """What goes wrong where the next time is worked out, which is within the scheduler."""

        def after(self, moment: datetime) -> datetime:
            if is_broken.is_set():
                raise RuntimeError
            return super().after(moment)

    schedule = Schedule(Breaking("every so often", timedelta(seconds=0.2)))
    with structlog.testing.capture_logs() as log, living(college, schedule=schedule, problems=problems):
        wait_until(lambda: _count(log, "run_finished") >= 1)
        is_broken.set()
        wait_until(lambda: bool(problems))
    assert [type(problem) for problem in problems] == [DaemonBroken]
    assert "Start the daemon again" in str(problems[0])
    # A poll that had begun may still finish in between.
    of_daemon = [line["event"] for line in log if line["event"].startswith("daemon_")]
    assert of_daemon[-2:] == ["daemon_failed", "daemon_stopped"]


@on_sqlite
def test_daily_jobs_run_at_start_and_a_failed_job_stops_no_other(found: Found) -> None:
    college = found()
    college.enrol("L1")
    done: list[tuple[str, bool]] = []

    def fail(_store: Store, _now: datetime) -> None:
        done.append(("fail", True))
        raise RuntimeError

    def purge(store: Store, now: datetime) -> None:
        done.append(("purge", store is college.context.store and now.tzinfo is UTC))

    daily = [DailyJob("fail", fail), DailyJob("purge", purge)]
    with structlog.testing.capture_logs() as log, living(college, daily=daily) as daemon:
        wait_until(lambda: len(done) == 2)
        wait_until(lambda: _count(log, "run_finished") == 1)
        due = daemon.due("daily purge")
        assert due is not None
        assert (due.hour, due.minute) in {(1, 30), (2, 30)}
    assert sorted(done) == [("fail", True), ("purge", True)]
    (failed,) = (line for line in log if line["event"] == "daily_job_failed")
    assert (failed["job"], failed["reason"]) == ("fail", "unexpected RuntimeError")


def test_job_never_overlaps_itself_and_runs_again_after_an_error() -> None:
    jobs = Jobs(lambda: datetime.now(UTC))
    begun: list[int] = []
    go_on = threading.Event()

    def work() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            go_on.wait(20)
            raise RuntimeError

    with jobs.running():
        began = datetime.now(UTC)
        jobs.add("work", work, When("0.1s", timedelta(seconds=0.1)), began)
        wait_until(lambda: (jobs.due("work") or began) > began + timedelta(seconds=0.3))
        assert begun == [0]
        go_on.set()
        wait_until(lambda: len(begun) >= 3)


def test_a_job_put_off_at_the_end_of_itself_is_done_then() -> None:
    jobs = Jobs(lambda: datetime.now(UTC))
    done: list[int] = []

    def work() -> None:
        done.append(1)
        jobs.postpone("work", datetime.now(UTC))

    with jobs.running():
        jobs.add("work", work, When("1h", timedelta(hours=1)), datetime.now(UTC))
        wait_until(lambda: len(done) >= 5)
