"""A daemon's life, in one process: growing pauses, taking over, and one run at a time."""

import time
from datetime import timedelta

import structlog

from syncd.daemon.purge import purge_job
from syncd.simulator import Fault, FaultKind
from syncd.state import daemons
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION
from tests.support.polling import wait_until
from tests.support.sessions import session_on

from .daemons import living


def test_onefile_outage_is_logged_once_and_its_recovery_once(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    with structlog.testing.capture_logs() as log, living(college):
        wait_until(lambda: sum(line["event"] == "run_finished" for line in log) >= 4)
        college.onefile.faults.clear()
        wait_until(lambda: bool(college.in_onefile("L1")))
        wait_until(lambda: any(line["event"] == "onefile_recovered" for line in log))
    events = [line["event"] for line in log]
    assert events.count("onefile_unreachable") == 1
    assert events.count("onefile_recovered") == 1
    assert college.held == {}
    assert (events[0], events[-1]) == ("daemon_started", "daemon_stopped")


def test_of_two_daemons_on_one_store_one_works_and_the_other_takes_over(found: Found) -> None:
    college = found()
    college.enrol("L1")
    with structlog.testing.capture_logs() as log:
        with living(college):
            wait_until(lambda: any(line["event"] == "run_finished" for line in log))
            with living(college):
                time.sleep(0.5)
                assert sum(line["event"] == "daemon_started" for line in log) == 1
        assert sum(line["event"] == "daemon_started" for line in log) == 1
    with structlog.testing.capture_logs() as log, living(college):
        wait_until(lambda: any(line["event"] == "run_finished" for line in log))


def test_it_says_when_it_looks_next_and_no_more_once_it_has_gone(found: Found) -> None:
    college = found()
    college.enrol("L1")
    with living(college):
        wait_until(lambda: _next(college) is not None)
    assert _next(college) is None


def test_polls_never_overlap(found: Found) -> None:
    college = found()
    college.enrol(*(f"L{number}" for number in range(30)))
    college.onefile.faults.add(Fault(FaultKind.LATENCY, times=None, latency_seconds=0.1))
    with structlog.testing.capture_logs() as log, living(college, every=0.2):
        wait_until(lambda: sum(line["event"] == "run_finished" for line in log) >= 3)
    running = 0
    for line in log:
        running += {"run_started": 1, "run_finished": -1}.get(line["event"], 0)
        assert running in {0, 1}


def _next(college: College) -> object:
    with college.context.store.begin() as connection:
        return daemons.next_run_at(session_on(connection, ORGANISATION))


def test_scheduled_verify_reports_drift_and_writes_nothing(found: Found) -> None:
    college = found()
    college.enrol("L1")
    assert college.run().is_in_sync
    college.in_onefile("L1")[0].values["LastName"] = "Edited by hand"
    college.onefile.journal.clear()
    with structlog.testing.capture_logs() as log, living(college, verify=1):
        wait_until(lambda: any(line["event"] == "drift_found" for line in log))
    (drift, *_) = (line for line in log if line["event"] == "drift_found")
    assert (drift["misid"], drift["fields"]) == ("L1", ["LastName"])
    assert college.writes() == []


def test_it_lets_go_of_what_is_older_than_it_keeps_as_soon_as_it_begins(found: Found) -> None:
    college = found()
    college.enrol("L1", "L2")
    # The college's clock stands in January 2026, and the daemon goes by the real time.
    assert college.run().is_in_sync
    with structlog.testing.capture_logs() as log:
        purge = purge_job([ORGANISATION], timedelta(days=1), structlog.get_logger(), lambda: False)
        with living(college, daily=[purge]):
            wait_until(lambda: any(line["event"] == "changes_purged" for line in log))
    assert [line["count"] for line in log if line["event"] == "changes_purged"] == [2]
    assert college.outcomes("L1") == []
    assert college.known_id("L1") == college.in_onefile("L1")[0].id
    college.onefile.journal.clear()
    assert college.run().unchanged == 2
    assert college.onefile.journal.writes == []
