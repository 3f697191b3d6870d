"""A daemon that is told to read its configuration again while it works."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import structlog

from syncd.core.guard import Limits
from syncd.core.schedule import Schedule, When
from syncd.daemon.config import DaemonConfig
from syncd.errors import AnotherRun, ConfigurationError
from syncd.simulator import Fault, FaultKind
from syncd.state.db.lock import Purpose, locked
from tests.support.college import Found
from tests.support.onefile import ORGANISATION
from tests.support.polling import wait_until

from .daemons import living

pytestmark = pytest.mark.parametrize("state_url", ["sqlite_url"], indirect=True)


def test_reload_during_a_run_takes_effect_at_the_next_run(found: Found) -> None:
    college = found()
    college.enrol("L1")
    college.onefile.faults.add(Fault(FaultKind.LATENCY, path="/User", latency_seconds=3))
    reload, closed = threading.Event(), []

    def reread(orders: DaemonConfig) -> DaemonConfig:
        # From now on nothing may be done unasked.
        turns = [
            replace(context, policy=replace(context.policy, limits=Limits(percent=0, floor=0)))
            for context in orders.turns
        ]
        object.__setattr__(orders, "close", lambda: closed.append(_is_over(log)))
        return replace(orders, turns=turns, close=lambda: None)

    with structlog.testing.capture_logs() as log, living(college, every=2, reload=reload, reread=reread):
        wait_until(lambda: any(line["event"] == "run_started" for line in log))
        reload.set()
        wait_until(lambda: any(line["event"] == "configuration_reloaded" for line in log))
        assert not _is_over(log)
        with pytest.raises(AnotherRun), locked(college.context.store, ORGANISATION, Purpose.LEADING):
            pass
        wait_until(lambda: _is_over(log))
        college.enrol("L2")
        wait_until(lambda: any(line["event"] == "run_stopped" for line in log))
        wait_until(lambda: bool(closed))
    assert closed == [True], "the old orders were closed under a run that went by them"
    assert (len(college.in_onefile("L1")), len(college.in_onefile("L2"))) == (1, 0)
    assert [line["event"] for line in log].count("daemon_started") == 1


def _is_over(log: Sequence[Mapping[str, object]]) -> bool:
    return any(line["event"] == "run_finished" for line in log)


@pytest.mark.parametrize("problem", [ConfigurationError("FILE: unknown key 'x'."), RuntimeError("hunter2")])
def test_orders_that_are_refused_leave_everything_as_it_was(found: Found, problem: Exception) -> None:
    college = found()
    college.enrol("L1")
    reload = threading.Event()

    def refuse(_orders: DaemonConfig) -> DaemonConfig:
        raise problem

    with structlog.testing.capture_logs() as log, living(college, every=1, reload=reload, reread=refuse):
        wait_until(lambda: _is_over(log))
        reload.set()
        wait_until(lambda: any(line["event"] == "configuration_reload_failed" for line in log))
        seen = len(log)
        wait_until(lambda: _is_over(log[seen:]))
    (refused,) = (line for line in log if line["event"] == "configuration_reload_failed")
    assert refused["reason"] in {"FILE: unknown key 'x'.", "unexpected RuntimeError"}


def test_hanging_configuration_read_delays_neither_runs_nor_shutdown(found: Found) -> None:
    college = found()
    college.enrol("L1")
    reload, is_over, read = threading.Event(), threading.Event(), []

    def hang(orders: DaemonConfig) -> DaemonConfig:
        read.append(orders)
        is_over.wait(60)
        return orders

    try:
        with structlog.testing.capture_logs() as log, living(college, every=1, reload=reload, reread=hang):
            wait_until(lambda: _is_over(log))
            reload.set()
            wait_until(lambda: bool(read))
            seen = len(log)
            wait_until(lambda: _is_over(log[seen:]))
            told_to_end_at = time.monotonic()
        assert time.monotonic() - told_to_end_at < 10
    finally:
        is_over.set()
    assert [line["event"] for line in log][-1] == "daemon_stopped"
    assert len(read) == 1


def test_reload_keeps_the_next_poll_unless_the_schedule_changed(found: Found) -> None:
    college = found()
    college.enrol("L1")
    reload = threading.Event()
    schedules: list[Schedule] = []

    def reread(orders: DaemonConfig) -> DaemonConfig:
        return replace(orders, schedule=schedules.pop()) if schedules else orders

    with structlog.testing.capture_logs() as log, living(college, reload=reload, reread=reread) as daemon:
        wait_until(lambda: _is_over(log))
        due = daemon.due("poll")
        reload.set()
        wait_until(lambda: any(line["event"] == "configuration_reloaded" for line in log))
        assert daemon.due("poll") == due
        schedules.append(Schedule(When()))
        reload.set()
        wait_until(lambda: daemon.due("poll") is None)


def test_a_daemon_that_waits_for_the_lead_reads_it_again_as_well(found: Found) -> None:
    college = found()
    college.enrol("L1")
    reload = threading.Event()
    read = []

    def reread(orders: DaemonConfig) -> DaemonConfig:
        read.append(orders)
        return orders

    with (
        structlog.testing.capture_logs() as log,
        living(college),
        living(college, reload=reload, reread=reread),
    ):
        wait_until(lambda: _is_over(log))
        reload.set()
        wait_until(lambda: bool(read))
